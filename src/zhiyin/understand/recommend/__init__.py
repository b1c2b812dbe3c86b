"""The right item for each person: `fit` interactions, `recommend`, `explain`, `evaluate`.

What a turn does with it stands in `job`.
"""

from zhiyin.understand.recommend.als import Als
from zhiyin.understand.recommend.baselines import Frequency, Popularity
from zhiyin.understand.recommend.blend import Blend
from zhiyin.understand.recommend.content import Content, read_attributes
from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.evaluation import evaluate
from zhiyin.understand.recommend.explain import Reason
from zhiyin.understand.recommend.graph import Spectral, Walks
from zhiyin.understand.recommend.metrics import Metrics
from zhiyin.understand.recommend.mixture import Mixture
from zhiyin.understand.recommend.neighbours import ItemItem, UserUser
from zhiyin.understand.recommend.recommender import MODELS, Recommender, fit
from zhiyin.understand.recommend.rules import Candidates, Rules, Shelf, arrange, merge_candidates
from zhiyin.understand.recommend.together import bought_together
from zhiyin.understand.recommend.transitions import Transitions

__all__ = [
    "MODELS", "Als", "Blend", "Candidates", "Content", "Ease", "Frequency", "ItemItem", "Metrics",
    "Mixture", "Popularity", "Reason", "Recommender", "Rules", "Shelf", "Spectral", "Transitions",
    "UserUser", "Walks", "arrange", "bought_together", "evaluate", "fit", "merge_candidates",
    "read_attributes",
]  # fmt: skip

"""The right item for each person: `fit` interactions, `recommend`, `explain`, `evaluate`.

What a turn does with it stands in `job`, what a server does with a request in `live`. A name is
imported when it is asked for: a server needs none of the models.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zhiyin.understand.recommend.als import Als
    from zhiyin.understand.recommend.baselines import Frequency, Popularity
    from zhiyin.understand.recommend.blend import Blend
    from zhiyin.understand.recommend.content import Content, read_attributes
    from zhiyin.understand.recommend.ease import Ease
    from zhiyin.understand.recommend.embedding import embed_texts
    from zhiyin.understand.recommend.evaluation import evaluate
    from zhiyin.understand.recommend.explain import Reason
    from zhiyin.understand.recommend.graph import Spectral, Walks
    from zhiyin.understand.recommend.metrics import Metrics
    from zhiyin.understand.recommend.mixture import Mixture
    from zhiyin.understand.recommend.neighbours import ItemItem, UserUser
    from zhiyin.understand.recommend.recommender import MODELS, Recommender, fit
    from zhiyin.understand.recommend.rules import (
        Candidates,
        Rules,
        Shelf,
        arrange,
        merge_candidates,
    )
    from zhiyin.understand.recommend.together import bought_together
    from zhiyin.understand.recommend.transitions import Transitions

__all__ = [
    "MODELS", "Als", "Blend", "Candidates", "Content", "Ease", "Frequency", "ItemItem", "Metrics",
    "Mixture", "Popularity", "Reason", "Recommender", "Rules", "Shelf", "Spectral", "Transitions",
    "UserUser", "Walks", "arrange", "bought_together", "embed_texts", "evaluate", "fit",
    "merge_candidates", "read_attributes",
]  # fmt: skip

_HOMES = {
    "als": "Als",
    "baselines": "Frequency Popularity",
    "blend": "Blend",
    "content": "Content read_attributes",
    "ease": "Ease",
    "embedding": "embed_texts",
    "evaluation": "evaluate",
    "explain": "Reason",
    "graph": "Spectral Walks",
    "metrics": "Metrics",
    "mixture": "Mixture",
    "neighbours": "ItemItem UserUser",
    "recommender": "MODELS Recommender fit",
    "rules": "Candidates Rules Shelf arrange merge_candidates",
    "together": "bought_together",
    "transitions": "Transitions",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

"""Who resembles whom: RFM scores and named segments, clusters described in words, how customers
move between them. `segment` is the one door to all; every function works on plain tables."""

from zhiyin.understand.segment.business import (
    Thresholds,
    measure_orders,
    name_scores,
    propose_thresholds,
    score_quantiles,
    score_thresholds,
)
from zhiyin.understand.segment.choice import Choice, choose_k
from zhiyin.understand.segment.density import Density, find_density
from zhiyin.understand.segment.hierarchy import Dendrogram, Hierarchy, grow_ward
from zhiyin.understand.segment.kmeans import KMeansFit, fit_kmeans
from zhiyin.understand.segment.methods import segment
from zhiyin.understand.segment.movement import Movement, measure_movement, track_movement
from zhiyin.understand.segment.portrait import Meaning
from zhiyin.understand.segment.preparing import Prepared, prepare
from zhiyin.understand.segment.segmentation import Segmentation

__all__ = [
    "Choice",
    "Dendrogram",
    "Density",
    "Hierarchy",
    "KMeansFit",
    "Meaning",
    "Movement",
    "Prepared",
    "Segmentation",
    "Thresholds",
    "choose_k",
    "find_density",
    "fit_kmeans",
    "grow_ward",
    "measure_movement",
    "measure_orders",
    "name_scores",
    "prepare",
    "propose_thresholds",
    "score_quantiles",
    "score_thresholds",
    "segment",
    "track_movement",
]

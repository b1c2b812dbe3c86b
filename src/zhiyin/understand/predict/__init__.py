"""Prediction: who will respond to a campaign, who will buy, and why the model says so."""

from zhiyin.understand.predict.evaluation import Evaluation, evaluate
from zhiyin.understand.predict.horizon import propose_horizon
from zhiyin.understand.predict.leakage import Finding, check_leakage
from zhiyin.understand.predict.reduction import Reduction, fit_reduction
from zhiyin.understand.predict.screening import Screened, screen_features
from zhiyin.understand.predict.shortage import check_data

__all__ = [
    "Evaluation",
    "Finding",
    "Reduction",
    "Screened",
    "artifact",
    "check_data",
    "check_leakage",
    "evaluate",
    "fit_reduction",
    "labels",
    "propose_horizon",
    "response",
    "screen_features",
]

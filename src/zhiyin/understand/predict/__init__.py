"""Prediction: who will respond to a campaign, who will buy, and why the model says so."""

from zhiyin.understand.predict.evaluation import Evaluation, evaluate
from zhiyin.understand.predict.leakage import Finding, check_leakage

__all__ = [
    "Evaluation",
    "Finding",
    "artifact",
    "check_leakage",
    "evaluate",
    "labels",
    "purchase",
    "response",
]

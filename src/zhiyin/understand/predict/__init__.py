"""Prediction: who will respond to a campaign, who will buy, and why the model says so."""

from zhiyin.understand.predict.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "artifact", "evaluate", "labels", "purchase", "response"]

"""Prediction: who will respond to a campaign, who will buy, and why the model says so."""

__all__ = ["artifact", "labels", "purchase", "response"]

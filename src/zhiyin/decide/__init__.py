"""Whom to contact with what: selection by expected profit, offers, every decision logged."""

__all__ = ["bandit", "holdout", "job", "offer", "reasons", "requests", "selection"]

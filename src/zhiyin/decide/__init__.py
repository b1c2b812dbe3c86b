"""Whom to contact with what: selection by expected profit, offers, every decision logged."""

__all__ = ["holdout", "job", "offer", "reasons", "selection"]

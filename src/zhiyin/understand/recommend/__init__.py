"""The right product for each customer: models, explanations, evaluation."""

__all__ = ["batch", "evaluate"]

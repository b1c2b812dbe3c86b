"""Text becomes knowledge: sentiment with its evidence."""

from zhiyin.understand.text.evidence import Evidence, Explanation
from zhiyin.understand.text.sentiment import Quality, SentimentModel
from zhiyin.understand.text.training import train_sentiment

__all__ = ["Evidence", "Explanation", "Quality", "SentimentModel", "train_sentiment"]

"""Who the customers are: features as of a day, and tags."""

__all__ = ["campaign", "features", "job", "tags", "tags_job"]

"""Who resembles whom: RFM scores and named segments, clusters described in words."""

__all__ = ["clusters", "portrait", "rfm", "rows"]

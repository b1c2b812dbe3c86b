"""Decisions whose effect lasts: the state that a contact leaves is the one the next starts from.

`model`: a problem that is known, solved exactly. `learning`: action values from a log alone.
"""

__all__ = ["learning", "model"]

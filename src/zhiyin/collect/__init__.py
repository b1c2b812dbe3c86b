"""Collect: a shop's files become clean, dated, deduplicated tables; what is bad is kept apart.

`mapping` says how a file reads, `files` reads it, `validate` types every value, `load` writes
accepted rows exactly once and refused rows to `quarantine`, `reconcile` shows the sums by month.
"""

from __future__ import annotations

__all__ = ["complete_journey", "files", "identity", "job", "load", "mapping", "reconcile"]

"""Calls that a shop's staff make: put on the list of the home store, taken, answered."""

from __future__ import annotations

__all__ = ["answers", "home", "ledger", "put_job"]

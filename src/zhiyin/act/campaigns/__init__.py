"""Campaigns that a person plans: read and check one, plan its messages, watch it go out."""

from __future__ import annotations

__all__ = ["checklist", "content", "definition", "job", "ledger", "plan_job", "schedule", "watch"]

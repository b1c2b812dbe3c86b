"""Engines that run Ibis expressions over the lake."""

from __future__ import annotations

__all__: list[str] = []

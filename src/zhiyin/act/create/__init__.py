"""Create: what a message says, from values to a rendered e-mail and its bytes."""

from __future__ import annotations

__all__ = ["content", "email", "message"]

"""Lists that leave as files: of messages for another program, and for ad platforms."""

from __future__ import annotations

__all__ = ["check_job", "export_job", "hashing", "plain", "writer"]

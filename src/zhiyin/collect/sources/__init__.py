"""Sources that are read again and again: databases, folders, webhooks; one TOML file each."""

from __future__ import annotations

__all__ = ["FolderSource", "HookSource", "Intake", "SqlSource", "pull", "read_sources"]

from zhiyin.collect.sources.config import FolderSource, HookSource, SqlSource, read_sources
from zhiyin.collect.sources.job import Intake, pull

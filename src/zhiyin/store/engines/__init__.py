"""Engines that run Ibis expressions over the lake: by name, loaded on first use."""

from __future__ import annotations

from zhiyin.core.config import Settings
from zhiyin.core.protocols import Engine
from zhiyin.core.registry import Registry

__all__ = ["ENGINES", "open_engine"]

ENGINES = Registry(
    "engine",
    {
        "duckdb": "zhiyin.store.engines.duckdb:open_engine",
        "spark": "zhiyin.store.engines.spark:open_engine",
    },
)
"""Each is a function from the settings of a workspace to its engine."""


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings name.

    Raises
    ------
    NotFound
        If there is no engine of that name.
    MissingExtra
        If its packages are not installed.
    """
    return ENGINES.load(settings.engine)(settings)

"""Meanings of tables and columns in Chinese; the English ones stand in `core/tables.py`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES
from zhiyin.core.schema import Column, Table


@cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("zhiyin.core").joinpath("meanings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def table_meaning(table: Table, language: str = "en") -> str:
    """What a table holds; in English where there is no Chinese."""
    return _words()["tables"].get(table.name, table.meaning) if language == "zh" else table.meaning


def column_meaning(table: Table, column: Column, language: str = "en") -> str:
    """What a column holds; in English where there is no Chinese."""
    if language != "zh":
        return column.meaning
    words = _words()["columns"]
    if table.name in ("features", "campaign_features") and column.name in _features():
        return _features()[column.name]
    return words.get(f"{table.name}.{column.name}") or words.get(column.name, column.meaning)


@cache
def _features() -> dict[str, str]:
    return {one.name: one.meaning_zh for one in (*FEATURES, *CAMPAIGN_FEATURES)}

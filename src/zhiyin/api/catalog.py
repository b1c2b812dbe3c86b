"""The catalogue and the quality of the data, without any row."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from zhiyin.api.access import Route, workspace_of
from zhiyin.api.tables import as_json
from zhiyin.catalog import describe, read_quality


def show_catalog(request: Request) -> list[dict[str, Any]]:
    """Every table: meaning, columns, sources, rows, freshness."""
    return describe(_pinned(request))


def show_catalog_table(request: Request, name: str) -> dict[str, Any]:
    """One table, with the keys of its `properties` and which of them look personal."""
    return describe(_pinned(request), name)[0]


def show_quality(request: Request) -> list[dict[str, Any]]:
    """What the last turn found about the data, the worst first."""
    rows = read_quality(_pinned(request), everything=True)
    return [{key: as_json(value) for key, value in row.items()} for row in rows]


def _pinned(request: Request):
    store = workspace_of(request).store
    return store.pinned(store.versions())


ROUTES = (
    Route("GET", "/v1/admin/catalog", "table:read", show_catalog),
    Route("GET", "/v1/admin/catalog/{name}", "table:read", show_catalog_table),
    Route("GET", "/v1/admin/quality", "table:read", show_quality),
)

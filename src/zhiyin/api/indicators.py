"""Indicators over HTTP: what each is, and what the last turn wrote of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from zhiyin.api.access import Route, workspace_of


def list_indicators(
    request: Request, by: Annotated[str, Query(max_length=16)] = "all"
) -> dict[str, Any]:
    """The last turn's indicators, by all, campaign, channel, segment or month, with intervals."""
    from zhiyin.indicators import read_last

    return read_last(workspace_of(request), by)


def define_indicators(request: Request) -> dict[str, Any]:
    """What each indicator is: names, meaning, sums, window, unit, which way is good."""
    from zhiyin.indicators import list_definitions

    return {"indicators": list_definitions()}


ROUTES = (
    Route("GET", "/v1/admin/indicators", "report:read", list_indicators),
    Route("GET", "/v1/admin/indicators/definitions", "report:read", define_indicators),
)

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Indicators for people and programs: those of the last turn, or of any days, computed anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.indicators.definitions import INDICATOR, INDICATORS
from zhiyin.measure.indicators.sums import GRAINS, Span
from zhiyin.measure.indicators_job import BY, compute
from zhiyin.measure.results import to_json

WAYS: Final = (*BY, "week", "day")
"""Ways of grouping."""
NOT_OF_TURNS: Final = ("week", "day")


def list_definitions() -> list[dict[str, Any]]:
    """What each indicator is: key, names and meanings, its two sums, window, unit, which way is
    good.
    """
    return [asdict(one) for one in INDICATORS.values()]


def read_last(shop: Workspace, by: str) -> dict[str, Any]:
    """The indicators that the last turn wrote, by `all`, `campaign`, `channel`, `segment` or
    `month`.

    Returns
    -------
    `by`, `since` and `until` (days; None before the first turn; `until` is not in it any more),
    `currency`, and `groups`: group → indicator → `value`, `low`, `high` (None: none), `n` and
    `status`.

    Raises
    ------
    InvalidParameter
        If there is no such way of grouping, or turns do not write it.
    """
    _check(by)
    if by in NOT_OF_TURNS:
        raise InvalidParameter(f"turns write no indicators by {by}", hint="say since when")
    results = shop.store.read("results")
    mine = results.filter(results[c.KIND] == INDICATOR)
    day = mine[c.AS_OF_ON].max().to_pyarrow().as_py()
    groups: dict[str, dict[str, Any]] = {}
    if day is not None:
        rows = mine.filter(mine[c.AS_OF_ON] == day).order_by(c.SUBJECT, c.METRIC)
        for row in rows.to_pyarrow().to_pylist():
            body = json.loads(row[c.BODY])
            if body["by"] == by:
                told = {name: row[name] for name in (c.VALUE, c.LOW, c.HIGH, c.N, c.STATUS)}
                groups.setdefault(body["group"], {})[row[c.METRIC]] = told
    return _said(shop, by, None, day, groups)


def compute_since(shop: Workspace, by: str, since: date, until: date | None) -> dict[str, Any]:
    """The indicators of the local days [since, until) as `read_last` tells them; without `until`
    up to the day of the next turn.

    Raises
    ------
    InvalidParameter
        If there is no such way of grouping, or no day in the span.
    """
    _check(by)
    end = until or shop.default_day()
    grain = by if by in GRAINS else "month"
    span = Span(since, end, shop.settings.zone, grain)
    found = compute(shop.context(end, turn_id="indicators"), span, [by])[by]
    groups = {
        group: {key: _told(one) for key, one in values.items()} for group, values in found.items()
    }
    return _said(shop, by, since, end, groups)


def _check(by: str) -> None:
    if by not in WAYS:
        raise InvalidParameter(f"{by!r} groups nothing", hint=f"one of {', '.join(WAYS)}")


def _told(one: Estimate) -> dict[str, Any]:
    return {name: to_json(value) for name, value in asdict(one).items()}


def _said(
    shop: Workspace, by: str, since: date | None, until: date | None,
    groups: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    return {
        "by": by, "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None, "currency": shop.settings.currency,
        "groups": groups,
    }  # fmt: skip

"""What the report shows of indicators: a table of campaigns, one of channels, a grid of cohorts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from zhiyin.core import columns as c
from zhiyin.core.values import Estimate
from zhiyin.measure.indicators.definitions import COHORT, INDICATOR, INDICATORS
from zhiyin.measure.status import NO_UNITS

SHOWN: Final = (
    "sent", "delivery_rate", "open_rate", "ctr", "cvr", "redemption_rate", "unsubscribe_rate",
    "complaint_rate", "csat", "nps", "cost", "roas", "roi", "orders", "revenue",
)  # fmt: skip
"""Columns, as far as anything is known of them; the caused figure stands beside the last."""
MOST_GROUPS, MOST_COHORTS = 12, 12
INCREMENT: Final = "increment"
PER_CUSTOMER: Final = "revenue_per_customer_minor"


@dataclass(frozen=True)
class Group:
    """A campaign or a channel (empty: neither): its indicators, and what it caused for each
    customer where that was measured.
    """

    key: str
    values: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    name: str = ""
    caused: Estimate | None = None


@dataclass(frozen=True)
class CohortRow:
    """Customers of a first month (YYYY-MM) and their retention by months since."""

    month: str
    customers: int
    retention: tuple[Estimate, ...]


@dataclass(frozen=True)
class IndicatorsPart:
    """Campaigns by revenue, with `more` that are not shown, channels by name, cohorts by month."""

    campaigns: tuple[Group, ...] = ()
    channels: tuple[Group, ...] = ()
    cohorts: tuple[CohortRow, ...] = ()
    more: int = 0

    def columns(self, groups: Iterable[Group]) -> list[str]:
        """Keys of `SHOWN` of which any of the groups has a number that is not 0."""
        held = {key for one in groups for key, value in one.values.items() if value.value}
        return [key for key in SHOWN if key in held]


def read_indicators(
    rows: Iterable[Mapping[str, Any]],
    caused: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
) -> IndicatorsPart:
    """The part from rows of `results`.

    Parameters
    ----------
    rows
        Those of a day.
    caused
        Effects of campaigns, of any day up to it, the latest last.
    names
        Campaign → its name.
    """
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    cohorts: dict[str, list[tuple[int, int, Estimate]]] = {}
    for row in rows:
        if row[c.KIND] == INDICATOR and row[c.METRIC] in INDICATORS:
            body = json.loads(row[c.BODY])
            groups = found.setdefault(body["by"], {})
            if row[c.STATUS] != NO_UNITS:
                groups.setdefault(body["group"], {})[row[c.METRIC]] = _estimate(row)
        elif row[c.KIND] == COHORT and row[c.METRIC].startswith("retention"):
            body = json.loads(row[c.BODY])
            told = (body["months"], body["n"], _estimate(row))
            cohorts.setdefault(row[c.SUBJECT], []).append(told)
    effects = {row[c.SUBJECT]: _estimate(row) for row in caused}
    campaigns = [
        Group(key, values, names.get(key, key), effects.get(key))
        for key, values in found.get("campaign", {}).items()
    ]
    campaigns.sort(key=lambda one: (not one.key, -_revenue(one), one.key))
    rest = [one for one in campaigns if not one.key]
    named = [one for one in campaigns if one.key]
    channels = tuple(Group(key, held, key) for key, held in found.get("channel", {}).items())
    return IndicatorsPart(
        (*named[:MOST_GROUPS], *rest) if named else (),
        channels if any(one.key for one in channels) else (),
        tuple(
            CohortRow(month, told[0][1], tuple(one for _, _, one in sorted(told, key=_months)))
            for month, told in sorted(cohorts.items())
        )[-MOST_COHORTS:],
        max(0, len(named) - MOST_GROUPS),
    )


def _months(told: tuple[int, int, Estimate]) -> int:
    return told[0]


def _revenue(group: Group) -> float:
    held = group.values.get("revenue")
    return held.value if held else 0.0


def _estimate(row: Mapping[str, Any]) -> Estimate:
    nan = float("nan")
    value, low, high = (nan if row[x] is None else row[x] for x in (c.VALUE, c.LOW, c.HIGH))
    return Estimate(value, low, high, row[c.N], row[c.STATUS])

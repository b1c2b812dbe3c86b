"""Tables of indicators in words: campaigns and channels with their figures, cohorts by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zhiyin.core.values import Estimate
from zhiyin.measure.indicators.definitions import INDICATORS
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.grid import CohortRow, Group, IndicatorsPart
from zhiyin.measure.report.words import Words
from zhiyin.measure.status import OK

NONE = "–"
Table = tuple[list[str], list[list[str]]]


def tell(key: str, one: Estimate | None, f: Format) -> str:
    """An indicator in its unit; a share or a score with its interval."""
    if one is None or one.value != one.value:
        return NONE
    unit = INDICATORS[key].unit
    if unit == "money":
        return f.whole_money(one.value)
    if unit == "count":
        return f.count(one.value)
    if unit == "ratio":
        return f.fixed(one.value, 2)
    if unit == "score":
        value, low, high = (f.count(100 * x) if x == x else NONE for x in _three(one))
    else:
        value, low, high = (f.fine_percent(x) if x == x else NONE for x in _three(one))
    return f"{value} ({low}–{high})"


def group_table(
    part: IndicatorsPart, groups: Sequence[Group], title: str, t: Words, f: Format
) -> Table:
    """A row a group; what was caused stands beside revenue, or that it was not measured."""
    keys = part.columns(groups)
    labels = [INDICATORS[key].zh if t.language == "zh" else INDICATORS[key].en for key in keys]
    head = [t(f"indicators.{title}"), *labels]
    beside = "revenue" in keys
    if beside:
        head.append(t("indicators.caused"))
    rows: list[list[str]] = []
    for one in groups:
        row = [one.name or t(f"indicators.no_{title}")]
        row += [tell(key, one.values.get(key), f) for key in keys]
        if beside:
            row.append(_caused(one, t, f))
        rows.append(row)
    return head, rows


def cohort_table(rows: Sequence[CohortRow], t: Words, f: Format) -> Table:
    """A row a cohort, a column for each month after the first, with half of the interval."""
    longest = max((len(one.retention) for one in rows), default=0)
    head = [t("indicators.cohort"), t("indicators.customers")]
    head += [t("indicators.month", n=n) for n in range(1, longest)]
    return head, [
        [
            f.month(one.month, year=True), f.count(one.customers),
            *(_retention(one.retention[n], f) if n < len(one.retention) else ""
              for n in range(1, longest)),
        ]
        for one in rows
    ]  # fmt: skip


def _retention(one: Estimate, f: Format) -> str:
    half = max(one.high - one.value, one.value - one.low)
    return f"{f.percent(one.value)} ±{f.count(100 * half)}"


def _caused(one: Group, t: Words, f: Format) -> str:
    if not one.key:
        return NONE
    if one.caused is None or one.caused.low != one.caused.low:
        return t("indicators.not_measured")
    low, high = f.money(one.caused.low), f.money(one.caused.high)
    return t("indicators.per_customer", low=low, high=high)


def _three(one: Estimate) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def tell_plainly(key: str, told: Mapping[str, Any], f: Format) -> str:
    """One indicator in a line: its name, value and interval; empty where there is no number.

    `told`: `value`, `low`, `high` (None: none), `n`, `status`.
    """
    nan = float("nan")
    number, low, high = (nan if told[x] is None else told[x] for x in ("value", "low", "high"))
    if number != number:
        return ""
    one = INDICATORS[key]
    value = tell(key, Estimate(number, low, high, told["n"], told["status"]), f)
    status = "" if told["status"] == OK else f"  {Words(f.language).term('status', told['status'])}"
    return f"{one.zh if f.language == 'zh' else one.en}: {value}{status}"

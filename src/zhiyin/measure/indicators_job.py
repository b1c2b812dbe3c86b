# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Indicators of the year before a day, its cohorts, funnel and routes: rows of `results`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.values import Estimate
from zhiyin.measure import outcomes as o
from zhiyin.measure.indicators import cohorts, funnels, routes
from zhiyin.measure.indicators.definitions import (
    COHORT,
    FUNNEL,
    INDICATOR,
    INDICATORS,
    ROUTE,
)
from zhiyin.measure.indicators.estimates import PAIRS, estimate_all, shown
from zhiyin.measure.indicators.messages import LOOK_BACK, find_orders
from zhiyin.measure.indicators.sums import (
    GROUPED_BY,
    Span,
    read_groups,
    sum_cells,
    sum_groups,
    sum_spend,
)
from zhiyin.measure.results import Result, to_rows
from zhiyin.measure.status import NO_UNITS

KINDS: Final = (COHORT, FUNNEL, INDICATOR, ROUTE)
"""Kinds of results that this module makes."""
PERIOD_DAYS, RECENT_DAYS = 365, 28
BY: Final = ("all", "campaign", "channel", "segment", "month")
STEPS: Final = ("view", "add", "checkout", "purchase")
FUNNEL_DAYS: Final = 7
_READ = (
    c.CUSTOMER_ID, c.OCCURRED_AT, c.KIND, c.CAMPAIGN_ID, c.CHANNEL, c.MESSAGE_ID,
    c.COST_BASE_MINOR,
)  # fmt: skip


def make_rows(ctx: Context) -> pa.Table:
    """Rows of `results` with the indicators of the `PERIOD_DAYS` before `ctx.as_of`."""
    day = ctx.as_of
    span = Span(day - timedelta(days=PERIOD_DAYS), day, ctx.settings.zone)
    with _orders(ctx, day).cache() as orders:
        found = list(_indicator_results(compute(ctx, span, BY, orders=orders)))
        found += _cohort_results(orders, span)
    found += [*_funnel_results(ctx), *_route_results(ctx)]
    return to_rows(found, as_of=day, until=dict.fromkeys(KINDS, day))


def kept_rows(ctx: Context, day: date, kinds: Sequence[str]) -> pa.Table:
    """What was made of an earlier day: a day that is measured again keeps it."""
    results = ctx.store.read("results")
    mine = results.filter(results[c.AS_OF_ON] == day, results[c.KIND].isin([*kinds]))
    return mine.to_pyarrow()


def compute(
    ctx: Context, span: Span, by: Sequence[str], *, orders: ir.Table | None = None
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Way of grouping → group → indicator → estimate, of what was known before `span.until`.

    `by`: of `sum_groups`; a grain of periods must be that of the span. A group is a campaign, a
    channel, a segment or the first day of a period; "" holds what belongs to none. Groups in which
    nothing happened are left out. `orders` are those of `find_orders`, where they are at hand.
    """
    store, rate = ctx.store, ctx.settings.decide.margin_rate
    touches = store.read("touches", as_of=span.until).select(*_READ)
    touches = touches.filter(touches[c.OCCURRED_AT] >= span.start - LOOK_BACK)
    orders = _orders(ctx, span.until) if orders is None else orders
    cells = sum_cells(touches, orders, store.read("events", as_of=span.until), span=span)
    segments = _segments(ctx, span.until) if "segment" in by else None
    with cells.cache() as held:
        rows = sum_groups(held, by, PAIRS, segments=segments).to_pyarrow().to_pylist()
    spend = store.read("spend", as_of=span.until)
    paid = _any(spend)
    made: dict[str, dict[str, dict[str, Estimate]]] = {}
    for one in by:
        mine = [row for row in rows if row[GROUPED_BY] == one]
        groups = read_groups(mine, PAIRS, sum_spend(spend, one, span=span) if paid else {})
        made[one] = {
            group: estimate_all(sums, by=one, margin_rate=rate)
            for group, sums in groups.items() if shown(sums)
        }  # fmt: skip
    return made


def _orders(ctx: Context, day: date) -> ir.Table:
    lines = ctx.store.read("order_lines", as_of=day)
    return find_orders(lines, include_shipping=ctx.settings.revenue.include_shipping)


def _segments(ctx: Context, day: date) -> ir.Table | None:
    """The segment of each customer on the latest day up to `day`; None where there is none."""
    members = ctx.store.read("memberships")
    known = members.filter(members[c.AS_OF_ON] <= day, members[c.SCHEME] == c.RFM)
    last = known[c.AS_OF_ON].max().to_pyarrow().as_py()
    if last is None:
        return None
    return known.filter(known[c.AS_OF_ON] == last).select(c.CUSTOMER_ID, c.SEGMENT)


def _indicator_results(
    found: Mapping[str, Mapping[str, Mapping[str, Estimate]]],
) -> Iterable[Result]:
    for by, groups in found.items():
        for group, estimates in groups.items():
            subject = "" if by == "all" else f"{by}:{group}"
            for key, one in estimates.items():
                silent = one.status == NO_UNITS or not (one.value or INDICATORS[key].denominator)
                if by == "all" or not silent:
                    yield Result(INDICATOR, subject, key, one, {"by": by, "group": group})


def _cohort_results(orders: ir.Table, span: Span) -> Iterable[Result]:
    rows = cohorts.sum_cohorts(orders, span=span).to_pyarrow()
    for cell in cohorts.read_cohorts(rows.to_pylist(), until=span.until):
        body = {"cohort": cell.cohort.isoformat(), "months": cell.months, "n": cell.customers}
        name = f"{cell.cohort:%Y-%m}"
        yield Result(COHORT, name, f"retention_{cell.months:02d}", cell.retention, body)
        yield Result(COHORT, name, f"value_{cell.months:02d}_minor", cell.value, body)


def _funnel_results(ctx: Context) -> Iterable[Result]:
    """From looking at a product to buying one, of the last `RECENT_DAYS`, within a week."""
    items = ctx.store.read("item_events", as_of=ctx.as_of)
    span = Span(ctx.as_of - timedelta(days=RECENT_DAYS), ctx.as_of, ctx.settings.zone)
    recent = items.filter(items[c.OCCURRED_AT] >= span.start, items[c.KIND].isin([*STEPS]))
    if not _any(recent):
        return
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    bought = lines.filter(
        lines[c.SOLD_AT] >= span.start, lines[c.KIND] == o.ITEM, lines[c.QUANTITY] > 0
    )
    events = recent.select(
        c.CUSTOMER_ID, **{c.OCCURRED_AT: recent[c.OCCURRED_AT], c.NAME: recent[c.KIND]}
    ).union(
        bought.select(
            c.CUSTOMER_ID, **{c.OCCURRED_AT: bought[c.SOLD_AT], c.NAME: ibis.literal(STEPS[-1])}
        )
    )
    found = funnels.sum_funnel(events, STEPS, within_minutes=FUNNEL_DAYS * 24 * 60)
    row = found.to_pyarrow().to_pylist()[0]
    reached = [row[f"reached_{place}"] for place in range(len(STEPS))]
    for place, step in enumerate(funnels.read_funnel(STEPS, reached)):
        before = step.of_previous
        body = {
            "place": place, "customers": step.units, "of_previous": before.value,
            "of_previous_low": before.low, "of_previous_high": before.high,
        }  # fmt: skip
        yield Result(FUNNEL, "shop", step.name, step.of_first, body)


def _route_results(ctx: Context) -> Iterable[Result]:
    events = ctx.store.read("events", as_of=ctx.as_of)
    span = Span(ctx.as_of - timedelta(days=RECENT_DAYS), ctx.as_of, ctx.settings.zone)
    recent = events.filter(
        events[c.OCCURRED_AT] >= span.start, events[c.KIND].isin(["track", "page", "screen"])
    )
    if not _any(recent):
        return
    named = recent.select(
        c.CUSTOMER_ID, c.OCCURRED_AT, **{c.NAME: ibis.coalesce(recent[c.NAME], recent[c.PAGE])}
    )
    for place, one in enumerate(routes.read_routes(routes.sum_routes(named))):
        told = Estimate(float(one.visits), float("nan"), float("nan"), one.customers)
        yield Result(ROUTE, f"{place:02d}", routes.VISITS, told, {"steps": [*one.steps]})


def _any(table: ir.Table) -> bool:
    return table.limit(1).count().to_pyarrow().as_py() > 0

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""What a campaign caused: from its holdout, from the global one, and where no lot was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.decisions import TREAT, of_turns
from zhiyin.core.values import Estimate
from zhiyin.measure import attributed as a
from zhiyin.measure import outcomes as o
from zhiyin.measure.arms import Terms, assign_campaign, assign_globally, compare_arms, report_share
from zhiyin.measure.campaign import MARKETING
from zhiyin.measure.contacted import Reach, find_contacted, read_reach, sum_reach
from zhiyin.measure.observed_job import measure_observed
from zhiyin.measure.results import Measured, Result
from zhiyin.measure.status import CANNOT_TELL_YET, HOLDOUT_NOT_KEPT
from zhiyin.measure.windows_job import Window, finish, read_facts

DAYS_BEFORE = 90
"""Spend of so many days before the decision sharpens the effect on revenue (CUPED)."""
NOTHING = Measured()


@dataclass(frozen=True)
class Effects:
    """Of one campaign: from its own holdout, the global one, and without any; empty where not."""

    own: Measured = NOTHING
    everything: Measured = NOTHING
    observed: Measured = NOTHING


def find_reach(ctx: Context, *, day: date, subject: str, window: Window) -> Reach:
    """Whom the turn of `day` decided to contact, and who of all redeemed."""
    mine = decisions_of(ctx, day=day, subject=subject)
    touches = read_facts(ctx, "touches", c.OCCURRED_AT, day=day, window=window)
    touches = touches.filter(touches[c.CAMPAIGN_ID] == subject)
    return read_reach(sum_reach(mine, touches).to_pyarrow().to_pylist()).get(subject, Reach())


def decisions_of(ctx: Context, *, day: date, subject: str) -> ir.Table:
    """Decisions of the turn of `day` about one campaign."""
    decisions = of_turns(ctx.store.read("decisions"))
    return decisions.filter(decisions[c.AS_OF_ON] == day, decisions[c.CAMPAIGN_ID] == subject)


def contacted_of(ctx: Context, *, day: date, subject: str, reach: Reach) -> ir.Table:
    """`customer_id` of those who were contacted with the campaign."""
    planned = o.find_recipients(ctx.store.read("touches", as_of=day), subject)
    return find_contacted(planned, decisions_of(ctx, day=day, subject=subject), reach)


def measure_effects(
    ctx: Context, *, day: date, subject: str, window: Window, reach: Reach
) -> Effects:
    """All that can be said of one campaign; where its holdout was kept, that is the answer."""
    own, everything = Measured(), Measured()
    if reach.decided:
        own, everything = _compare_arms(ctx, day=day, subject=subject, window=window)
    if reach.sent_elsewhere:
        own, everything = withhold(own), withhold(everything)
        said = f"{subject}: people left out by the decision redeemed it: its whole list was sent"
        own = Measured(own.results, own.figures, (*own.notes, said))
    if own.results and not reach.sent_elsewhere:
        redeemed = _redeemed(ctx, day=day, subject=subject, window=window)
        share = report_share(subject, own, redeemed)
        own = Measured((*own.results, *share.results), own.figures, own.notes)
        return Effects(own, everything)
    contacted = contacted_of(ctx, day=day, subject=subject, reach=reach)
    observed = measure_observed(ctx, day=day, subject=subject, window=window, contacted=contacted)
    return Effects(own, everything, observed)


def withhold(measured: Measured) -> Measured:
    """The same numbers, marked as those of arms that were treated alike; no verdict, no money."""
    kept = []
    for one in measured.results:
        if "treated" not in one.body:
            continue
        found = one.estimate
        estimate = Estimate(found.value, found.low, found.high, found.n, HOLDOUT_NOT_KEPT)
        body = {**one.body, "verdict": CANNOT_TELL_YET}
        kept.append(Result(one.kind, one.subject, one.metric, estimate, body))
    figures = {
        one.metric: {**figures, "status": HOLDOUT_NOT_KEPT, "verdict": CANNOT_TELL_YET}
        for one in kept
        if isinstance(figures := measured.figures.get(one.metric), dict)
    }
    return Measured(tuple(kept), figures, measured.notes)


def _compare_arms(
    ctx: Context, *, day: date, subject: str, window: Window
) -> tuple[Measured, Measured]:
    """Against the campaign's own holdout, and against the global one (nothing without it)."""
    mine = decisions_of(ctx, day=day, subject=subject)
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    settings = ctx.settings
    shipping = settings.revenue.include_shipping
    revenue, buyers = o.sum_revenue(lines, include_shipping=shipping), o.find_buyers(lines)
    past = Window(day - timedelta(days=DAYS_BEFORE), day, window.until)
    earlier = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=past)
    own = compare_arms(
        subject, assign_campaign(mine), revenue, buyers, share=settings.decide.holdout_share,
        before=o.sum_revenue(earlier, include_shipping=shipping),
        terms=Terms(_cost(ctx, subject, window), settings.decide.margin_rate),
    )  # fmt: skip
    every = compare_arms(
        subject, assign_globally(mine), revenue, buyers, kind=MARKETING,
        share=settings.act.global_holdout_share,
    )  # fmt: skip
    none = Measured(notes=(f"{subject}: without a holdout its effect cannot be measured",))
    return (
        none if own is None else finish(own, window),
        Measured() if every is None else finish(every, window),
    )


def _redeemed(ctx: Context, *, day: date, subject: str, window: Window) -> float:
    """What the contacted who redeemed paid for the campaign's products, minor units."""
    mine = decisions_of(ctx, day=day, subject=subject)
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=window)
    touches = read_facts(ctx, "touches", c.OCCURRED_AT, day=day, window=window)
    treated = mine.filter(mine[c.ARM] == TREAT).select(c.CUSTOMER_ID).distinct()
    redeemers = treated.semi_join(o.find_redeemers(touches, subject), c.CUSTOMER_ID)
    offers = ctx.store.read("offers", as_of=window.measured_until)
    spent = o.sum_offer_spend(lines, offers, subject).semi_join(redeemers, c.CUSTOMER_ID)
    return float(spent[c.SPEND_BASE_MINOR].sum().to_pyarrow().as_py() or 0)


def _cost(ctx: Context, subject: str, window: Window) -> float | None:
    """What contacts and media of the campaign cost by then; None where nobody recorded any."""
    found = []
    for name in ("touches", "spend"):
        rows = ctx.store.read(name, as_of=window.measured_until)
        mine = rows.filter(rows[c.CAMPAIGN_ID] == subject)
        found.append(mine[c.COST_BASE_MINOR].sum().to_pyarrow().as_py())
    known = [float(one) for one in found if one is not None]
    return sum(known) if known else None


def measure_attributed(
    ctx: Context, *, day: date, windows: Mapping[str, Window]
) -> tuple[Measured, date]:
    """Revenue by last touch from the first campaign's start to the last one's end; until when."""
    start = min(one.start for one in windows.values())
    end = max(one.measured_until for one in windows.values())
    until = max(one.until for one in windows.values())
    lines = read_facts(ctx, "order_lines", c.SOLD_AT, day=day, window=Window(start, end, until))
    if not ctx.settings.revenue.include_shipping:
        lines = lines.filter(lines[c.KIND].notin([o.SHIPPING, o.FEE]))
    since = Window(start - a.longest(), end, until)
    touches = read_facts(ctx, "touches", c.OCCURRED_AT, day=day, window=since)
    rows = a.sum_attributed(a.sum_orders(lines), touches).to_pyarrow().to_pylist()
    measured = a.report_attributed(rows, campaigns=windows)
    return finish(measured, Window(start, max(one.end for one in windows.values()), until)), end

# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""What customers search for: the terms of a period, which of them rise, and who bought after."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from math import sqrt
from typing import Any

import ibis
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day

LEAST = 5
"""Terms of fewer customers are not told: they may name somebody."""
RISES = 3.0  # standard errors of a Poisson count
_LONGEST = 80
_TOP, _SAID = 50, 5
_TERM, _AT = "term", "at"


@dataclass(frozen=True)
class Term:
    """A search term of the last `days` days.

    `customers` who searched for it, `before` in the same number of days earlier; `settled`: those
    whose first search is long enough ago, of whom `buyers` bought something in the days after it.
    `rises`: whether more customers than before, by more than chance.
    """

    term: str
    searches: int
    customers: int
    before: int
    settled: int
    buyers: int
    rises: bool


def normalise_term(query: str) -> str:
    """One spelling of a search: NFKC, lower case, single spaces, at most 80 characters."""
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())[:_LONGEST].strip()


def find_terms(
    events: ibis.Table,
    order_lines: ibis.Table,
    *,
    as_of: date,
    zone: str,
    days: int = 30,
    within_days: int = 7,
    load: Callable[[pa.Table], ibis.Table] = ibis.memtable,
) -> tuple[Term, ...]:
    """The terms that customers searched for most in the days before a day.

    Parameters
    ----------
    events
        `customer_id`, `occurred_at` (UTC), `query`: what `store.read("events")` gives.
    order_lines
        `customer_id`, `sold_at`, `kind`.
    as_of
        Local day; rows from its 00:00 in `zone` on never matter.
    days
        Length of the period, and of the one before that it is compared with.
    within_days
        Days after a customer's first search in which a purchase counts.
    load
        Makes a table of the engine of rows (`store.to_ibis`).

    Returns
    -------
    At most 50, by customers, ties by term; none of fewer than `LEAST` customers.

    Notes
    -----
    A term rises where (n - m) / sqrt(n + m) >= 3 for n customers now and m before: the difference
    of two Poisson counts over its standard error.
    """
    end, middle, begin = (
        naive_utc(start_of_day(as_of - timedelta(days=n), zone)) for n in (0, days, 2 * days)
    )
    rows = events.filter(
        events[c.QUERY].notnull(), events[c.CUSTOMER_ID].notnull(),
        events[c.OCCURRED_AT] >= begin, events[c.OCCURRED_AT] < end,
    ).select(c.CUSTOMER_ID, c.QUERY, **{_AT: events[c.OCCURRED_AT]})  # fmt: skip
    queries = rows.select(c.QUERY).distinct().to_pyarrow().column(0).to_pylist()
    spelled = {query: normalise_term(query) for query in queries}
    known = {query: term for query, term in spelled.items() if term}
    if not known:
        return ()
    names = pa.table({c.QUERY: pa.array(known, pa.string()), _TERM: pa.array(known.values())})
    named = rows.inner_join(load(names), c.QUERY)
    lines = order_lines.select(c.KIND, buyer=c.CUSTOMER_ID, sold_at=c.SOLD_AT)
    lines = lines.filter(lines.kind == "item", lines.sold_at >= middle, lines.sold_at < end)
    now = _now(named.filter(named[_AT] >= middle), lines.distinct(), within_days, end)
    before = named.filter(named[_AT] < middle).group_by(_TERM).agg(
        before=lambda t: t[c.CUSTOMER_ID].nunique()
    )  # fmt: skip
    found = (
        now.left_join(before, _TERM).drop(f"{_TERM}_right").filter(lambda t: t.customers >= LEAST)
    )
    ordered = found.order_by([ibis.desc("customers"), _TERM]).limit(_TOP)
    return tuple(_term(row) for row in ordered.to_pyarrow().to_pylist())


def _now(named: ibis.Table, lines: ibis.Table, within_days: int, end: datetime) -> ibis.Table:
    """Searches of the period by term, and purchases after each customer's first one."""
    first = named.group_by(_TERM, c.CUSTOMER_ID).agg(
        at=lambda t: t[_AT].min(), n=lambda t: t.count()
    )
    within = ibis.interval(days=within_days)
    after = first.left_join(
        lines,
        [first[c.CUSTOMER_ID] == lines.buyer, lines.sold_at > first["at"],
         lines.sold_at <= first["at"] + within],
    )  # fmt: skip
    each = after.group_by(_TERM, c.CUSTOMER_ID).agg(
        n=lambda t: t.n.max(), at=lambda t: t["at"].max(), bought=lambda t: t.buyer.notnull().any()
    )
    settled = each["at"] <= ibis.literal(end - timedelta(days=within_days))
    return each.group_by(_TERM).agg(
        searches=each.n.sum().cast("int64"), customers=each.count(),
        settled=settled.sum().cast("int64"), buyers=(settled & each.bought).sum().cast("int64"),
    )  # fmt: skip


def _term(row: dict[str, Any]) -> Term:
    now, before = row["customers"], row["before"] or 0
    rises = (now - before) / sqrt(now + before) >= RISES
    return Term(
        row[_TERM], row["searches"], now, before, row["settled"], row["buyers"], rises=rises
    )


def searches_body(terms: Sequence[Term], *, days: int = 30, within_days: int = 7) -> dict[str, Any]:
    """What to say of the terms: `terms`, and `words` in both languages on the first of them."""
    rising = [one.term for one in terms if one.rises][:_SAID]
    en = "; ".join(_say_en(one, within_days) for one in terms[:_SAID])
    zh = "；".join(_say_zh(one, within_days) for one in terms[:_SAID])
    en = f"searched most in {days} days: {en}"
    zh = f"近 {days} 天搜索最多：{zh}"
    if rising:
        en += f". Rising: {', '.join(rising)}"
        zh += f"。上升中：{'、'.join(rising)}"
    return {"days": days, "terms": [asdict(one) for one in terms], "words": {"en": en, "zh": zh}}


def _say_en(one: Term, within_days: int) -> str:
    bought = f", {one.buyers / max(one.settled, 1):.0%} bought within {within_days} days"
    return f"{one.term} ({one.customers} customers{bought if one.settled >= LEAST else ''})"


def _say_zh(one: Term, within_days: int) -> str:
    bought = f"，{within_days} 天内购买 {one.buyers / max(one.settled, 1):.0%}"
    return f"{one.term}（{one.customers} 位客户{bought if one.settled >= LEAST else ''}）"

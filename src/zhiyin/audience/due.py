# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Whom to ask again between two moments of a day: membership changes by new rows, or by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import ibis

from zhiyin.audience import rule as r
from zhiyin.audience.fields import CUSTOMERS, PRODUCTS, time_of, times_of
from zhiyin.audience.formula import SNAPSHOTS
from zhiyin.audience.moment import Moment
from zhiyin.audience.yearly import own_day, zones
from zhiyin.core import columns as c
from zhiyin.core.tables import table as table_of


def due(
    tables: Mapping[str, ibis.Table], rules: Iterable[r.Rule], *, since: Moment, now: Moment
) -> ibis.Table | None:
    """Customers for whom time alone may have changed an answer between two moments of one day.

    Windows begin on local days, so within a day only this changes an answer: a row that lay ahead
    has come, the time of a sequence is over, it has become another day where she lives.

    Parameters
    ----------
    tables
        Those that the rules read, as they are now.
    since, now
        Of the same local day, the first one excluded.

    Returns
    -------
    `customer_id`, some more than once; None where no table can tell of anybody.
    """
    found = [_came(name, rows, since, now) for name, rows in tables.items() if _is_timed(name)]
    for leaf in (leaf for rule in rules for _, leaf in r.leaves(rule)):
        if isinstance(leaf, r.Sequence) and not leaf.happens:
            rows, within = tables[leaf.first.table], timedelta(days=leaf.within_days)
            at = rows[time_of(leaf.first.table)]
            over = (at > since.before - within) & (at <= now.before - within)
            found.append(rows.filter(over).select(c.CUSTOMER_ID))
        elif isinstance(leaf, r.Yearly):
            turned = [one for one in sorted(zones()) if own_day(since, one) != own_day(now, one)]
            if turned:
                people = tables[CUSTOMERS]
                there = people[c.TIME_ZONE].isin(turned)
                found.append(people.filter(there).select(c.CUSTOMER_ID))
    return ibis.union(*found) if len(found) > 1 else next(iter(found), None)


def _is_timed(name: str) -> bool:
    return name not in SNAPSHOTS and name != PRODUCTS and bool(times_of(table_of(name)))


def _came(name: str, rows: ibis.Table, since: Moment, now: Moment) -> ibis.Table:
    times = [rows[time] for time in times_of(table_of(name)) if time in rows.columns]
    came = [(at >= ibis.literal(since.before)) & (at < ibis.literal(now.before)) for at in times]
    return rows.filter(ibis.or_(*came)).select(c.CUSTOMER_ID)

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""What brings people in, on or out: new rows of the lake, dates of customers, a schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa

from zhiyin.act.journeys.definition import Happening, OnDate
from zhiyin.act.journeys.engine import Candidate
from zhiyin.audience.fields import PRODUCTS, field_of
from zhiyin.audience.measures import meets
from zhiyin.audience.rule import Yearly
from zhiyin.audience.yearly import celebrated
from zhiyin.core import columns as c
from zhiyin.core.protocols import Store

_TEXT, _OCCURRENCE = "text", "occurrence"
AHEAD_S = 86_400  # clocks of sources may run ahead


@dataclass(frozen=True)
class Done:
    """One thing that somebody did; `party_id` is who stands for her today."""

    party_id: str
    occurrence: str
    at_s: int


def version_of(store: Store, table: str) -> int:
    """How far the table has come."""
    return store.added(table)[0]


def read_new(store: Store, what: Happening, *, since: int, now_s: int) -> list[Done]:
    """What came in after the version `since`, in order of time; where rows were rewritten in the
    meantime, all that is there.
    """
    _, rows = store.added(what.table, since=since)
    rows = store.read(what.table) if rows is None else rows
    return _read(store, rows, what, last_s=now_s + AHEAD_S)


def read_between(
    store: Store, what: Happening, *, first_s: int, last_s: int, parties: Sequence[str] = ()
) -> list[Done]:
    """What was done from the one moment to the other, in order of time; of some people, or all."""
    rows = store.read(what.table)
    if parties:
        ids = store.to_ibis(pa.table({c.CUSTOMER_ID: pa.array(sorted(parties), pa.string())}))
        rows = rows.semi_join(ids, c.CUSTOMER_ID)
    return _read(store, rows, what, first_s=first_s, last_s=last_s)


def _read(
    store: Store, rows: ibis.Table, what: Happening, *, first_s: int | None = None, last_s: int
) -> list[Done]:
    at, key = (c.SOLD_AT, c.ORDER_ID) if what.purchase else (c.OCCURRED_AT, c.EVENT_ID)
    mine = rows[c.KIND] == "item" if what.purchase else rows[c.NAME] == what.event
    rows = rows.filter(mine, rows[at] <= _naive(last_s))
    rows = rows if first_s is None else rows.filter(rows[at] >= _naive(first_s))
    rows = _met(store, rows.filter(rows[c.CUSTOMER_ID].notnull()), what)
    found = rows.group_by([c.CUSTOMER_ID, key]).agg(at=rows[at].min())
    if what.purchase:
        found = found.filter(found[key].notnull())
    table = found.order_by(["at", c.CUSTOMER_ID, key]).to_pyarrow()
    moments = (_seconds(one) for one in table["at"].to_pylist())
    return [
        Done(*row)
        for row in zip(
            table[c.CUSTOMER_ID].to_pylist(), (one[-64:] for one in table[key].to_pylist()),
            moments, strict=True,
        )
    ]  # fmt: skip


def _met(store: Store, rows: ibis.Table, what: Happening) -> ibis.Table:
    """The rows that meet the conditions, those on their products included."""
    for one in what.where:
        found = field_of(what.table, one.column)
        if found is not None and found.place == "product":
            products = store.read(PRODUCTS)
            wanted = products.filter(meets(products, [one], PRODUCTS)).select(c.PRODUCT_ID)
            rows = rows.semi_join(wanted, c.PRODUCT_ID)
        else:
            rows = rows.filter(meets(rows, [one], what.table))
    return rows


def read_dates(
    customers: ibis.Table, entry: OnDate, days: Sequence[date], *, zone: str, store: Store
) -> list[Candidate]:
    """Those whose date, with the days before or after it, is one of the local days."""
    told = [(day, day - timedelta(days=entry.offset_days)) for day in days]
    if entry.repeats == "once":
        rows = [(date_.isoformat(), date_.isoformat(), day) for day, date_ in told]
        text = customers[entry.field]
    else:
        rule = Yearly(entry.field, from_days=-entry.offset_days, leap_day=entry.leap_day)
        rows = [
            (short, str(date_.year), day)
            for day, date_ in told
            for short in sorted(celebrated(rule, day).short)
        ]
        text = customers[entry.field].right(5)
    named = {
        _TEXT: [one for one, _, _ in rows], _OCCURRENCE: [one for _, one, _ in rows],
        c.AT: [moment_s(day, entry.hour, zone) for *_, day in rows],
    }  # fmt: skip
    wanted = customers.select(c.CUSTOMER_ID, **{_TEXT: text})
    found = wanted.inner_join(store.to_ibis(pa.table(named)), _TEXT)
    found = found.select(c.CUSTOMER_ID, _OCCURRENCE, c.AT).distinct()
    made = found.order_by([c.AT, c.CUSTOMER_ID]).to_pyarrow().to_pylist()
    return [Candidate(row[c.CUSTOMER_ID], row[_OCCURRENCE], row[c.AT]) for row in made]


def days_due(position: str, *, hour: int, now_s: int, zone: str, every: int = 1) -> Iterator[date]:
    """The local days after `position`, every so many, whose hour has come."""
    day = date.fromisoformat(position) + timedelta(days=every)
    while moment_s(day, hour, zone) <= now_s:
        yield day
        day += timedelta(days=every)


def moment_s(day: date, hour: int, zone: str) -> int:
    """Seconds since 1970 of an hour of a local day."""
    return int(datetime.combine(day, time(hour), tzinfo=ZoneInfo(zone)).timestamp())


def with_parties(
    candidates: Iterable[Candidate], members: Mapping[str, Sequence[str]]
) -> list[Candidate]:
    """The candidates with all of their parties; `members`: who stands for several → parties."""
    return [
        Candidate(one.party_id, one.occurrence, one.at_s, tuple(members.get(one.party_id, ())))
        for one in candidates
    ]


def _seconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


def _naive(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)

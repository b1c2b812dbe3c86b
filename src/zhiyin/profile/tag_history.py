# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""Since when somebody has a tag, and how many had it on which day: from the rows of the days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis

from zhiyin.core import columns as c

_PLACE, _BEFORE, _AFTER = "place", "before", "after"


@dataclass(frozen=True)
class Spell:
    """A customer had a tag with a value on every snapshot from `first_on` to `last_on`.

    `lost_on` is the first snapshot without it; None: she has it on the last snapshot.
    """

    tag: str
    value: str | None
    version: int
    first_on: date
    last_on: date
    lost_on: date | None


@dataclass(frozen=True)
class Coverage:
    """How many customers have a tag (with a value) on a day.

    `share` is of the `base`, all customers with features on the day; NaN where there are none.
    `gained` and `lost` are against the snapshot before; None on the first.
    """

    tag: str
    value: str | None
    as_of: date
    customers: int
    base: int
    share: float
    gained: int | None = None
    lost: int | None = None


def tag_history(rows: Iterable[Mapping[str, Any]], days: Sequence[date]) -> tuple[Spell, ...]:
    """When one customer had which tags.

    Parameters
    ----------
    rows
        Her rows of table `tags`.
    days
        Every day that was computed, with a tag or without.

    Returns
    -------
    By tag, then by day. A value that changes begins a new spell, but for a rule, whose value is a
    number shown beside it: then the last one is told.
    """
    place = {day: k for k, day in enumerate(sorted(set(days)))}
    ordered = sorted(place)
    made: list[Spell] = []
    for row in sorted(rows, key=lambda row: (row[c.TAG], row[c.AS_OF_ON])):
        day, last = row[c.AS_OF_ON], made[-1] if made else None
        k = place[day]
        if (
            last is not None
            and last.tag == row[c.TAG]
            and (row[c.KIND] == "rule" or last.value == row[c.VALUE])
            and place[last.last_on] == k - 1
        ):
            made.pop()
            first = last.first_on
        else:
            first = day
        lost = ordered[k + 1] if k + 1 < len(ordered) else None
        made.append(Spell(row[c.TAG], row[c.VALUE], row[c.VERSION], first, day, lost))
    return tuple(made)


def sizes(rows: ibis.Table, days: ibis.Table) -> ibis.Table:
    """How many customers had each tag on each day, and how many gained or will lose it.

    Parameters
    ----------
    rows
        Rows of table `tags`.
    days
        `as_of_on`, `place`: every day that was computed, numbered from 0 in order.

    Returns
    -------
    `tag`, `as_of_on`, `place`, `customers`, `before` (had it on the day before too), `after` (have
    it on the day after too).
    """
    placed = rows.inner_join(days, c.AS_OF_ON).select(c.TAG, c.CUSTOMER_ID, c.AS_OF_ON, _PLACE)
    window = ibis.window(group_by=[placed[c.TAG], placed[c.CUSTOMER_ID]], order_by=placed[_PLACE])
    near = placed.mutate(
        before=placed[_PLACE].lag().over(window), after=placed[_PLACE].lead().over(window)
    )
    return near.group_by([c.TAG, c.AS_OF_ON, _PLACE]).agg(
        customers=near.count(),
        before=near.count(where=near[_BEFORE] == near[_PLACE] - 1),
        after=near.count(where=near[_AFTER] == near[_PLACE] + 1),
    )


def values(rows: ibis.Table) -> ibis.Table:
    """How many customers had each tag with each value on each day."""
    return rows.group_by([c.TAG, c.VALUE, c.AS_OF_ON]).agg(customers=rows.count())


def cover(counted: Iterable[Mapping[str, Any]], bases: Mapping[date, int]) -> tuple[Coverage, ...]:
    """Coverage by tag and day, from the rows of `sizes` and the customers of each day.

    Days on which nobody had a tag that somebody had the day before, or that came later again, are
    told too, with 0 customers.
    """
    days = sorted(bases)
    by_tag: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in counted:
        by_tag.setdefault(row[c.TAG], {})[row[_PLACE]] = row
    made: list[Coverage] = []
    for tag, held in sorted(by_tag.items()):
        for k in range(min(held), len(days)):
            now, before = held.get(k), held.get(k - 1)
            n = now["customers"] if now else 0
            base = bases[days[k]]
            gained = None if k == 0 else n - (now[_BEFORE] if now else 0)
            lost = None if k == 0 else (before["customers"] - before[_AFTER] if before else 0)
            share = n / base if base else float("nan")
            made.append(Coverage(tag, None, days[k], n, base, share, gained, lost))
    return tuple(made)

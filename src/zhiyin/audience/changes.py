"""When membership could change although nothing happens: windows move on, dates come round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import overload

from zhiyin.audience import rule as r
from zhiyin.audience.check import resolve
from zhiyin.audience.evaluator import Answers, Facts, is_inside
from zhiyin.audience.fields import CUSTOMERS
from zhiyin.audience.moment import Moment, moment_of
from zhiyin.audience.yearly import occasions, own_day, own_zone
from zhiyin.core import columns as c
from zhiyin.core.clock import local_day, naive_utc, start_of_day

_YEAR = 366 + 30  # days within which every yearly date comes round, also in the lunar calendar


@overload
def next_change(
    rule: r.Rule,
    facts: Facts,
    at: datetime,
    *,
    zone: str,
    audiences: Mapping[str, r.Rule] | None = None,
) -> datetime | None: ...
@overload
def next_change(
    rule: r.Rule,
    facts: Facts,
    at: date,
    *,
    zone: str,
    audiences: Mapping[str, r.Rule] | None = None,
) -> date | None: ...
def next_change(
    rule: r.Rule,
    facts: Facts,
    at: date | datetime,
    *,
    zone: str,
    audiences: Mapping[str, r.Rule] | None = None,
) -> date | datetime | None:
    """When the customer enters or leaves by the passing of time alone.

    Parameters
    ----------
    rule
        What `parse` gives.
    facts
        What is known of her; what is not visible at `at` is left out. Features, tags, scores and
        segments are taken to stay as they are.
    at
        A local day, or an aware moment.
    zone
        The workspace's IANA zone.
    audiences
        The rules of audiences that the rule names.

    Returns
    -------
    The first local day after `at`, or for a moment the first moment (UTC), at which `evaluate` of
    the same facts gives the other answer; None if it never does within what her rows and a year
    of her dates can change.
    """
    whole = resolve(rule, audiences or {})
    now = moment_of(at, zone=zone)
    known = facts.seen(now)
    inside = is_inside(whole, known, now)
    moments = sorted(set(_turns(whole, Answers(known, now))))
    if isinstance(at, datetime):
        candidates = [turn.replace(tzinfo=UTC) for turn in moments if turn > now.before]
    else:  # a day sees what turned before its 00:00, and her calendar at 09:00
        days = {local_day(turn, zone) + timedelta(days=n) for turn in moments for n in (0, 1)}
        candidates = sorted(day for day in days if day > at)
    for candidate in candidates:
        if is_inside(whole, known, moment_of(candidate, zone=zone)) != inside:
            return candidate
    return None


def _turns(rule: r.Rule, answers: Answers) -> Iterator[datetime]:
    """Every moment (naive UTC) at which a condition may turn; some where it does not."""
    for _, leaf in r.leaves(rule):
        if isinstance(leaf, r.Behaviour):
            for at, _row in answers.matching(leaf.table, leaf.where):
                if leaf.days is not None:
                    yield _leaves_window(at, leaf.days, answers.moment)
                if leaf.before_days:
                    yield _leaves_window(at, leaf.before_days, answers.moment)
        elif isinstance(leaf, r.Recency):
            for at, _row in answers.matching(leaf.table, leaf.where):
                yield _leaves_window(at, leaf.days, answers.moment)
        elif isinstance(leaf, r.Sequence):
            for at, _row in answers.matching(leaf.first.table, leaf.first.where):
                yield at + timedelta(days=leaf.within_days)
                if leaf.days is not None:
                    yield _leaves_window(at, leaf.days, answers.moment)
        elif isinstance(leaf, r.Yearly):
            yield from _dates(leaf, answers)


def _leaves_window(at: datetime, days: int, moment: Moment) -> datetime:
    """00:00 of the first local day whose window of `days` days has passed `at`."""
    day = local_day(at, moment.zone) + timedelta(days=days + 1)
    return naive_utc(start_of_day(day, moment.zone))


def _dates(leaf: r.Yearly, answers: Answers) -> Iterator[datetime]:
    last = leaf.from_days if leaf.to_days is None else leaf.to_days
    for row in answers.visible(CUSTOMERS):
        text = answers.value(CUSTOMERS, row, leaf.field, like="")
        if text is None:
            continue
        zone = str(own_zone(answers.moment, row.get(c.TIME_ZONE)))
        today = own_day(answers.moment, row.get(c.TIME_ZONE))
        until = today + timedelta(days=last + _YEAR)
        for day in occasions(leaf, text, first=today, last=until):
            for turn in (day - timedelta(days=last), day - timedelta(days=leaf.from_days - 1)):
                yield naive_utc(start_of_day(turn, zone))

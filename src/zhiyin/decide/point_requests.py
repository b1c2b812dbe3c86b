"""Answers at a decision point what journeys ask for (ledger `decision_requests`).

What is known of people is what requests of a server see: the generation that a turn published, what
was tracked lately, consents as they are now; never the lake. All that one step asks is chosen in
one call, each by the lots of its own id, so that an answer that was cut short is given alike. What
is chosen stands in the ledger, with the numbers and chances that it was chosen by, in the
transaction that answers.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.decisions import DEFAULT_POLICY, Decided, Place
from zhiyin.core.errors import InvalidRule, ZhiyinError
from zhiyin.core.generation import PARTY, Generation
from zhiyin.core.ledger import decision_requests
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Online
from zhiyin.core.rng import Lots
from zhiyin.decide.candidates.serving import read_served
from zhiyin.decide.live import (
    NUMBERS,
    Gate,
    ReadTouches,
    columns_of,
    count_touches,
    may_use,
    sent_of,
)
from zhiyin.decide.points import ledger
from zhiyin.decide.points.many import choose_each, choose_together, reason_of
from zhiyin.decide.points.served import Chosen, Flags, Floats, Served
from zhiyin.decide.reasons import (
    DRAWN,
    NO_FEATURES,
    NO_POLICY,
    NOTHING_ELIGIBLE,
    POINT_PAUSED,
    SENT_TO_PERSON,
    UNKNOWN_POINT,
    UNREADABLE,
)
from zhiyin.decide.reviews import ledger as reviews
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import read_consents

Begin = Callable[[], AbstractContextManager[sa.Connection]]
LATE_DAYS = 2.0
"""A point must wait so much longer than a step for its rewards: the step looks a day later."""
NO_ACTION = ""
"""In place of an action where she may have none."""
_STORES = (ZhiyinError, sqlite3.Error, OSError)
r = decision_requests.c


@dataclass(frozen=True)
class Sight:
    """How what is known of people at a moment (aware) is looked up.

    `kin`: all parties of a person; `needs_consent`: her numbers are used only where she agreed;
    the others as `decide.live.Door` has them.
    """

    online: Online
    now: datetime
    zone: str
    needs_consent: bool
    kin: Callable[[str], Sequence[str]]
    touches: ReadTouches
    gate: Gate


@dataclass(frozen=True)
class _Person:
    """Who is asked about: her parties, who stands for her first, and her row (-1: none)."""

    parties: Sequence[str]
    row: int


@dataclass(frozen=True)
class _Seen:
    """What the choices could use, a row each: numbers, whether they are hers, what is forbidden."""

    numbers: Floats
    personalised: Flags
    permitted: Flags


def check_step(
    connection: sa.Connection, key: str, actions: Sequence[str], *, days: int | None, where: str
) -> None:
    """Refuse a step of a journey that a point cannot answer.

    Parameters
    ----------
    days
        Within how many days the step's reward counts; None: it has none.

    Raises
    ------
    InvalidRule
        If there is no such point, an action is not among its, its default is not among the
        actions, or it settles a choice before the step's reward is known.
    """
    held = ledger.newest(connection, key)
    if held is None:
        raise _wrong(f"{where}.point", f"there is no decision point {key[:60]!r}",
                     "zhiyin decision list")  # fmt: skip
    point, where_actions = held.definition, f"{where}.actions"
    names = [one.name for one in point.actions]
    if other := [one for one in actions if one not in names]:
        raise _wrong(
            where_actions, f"the decision point {key!r} has no action {other[0]!r}",
            f"it has {', '.join(names)}",
        )  # fmt: skip
    if point.default not in actions:
        raise _wrong(
            where_actions,
            f"the default action {point.default!r} of the decision point {key!r} is not among them",
            "it is what they get who are held out, and all when the point is stopped; name it, "
            "without a next step if nothing is to be done",
        )
    counts = point.reward
    settled = counts.window_days + counts.settle_days
    if days is not None and (counts.window_days < days or settled < days + LATE_DAYS):
        raise _wrong(
            f"{where}.days",
            f"the decision point {key!r} settles a choice after {settled:g} days, before it is "
            f"known whether the reward came within {days}",
            f"fewer days here, or under its reward: window_days = {days}, settle_days = 2",
        )


def check_contents(connection: sa.Connection, key: str, variants: Sequence[str]) -> None:
    """Refuse the variants of a campaign that a point cannot choose between.

    Raises
    ------
    InvalidRule
        As `check_step`; also where rules of the point ask a person: planning waits for nobody.
    """
    check_step(connection, key, variants, days=None, where="variants")
    if ledger.find(connection, key).definition.review.rules:
        raise _wrong(
            "choose_by", f"the decision point {key!r} asks a person, for whom planning cannot wait",
            "name a point without [review]",
        )  # fmt: skip


def answer_at(begin: Begin, sight: Sight, key: str, asked: Sequence[sa.Row[Any]]) -> int:
    """Choose at a point for requests of one step; how many got their answer.

    `asked`: rows of `decision_requests` without an action. Those that wait for a person get hers,
    or when her time is over the default.
    """
    waiting = [one for one in asked if one.reason == SENT_TO_PERSON]
    fresh = [one for one in asked if one.reason != SENT_TO_PERSON]
    with begin() as connection:
        held = ledger.newest(connection, key)
        served = None if held is None else read_served(connection, held)
        told = _of_persons(connection, waiting, sight.now)
    made = _decide(begin, sight, key, served, fresh)
    chosen = [
        {
            "which": one.decision_id, "action": None if one.sent else _action(one),
            "propensity": math.prod(place.propensity for place in one.places),
            "explored": any(place.explored for place in one.places), "reason": one.reason,
            "decided": msgspec.to_builtins(one),
        }
        for one in made
    ]  # fmt: skip
    with begin() as connection:
        update = decision_requests.update().where(r.decision_id == sa.bindparam("which"))
        for part in (told, chosen):
            if part:
                connection.execute(update, part)
        reviews.put(connection, made)
        counts = Counter((key, one.version, _action(one)) for one in made)
        ledger.count_given(connection, counts)
    return len(told) + sum(one["action"] is not None for one in chosen)


def _of_persons(
    connection: sa.Connection, waiting: Sequence[sa.Row[Any]], now: datetime
) -> list[dict[str, Any]]:
    """The actions of those who waited for a person and need to no more."""
    cases = reviews.of_ids(connection, [one.decision_id for one in waiting])
    made: list[dict[str, Any]] = []
    for row in waiting:
        case = cases.get(row.decision_id)
        if case is None or case.state_at(naive_utc(now)) not in reviews.WAITING:
            action = _fallback(row, "") if case is None else case.action or case.fallback
            made.append({"which": row.decision_id, "action": action})
    return made


def _decide(
    begin: Begin, sight: Sight, key: str, served: Served | None, asked: Sequence[sa.Row[Any]]
) -> list[Decided]:
    """The choices, as they are logged."""
    if not asked:
        return []
    reason = _why_default(served)
    try:
        held = sight.online.generation()
        people = [_person(sight, held, row.party_id) for row in asked]
        if served is None or reason:
            return _defaults(key, served, asked, people, reason)
        if served.kept and held is None:
            return _defaults(key, served, asked, people, NO_FEATURES)
        seen = _look(begin, sight, served, held, people)
    except _STORES as error:
        get_logger().error("a journey's point could not look up: %s", type(error).__name__)
        alone = [_Person([row.party_id], -1) for row in asked]
        return _defaults(key, served, asked, alone, UNREADABLE)
    chosen = _choose(served, seen, asked, local_day(sight.now, sight.zone))
    return [
        _decided(served, row, who, one, seen.numbers[n], sight.now, mine=bool(seen.personalised[n]))
        for n, (row, who, one) in enumerate(zip(asked, people, chosen, strict=True))
    ]


def _why_default(served: Served | None) -> str:
    """Why there is only the default action; empty: the policy chooses."""
    if served is None:
        return UNKNOWN_POINT
    if served.paused:
        return POINT_PAUSED
    return NO_POLICY if served.policy is None else ""


def _person(sight: Sight, held: Generation | None, party: str) -> _Person:
    kin, row = [party, *(one for one in sight.kin(party) if one != party)], -1
    if held is None or PARTY not in held.arrays:
        return _Person(kin, row)
    row = next((found for one in kin if (found := held.row_of(one)) >= 0), -1)
    known = held.parties_of(row) if row >= 0 else []
    return _Person([*known, *(one for one in kin if one not in known)], row)


def _look(
    begin: Begin, sight: Sight, served: Served, held: Generation | None,
    people: Sequence[_Person],
) -> _Seen:  # fmt: skip
    """What is known of them, as far as it may be used, and which messages the gate forbids."""
    numbers = np.full((len(people), len(served.numbers)), np.nan)
    permitted = np.ones((len(people), len(served.names)), np.bool_)
    usable = np.zeros(len(people), np.bool_)
    if served.kept or served.windows:
        parties = sorted({party for one in people for party in one.parties})
        with begin() as connection:
            lines = read_consents(connection, parties, purpose=None)
        usable[:] = [
            may_use(_lines(lines, one), held, one.row, at=sight.now, needs=sight.needs_consent)
            for one in people
        ]
    rows = np.array([one.row for one in people])
    if held is not None and served.kept:
        places, columns = columns_of(served, held)
        known = np.flatnonzero(usable & (rows >= 0))
        values = held.arrays[f"{NUMBERS}.value"][rows[known][:, None], columns]
        numbers[known[:, None], places] = values
    for n in np.flatnonzero(usable).tolist() if served.windows else ():
        count_touches(served, numbers[n], sight.touches(people[n].parties), now=sight.now)
    for n, one in enumerate(people) if served.ways else ():
        for way in sight.gate([*served.ways], one.parties, held, one.row):
            permitted[n] &= ~served.ways[way]
    return _Seen(numbers, usable, permitted)


def _choose(
    served: Served, seen: _Seen, asked: Sequence[sa.Row[Any]], day: date
) -> list[Chosen]:  # fmt: skip
    may = np.array([[name in row.eligible for name in served.names] for row in asked], np.bool_)
    eligible = served.point.catalogue().eligible(
        day, rows=len(asked), facts=dict(zip(served.numbers, seen.numbers.T, strict=True)),
        permitted=seen.permitted & may,
    )  # fmt: skip
    lots = Lots()
    if served.point.review.rules:
        each = (lots.of(row.decision_id) for row in asked)
        return choose_each(served, seen.numbers, eligible, rngs=each)
    drawn = np.array([lots.of(row.decision_id).random(2) for row in asked])
    return choose_together(served, seen.numbers, eligible, lots=drawn)


def _decided(
    served: Served, row: sa.Row[Any], who: _Person, chosen: Chosen, numbers: Floats, now: datetime,
    *, mine: bool,
) -> Decided:  # fmt: skip
    """A choice as it is logged."""
    reason, default = reason_of(chosen), served.point.default
    if reason == NOTHING_ELIGIBLE and default not in row.eligible:
        return _default(served.point.key, served, row, who, reason)
    if reason == SENT_TO_PERSON:
        first = chosen.places[0]
        chosen = chosen._replace(places=(
            Place(_fallback(row, default), first.eligible, 1.0, explored=False),
        ))  # fmt: skip
    drawn = reason in (*DRAWN, SENT_TO_PERSON)
    policy = chosen.policy
    return Decided(
        row.decision_id, row.asked_s * 1_000_000, served.point.key, chosen.places, reason,
        policy.policy.name if policy else DEFAULT_POLICY, policy.version if policy else "",
        served.version, row.party_id, who.parties[0], served.numbers if drawn else (),
        tuple([x if x == x else None for x in numbers.tolist()]) if drawn else (),
        mine and drawn, chosen.arm, chosen.ramp, *sent_of(chosen, now),
    )  # fmt: skip


def _default(
    key: str, served: Served | None, row: sa.Row[Any], who: _Person, reason: str
) -> Decided:  # fmt: skip
    """What she gets where nothing is chosen: the point's default, or the first that she may have.

    Where the point has nothing for her, she gets no other action than its default.
    """
    action = _fallback(row, served.point.default if served is not None else "")
    if reason == NOTHING_ELIGIBLE:
        action = NO_ACTION
    places = (Place(action, (action,), 1.0, explored=False),) if action else ()
    return Decided(
        row.decision_id, row.asked_s * 1_000_000, key, places, reason,
        version=served.version if served is not None else 0, party_id=row.party_id,
        customer_id=who.parties[0],
    )  # fmt: skip


def _defaults(
    key: str, served: Served | None, asked: Sequence[sa.Row[Any]], people: Sequence[_Person],
    reason: str,
) -> list[Decided]:  # fmt: skip
    pairs = zip(asked, people, strict=True)
    return [_default(key, served, row, who, reason) for row, who in pairs]


def _fallback(row: sa.Row[Any], default: str) -> str:
    return default if default in row.eligible else row.eligible[0]


def _action(one: Decided) -> str:
    return one.places[0].action if one.places else NO_ACTION


def _lines(held: Mapping[str, list[Consent]], one: _Person) -> list[Consent]:
    return [line for party in one.parties for line in held.get(party, ())]


def _wrong(where: str, said: str, hint: str) -> InvalidRule:
    return InvalidRule(f"{where}: {said}", reason="wrong_value", where=where, hint=hint)

"""The door of decisions: what is known of who is asked about, what may be chosen, the choice.

It reads the online store, what was tracked lately and consents; what it decided is handed back for
the journal. It never reads the lake. Whatever goes wrong, there is an answer: the default action,
with the reason.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from zhiyin.core.clock import Clock, local_day
from zhiyin.core.decisions import DEFAULT_POLICY, Decided
from zhiyin.core.errors import InvalidParameter, ZhiyinError
from zhiyin.core.generation import PARTY, Generation
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Online
from zhiyin.core.rng import Lots
from zhiyin.decide.points.served import Chosen, Floats, Served, Way
from zhiyin.decide.reasons import (
    BY_POLICY,
    DRAWN,
    EXPLORED,
    HELD_OUT,
    NO_FEATURES,
    NO_POLICY,
    NOTHING_ELIGIBLE,
    POINT_PAUSED,
    SENT_TO_PERSON,
    TOO_LATE,
    UNKNOWN_POINT,
    UNREADABLE,
)
from zhiyin.govern.gate import PERSONALISATION, Consent, use_state
from zhiyin.govern.packed import NAMESPACES, joins_of

NUMBERS, NAMES = "numbers", "names"
"""The group of arrays that holds what is known of customers, and the key of `about` that says in
which order."""
PROFILING = "profiling"
MOST_K, MOST_DEADLINE_MS, LARGEST = 20, 10_000.0, 1e15
_STORES = (ZhiyinError, sqlite3.Error, OSError)


class Touch(Protocol):
    """That a product was looked at, or bought; `at`: seconds since 1970."""

    @property
    def bought(self) -> bool: ...

    @property
    def at(self) -> float: ...


class Gate(Protocol):
    """Which messages must not be chosen for a person."""

    def __call__(
        self, ways: Collection[Way], parties: Sequence[str], held: Generation | None, row: int
    ) -> list[Way]: ...


ReadConsents = Callable[[Sequence[str]], Iterable[Consent]]
"""The consent lines of parties, of every purpose."""
ReadTouches = Callable[[Sequence[str]], Iterable[Touch]]
"""What parties looked at and bought in the last days."""


@dataclass(frozen=True)
class Ask:
    """What a caller asks for.

    `customer`: parties that the id he gave may be, `visitor`: the party of somebody who is not
    known; both empty where nobody is named. `begun`: when the request came, on the clock's steady
    time.
    """

    point: str
    decision_id: str
    begun: float
    customer: tuple[str, ...] = ()
    visitor: str = ""
    context: Mapping[str, float | None] | None = None
    k: int | None = None
    deadline_ms: float | None = None


@dataclass
class _Seen:
    """What a choice could use: filled as far as it came."""

    numbers: Floats | None = None
    personalised: bool = False


class Door:
    """Decides for one process.

    Parameters
    ----------
    online
        Where the generation with customers' numbers is.
    needs_consent
        Whether numbers of a customer may be used only where she agreed.
    consents, touches, gate
        How consents, what was tracked lately and what must not be sent are read.
    """

    def __init__(
        self,
        online: Online,
        *,
        zone: str,
        needs_consent: bool,
        clock: Clock,
        consents: ReadConsents,
        touches: ReadTouches,
        gate: Gate,
    ) -> None:
        self._online, self._zone, self._clock = online, zone, clock
        self._needs_consent = needs_consent
        self._consents, self._touches, self._gate = consents, touches, gate
        self._points: Mapping[str, Served] = {}
        self._readable = False
        self._taken: dict[tuple[str, int], list[Counter[str]]] = {}
        self._columns: dict[str, tuple[object, np.ndarray, np.ndarray]] = {}
        self._lots = Lots()

    def renew(self, points: Mapping[str, Served]) -> None:
        """Take the points as they are now.

        What this server gave of an action with a stock counts until it is counted twice over: the
        count of the ledger changes when a part of the journal is in the lake, so that what was
        given before its last change but one stands in it.
        """
        for key, one in points.items():
            mark, before = (key, one.version), self._points.get(key)
            if before is None or before.version != one.version:
                self._taken[mark] = [Counter(), Counter()]
            elif before.stock != one.stock:
                self._taken[mark] = [Counter(), self._taken[mark][0]]
        self._points = points
        self._readable = True

    def handle(self, ask: Ask) -> Decided:
        """The choice, for the journal and the answer.

        Raises
        ------
        InvalidParameter
            If the request passes numbers that the point does not take, or asks for too much.
        """
        served = self._points.get(ask.point)
        _check(ask, served)
        now, seen = self._clock.now(), _Seen()
        held, row, parties = None, -1, [*ask.customer, *([ask.visitor] if ask.visitor else [])]
        try:
            held = self._online.generation()
            row, parties = _who(held, ask)
            chosen, reason = self._choose(ask, served, seen, now, held, row, parties)
        except _STORES as error:
            get_logger().error("a decision could not look things up: %s", type(error).__name__)
            seen = _Seen()
            chosen, reason = (served.default() if served else Chosen(())), UNREADABLE
        if served is not None and served.stock and reason != UNREADABLE:
            self._taken[served.point.key, served.version][0].update(
                one.action for one in chosen.places if one.action in served.stock
            )
        policy = chosen.policy
        party = next((one for one in ask.customer if one in parties), ask.visitor)
        numbers = seen.numbers if reason in (*DRAWN, SENT_TO_PERSON) else None
        return Decided(
            ask.decision_id, int(now.timestamp() * 1_000_000), ask.point, chosen.places, reason,
            policy.policy.name if policy else DEFAULT_POLICY, policy.version if policy else "",
            served.version if served else 0, party, parties[0] if parties else "",
            served.numbers if served and numbers is not None else (),
            () if numbers is None else tuple([x if x == x else None for x in numbers.tolist()]),
            seen.personalised, chosen.arm, chosen.ramp, *sent_of(chosen, now),
        )  # fmt: skip

    def spaces(self) -> Sequence[str]:
        """Id spaces in which customers are named; none where that cannot be looked up."""
        try:
            held = self._online.generation()
        except _STORES:  # the choice will say so
            return ()
        return held.about[NAMESPACES] if held is not None else ()

    def known(self, parties: Sequence[str]) -> str:
        """The one of the parties that a customer has, otherwise the first; empty: there is none."""
        held, first = self._online.generation(), parties[0] if parties else ""
        if held is None or PARTY not in held.arrays:
            return first
        return next((one for one in parties if held.row_of(one) >= 0), first)

    def _choose(
        self,
        ask: Ask,
        served: Served | None,
        seen: _Seen,
        now: datetime,
        held: Generation | None,
        row: int,
        parties: Sequence[str],
    ) -> tuple[Chosen, str]:
        if served is None:
            return Chosen(()), UNKNOWN_POINT if self._readable else UNREADABLE
        if served.paused:
            return served.default(), POINT_PAUSED
        if served.policy is None:
            return served.default(), NO_POLICY
        if served.kept and held is None:
            return served.default(), NO_FEATURES
        numbers = seen.numbers = served.blank()
        if parties and (served.kept or served.windows):
            self._look_up(served, numbers, seen, now, held, row, parties)
        for name, value in (ask.context or {}).items():
            if value is not None:
                numbers[served.told[name]] = value
        taken = self._taken[served.point.key, served.version]
        flags = served.eligible(
            local_day(now, self._zone), numbers, taken=taken[0] + taken[1] if served.stock else {},
            refused=self._gate([*served.ways], parties, held, row) if served.ways else (),
        )  # fmt: skip
        if not flags.any():
            return served.default(flags), NOTHING_ELIGIBLE
        within = ask.deadline_ms if ask.deadline_ms is not None else served.point.deadline_ms
        if (self._clock.monotonic() - ask.begun) * 1000 > within:
            return served.default(flags), TOO_LATE
        size = ask.k if ask.k is not None else served.point.k
        chosen = served.choose(numbers, flags, size, self._lots.of(ask.decision_id))
        if chosen.sent is not None:
            return chosen, SENT_TO_PERSON
        if chosen.policy is None:
            return chosen, HELD_OUT
        explored = any(one.explored for one in chosen.places)
        return chosen, EXPLORED if explored else BY_POLICY

    def _look_up(
        self,
        served: Served,
        numbers: Floats,
        seen: _Seen,
        now: datetime,
        held: Generation | None,
        row: int,
        parties: Sequence[str],
    ) -> None:
        """Fill in what is known of her, as far as it may be used."""
        lines = list(self._consents(parties))
        if not may_use(lines, held, row, at=now, needs=self._needs_consent):
            return
        seen.personalised = True
        if held is not None and row >= 0 and served.kept:
            places, columns = self._columns_of(served, held)
            numbers[places] = held.arrays[f"{NUMBERS}.value"][row, columns]
        if served.windows:
            count_touches(served, numbers, self._touches(parties), now=now)

    def _columns_of(self, served: Served, held: Generation) -> tuple[np.ndarray, np.ndarray]:
        """Places of the point's kept numbers, and their columns in the generation."""
        key = served.point.key
        known = self._columns.get(key)
        if known is None or known[0] != (held.number, id(served)):
            known = self._columns[key] = (held.number, id(served)), *columns_of(served, held)
        return known[1], known[2]


def columns_of(served: Served, held: Generation) -> tuple[np.ndarray, np.ndarray]:
    """Places of a point's kept numbers, and their columns in a generation."""
    names = list(held.about[NAMES])
    pairs = [(place, names.index(n)) for n, place in served.kept.items() if n in names]
    made = np.array(pairs, np.intp).reshape(-1, 2)
    return made[:, 0], made[:, 1]


def may_use(
    lines: Sequence[Consent], held: Generation | None, row: int, *, at: datetime, needs: bool
) -> bool:
    """Whether what is known of her may be used: the strictest of her records wins.

    `needs`: only where she agreed.
    """
    if not lines:
        return not needs
    joins = joins_of(held, row)
    states = [
        use_state(lines, purpose=purpose, at=at, joins=joins)
        for purpose in (PERSONALISATION, PROFILING)
    ]
    return "refused" not in states and (not needs or states[0] == "granted")


def count_touches(
    served: Served, numbers: Floats, found: Iterable[Touch], *, now: datetime
) -> None:
    """Fill in how many products were looked at and bought in the hours that a point asks for."""
    at, pairs = now.timestamp(), [(touch.bought, touch.at) for touch in found]
    for one in served.windows:
        since, kind = at - one.hours * 3600, one.bought
        numbers[one.place] = len(
            [when for bought, when in pairs if bought == kind and when > since]
        )


def sent_of(chosen: Chosen, now: datetime) -> tuple[str, int, str, float]:
    """The rule that sends it to a person, until when, what was drawn, how likely."""
    if chosen.sent is None:
        return "", 0, "", 0.0
    until = now + timedelta(hours=chosen.sent.hours)
    return (
        chosen.sent.rule, int(until.timestamp() * 1_000_000), chosen.sent.action,
        chosen.sent.chance,
    )  # fmt: skip


def _who(held: Generation | None, ask: Ask) -> tuple[int, list[str]]:
    """The row of the customer, and every party whose consents count; none: nobody is named."""
    row, parties = -1, list(ask.customer)
    if held is not None and PARTY in held.arrays:
        row = next((found for one in ask.customer if (found := held.row_of(one)) >= 0), -1)
        parties = held.parties_of(row) if row >= 0 else parties
    return row, [*parties, ask.visitor] if ask.visitor else parties


def _check(ask: Ask, served: Served | None) -> None:
    if ask.k is not None and not 1 <= ask.k <= MOST_K:
        raise InvalidParameter(f"k must be 1..{MOST_K}")
    if ask.deadline_ms is not None and not 0 <= ask.deadline_ms <= MOST_DEADLINE_MS:
        raise InvalidParameter(f"deadline_ms must be 0..{MOST_DEADLINE_MS:.0f}")
    for name, value in (ask.context or {}).items():
        if value is not None and not abs(value) <= LARGEST:
            raise InvalidParameter(f"a number of context must be within {LARGEST:g}")
        if served is not None and name not in served.told:
            raise InvalidParameter(
                "context holds a number that the decision point does not take",
                hint=f"it takes {', '.join(served.told) or 'none'}",
            )

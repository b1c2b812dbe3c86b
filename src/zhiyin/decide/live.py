"""The door of decisions: what is known of who is asked about, what may be chosen, the choice.

It reads the online store, what was tracked lately and consents; what it decided is handed back for
the journal. It never reads the lake. Whatever goes wrong, there is an answer: the default action,
with the reason.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
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
from zhiyin.decide.points.many import choose_together, reason_of
from zhiyin.decide.points.served import Chosen, Flags, Floats, Served, Way
from zhiyin.decide.reasons import (
    DRAWN,
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
_SEEN = frozenset((*DRAWN, SENT_TO_PERSON))  # reasons of choices that saw the numbers


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
class Asked:
    """A request with what is known of who it is about: ready to choose, unless `given` is.

    `given`: the default action and why, where nothing is chosen; `refused`: messages that must
    not be sent to her.
    """

    ask: Ask
    served: Served | None
    now: datetime
    parties: Sequence[str] = ()
    numbers: Floats | None = None
    personalised: bool = False
    refused: Collection[Way] = ()
    given: tuple[Chosen, str] | None = None


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
        self._spaces: tuple[str, ...] | None = None
        self._seen_number: int | None = None

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
        return self.decide([self.look_up(ask)])[0]

    def look_up(self, ask: Ask) -> Asked:
        """What is known of who is asked about, for `decide`; raises as `handle` does."""
        served = self._points.get(ask.point)
        _check(ask, served)
        made = Asked(ask, served, self._clock.now(), [*ask.customer, *_named(ask.visitor)])
        try:
            held = self._online.generation()
            self._see(held)
            row, made.parties = _who(held, ask)
            self._fill(made, held, row)
        except _STORES as error:
            get_logger().error("a decision could not look things up: %s", type(error).__name__)
            made.numbers, made.personalised = None, False
            made.given = (served.default() if served else Chosen(())), UNREADABLE
        return made

    def decide(self, asked: Sequence[Asked]) -> list[Decided]:
        """The choices of requests that came together: a point's plain ones are made in one call,
        which gives each what it would get alone.
        """
        made: dict[int, tuple[Chosen, str]] = {}
        plain: dict[int, list[tuple[int, Flags]]] = {}
        for at, one in enumerate(asked):
            chosen = self._choose(one)
            if isinstance(chosen, tuple):
                made[at] = chosen
                self._take(one.served, *chosen)
            else:
                plain.setdefault(id(one.served), []).append((at, chosen))
        for rows in plain.values():
            made |= self._choose_plain(asked, rows)
        return [_decided(one, *made[at]) for at, one in enumerate(asked)]

    def _choose(self, one: Asked) -> tuple[Chosen, str] | Flags:
        """The choice and why; of a plain one what may be chosen: it is made with others."""
        served, ask = one.served, one.ask
        if one.given is not None or served is None or one.numbers is None:
            return one.given or (Chosen(()), UNKNOWN_POINT)
        flags = self._eligible(one, served, one.numbers)
        size = ask.k if ask.k is not None else served.point.k
        within = ask.deadline_ms if ask.deadline_ms is not None else served.point.deadline_ms
        if not flags.any():
            return served.default(flags), NOTHING_ELIGIBLE
        if (self._clock.monotonic() - ask.begun) * 1000 > within:
            return served.default(flags), TOO_LATE
        if size == 1 and served.plain:
            return flags
        lots = self._lots.of(ask.decision_id)
        chosen = served.choose(one.numbers, flags, size, lots)
        return chosen, reason_of(chosen)

    def _choose_plain(
        self, asked: Sequence[Asked], rows: Sequence[tuple[int, Flags]]
    ) -> dict[int, tuple[Chosen, str]]:
        """Choices of one point by the places of their requests."""
        first = asked[rows[0][0]].served
        if first is None:
            raise AssertionError("only what a point serves is chosen")
        if len(rows) == 1:
            ((at, flags),) = rows
            lots = self._lots.of(asked[at].ask.decision_id)
            alone = first.choose(_numbers_of(asked[at]), flags, 1, lots)
            return {at: (alone, reason_of(alone))}
        chosen = choose_together(
            first,
            np.array([_numbers_of(asked[at]) for at, _ in rows]),
            np.array([flags for _, flags in rows]),
            lots=np.array([self._lots.of(asked[at].ask.decision_id).random(2) for at, _ in rows]),
        )
        return {at: (one, reason_of(one)) for (at, _), one in zip(rows, chosen, strict=True)}

    def _eligible(self, one: Asked, served: Served, numbers: Floats) -> Flags:
        """What may be chosen, by what was given until now."""
        taken = self._taken[served.point.key, served.version] if served.stock else ()
        return served.eligible(
            local_day(one.now, self._zone), numbers, refused=one.refused,
            taken=sum(taken, Counter()) if served.stock else {},
        )  # fmt: skip

    def _take(self, served: Served | None, chosen: Chosen, reason: str) -> None:
        """Count what was given of actions with a stock."""
        if served is not None and served.stock and reason != UNREADABLE:
            self._taken[served.point.key, served.version][0].update(
                one.action for one in chosen.places if one.action in served.stock
            )

    def spaces(self) -> Sequence[str]:
        """Id spaces in which customers are named, as the last request saw them; none where that
        cannot be looked up.
        """
        if self._spaces is None:
            with suppress(*_STORES):  # the choice will say so
                self._see(self._online.generation())
        return self._spaces or ()

    def _see(self, held: Generation | None) -> None:
        """Remember the id spaces of a generation that is new here."""
        number = held.number if held is not None else -1
        if number != self._seen_number:
            self._seen_number = number
            self._spaces = tuple(held.about[NAMESPACES]) if held is not None else None

    def known(self, parties: Sequence[str]) -> str:
        """The one of the parties that a customer has, otherwise the first; empty: there is none."""
        held, first = self._online.generation(), parties[0] if parties else ""
        if held is None or PARTY not in held.arrays:
            return first
        return next((one for one in parties if held.row_of(one) >= 0), first)

    def _fill(self, made: Asked, held: Generation | None, row: int) -> None:
        """Its numbers and what the gate refuses, or that the default action is given."""
        served = made.served
        if served is None:
            made.given = Chosen(()), UNKNOWN_POINT if self._readable else UNREADABLE
        elif served.paused:
            made.given = served.default(), POINT_PAUSED
        elif served.policy is None:
            made.given = served.default(), NO_POLICY
        elif served.kept and held is None:
            made.given = served.default(), NO_FEATURES
        else:
            made.numbers = numbers = served.blank()
            if made.parties and (served.kept or served.windows):
                self._fill_in(served, numbers, made, held, row)
            for name, value in (made.ask.context or {}).items():
                if value is not None:
                    numbers[served.told[name]] = value
            if served.ways:
                made.refused = self._gate([*served.ways], made.parties, held, row)

    def _fill_in(
        self, served: Served, numbers: Floats, made: Asked, held: Generation | None, row: int
    ) -> None:
        """Fill in what is known of her, as far as it may be used."""
        lines = list(self._consents(made.parties))
        if not may_use(lines, held, row, at=made.now, needs=self._needs_consent):
            return
        made.personalised = True
        if held is not None and row >= 0 and served.kept:
            places, columns = self._columns_of(served, held)
            numbers[places] = held.arrays[f"{NUMBERS}.value"][row].take(columns)
        if served.windows:
            count_touches(served, numbers, self._touches(made.parties), now=made.now)

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


def _decided(one: Asked, chosen: Chosen, reason: str) -> Decided:
    """What the journal keeps of a choice."""
    ask, served, policy, parties = one.ask, one.served, chosen.policy, one.parties
    party = next((known for known in ask.customer if known in parties), ask.visitor)
    numbers = one.numbers if reason in _SEEN else None
    return Decided(
        ask.decision_id, int(one.now.timestamp() * 1_000_000), ask.point, chosen.places, reason,
        policy.policy.name if policy else DEFAULT_POLICY, policy.version if policy else "",
        served.version if served else 0, party, parties[0] if parties else "",
        served.numbers if served and numbers is not None else (),
        () if numbers is None else tuple([x if x == x else None for x in numbers.tolist()]),
        one.personalised, chosen.arm, chosen.ramp, *sent_of(chosen, one.now),
    )  # fmt: skip


def _numbers_of(one: Asked) -> Floats:
    if one.numbers is None:
        raise AssertionError("only what has numbers is chosen")
    return one.numbers


def _named(visitor: str) -> tuple[str, ...]:
    return (visitor,) if visitor else ()


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
    return row, [*parties, *_named(ask.visitor)]


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

"""A decision point ready to choose: what a request needs is worked out once, when it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.decisions import BY_CANDIDATE, BY_CURRENT, HOLDOUT, NO_ARM, Place
from zhiyin.decide.conditions import COMPARE
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.mixture import Side, choose_mixed, mixed_chances
from zhiyin.decide.points.numbers import windows_of
from zhiyin.decide.points.point_policy import PointPolicy
from zhiyin.decide.points.sending import SURE, Sending, Sent, sending_of
from zhiyin.decide.slates import Slate, choose_slate

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Way = tuple[str, str]
"""Channel and purpose of a message."""


_MOST_NAMED = 4_096  # sets of eligible actions whose names are kept


class Rising(NamedTuple):
    """A policy that is taking over, and of how many choices that are no holdout it decides now."""

    number: int
    stage: int
    share: float
    policy: PointPolicy


class Chosen(NamedTuple):
    """The places of a choice, whose propensities multiply to that of the whole.

    `policy`: the one that chose, None: the default action was given; `arm` where a lot was drawn
    between policies, `ramp` where one of them is taking over; `sent`: a person decides it, and
    the places are the default action.
    """

    places: tuple[Place, ...]
    policy: PointPolicy | None = None
    arm: str = NO_ARM
    ramp: str = ""
    sent: Sent | None = None

    @property
    def propensity(self) -> float:
        """P(these actions in this order | context, eligible actions)."""
        return math.prod(one.propensity for one in self.places)


class Served:
    """One version of a point with its policy, for one server.

    Parameters
    ----------
    point, version, paused, policy
        As the ledger has them; `policy` None: there is none yet.
    given
        How many of each action with a stock were given.
    rising
        The policy that is taking over; None: none is.
    """

    def __init__(
        self,
        point: Definition,
        *,
        version: int,
        paused: bool,
        policy: PointPolicy | None,
        given: Mapping[str, int] | None = None,
        rising: Rising | None = None,
    ) -> None:
        self.point, self.version, self.paused, self.policy = point, version, paused, policy
        self.names = tuple(one.name for one in point.actions)
        self.numbers = point.numbers
        self.windows = windows_of(point.features)
        counted = {one.place for one in self.windows}
        self.kept = {
            name: place for place, name in enumerate(point.features) if place not in counted
        }
        self.told = {name: place + len(point.features) for place, name in enumerate(point.context)}
        self.ways: dict[Way, Flags] = {}
        for place, one in enumerate(point.actions):
            if one.channel:
                way = one.channel, one.purpose
                self.ways.setdefault(way, np.zeros(len(self.names), bool))[place] = True
        self.stock = {
            one.name: one.stock - (given or {}).get(one.name, 0)
            for one in point.actions
            if one.stock is not None
        }
        self._catalogue = point.catalogue()
        self._needs = _by_comparison(point, self.numbers)
        self._names_of: dict[bytes, tuple[str, ...]] = {}
        self._day: tuple[date, Flags] | None = None
        self.sides = _sides(point, policy, rising) if policy is not None else []
        self._sending = sending_of(point)
        self.ramp = "" if rising is None else f"{rising.number}.{rising.stage}"

    def blank(self) -> Floats:
        """The numbers of a choice of which nothing is known."""
        return np.full(len(self.numbers), np.nan)

    def eligible(
        self,
        on: date,
        numbers: Floats,
        *,
        taken: Mapping[str, int],
        refused: Collection[Way] = (),
    ) -> Flags:
        """Which actions may be chosen, (k,) flags.

        `taken`: what this server gave beside what is counted already; `refused`: messages that
        the gate forbids.
        """
        flags = self._open_on(on).copy()
        for how, places, where, least in self._needs:
            known = numbers[where]
            holds = how(known, least) & (known == known)  # none for a number that is not known
            flags[places[~holds]] = False
        for name, left in self.stock.items():
            if left <= taken.get(name, 0):
                flags[self.names.index(name)] = False
        for way in refused:
            flags &= ~self.ways[way]
        return flags

    def choose(
        self, numbers: Floats, eligible: Flags, size: int, rng: np.random.Generator
    ) -> Chosen:  # fmt: skip
        """Up to `size` different actions, of which at least one is eligible, or that a person is to
        decide.
        """
        if self.policy is None:
            raise AssertionError("ask only where there is a policy")
        if self._sending is not None:
            return self._choose_or_send(self._sending, numbers, eligible, size, rng)
        return self._draw(numbers, eligible, size, rng)

    @property
    def plain(self) -> bool:
        """Whether a choice of one action depends on nothing but its numbers, what is eligible and
        its lots: there is no stock, and no rule that asks a person.
        """
        return self._sending is None and not self.stock

    def _choose_or_send(
        self, rules: Sending, numbers: Floats, eligible: Flags, size: int, rng: np.random.Generator
    ) -> Chosen:
        sides = self._seen(numbers)
        chances = mixed_chances(sides, eligible) if rules.asks_chances else eligible * 1.0
        held = rules.held(numbers, float(chances.max()))
        if not held:
            return self._draw(numbers, eligible, size, rng)
        about = np.logical_or.reduce([rules.of[place] for place in held])
        left = eligible & ~about
        alone = 1.0 - float(chances[about].sum()) if left.any() else 0.0
        if alone > SURE and size > 1:  # a list holds none of them
            return self._draw(numbers, left, size, rng)
        chosen = self._draw(numbers, eligible, 1, rng)
        (place,) = chosen.places
        at = self.names.index(place.action)
        if alone > SURE and not about[at]:
            given = min(1.0, place.propensity / alone)
            return chosen._replace(places=(
                Place(place.action, self.named(left), given, explored=place.explored),
            ))  # fmt: skip
        rule = next((n for n in held if rules.of[n][at]), held[0])
        sent = Sent(
            rules.rules[rule].name, place.action, place.propensity, self.point.review.hours
        )  # fmt: skip
        return self.default(eligible)._replace(sent=sent)

    def _draw(
        self, numbers: Floats, eligible: Flags, size: int, rng: np.random.Generator
    ) -> Chosen:  # fmt: skip
        if self.policy is None:
            raise AssertionError("ask only where there is a policy")
        if len(self.sides) > 1:
            return self._choose_mixed(numbers, eligible, size, rng)
        context, policy = self.policy.context(numbers), self.policy.policy
        if size == 1:
            among = None if eligible.all() else eligible
            choice = policy.choose(context, among, rng=rng)
            place = self._place(choice.action, eligible, choice[1], choice[2])
            return Chosen((place,), self.policy)
        slate = choose_slate(
            policy, context, size, eligible=eligible, catalogue=self._catalogue, rng=rng
        )
        return Chosen(self._places(slate), self.policy)

    def _choose_mixed(
        self, numbers: Floats, eligible: Flags, size: int, rng: np.random.Generator
    ) -> Chosen:
        drawn, slate = choose_mixed(
            self._seen(numbers),
            eligible,
            size,
            names=self.names,
            catalogue=self._catalogue,
            rng=rng,
        )
        arm, _, policy = self.sides[drawn]
        return Chosen(self._places(slate), policy, arm, self.ramp)

    def _seen(self, numbers: Floats) -> list[Side]:
        """Those between whom a lot is drawn, with what each sees."""
        default = self.names.index(self.point.default)
        return [
            Side(weight, None, numbers, default)
            if policy is None
            else Side(weight, policy.policy, policy.context(numbers), default)
            for _, weight, policy in self.sides
        ]

    def _places(self, slate: Slate) -> tuple[Place, ...]:
        return tuple(
            self._place(one.action, among, one.propensity, one.explored)
            for one, among in zip(slate.choices, slate.eligible, strict=True)
        )

    def default(self, eligible: Flags | None = None) -> Chosen:
        """The default action, for certain."""
        among = self.named(eligible) if eligible is not None else (self.point.default,)
        return Chosen((Place(self.point.default, among, 1.0, explored=False),))

    def place(self, at: int, eligible: Flags, propensity: float, *, explored: bool) -> Place:
        """The action at a place among the names, as a choice has it."""
        return Place(self.names[at], self.named(eligible), propensity, explored)

    def _place(
        self, action: str | None, eligible: Flags, propensity: float, explored: bool
    ) -> Place:  # fmt: skip
        return Place(action or self.point.default, self.named(eligible), propensity, explored)

    def named(self, flags: Flags) -> tuple[str, ...]:
        """The names of the flagged actions."""
        key = flags.tobytes()
        found = self._names_of.get(key)
        if found is None:
            if len(self._names_of) >= _MOST_NAMED:
                self._names_of.clear()
            pairs = zip(self.names, flags.tolist(), strict=True)
            found = self._names_of[key] = tuple([name for name, may in pairs if may])
        return found

    def _open_on(self, on: date) -> Flags:
        """What days allow, worked out once a day."""
        if self._day is None or self._day[0] != on:
            self._day = on, np.array([
                not (one.start_on and on < one.start_on) and not (one.end_on and on > one.end_on)
                for one in self.point.actions
            ])  # fmt: skip
        return self._day[1]


def _by_comparison(
    point: Definition, names: Sequence[str]
) -> list[tuple[Callable[..., Any], NDArray[np.intp], NDArray[np.intp], Floats]]:
    """The conditions of all actions, those of one comparison together: the comparison, places of
    actions, places of their numbers, what these are compared with.
    """
    conditions = [
        (how, place, names.index(name), x)
        for place, one in enumerate(point.actions)
        for name, how, x in one.needs
    ]
    made = []
    for how in dict.fromkeys(one[0] for one in conditions):
        mine = [one[1:] for one in conditions if one[0] == how]
        places, where = (np.array([one[at] for one in mine], np.intp) for at in (0, 1))
        made.append((COMPARE[how], places, where, np.array([one[2] for one in mine])))
    return made


def _sides(
    point: Definition, policy: PointPolicy, rising: Rising | None
) -> list[tuple[str, float, PointPolicy | None]]:
    """Arm, share and policy of those between whom a lot is drawn."""
    free = 1.0 - point.holdout
    share = free * rising.share if rising is not None else 0.0
    sides: list[tuple[str, float, PointPolicy | None]] = [
        (HOLDOUT, point.holdout, None),
        (BY_CANDIDATE, share, rising.policy if rising is not None else None),
        (BY_CURRENT, free - share, policy),
    ]
    return [one for one in sides if one[1] > 0]

"""A decision point ready to choose: what a request needs is worked out once, when it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.decisions import Place
from zhiyin.decide.conditions import COMPARE
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.numbers import windows_of
from zhiyin.decide.points.point_policy import PointPolicy
from zhiyin.decide.slates import choose_slate

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Way = tuple[str, str]
"""Channel and purpose of a message."""


_MOST_NAMED = 4_096  # sets of eligible actions whose names are kept


class Chosen(NamedTuple):
    """The places of a choice, whose propensities multiply to that of the whole."""

    places: tuple[Place, ...]

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
    """

    def __init__(
        self,
        point: Definition,
        *,
        version: int,
        paused: bool,
        policy: PointPolicy | None,
        given: Mapping[str, int] | None = None,
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
        """Up to `size` different actions, of which at least one is eligible."""
        if self.policy is None:
            raise AssertionError("ask only where there is a policy")
        context, policy = self.policy.context(numbers), self.policy.policy
        if size == 1:
            among = None if eligible.all() else eligible
            choice = policy.choose(context, among, rng=rng)
            return Chosen((self._place(choice.action, eligible, choice[1], choice[2]),))
        slate = choose_slate(
            policy, context, size, eligible=eligible, catalogue=self._catalogue, rng=rng
        )
        return Chosen(
            tuple(
                self._place(one.action, among, one.propensity, one.explored)
                for one, among in zip(slate.choices, slate.eligible, strict=True)
            )
        )

    def default(self, eligible: Flags | None = None) -> Chosen:
        """The default action, for certain."""
        among = self._named(eligible) if eligible is not None else (self.point.default,)
        return Chosen((Place(self.point.default, among, 1.0, explored=False),))

    def _place(
        self, action: str | None, eligible: Flags, propensity: float, explored: bool
    ) -> Place:  # fmt: skip
        return Place(action or self.point.default, self._named(eligible), propensity, explored)

    def _named(self, flags: Flags) -> tuple[str, ...]:
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

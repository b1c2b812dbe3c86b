"""Who knows everything, and plans: the value that policies of a rich shop are measured against.

The oracle knows how each customer is (`hidden.Nature`), the state she is in (`Mood`), whether she
has left, the calendar and all chances; not the luck to come. Customers do not compete for
anything, so each is a problem of her own: value iteration backwards over a grid of moods, each
branch (seen or not, ordered or not, left, opted out) by its chance, linear between points.

What it is not: the exact optimum. Values between points are interpolated, and what comes `horizon`
periods after the last one is left out (`discount`^horizon of the value at most). `Plan.value` is
what it thinks it will get, 2 % more than what it gets when it is simulated (values are convex). No
policy without the hidden part can be expected to reach it.

Source: Puterman, 1994 (Markov decision processes), chapter 6; Judd, 1998 (Numerical methods in
economics), chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.simulate.hidden import (
    Floats,
    Ints,
    Mood,
    Nature,
    Odds,
    find_leaving,
    find_odds,
    find_opting_out,
    move_mood,
)
from zhiyin.simulate.presets import Preset
from zhiyin.simulate.rich import RichShop

FORGOTTEN = 0.02  # of the value may lie beyond the horizon


@dataclass(frozen=True, eq=False)
class Grid:
    """Moods between which values are linear: the axes are loyalty, need, fatigue and habit."""

    axes: tuple[Floats, Floats, Floats, Floats]

    @classmethod
    def of(cls, preset: Preset) -> Grid:
        """The grid of a preset: fatigue reaches as far as contacts every period bring it."""
        most = preset.effects("tires").max() / (1 - preset.rest)
        fatigue = most * np.array([0.0, 0.1, 0.25, 0.5, 1.0])
        need = np.unique([preset.left, (1 + preset.left) / 2, 1.0])
        return cls((np.array([0.0, 0.4, 1.0]), need, fatigue, np.array([0.0, 1.0])))

    def moods(self) -> Mood:
        """All points, (m,)."""
        return Mood(*np.array([*product(*self.axes)]).T)

    def weights(self, mood: Mood) -> Floats:
        """How much each point counts for moods, (rows, m)."""
        parts = zip(self.axes, (mood.loyalty, mood.need, mood.fatigue, mood.habit), strict=True)
        loyalty, need, fatigue, habit = (_hats(axis, values) for axis, values in parts)
        made = np.einsum("ri,rj,rk,rl->rijkl", loyalty, need, fatigue, habit)
        return made.reshape(len(loyalty), -1)


def _hats(axis: Floats, values: Floats) -> Floats:
    if len(axis) == 1:
        return np.ones((len(values), 1))
    inside = np.clip(values, axis[0], axis[-1])
    place = np.clip(np.searchsorted(axis, inside, side="right") - 1, 0, len(axis) - 2)
    share = (inside - axis[place]) / (axis[place + 1] - axis[place])
    made, rows = np.zeros((len(inside), len(axis))), np.arange(len(inside))
    made[rows, place], made[rows, place + 1] = 1 - share, share
    return made


@dataclass(frozen=True, eq=False)
class Plan:
    """Of each period from `start` on, the value of each customer in each mood of the grid: `open`
    and `closed` (periods + 1, n, m), the latter of who takes no contacts."""

    preset: Preset
    nature: Nature
    grid: Grid
    start: int
    open: Floats
    closed: Floats

    @property
    def periods(self) -> int:
        """How many periods can be decided on."""
        return len(self.open) - 1

    def action_values(self, shop: RichShop) -> Floats:
        """What each action brings now and later, (n, actions), to those who are here."""
        ahead = self._ahead(shop)
        odds = find_odds(self.preset, self.nature, shop.mood, shop.period)
        moves = {
            key: self.grid.weights(mood) for key, mood in _followers(self.preset, shop.mood).items()
        }
        return _back_up(
            self.preset, shop.mood, odds, (self.open[ahead], self.closed[ahead]),
            lambda values, key: np.vecdot(values, moves[key]),
        )[0]  # fmt: skip

    def choose(self, shop: RichShop) -> Ints:
        """The best action of each customer; nothing for who has left or takes no contacts."""
        best = self.action_values(shop).argmax(axis=1)
        eligible = shop.observe().eligible[np.arange(len(best)), best]
        return np.where(shop.here & eligible, best, 0)

    def value(self, shop: RichShop) -> Floats:
        """(n,) what it thinks each customer will bring from now on."""
        weights, place = self.grid.weights(shop.mood), self._ahead(shop) - 1
        closed = np.logical_not(shop.observe().eligible.all(axis=1))
        values = np.where(closed[:, None], self.closed[place], self.open[place])
        return np.where(shop.here, np.vecdot(values, weights), 0.0)

    def _ahead(self, shop: RichShop) -> int:
        place = shop.period - self.start + 1
        if not 1 <= place <= self.periods:
            raise InvalidParameter(
                f"the plan is of periods {self.start} to {self.start + self.periods - 1}, "
                f"the shop is in {shop.period}"
            )
        return place


def plan(shop: RichShop, periods: int, *, horizon: int | None = None) -> Plan:
    """The plan of who knows everything, for so many periods from now on.

    `horizon`: how many periods after the last are still looked at; None: until what comes later
    counts 2 %.
    """
    preset, nature, n = shop.preset, shop.hidden, shop.customers
    if horizon is None:
        log = np.log(preset.discount) if preset.discount > 0 else -np.inf
        horizon = int(np.ceil(np.log(FORGOTTEN) / log))
    if periods < 1 or horizon < 0:
        raise InvalidParameter("a plan is of 1 or more periods, its horizon 0 or more")
    grid = Grid.of(preset)
    moods = grid.moods()
    moves = {key: grid.weights(one).T for key, one in _followers(preset, moods).items()}
    size = len(moods.need)
    kept = np.zeros((2, periods + 1, n, size), np.float32)
    values = (np.zeros((n, size)), np.zeros((n, size)))
    for later in range(periods + horizon - 1, -1, -1):
        odds = find_odds(preset, nature, moods, shop.period + later, grid=True)
        told, closed = _back_up(preset, moods, odds, values, lambda ahead, key: ahead @ moves[key])
        values = (told.max(axis=-1), closed)
        if later <= periods:
            kept[0, later], kept[1, later] = values
    return Plan(preset, nature, grid, shop.period, kept[0], kept[1])


Key = tuple[float, bool, bool]  # what tires, whether a coupon is seen, whether she orders


def _followers(preset: Preset, mood: Mood) -> dict[Key, Mood]:
    """The moods that a period can lead to."""
    kinds = {(0.0, False)} | {(one.tires, one.given_away > 0) for one in preset.contacts[1:]}
    return {
        (tired, coupon, ordered): move_mood(
            preset, mood, ordered=ordered, coupon=coupon, tired=tired
        )
        for tired, coupon in sorted(kinds)
        for ordered in (False, True)
    }


def _back_up(
    preset: Preset,
    mood: Mood,
    odds: Odds,
    values: tuple[Floats, Floats],
    after: Callable[[Floats, Key], Floats],
) -> tuple[Floats, Floats]:
    """Values of the actions, (…, actions), and of doing nothing for who takes no contacts, (…,).

    `values` of the next period of who takes contacts and who does not; `after` gives those of the
    moods that a key leads to.
    """
    now, (ahead, shut) = odds.expected(preset), values

    def go_on(then: Floats, chance: Floats, tired: float, coupon: bool) -> Floats:
        ordered, not_ordered = (after(then, (tired, coupon, one)) for one in (True, False))
        return chance * ordered + (1 - chance) * not_ordered

    stays = 1 - find_leaving(preset, mood.fatigue, seen=False)
    stays_told = 1 - find_leaving(preset, mood.fatigue, seen=True)
    opts_out = find_opting_out(preset, mood.fatigue)
    alone = stays * go_on(ahead, odds.quiet, 0.0, False)
    made = now.copy()
    made[..., 0] += preset.discount * alone
    for place, one in enumerate(preset.contacts[1:], start=1):
        key, chance, sees = (
            (one.tires, one.given_away > 0), odds.seen[..., place], odds.sees[..., place]
        )  # fmt: skip
        told = stays_told * (
            (1 - opts_out) * go_on(ahead, chance, *key) + opts_out * go_on(shut, chance, *key)
        )
        made[..., place] += preset.discount * (sees * told + (1 - sees) * alone)
    return made, now[..., 0] + preset.discount * stays * go_on(shut, odds.quiet, 0.0, False)

"""A rich shop whose truth is known: thousands of customers, period after period.

    market = shop("grocery", seed=7, customers=2000)
    market.observe().features             # (n, d) what a policy may look at
    market.truth()                        # (n, actions) what each action is expected to bring now
    market.step(market.truth().argmax(1)) # what it brought, and what is seen then

Chances are drawn for every customer from streams named by the period, whether they are needed or
not: two policies in two shops of one seed meet the same people and the same luck (common random
numbers), and their difference is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.simulate.hidden import (
    Flags,
    Floats,
    Ints,
    Mood,
    Nature,
    Odds,
    draw_nature,
    find_leaving,
    find_odds,
    find_opting_out,
    move_mood,
)
from zhiyin.simulate.presets import Preset, find_preset
from zhiyin.simulate.records import Records, find_channels, tell_features


@dataclass(frozen=True, eq=False)
class Observation:
    """What the shop knows: `names` of features, their values (n, d), NaN = unknown, and which
    actions may be done (n, actions): nothing always, the rest unless she asked for no more."""

    names: tuple[str, ...]
    features: Floats
    eligible: Flags

    def column(self, name: str) -> Floats:
        """One feature, (n,)."""
        return self.features[:, self.names.index(name)]


@dataclass(frozen=True, eq=False)
class Lived:
    """A period: `rewards` (n,) margin less cost in yuan, who ordered and saw the contact; for how
    much and of which category those who ordered did; what is seen at the beginning of the next."""

    rewards: Floats
    ordered: Flags
    seen: Flags
    amounts: Floats
    categories: Ints
    observation: Observation


@dataclass(frozen=True, eq=False)
class _State:
    mood: Mood
    here: Flags
    open: Flags
    records: Records


class RichShop:
    """One shop, the same for the same preset, seed and size.

    Before period 0 it lived `preset.warm_up` periods in which nothing was done mostly, and now and
    then anything: so there is something to observe. `world` names the chances from period 0 on;
    other worlds are other luck of the same people.
    """

    def __init__(self, preset: Preset, seed: int, *, customers: int, world: int = 0) -> None:
        if customers < 1:
            raise InvalidParameter(f"a shop has 1 or more customers, not {customers}")
        self.preset, self.seed = preset, seed
        self._streams, self._world = Streams(seed), world
        self._nature = draw_nature(preset, customers, self._streams)
        self._contacted = find_channels(preset) >= 0
        still, flags = np.zeros(customers), np.ones(customers, bool)
        mood = Mood(np.full(customers, 0.3), np.ones(customers), still, still)
        self._state = _State(mood, flags, flags, Records.blank(preset, customers))
        self.period = -preset.warm_up
        for _ in range(preset.warm_up):
            rng = self._streams.generator(f"rich.usual.{self.period}")
            self._live(choose_usual(preset, customers, rng=rng))

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of what can be done; the first is nothing."""
        return self.preset.actions

    @property
    def customers(self) -> int:
        """How many there are, those who left among them."""
        return len(self._nature)

    @cached_property
    def hidden(self) -> Nature:
        """How customers are: no policy may look at it."""
        return self._nature

    @property
    def mood(self) -> Mood:
        """The state they are in: no policy may look at it."""
        return self._state.mood

    @property
    def here(self) -> Flags:
        """(n,) who has not left for good: no policy may look at it."""
        return self._state.here

    def observe(self) -> Observation:
        """What is known at the beginning of the period."""
        told = tell_features(
            self.preset, self._state.records, self._nature, self.period, reachable=self._state.open
        )
        eligible = self._state.open[:, None] | ~self._contacted
        return Observation(tuple(told), np.column_stack([*told.values()]), eligible)

    def truth(self, actions: np.ndarray | None = None) -> Floats:
        """What actions are expected to bring now, in yuan.

        Of all of them, (n, actions), or of one for each customer, (n,). Who has left brings nothing
        and costs what a contact costs. An action that is not eligible counts as doing nothing.
        """
        worth = self._odds().expected(self.preset)
        worth = np.where(self.here[:, None], worth, -self.preset.effects("cost"))
        worth = np.where(self._state.open[:, None], worth, worth[:, :1])
        if actions is None:
            return worth
        return worth[np.arange(len(worth)), self._check(actions)]

    def effect(self, actions: np.ndarray | None = None) -> Floats:
        """What actions cause now: `truth` beyond that of doing nothing."""
        nothing = self.truth()[:, 0]
        told = self.truth(actions)
        return told - (nothing if told.ndim == 1 else nothing[:, None])

    def orders_caused(self, actions: np.ndarray) -> Floats:
        """(n,) orders that actions, one for each customer, are expected to cause now."""
        odds, rows = self._odds(), np.arange(self.customers)
        done = np.where(self._state.open, self._check(actions), 0)
        more = odds.sees[rows, done] * (odds.seen[rows, done] - odds.quiet)
        return np.where(self.here, more, 0.0)

    def step(self, actions: np.ndarray) -> Lived:
        """Do one action for each customer, (n,) numbers, and live the period.

        Raises
        ------
        InvalidParameter
            If there are not as many actions as customers, or one is no number of an action.
        """
        return Lived(*self._live(self._check(actions)), self.observe())

    def fork(self, world: int | None = None) -> RichShop:
        """The same shop as it is now, to go on from here with other luck, or with the same."""
        other = object.__new__(RichShop)
        other.__dict__.update(self.__dict__)
        if world is not None:
            other._world = world
        return other

    def _odds(self) -> Odds:
        return find_odds(self.preset, self._nature, self._state.mood, self.period)

    def _live(self, actions: Ints) -> tuple[Floats, Flags, Flags, Floats, Ints]:
        preset, state, n = self.preset, self._state, self.customers
        rng = self._streams.generator(f"rich.{self._world}.{self.period}")
        lots, noise = rng.random((5, n)), rng.normal(size=n)
        done = np.where(state.open, actions, 0)
        rows, odds = np.arange(n), self._odds()
        seen = state.here & (lots[0] < odds.sees[rows, done])
        chance = np.where(seen, odds.seen[rows, done], odds.quiet)
        ordered = state.here & (lots[1] < chance)
        luck = np.exp(preset.basket_noise * noise - preset.basket_noise**2 / 2)
        gift, given = preset.effects("gift")[done], preset.effects("given_away")[done]
        amount = self._nature.basket * luck
        margin = amount * (preset.margin - given * seen) - gift * seen
        rewards = ordered * margin - preset.effects("cost")[done]
        reach = self._nature.tastes.cumsum(axis=1)
        category = (lots[4][:, None] * reach[:, -1:] > reach).sum(axis=1)
        self._state = self._after(
            done, lots, seen=seen, ordered=ordered, amount=amount, category=category
        )
        self.period += 1
        return rewards, ordered, seen, amount * ordered, category

    def _after(
        self, done: Ints, lots: Floats, *, seen: Flags, ordered: Flags, amount: Floats,
        category: Ints,
    ) -> _State:  # fmt: skip
        preset, state = self.preset, self._state
        leaves = lots[2] < find_leaving(preset, state.mood.fatigue, seen=seen)
        opts_out = seen & (lots[3] < find_opting_out(preset, state.mood.fatigue))
        coupon = seen & (preset.effects("given_away")[done] > 0)
        mood = move_mood(
            preset, state.mood, ordered=ordered, coupon=coupon,
            tired=preset.effects("tires")[done] * seen,
        )  # fmt: skip
        records = state.records.add(
            preset, done, seen=seen, ordered=ordered, amount=amount, category=category
        )
        return replace(
            state, mood=mood, here=state.here & ~leaves, open=state.open & ~opts_out,
            records=records,
        )  # fmt: skip

    def _check(self, actions: np.ndarray) -> Ints:
        given = np.asarray(actions)
        if given.shape != (self.customers,) or given.dtype.kind not in "iu":
            raise InvalidParameter(
                f"actions are {self.customers} whole numbers, not {given.dtype} of {given.shape}"
            )
        if given.size and not 0 <= given.min() <= given.max() < len(self.actions):
            raise InvalidParameter(f"actions are numbers below {len(self.actions)}")
        return given.astype(np.int64)


def choose_usual(preset: Preset, customers: int, *, rng: np.random.Generator) -> Ints:
    """What a shop does that tries things: nothing mostly, the rest evenly, (n,)."""
    chances = usual_chances(preset)
    return rng.choice(len(chances), size=customers, p=chances)


def usual_chances(preset: Preset) -> Floats:
    """P(action) of `choose_usual`."""
    others = (1 - preset.usual) / (len(preset.contacts) - 1)
    return np.array([preset.usual, *[others] * (len(preset.contacts) - 1)])


def open_shop(preset: str | Preset, seed: int, *, customers: int = 2000) -> RichShop:
    """The shop of a preset: see `zhiyin.simulate.shop`."""
    made = find_preset(preset) if isinstance(preset, str) else preset
    return RichShop(made, seed, customers=customers)

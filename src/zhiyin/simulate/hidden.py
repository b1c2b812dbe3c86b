"""What no rich shop sees: how each customer is, the state she is in, and what follows from it.

In a period a contact is seen or not; she orders or not; then she may leave, or ask for no more
contacts. With the log odds z of an order,

    z = base + season + occasion + loyal L + log N - waits P C                       (nothing seen)
    z + e^(-tiring F) (plain + taste T + price P + occasion O)                     (contact seen)

and without the last term of the first line where a coupon is seen. L loyalty, N need and C habit of
coupons are in [0, 1], F fatigue is 0 or more; P price sensitivity and T taste for what is shown are
hers; O is how near an occasion of hers is. All but her are known in `presets`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from zhiyin.core.rng import Streams
from zhiyin.simulate.presets import Preset, near

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
OCCASION_WIDTH = 0.6


@dataclass(frozen=True, eq=False)
class Nature:
    """How customers are, for good: `base` log odds (n,), `price` sensitivity (n,), `tastes`
    (n, categories) of mean 1, `basket` (n,), `sees` P(seen | action) (n, actions), `occasions`
    (n, how many) periods of the year, `score` (n,) a model's guess of P(order in a period)."""

    base: Floats
    price: Floats
    tastes: Floats
    basket: Floats
    sees: Floats
    occasions: Ints
    score: Floats

    def __len__(self) -> int:
        return len(self.base)


@dataclass(frozen=True, eq=False)
class Mood:
    """The state a customer is in: what contacts and orders have made of her."""

    loyalty: Floats
    need: Floats
    fatigue: Floats
    habit: Floats


@dataclass(frozen=True, eq=False)
class Odds:
    """P(order | nothing seen) (…,) and P(order | contact seen) (…, actions); what an order brings
    then, before noise of mean 1; P(seen | action)."""

    quiet: Floats
    seen: Floats
    quiet_brings: Floats
    seen_brings: Floats
    sees: Floats

    def expected(self, preset: Preset) -> Floats:
        """The margin that each action is expected to bring in the period: (…, actions)."""
        quiet = (self.quiet * self.quiet_brings)[..., None]
        seen = self.seen * self.seen_brings
        return self.sees * seen + (1 - self.sees) * quiet - preset.effects("cost")


def draw_nature(preset: Preset, customers: int, streams: Streams) -> Nature:
    """The customers of a shop."""
    rng = streams.generator("rich.people")
    base = np.log(preset.orders / (1 - preset.orders))
    base = base + preset.orders_spread * rng.normal(size=customers)
    price = np.exp(preset.price_spread * rng.normal(size=customers))
    price /= np.exp(preset.price_spread**2 / 2)
    kinds = len(preset.categories)
    tastes = rng.dirichlet(np.full(kinds, preset.taste_shape), size=customers) * kinds
    basket = preset.basket * np.exp(preset.basket_spread * rng.normal(size=customers))
    habits = {
        one.name: rng.beta(one.seen * one.spread, (1 - one.seen) * one.spread, customers)
        for one in preset.habits
    }
    nobody = np.zeros(customers)
    sees = np.stack([habits.get(one.channel, nobody) for one in preset.contacts], axis=1)
    occasions = rng.integers(preset.year, size=(customers, preset.occasions))
    score = expit(base + preset.score_noise * rng.normal(size=customers))
    return Nature(base, price, np.minimum(tastes, 2.5), basket, sees, occasions, score)


def find_occasion(preset: Preset, nature: Nature, period: int) -> Floats:
    """(n,) how near an occasion of hers is, in [0, 1]."""
    if not preset.occasions:
        return np.zeros(len(nature))
    return near(period - nature.occasions, preset.year, OCCASION_WIDTH).max(axis=1)


def find_lines(preset: Preset, nature: Nature, period: int) -> tuple[Floats, Floats]:
    """Log odds of an order, and what each contact adds to them: (n,), (n, actions).

    Both for who is rested, of loyalty 0 and need 1, and used to no coupons.
    """
    occasion = find_occasion(preset, nature, period)
    line = nature.base + preset.season(period) + preset.occasion_own * occasion
    taste = nature.tastes[:, preset.shown(period)]
    told = {"plain": np.ones(len(nature)), "taste": taste, "price": nature.price,
            "occasion": occasion}  # fmt: skip
    parts = [values[:, None] * preset.effects(name) for name, values in told.items()]
    return line, np.sum(parts, axis=0)


def find_odds(preset: Preset, nature: Nature, mood: Mood, period: int, *, grid: bool = False
) -> Odds:  # fmt: skip
    """What may happen in a period, by action.

    Of each customer in her own mood, (n,); with `grid` of each in all of m moods, (n, m).
    """
    line, lift = find_lines(preset, nature, period)
    price, basket, sees = nature.price, nature.basket, nature.sees
    if grid:
        line, price, basket, lift, sees = (
            one[:, None] for one in (line, price, basket, lift, sees)
        )
    inside = line + preset.loyal * mood.loyalty + np.log(mood.need)
    waits = preset.waits * price * mood.habit
    coupon = preset.effects("given_away") > 0
    rested = np.exp(-preset.tiring * mood.fatigue)[..., None] * lift
    seen = inside[..., None] + rested - np.where(coupon, 0.0, waits[..., None])
    share = preset.margin - preset.effects("given_away")
    brings = basket[..., None] * share - preset.effects("gift")
    return Odds(expit(inside - waits), expit(seen), basket * preset.margin, brings, sees)


def move_mood(
    preset: Preset, mood: Mood, *, ordered: Floats | Flags | bool, coupon: Floats | Flags | bool,
    tired: Floats | float,
) -> Mood:  # fmt: skip
    """The mood of the next period. `coupon`: one was seen; `tired`: what was seen adds."""
    loyalty = np.where(ordered, mood.loyalty + preset.grows * (1 - mood.loyalty),
                       preset.keeps * mood.loyalty)  # fmt: skip
    need = np.where(ordered, preset.left, mood.need + preset.refills * (1 - mood.need))
    habit = preset.coupon_memory * mood.habit + (1 - preset.coupon_memory) * np.asarray(coupon)
    return replace(
        mood, loyalty=loyalty, need=need, fatigue=preset.rest * mood.fatigue + tired, habit=habit
    )


def find_leaving(preset: Preset, fatigue: Floats, *, seen: Floats | Flags | bool) -> Floats:
    """P(gone for good at the end of the period)."""
    return np.minimum(preset.leaves + preset.leaves_tired * fatigue * np.asarray(seen), 1.0)


def find_opting_out(preset: Preset, fatigue: Floats) -> Floats:
    """P(she asks for no more contacts | one was seen)."""
    return np.minimum(preset.opts_out + preset.opts_out_tired * fatigue, 1.0)

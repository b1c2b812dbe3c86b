"""Businesses whose media truth is known: what each channel brought in each week.

Weekly revenue is a base that nobody paid for, what channels caused, and noise:

    base      level * trend (with one bend) * year (three waves) * festivals * price ** elasticity
              * promotion * slow demand that nobody records (AR(1), weekly .9)
    channel   share-giving coefficient * hill(adstock(spend)); adstock geometric, Hill with shape
              .7 to 2 and half-saturation at .4 to 2.5 times the usual adstocked spend
    noise     AR(1) (.25) with Student's t(6) innovations, in proportion to the base

What makes it hard, as in life: spend follows the season of demand; some channels follow last
month's revenue; some never stop; budgets of the same year-end plan move together; some channels
run in bursts. Media bring 20 to 40 % of revenue, and a model that knew everything would explain
some nine tenths of the variance: the slow demand and the noise are what no model can know.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zhiyin.core.rng import Streams
from zhiyin.core.values import Estimate
from zhiyin.measure.mix.holidays import list_holidays, share_of_days

Floats = NDArray[np.float64]
Size = Literal["small", "medium", "large"]

SIZES: Final[dict[Size, tuple[int, int, float]]] = {
    "small": (3, 104, 60_000.0), "medium": (5, 156, 600_000.0), "large": (10, 208, 6_000_000.0),
}  # fmt: skip
"""Channels, weeks, base revenue a week."""

NAMES: Final = (
    "search", "social", "television", "video", "display", "affiliates", "radio", "outdoor",
    "influencers", "print",
)  # fmt: skip
FOLLOWS_SALES: Final = {"search", "affiliates", "display"}
BURSTS: Final = {"television", "radio", "outdoor", "influencers"}
WARM_UP: Final = 26  # weeks of spend before the first that is shown


@dataclass(frozen=True)
class Channel:
    """How a channel works, in truth: weekly carry-over, Hill's two numbers, what it brings."""

    name: str
    retention: float
    half_saturation: float  # in money of adstocked spend a week
    shape: float
    coefficient: float  # revenue a week at full saturation


@dataclass(frozen=True)
class Business:
    """A table as an analyst gets it, and the truth that she does not.

    `table`: `week` (its Monday), `revenue`, a column of spend for each channel, `price` (index
    around 1), `promotion` (share of the week). `contributions`: weeks by channels. `explained`:
    share of the variance of revenue that base and media explain, slow demand and noise apart.
    """

    size: Size
    seed: int
    table: pd.DataFrame
    channels: tuple[Channel, ...]
    contributions: pd.DataFrame
    explained: float
    before: Floats  # spend of the weeks before the first, weeks by channels
    calendar: str  # of the festivals that move its demand

    @property
    def names(self) -> list[str]:
        """The channels, in the order of the columns."""
        return [one.name for one in self.channels]

    def total(self, name: str) -> float:
        """What a channel brought in all weeks."""
        return float(self.contributions[name].sum())

    def experiment(
        self, name: str, first: int, last: int, *, error: float, seed: int = 0
    ) -> Estimate:
        """What an experiment would say that the spend of weeks `first` to `last` caused in them.

        Its standard error is `error` times the truth; the interval is of 95 %.
        """
        truth = self.caused(name, first, last)
        rng = Streams(self.seed).generator(f"experiment:{name}:{first}:{seed}")
        value, half = truth * (1 + error * rng.standard_normal()), 1.959964 * error * truth
        return Estimate(value, value - half, value + half, 10_000)

    def caused(self, name: str, first: int, last: int) -> float:
        """What a channel's spend of weeks `first` to `last` brought within these weeks."""
        place = self.names.index(name)
        spend = np.concatenate([self.before[:, place], self.table[name].to_numpy()])
        window = slice(WARM_UP + first, WARM_UP + last + 1)
        without = spend.copy()
        without[window] = 0
        gain = respond(self.channels[place], spend) - respond(self.channels[place], without)
        return float(gain[window].sum())


def carry(spend: Floats, retention: float) -> Floats:
    """Geometric adstock whose weights sum to 1 in the long run."""
    kept, level = np.empty_like(spend), 0.0
    for place, paid in enumerate(spend.tolist()):
        level = retention * level + (1 - retention) * paid
        kept[place] = level
    return kept


def respond(channel: Channel, spend: Floats) -> Floats:
    """Weekly revenue that a channel causes by its spend, week by week."""
    kept = carry(spend, channel.retention) ** channel.shape
    return channel.coefficient * kept / (kept + channel.half_saturation**channel.shape)


def make_business(size: Size, seed: int) -> Business:
    """The business of a size and seed, always the same."""
    rng = Streams(seed).generator(f"mix:{size}")
    count, weeks, level = SIZES[size]
    n = weeks + WARM_UP
    starts = [date(2021, 1, 4) + timedelta(days=7 * week) for week in range(-WARM_UP, weeks)]
    calendar = "cn" if rng.random() < 0.5 else "west"
    demand, price, promotion = _draw_demand(rng, starts, calendar)
    slow = np.exp(_wander(rng, n, 0.9, 0.015))
    base = level * demand * slow
    noise = level * 0.04 * _wander(rng, n, 0.25, 1.0, tails=6) * demand**0.5
    names = [*NAMES[:count]]
    budget = level * rng.uniform(0.08, 0.16) * rng.dirichlet(np.full(count, 3.0))
    media_share = rng.uniform(0.2, 0.4)
    worth = budget * rng.lognormal(0, 0.5, count)
    worth *= media_share / (1 - media_share) * base.mean() / worth.sum()
    plan = demand ** rng.uniform(0.2, 0.8) * np.exp(_wander(rng, n, 0.8, 0.08))
    spend = np.column_stack([_plan_spend(rng, name, plan) for name in names]) * budget
    channels, brought = [], np.zeros((n, count))
    revenue = base + noise
    for place, name in enumerate(names):
        if name in FOLLOWS_SALES:
            spend[:, place] *= _follow(revenue, rng.uniform(0.5, 1.2))
        channel = _draw_channel(rng, name, spend[:, place], worth[place])
        channels.append(channel)
        brought[:, place] = respond(channel, spend[:, place])
        revenue = revenue + brought[:, place]
    shown = slice(WARM_UP, None)
    table = pd.DataFrame({"week": pd.to_datetime(starts[WARM_UP:]), "revenue": revenue[shown]})
    table[names] = spend[shown]
    table["price"], table["promotion"] = price[shown], promotion[shown]
    unknown = noise + level * demand * (slow - 1)
    return Business(
        size, seed, table, tuple(channels), pd.DataFrame(brought[shown], columns=names),
        float(1 - unknown[shown].var() / revenue[shown].var()), spend[:WARM_UP], calendar,
    )  # fmt: skip


def _wander(
    rng: np.random.Generator, n: int, kept: float, step: float, *, tails: int = 0
) -> Floats:
    """An AR(1) of innovations of standard deviation `step`, from its long run on."""
    drawn = rng.standard_t(tails, n + 50) * np.sqrt(1 - 2 / tails) if tails else None
    drawn = rng.standard_normal(n + 50) if drawn is None else drawn
    made, at = np.empty(n + 50), 0.0
    for place, shock in enumerate(drawn.tolist()):
        at = kept * at + step * shock
        made[place] = at
    return made[50:]


def _draw_demand(
    rng: np.random.Generator, starts: list[date], calendar: str
) -> tuple[Floats, Floats, Floats]:
    """Expected demand around 1, the price index and the share of promotion, week by week."""
    n = len(starts)
    years = np.arange(n) / 52.18
    bend = rng.uniform(0.3, 0.7) * years[-1]
    trend = 1 + rng.normal(0.03, 0.05) * years + rng.normal(0, 0.05) * np.maximum(years - bend, 0)
    season = np.zeros(n)
    for wave, size in ((1, 0.10), (2, 0.05), (3, 0.02)):
        season += size * rng.normal() * np.sin(2 * np.pi * (wave * years + rng.uniform()))
    festive = np.ones(n)
    years_of = range(starts[0].year, starts[-1].year + 2)
    for name, stretches in list_holidays(calendar, years_of).items():
        effect = -rng.uniform(0.1, 0.3) if name == "spring_festival" else rng.gamma(2, 0.05)
        for stretch in stretches:  # no two years are alike
            festive += effect * rng.uniform(0.8, 1.2) * share_of_days(starts, 7, [stretch])
    price = np.exp(_wander(rng, n, 0.95, 0.012))
    promotion = np.where(rng.random(n) < 0.12, rng.choice([3, 5, 7], n) / 7, 0.0)
    price = price * (1 - 0.08 * promotion)
    demand = trend * np.exp(season) * festive * price ** -rng.uniform(0.5, 2)
    return demand * (1 + rng.uniform(0.05, 0.2) * promotion), price, promotion


def _plan_spend(rng: np.random.Generator, name: str, plan: Floats) -> Floats:
    """Spend week by week around 1, as its kind of channel is planned."""
    n = len(plan)
    quarters = np.exp(0.25 * rng.standard_normal(n // 13 + 1))  # budgets are set for 13 weeks
    spend = plan * np.repeat(quarters, 13)[:n] * np.exp(_wander(rng, n, 0.5, rng.uniform(0.2, 0.4)))
    if name in BURSTS:
        on, week = np.zeros(n), int(rng.integers(0, 6))
        while week < n:
            length = int(rng.integers(3, 9))
            on[week : week + length] = rng.uniform(0.6, 1.4)
            week += length + int(rng.integers(3, 12))
        spend = spend * on
    else:
        for start in rng.choice(n, rng.poisson(n / 52)):  # paused about once a year
            spend[start : start + int(rng.integers(2, 5))] *= rng.choice([0, 0.2])
        if rng.random() < 0.2:  # younger than the table
            spend[: WARM_UP + int(rng.integers(8, (n - WARM_UP) // 2))] = 0
    return spend / max(float(spend.mean()), 1e-9)


def _follow(revenue: Floats, strength: float) -> Floats:
    """Budget that follows the revenue of the four weeks before."""
    past = pd.Series(revenue).shift(1).rolling(4, min_periods=1).mean().bfill().to_numpy()
    return (past / past.mean()) ** strength


def _draw_channel(rng: np.random.Generator, name: str, spend: Floats, worth: float) -> Channel:
    """A channel that brings `worth` a week on average."""
    slow = name in BURSTS or name in {"video", "print"}
    retention = rng.beta(4, 3) if slow else rng.beta(1.5, 4)
    kept = carry(spend, retention)
    usual = float(kept[kept > 0.05 * kept.mean()].mean())
    made = Channel(
        name, float(retention), usual * rng.uniform(0.4, 2.5), float(rng.uniform(0.7, 2)), 1.0
    )
    return Channel(
        name, made.retention, made.half_saturation, made.shape,
        worth / float(respond(made, spend).mean()),
    )  # fmt: skip

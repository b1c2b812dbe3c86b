"""Hidden truth of a simulated shop: its customers and its assortment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.rng import Streams
from zhiyin.simulate.config import ShopConfig

NEVER = 10**9
"""A day that never comes."""


@dataclass(frozen=True, eq=False)
class People:
    """(n,) arrays over customers; days count from the shop's opening.

    `rate` orders a day while alive on [joined, gone); `tastes` (n, categories) rows sum to 1;
    `basket` mean further lines an order; `level` mean further units a line.
    """

    kind: NDArray[np.int64]
    rate: NDArray[np.float64]
    joined: NDArray[np.int64]
    gone: NDArray[np.int64]
    tastes: NDArray[np.float64]
    basket: NDArray[np.float64]
    level: NDArray[np.float64]
    opted_in: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of customers."""
        return len(self.rate)

    def alive(self, day: int) -> NDArray[np.bool_]:
        """(n,) who has joined and not dropped out on `day`."""
        return (self.joined <= day) & (day < self.gone)


@dataclass(frozen=True, eq=False)
class Assortment:
    """(m,) arrays over products: `category` ascending, `price_minor`; `first` (categories + 1)."""

    category: NDArray[np.int64]
    price_minor: NDArray[np.int64]
    first: NDArray[np.int64]

    def pick(self, category: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        """A product of each category; low numbers are popular (density falls as 1/sqrt)."""
        size = self.first[category + 1] - self.first[category]
        return self.first[category] + (size * uniform**2).astype(np.int64)


def draw_people(config: ShopConfig, streams: Streams) -> People:
    """The customers of a shop.

    Rates are gamma (so counts are negative binomial), lives exponential, tastes Dirichlet,
    quantities lognormal between customers: the shapes of Fader, Hardie and Lee (2005),
    *Marketing Science* 24:275, in discrete days.
    """
    rng, n = streams.generator("shop.people"), config.customers
    share = np.array([one.share for one in config.types])
    factor = np.array([one.rate_factor for one in config.types])
    kind = rng.choice(len(share), size=n, p=share / share.sum())
    mean = config.orders_per_day * factor[kind] / (share @ factor / share.sum())
    rate = rng.gamma(config.rate_shape, mean / config.rate_shape)
    founding = rng.random(n) < 0.6
    joined = np.where(founding, 0, rng.integers(0, config.joining_days, n))
    life = np.maximum(1, rng.exponential(config.life_days, n)).astype(np.int64)
    tastes = rng.dirichlet(np.full(config.categories, 0.6), size=n)
    spread = np.exp(rng.normal(0, config.spend_sigma, (2, n)))
    return People(
        kind, rate, joined, joined + life, tastes, 1.2 * spread[0], 0.4 * spread[1],
        rng.random(n) < config.consent_share,
    )  # fmt: skip


def draw_assortment(config: ShopConfig, streams: Streams) -> Assortment:
    """The products of a shop, at least one per category."""
    rng = streams.generator("shop.products")
    category = np.arange(config.products) * config.categories // config.products
    price = config.price_minor * np.exp(rng.normal(0, config.price_sigma, config.products))
    first = np.searchsorted(category, np.arange(config.categories + 1))
    return Assortment(category, np.maximum(1, np.rint(price)).astype(np.int64), first)

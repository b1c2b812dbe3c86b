"""The campaigns of a simulated shop and what a contact does to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.rng import Streams
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.people import Assortment, People


@dataclass(frozen=True, eq=False)
class Campaign:
    """One campaign: days [start, end) since opening, the category it is about, its products."""

    campaign_id: str
    number: int
    start: int
    end: int
    category: int
    products: NDArray[np.int64]

    def start_on(self, config: ShopConfig) -> date:
        """First local day."""
        return config.opened_on + timedelta(days=self.start)

    def end_on(self, config: ShopConfig) -> date:
        """Last local day."""
        return config.opened_on + timedelta(days=self.end - 1)


def plan_campaigns(
    config: ShopConfig, assortment: Assortment, streams: Streams
) -> tuple[Campaign, ...]:
    """All campaigns the shop will ever run, in order of their start."""
    planned = []
    for number in range(config.campaigns):
        rng = streams.generator(f"shop.campaign.{number}")
        category = int(rng.integers(config.categories))
        weight = np.where(assortment.category == category, 6.0, 1.0)
        size = min(config.offer_products, config.products)
        products = rng.choice(config.products, size, replace=False, p=weight / weight.sum())
        start = config.first_campaign_day + number * config.campaign_every_days
        planned.append(
            Campaign(
                f"k{number + 1:03d}", number, start, start + config.campaign_days, category,
                np.sort(products),
            )
        )  # fmt: skip
    return tuple(planned)


def find_extra_order(
    config: ShopConfig,
    people: People,
    campaign: Campaign,
    contacts: Mapping[str, NDArray[np.bool_]],
    calendar: tuple[Campaign, ...],
) -> NDArray[np.float64]:
    """(n,) true P(an extra order in the window | contacted), before dropping out.

    The type's own chance, x 0.5 to 1.5 by her taste for the campaign's category, x e^-fatigue
    for every contact in the `fatigue_days` before.
    """
    chance = np.array([one.extra_order for one in config.types])[people.kind]
    taste = people.tastes[:, campaign.category] * config.categories
    recent = np.zeros(people.n)
    for other in calendar:
        if campaign.start - config.fatigue_days <= other.start < campaign.start:
            recent += contacts.get(other.campaign_id, np.zeros(people.n))
    return chance * np.clip(taste, 0.5, 1.5) * np.exp(-config.fatigue * recent)

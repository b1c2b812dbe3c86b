"""What a rich shop has seen of its customers: the features that a policy may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.simulate.hidden import Flags, Floats, Ints, Nature, find_occasion
from zhiyin.simulate.presets import Preset

AHEAD = 3  # periods of season that are looked ahead


@dataclass(frozen=True, eq=False)
class Records:
    """Sums of what was seen, the old fading: (n,) each, or (n, channels), (n, categories)."""

    quiet: Floats  # periods since the last order
    orders: Floats
    amount: Floats
    coupons: Floats  # orders with one
    lately: Floats  # contacts
    offered: Floats  # coupons offered lately
    contacts: Floats
    seen: Floats
    bought: Floats

    @classmethod
    def blank(cls, preset: Preset, customers: int) -> Records:
        """Nothing yet; the last order is as long ago as is told apart."""
        none, channels = np.zeros(customers), np.zeros((customers, len(preset.habits)))
        bought = np.zeros((customers, len(preset.categories)))
        far = np.full(customers, 3.0 * preset.year)
        return cls(far, none, none, none, none, none, channels, channels, bought)

    def add(
        self, preset: Preset, actions: Ints, *, seen: Flags, ordered: Flags, amount: Floats,
        category: Ints,
    ) -> Records:  # fmt: skip
        """With what a period brought."""
        year, rows = 1 - 1 / preset.year, np.arange(len(actions))
        channel, coupon = find_channels(preset)[actions], preset.effects("given_away")[actions] > 0
        contacted = channel >= 0
        contacts, opened, bought = year * self.contacts, year * self.seen, self.bought.copy()
        contacts[rows[contacted], channel[contacted]] += 1
        opened[rows[seen], channel[seen]] += 1
        bought[rows[ordered], category[ordered]] += 1
        return Records(
            quiet=np.where(ordered, 0.0, np.minimum(self.quiet + 1, 3.0 * preset.year)),
            orders=year * self.orders + ordered,
            amount=year * self.amount + amount * ordered,
            coupons=year * self.coupons + (ordered & seen & coupon),
            lately=preset.rest * self.lately + contacted,
            offered=preset.coupon_memory * self.offered + (contacted & coupon),
            contacts=contacts, seen=opened, bought=bought,
        )  # fmt: skip


def find_channels(preset: Preset) -> Ints:
    """(actions,) the number of each action's channel, -1 of doing nothing."""
    names = [one.name for one in preset.habits]
    return np.array([names.index(one.channel) if one.channel else -1 for one in preset.contacts])


def tell_features(
    preset: Preset, records: Records, nature: Nature, period: int, *, reachable: Flags
) -> dict[str, Floats]:
    """Features by name, (n,) each; NaN where nothing is known: the basket of who never ordered.

    `seen_*` are shares of contacts, beginning at what is usual for the channel.
    """
    ahead = np.mean([preset.season(period + 1 + later) for later in range(AHEAD)])
    shown, everybody = preset.shown(period), np.ones(len(nature))
    some = records.orders > 0
    kinds, total = len(preset.categories), records.bought.sum(axis=1)
    told = {
        "periods_since_order": records.quiet,
        "orders_in_year": records.orders,
        "mean_basket": np.divide(records.amount, records.orders, where=some,
                                 out=np.full(len(some), np.nan)),
        "coupon_share": (records.coupons + 0.2) / (records.orders + 1),
        "contacts_lately": records.lately,
        "coupons_lately": records.offered,
        "reachable": reachable.astype(np.float64),
        "score": nature.score,
        "taste_for_shown": (records.bought[:, shown] * kinds + 1) / (total + 1),
        "season": preset.season(period) * everybody,
        "season_ahead": float(ahead) * everybody,
    }  # fmt: skip
    for place, habit in enumerate(preset.habits):
        opened = (records.seen[:, place] + 2 * habit.seen) / (records.contacts[:, place] + 2)
        told[f"seen_{habit.name}"] = opened
    if preset.occasions:
        told["occasion"] = find_occasion(preset, nature, period)
    return told

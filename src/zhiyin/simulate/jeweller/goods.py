"""What the jeweller sells: gold by weight at the price of the day, the rest at its own price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.rng import Streams
from zhiyin.simulate.hidden import Floats, Ints

GOLD_START, GOLD_DRIFT, GOLD_NOISE = (
    495.0,
    0.00028,
    0.007,
)  # yuan a gram in shops; of its log, a day
CATEGORIES = ("黄金", "婚嫁", "钻石", "翡翠", "珍珠", "银饰")  # in the order of the preset's
NAMES = (
    ("足金古法手镯", "足金转运珠", "足金福字吊坠", "足金项链", "足金生肖吊坠", "投资金条"),
    ("足金龙凤镯", "婚嫁三金套装", "足金对戒", "凤冠足金项链", "囍字足金吊坠"),
    ("18K金钻石戒指", "铂金求婚钻戒", "钻石项链", "钻石耳钉", "铂金对戒"),
    ("翡翠平安扣", "翡翠手镯", "翡翠观音吊坠", "翡翠耳坠"),
    ("淡水珍珠项链", "南洋白珠耳钉", "大溪地黑珍珠吊坠"),
    ("925银手链", "足银锁包", "925银耳饰", "足银儿童手镯"),
)
BY_WEIGHT = (True, True, False, False, False, False)
LEVELS = (1.0, 1.6, 1.5, 1.1, 0.45, 0.12)  # of the preset's median order
SIZES = 6  # of each name


@dataclass(frozen=True, eq=False)
class Goods:
    """(m,) arrays over products: `category`, `by_weight`, `grams`, `craft` yuan a gram for making
    it, `price` yuan of what is not sold by weight; `gold` (days,) yuan a gram."""

    names: list[str]
    category: Ints
    by_weight: NDArray[np.bool_]
    grams: Floats
    craft: Floats
    price: Floats
    gold: Floats

    def price_on(self, products: Ints, days: Ints) -> Floats:
        """What products cost on days, to the cent: grams x (gold price + craft fee), or theirs."""
        weighed = self.grams[products] * (self.gold[days] + self.craft[products])
        paid = np.where(self.by_weight[products], weighed, self.price[products])
        return np.asarray(np.round(paid, 2), np.float64)

    def pick(self, category: Ints, wanted: Floats, days: Ints, lots: Floats) -> Ints:
        """Of each category one of the three products whose price is nearest to what is wanted."""
        made = np.zeros(len(category), np.int64)
        for one in np.unique(category):
            mine, own = np.flatnonzero(category == one), np.flatnonzero(self.category == one)
            grid = np.broadcast_to(own, (len(mine), len(own)))
            prices = self.price_on(grid, np.broadcast_to(days[mine][:, None], grid.shape))
            away = np.abs(np.log(prices / np.maximum(wanted[mine], 1.0)[:, None]))
            near = np.argsort(away, axis=1, kind="stable")[:, :3]
            made[mine] = own[near[np.arange(len(mine)), (lots[mine] * 3).astype(np.int64)]]
        return made


def draw_goods(days: int, *, median: float, streams: Streams) -> Goods:
    """The assortment, and a price of gold for each day since opening."""
    rng = streams.generator("jeweller.goods")
    steps = GOLD_DRIFT + GOLD_NOISE * rng.normal(size=days)
    gold = np.round(GOLD_START * np.exp(np.cumsum(steps)), 0)
    rows: list[tuple[str, int, bool, float, float, float]] = []
    for category, names in enumerate(NAMES):
        for name in names:
            for size in range(SIZES):
                worth = median * LEVELS[category] * np.exp(0.9 * (size / (SIZES - 1) * 2 - 1))
                worth *= np.exp(0.15 * rng.normal())
                craft = float(np.round(rng.uniform(18, 80)))
                grams = round(float(worth / (GOLD_START * 1.25 + craft)), 2)
                price = float(np.round(worth, -1)) - 1 if worth > 500 else float(np.round(worth))
                label = f"{name} {grams:.2f}克" if BY_WEIGHT[category] else f"{name} {size + 1}号款"
                rows.append((label, category, BY_WEIGHT[category], grams, craft, price))
    labels, category, weighed, grams, craft, price = zip(*rows, strict=True)
    return Goods(
        list(labels), np.array(category), np.array(weighed), np.array(grams), np.array(craft),
        np.array(price), gold,
    )  # fmt: skip

"""Why a product is recommended: her own rhythm, products of hers that speak for it, or its fame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.understand.recommend.history import History
from zhiyin.understand.recommend.scorer import Scorer

REPEAT, BECAUSE, POPULAR, UNKNOWN = "repeat", "because", "popular", "unknown"
_WORDS = {
    REPEAT: ("taken {times} times before", "以前选过 {times} 次"),
    "every": (", about every {every_days} days, last {last_days} days ago",
              "，约每 {every_days} 天一次，上次在 {last_days} 天前"),
    BECAUSE: ("because of {products}", "因为您选过 {products}"),
    POPULAR: ("taken by {buyers} people", "有 {buyers} 人选过"),
    UNKNOWN: ("not in the catalogue", "目录中没有该商品"),
}  # fmt: skip


@dataclass(frozen=True)
class Reason:
    """Why an item is recommended.

    Attributes
    ----------
    kind
        `repeat` (she took it before), `because` (items of hers speak for it), `popular` (nothing
        of hers does), `unknown` (no such item).
    numbers
        `times`, `every_days` and `last_days`; `products`: `product_id` and `share` of all that
        speaks for it, largest first; `buyers`.
    """

    kind: str
    numbers: dict[str, Any]

    @property
    def words(self) -> str:
        """The reason in English."""
        return self._say(0, ", ", " ({:.0%})")

    @property
    def words_zh(self) -> str:
        """The reason in Chinese."""
        return self._say(1, "、", "({:.0%})")

    def _say(self, language: int, comma: str, share: str) -> str:
        values = dict(self.numbers)
        if self.kind == BECAUSE:
            values["products"] = comma.join(
                f"{one[c.PRODUCT_ID]}{share.format(one['share'])}" for one in values["products"]
            )
        text = _WORDS[self.kind][language].format(**values)
        if values.get("every_days"):
            text += _WORDS["every"][language].format(**values)
        return text


def give_reason(model: Scorer, code: int, item_id: str, *, most: int = 3) -> Reason:
    """Why `model` would recommend an item to the customer with this code."""
    history = model.history
    product = int(model.learned_.product_codes([item_id])[0])
    if product < 0:
        return Reason(UNKNOWN, {})
    pairs = history.pairs
    mine = np.flatnonzero((pairs.customer == code) & (pairs.product == product))
    if len(mine):
        found = _repeat(history, int(mine[0]))
        del found[c.KIND]
        if history.clock != "days":
            found |= {"last_days": None, "every_days": None}
        return Reason(REPEAT, found)
    owned = history.seen[[code]].indices
    said = _strongest(model.contributions(code, product), most)
    if said:
        products = [
            {c.PRODUCT_ID: str(history.products[owned[place]]), "share": round(share, 3)}
            for place, share in said
        ]
        return Reason(BECAUSE, {"products": products})
    return Reason(POPULAR, {"buyers": int(model.learned_.buyers[product])})


def _repeat(history: History, place: int) -> dict[str, Any]:
    pairs = history.pairs
    times = int(pairs.times[place])
    last, first = float(pairs.last_days[place]), float(pairs.first_days[place])
    every = round((first - last) / (times - 1)) if times > 1 else None
    return {c.KIND: REPEAT, "times": times, "last_days": round(last), "every_days": every}


def _strongest(parts: np.ndarray, most: int) -> list[tuple[int, float]]:
    """Place and share of the largest positive parts; ties to the smaller place."""
    order = np.argsort(-parts, kind="stable")[:most]
    total = float(parts[parts > 0].sum())
    return [(int(place), float(parts[place]) / total) for place in order if parts[place] > 0]

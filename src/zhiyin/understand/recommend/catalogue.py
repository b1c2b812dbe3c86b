"""Products as requests need them: what to show, what they cost, whether they can be bought."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.generation import pack_texts

STOCK = frozenset({"stock", "inventory", "inventory_quantity", "quantity_available", "库存"})
"""Properties of a product that count what is left of it."""
AVAILABLE = frozenset(
    {"in_stock", "available", "availability", "buyable", "active", "在售", "上架"}
)
"""Properties that say whether it can be bought."""
GONE = frozenset(
    {"false", "no", "0", "out of stock", "outofstock", "out_of_stock", "sold out", "soldout",
     "discontinued", "unavailable", "inactive", "缺货", "售罄", "下架", "否"}
)  # fmt: skip
MARGIN, COST = ("margin_rate", "margin"), ("cost", "unit_cost", "成本")
"""Properties with the margin as a share of the price, and with the cost in the currency."""
SHOWN = (c.PRODUCT_ID, c.NAME, c.CATEGORY, c.BRAND, c.URL)
UNKNOWN_PRICE = -1


def pack_catalogue(
    rows: Iterable[Mapping[str, Any]],
    ids: Sequence[str],
    *,
    exponent: int,
    currency: str,
    hidden: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Arrays `item.…` and `category.name` for the products `ids`, in their order.

    Names are as they stand within the quotes of a JSON text.

    Parameters
    ----------
    rows
        Of table `products`. Where there are any, a product that is not among them is no longer
        sold; where there are none, everything can be bought.
    exponent
        Digits of the currency behind the point.
    hidden
        Products that are shown to nobody, whatever a placement says.
    """
    known = {row[c.PRODUCT_ID]: row for row in rows}
    held = [known.get(one, {c.PRODUCT_ID: one}) for one in ids]
    extra = [_properties(row) for row in held]
    names = sorted({row[c.CATEGORY] for row in held if row.get(c.CATEGORY)})
    code = {name: place for place, name in enumerate(names)}
    prices = [UNKNOWN_PRICE if (p := row.get(c.PRICE_BASE_MINOR)) is None else p for row in held]
    return {
        **pack_texts("item.id", (one.encode() for one in ids)),
        **pack_texts("item.name", (_within(_name(row)) for row in held)),
        **pack_texts("item.json", (_shown(row, currency) for row in held)),
        **pack_texts("category.name", (_within(name) for name in names)),
        "item.category": np.array([code.get(row.get(c.CATEGORY), -1) for row in held], np.int32),
        "item.price": np.array(prices, np.int64),
        "item.margin": np.array(
            [_margin(one, price, exponent) for one, price in zip(extra, prices, strict=True)],
            np.float32,
        ),
        "item.hidden": np.array([one in hidden for one in ids], bool),
        "item.buyable": np.array(
            [
                (not known or row[c.PRODUCT_ID] in known) and _buyable(one)
                for row, one in zip(held, extra, strict=True)
            ],
            bool,
        ),
    }  # fmt: skip


def _within(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]


def _name(row: Mapping[str, Any]) -> str:
    return row.get(c.NAME) or row[c.PRODUCT_ID]


def _shown(row: Mapping[str, Any], currency: str) -> bytes:
    """The fields of a product as an answer has them, JSON without its braces."""
    shown = {name: row.get(name) for name in SHOWN}
    price = row.get(c.PRICE_BASE_MINOR)
    shown |= {c.PRICE_MINOR: price, c.CURRENCY: None if price is None else currency}
    return msgspec.json.encode(shown)[1:-1]


def _properties(row: Mapping[str, Any]) -> Mapping[str, Any]:
    text = row.get(c.PROPERTIES)
    found = json.loads(text) if text else {}
    return (
        {str(key).lower(): value for key, value in found.items()} if isinstance(found, dict) else {}
    )


def _buyable(extra: Mapping[str, Any]) -> bool:
    """Whether nothing says that it cannot be bought."""
    for name in STOCK & extra.keys():
        left = _number(extra[name])
        if left is not None and left <= 0:
            return False
    return not any(str(extra[name]).strip().lower() in GONE for name in AVAILABLE & extra.keys())


def _margin(extra: Mapping[str, Any], price: int, exponent: int) -> float:
    """The margin as a share of the price; NaN where it is not known."""
    for name in MARGIN:
        share = _number(extra.get(name))
        if share is not None and share <= 1:
            return share
    costs = (cost for name in COST if (cost := _number(extra.get(name))) is not None)
    cost = next(costs, None)
    return math.nan if cost is None or price <= 0 else 1 - cost * 10**exponent / price


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None

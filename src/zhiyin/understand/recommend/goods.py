# pyright: standard, reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""What the shop says of its products: stock, availability, margin. The one reader of them, for the
lists of a turn and for requests.

Shops name such fields in many ways; what a file of products has beside the columns of the table
stands in `properties`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.placements import RecommendSettings

STOCK = ("stock", "inventory", "inventory_quantity", "quantity_available", "库存")
"""Properties that count what is left of a product."""
AVAILABLE = ("in_stock", "available", "availability", "buyable", "active", "在售", "上架")
"""Properties that say whether it can be bought."""
GONE = frozenset(
    {"false", "no", "0", "out of stock", "outofstock", "out_of_stock", "sold out", "soldout",
     "discontinued", "unavailable", "inactive", "缺货", "售罄", "下架", "否"}
)  # fmt: skip
MARGIN, COST = ("margin_rate", "margin"), ("cost", "unit_cost", "成本")
"""Properties with the margin as a share of the price, and with the cost in the currency."""
COLUMNS = (
    c.PRODUCT_ID, c.DEPARTMENT, c.CATEGORY, c.SUBCATEGORY, c.PRICE_BASE_MINOR, c.PROPERTIES
)  # fmt: skip
"""What is read of table `products`."""


@dataclass(frozen=True, eq=False)
class Goods:
    """Products in the order of their rows.

    Attributes
    ----------
    ids
        Of the products.
    stock
        Pieces that are left, NaN where nothing is said.
    offered
        False where something says that it cannot be bought.
    margin
        As a share of the price, NaN where it is not known.
    hidden
        True where a rule of the shop keeps it out of every list: `sensitive`, `min_stock`.
    """

    ids: pa.Array
    stock: np.ndarray
    offered: np.ndarray
    margin: np.ndarray
    hidden: np.ndarray


def read_goods(products: pa.Table, settings: RecommendSettings, *, exponent: int) -> Goods:
    """What is said of products, rows of table `products` with at least `COLUMNS`.

    A property that the settings name is looked for first, then `STOCK` and `MARGIN`; the case of
    names does not count, and what is no number is as if it was not there.

    Parameters
    ----------
    exponent
        Digits of the currency behind the point: a cost is written in it, a price in minor units.
    """
    stocks = dict.fromkeys((settings.stock_property.lower(), *STOCK))
    margins = dict.fromkeys((settings.margin_property.lower(), *MARGIN))
    texts, code = _distinct(products[c.PROPERTIES])
    told = np.full((len(texts) + 1, 3), np.nan)  # the last row: nothing is said
    gone = np.zeros(len(texts) + 1, bool)
    for place in _speaking(texts, (*stocks, *AVAILABLE, *margins, *COST)):
        said = _properties(texts[place].as_py())
        told[place, 0] = _first(said, stocks)
        told[place, 1] = _first(said, margins, most=1.0)
        told[place, 2] = _first(said, COST)
        gone[place] = any(
            str(said[name]).strip().lower() in GONE for name in AVAILABLE & said.keys()
        )
    stock, margin, cost = told[code].T
    price = pc.fill_null(products[c.PRICE_BASE_MINOR], 0).to_numpy().astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_cost = np.where(price > 0, 1 - cost * 10**exponent / price, np.nan)
    return Goods(
        ids=products[c.PRODUCT_ID].combine_chunks(),
        stock=stock,
        offered=~gone[code] & ~(stock <= 0),
        margin=np.where(np.isnan(margin), of_cost, margin),
        hidden=_sensitive(products, settings.sensitive)
        | ((stock < settings.min_stock) if settings.min_stock else False),
    )


def _distinct(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The texts, each once, and the place of each row's among them; -1 where it has none."""
    coded = column.combine_chunks().dictionary_encode()
    code = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return coded.dictionary, code.astype(np.int64)


def _speaking(texts: pa.Array, names: Sequence[str]) -> list[int]:
    """Places of the texts that may have one of the properties: the others are not parsed."""
    wanted = "|".join(re.escape(name) for name in names)
    found = pc.match_substring_regex(texts, rf'(?i)"({wanted})"|\\u')  # a name may be escaped
    return pc.indices_nonzero(found).to_pylist()


def _properties(text: str) -> Mapping[str, Any]:
    found = msgspec.json.decode(text)
    if not isinstance(found, dict):
        return {}
    return {str(key).lower(): value for key, value in found.items()}


def _first(
    said: Mapping[str, Any], names: Sequence[str] | Mapping[str, None], *, most: float = math.inf
) -> float:
    """The first number among properties, of those up to `most`; NaN: none."""
    numbers = (_number(said.get(name)) for name in names)
    return next((one for one in numbers if one <= most), math.nan)


def _number(value: object) -> float:
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        found = float(str(value))
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def _sensitive(products: pa.Table, names: Sequence[str]) -> np.ndarray:
    found = np.zeros(products.num_rows, bool)
    for column in (c.DEPARTMENT, c.CATEGORY, c.SUBCATEGORY) if names else ():
        named = pc.is_in(products[column], pa.array(names, pa.string()))
        found |= named.to_numpy(zero_copy_only=False).astype(bool)
    return found

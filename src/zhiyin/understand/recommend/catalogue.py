# pyright: standard, reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Products as requests need them: what to show, what they cost, whether they can be bought."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.generation import Generation, pack_texts
from zhiyin.core.placements import RecommendSettings
from zhiyin.understand.recommend.goods import COLUMNS as READ
from zhiyin.understand.recommend.goods import read_goods

SHOWN = (c.PRODUCT_ID, c.NAME, c.CATEGORY, c.BRAND, c.URL)
COLUMNS = tuple(dict.fromkeys((*READ, *SHOWN)))
"""What is read of table `products`."""
UNKNOWN_PRICE = -1
_OF_TURN = ("category.", "item.category", "item.id.")
_ESCAPED = r'["\\\x00-\x1f]'  # what a JSON text does not hold as it is


def pack_catalogue(
    products: pa.Table,
    ids: pa.Array,
    *,
    exponent: int,
    currency: str,
    settings: RecommendSettings,
) -> dict[str, np.ndarray]:
    """Arrays `item.…` and `category.name` for the products `ids`, in their order.

    Names are as they stand within the quotes of a JSON text.

    Parameters
    ----------
    products
        Table `products`, at least `COLUMNS`. Where there are any, a product that is not among them
        is no longer sold; where there are none, everything can be bought.
    exponent
        Digits of the currency behind the point.
    settings
        Rules of the shop: what is shown to nobody, whatever a placement says.
    """
    row = pc.index_in(ids, products[c.PRODUCT_ID].combine_chunks())
    listed = row.is_valid().to_numpy(zero_copy_only=False)
    held = {name: products[name].combine_chunks().take(row) for name in COLUMNS}
    held[c.PRODUCT_ID] = ids
    goods = read_goods(pa.table(held), settings, exponent=exponent)
    within = {name: _within(held[name]) for name in SHOWN}
    said = _told(within[c.CATEGORY])
    names = pc.unique(said).drop_null()
    names = names.take(pc.array_sort_indices(names))
    price = held[c.PRICE_BASE_MINOR]
    return {
        **pack_texts("item.id", ids),
        **pack_texts("item.name", pc.coalesce(_told(within[c.NAME]), within[c.PRODUCT_ID])),
        **pack_texts("item.json", _shown(within, price, currency)),
        **pack_texts("category.name", names),
        "item.category": _numpy(pc.fill_null(pc.index_in(said, names), -1), np.int32),
        "item.price": _numpy(pc.fill_null(price, UNKNOWN_PRICE), np.int64),
        "item.margin": goods.margin.astype(np.float32),
        "item.hidden": goods.hidden,
        "item.buyable": goods.offered & (listed if products.num_rows else True),
    }


def _numpy(values: pa.Array, kind: type) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False).astype(kind)


def renew(
    held: Generation, products: pa.Table, *, settings: RecommendSettings, currency: str
) -> Generation:
    """A generation with products as they are now: names, prices, what can be bought, what is
    hidden. Its products and their categories stay those of the turn.
    """
    arrays = held.arrays
    ends, letters = arrays["item.id.ends"], arrays["item.id.bytes"]
    buffers = pa.py_buffer(np.ascontiguousarray(ends)), pa.py_buffer(np.ascontiguousarray(letters))
    ids = pa.LargeStringArray.from_buffers(len(ends) - 1, *buffers).cast(pa.string())
    made = pack_catalogue(
        products, ids, exponent=EXPONENTS[currency], currency=currency, settings=settings
    )
    fresh = {name: array for name, array in made.items() if not name.startswith(_OF_TURN)}
    return replace(held, arrays={**arrays, **fresh})


def _told(texts: pa.Array) -> pa.Array:
    """The texts, null where they are empty."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _within(texts: pa.Array) -> pa.Array:
    """Texts as JSON has them between its quotes."""
    found = pc.match_substring_regex(texts, _ESCAPED)
    if not pc.any(found).as_py():
        return texts
    made = [msgspec.json.encode(one)[1:-1].decode() for one in texts.filter(found).to_pylist()]
    return pc.replace_with_mask(texts, pc.fill_null(found, False), pa.array(made, pa.string()))


def _shown(within: dict[str, pa.Array], price: pa.Array, currency: str) -> pa.Array:
    """The fields of each product as an answer has them, JSON without its braces."""
    parts: list[pa.Array | str] = []
    for name in SHOWN:
        quoted = pc.binary_join_element_wise('"', within[name], '"', "")
        parts += [f'"{name}":', pc.fill_null(quoted, "null"), ","]
    unit = pc.if_else(price.is_valid(), msgspec.json.encode(currency).decode(), "null")
    parts += [f'"{c.PRICE_MINOR}":', pc.fill_null(price.cast(pa.string()), "null")]
    return pc.binary_join_element_wise(*parts, f',"{c.CURRENCY}":', unit, "")

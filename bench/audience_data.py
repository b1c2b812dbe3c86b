"""A synthetic shop for the audience bench: people, events and order lines as Parquet, seeded."""

from __future__ import annotations

import base64
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zhiyin.core import columns as c

AS_OF = date(2024, 6, 1)
ZONE = "Asia/Shanghai"
NAMES = ("Product Viewed", "Product Added", "Order Completed", "Products Searched", "Page Viewed")
NAME_SHARES = (0.45, 0.10, 0.05, 0.15, 0.25)
CATEGORIES = tuple(f"category {n}" for n in range(40))
CITIES = tuple(f"city {n}" for n in range(30))
TAGS = ("new", "regular", "dormant", "coupon_lover", "at_risk")
PRODUCTS = 5_000
DAYS = 365
_END_US = int(datetime(2024, 5, 31, 16).timestamp() * 1_000_000)


def write_shop(folder: Path, *, people: int, events: int, lines: int, seed: int) -> None:
    """Write `customers`, `features`, `tags`, `products`, `events` and `order_lines`."""
    rng = np.random.default_rng(seed)
    ids = pa.array(_ids(rng, people))
    pq.write_table(_customers(rng, ids), folder / "customers.parquet")
    pq.write_table(_features(rng, ids), folder / "features.parquet")
    pq.write_table(_tags(rng, ids), folder / "tags.parquet")
    pq.write_table(_products(rng), folder / "products.parquet")
    pq.write_table(_events(rng, ids, events), folder / "events.parquet")
    pq.write_table(_lines(rng, ids, lines), folder / "order_lines.parquet")


def _ids(rng: np.random.Generator, n: int) -> list[str]:
    """Pseudonyms of the length and alphabet of the real ones."""
    raw = rng.bytes(16 * n)
    return [
        "p_" + base64.b32encode(raw[16 * k : 16 * k + 16]).decode().lower()[:26] for k in range(n)
    ]


def _pick(rng: np.random.Generator, words: tuple[str, ...], n: int, p=None) -> pa.Array:
    places = rng.choice(len(words), n, p=p).astype(np.int32)
    return pa.array(words).take(pa.array(places))


def _customers(rng: np.random.Generator, ids: pa.Array) -> pa.Table:
    n = len(ids)
    born = pa.array((rng.integers(-7000, 14000, n)).astype(np.int32)).cast(pa.date32())
    return pa.table({
        c.CUSTOMER_ID: ids, c.PARTY_ID: ids, c.VALID_AT: _constant_time(n),
        c.CITY: _pick(rng, CITIES, n), c.LANGUAGE: _pick(rng, ("zh", "en"), n),
        c.TIME_ZONE: pa.nulls(n, pa.string()), c.BIRTHDAY: born.cast(pa.string()),
    })  # fmt: skip


def _features(rng: np.random.Generator, ids: pa.Array) -> pa.Table:
    n = len(ids)
    return pa.table({
        c.AS_OF_ON: pa.array([AS_OF], pa.date32()).take(pa.array(np.zeros(n, np.int32))),
        c.CUSTOMER_ID: ids, "orders_count": rng.poisson(2, n),
        "recency_days": rng.integers(0, 365, n),
        "revenue_minor": rng.integers(0, 100_000, n),
    })  # fmt: skip


def _tags(rng: np.random.Generator, ids: pa.Array) -> pa.Table:
    n = len(ids) // 2
    return pa.table({
        c.AS_OF_ON: pa.array([AS_OF], pa.date32()).take(pa.array(np.zeros(n, np.int32))),
        c.CUSTOMER_ID: ids.slice(0, n), c.TAG: _pick(rng, TAGS, n),
    })  # fmt: skip


def _products(rng: np.random.Generator) -> pa.Table:
    return pa.table({
        c.PRODUCT_ID: [f"shop:{n}" for n in range(PRODUCTS)],
        c.VALID_AT: _constant_time(PRODUCTS),
        c.CATEGORY: _pick(rng, CATEGORIES, PRODUCTS), c.BRAND: _pick(rng, ("a", "b"), PRODUCTS),
    })  # fmt: skip


def _constant_time(n: int) -> pa.Array:
    start = pa.array([datetime(2020, 1, 1)], pa.timestamp("us"))
    return start.take(pa.array(np.zeros(n, np.int32)))


def _who_and_when(rng: np.random.Generator, ids: pa.Array, n: int) -> tuple[pa.Array, pa.Array]:
    """Some do much, most do little; rows in the order of time, as a lake by month has them."""
    who = (len(ids) * rng.random(n) ** 2).astype(np.int32)
    at = np.sort(_END_US - (rng.random(n) * DAYS * 86_400e6).astype(np.int64))
    return ids.take(pa.array(who)), pc.cast(pa.array(at), pa.timestamp("us"))


def _product_ids(rng: np.random.Generator, n: int) -> pa.Array:
    known = pa.array([f"shop:{k}" for k in range(PRODUCTS)])
    return known.take(pa.array((PRODUCTS * rng.random(n) ** 2).astype(np.int32)))


def _events(rng: np.random.Generator, ids: pa.Array, n: int) -> pa.Table:
    who, at = _who_and_when(rng, ids, n)
    return pa.table({
        c.CUSTOMER_ID: who, c.OCCURRED_AT: at, c.KIND: _pick(rng, ("track",), n),
        c.NAME: _pick(rng, NAMES, n, NAME_SHARES), c.PRODUCT_ID: _product_ids(rng, n),
    })  # fmt: skip


def _lines(rng: np.random.Generator, ids: pa.Array, n: int) -> pa.Table:
    who, at = _who_and_when(rng, ids, n)
    orders = pc.binary_join_element_wise("o", pa.array(np.arange(n) // 2).cast(pa.string()), "")
    return pa.table({
        c.CUSTOMER_ID: who, c.ORDER_ID: orders, c.SOLD_AT: at, c.VALID_AT: at,
        c.PRODUCT_ID: _product_ids(rng, n), c.KIND: _pick(rng, ("item", "return"), n, (0.95, 0.05)),
        c.QUANTITY: np.ones(n), c.AMOUNT_BASE_MINOR: rng.integers(100, 20_000, n),
    })  # fmt: skip

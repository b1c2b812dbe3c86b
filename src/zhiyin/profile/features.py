"""Features of every customer as of a day, as one Ibis expression."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import ibis

from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES, Feature
from zhiyin.profile.purchases import (
    baskets,
    department_sizes,
    pairs,
    summarise_assortment,
    summarise_orders,
    summarise_stores,
)
from zhiyin.profile.response import summarise_response
from zhiyin.profile.visible import Day, rows_before

TABLES = ("order_lines", "products", "touches", "customers")
DECIMALS = 9  # floats are rounded so that the order of a parallel sum cannot show (law 6)

# Without a purchase or a campaign these are 0; all other features are then missing.
COUNTS = frozenset(
    {"orders_count", "active_days", "revenue_minor", "returns_count", "coupon_minor"}
    | {"coupon_90d_minor", "coupon_orders_count", "coupon_orders_90d", "products_count"}
    | {"departments_count", "categories_count", "stores_count", "campaigns_count"}
    | {"campaigns_responded", "redemptions_count", "redemptions_90d", "redemption_days"}
    | {f.name for f in FEATURES if f.name.startswith(("orders_", "revenue_")) and f.window_days}
)


def build(
    tables: Mapping[str, ibis.Table],
    *,
    as_of: date,
    zone: str,
    people: ibis.Table | None = None,
) -> ibis.Table:
    """Compute every feature of the catalogue for every customer known before a day.

    Parameters
    ----------
    tables
        `order_lines`, `products`, `touches` and `customers`, with `customer_id` where they have
        `party_id`, revisions resolved (what `store.read` gives). Rows on or after the day are
        ignored.
    as_of
        Local day; 00:00 of it in `zone` is the boundary.
    zone
        The shop's IANA zone.
    people
        `customer_id` of those to compute, one row each, known before the day; None: everyone. It
        changes who gets a row, never a value.

    Returns
    -------
    One row per customer with an order line, a touch or a row in `customers`: `as_of_on`,
    `customer_id` and the columns of `core.features.FEATURES` in that order. A day is 24 hours
    back from the boundary in `*_days`, a local day in the windows.

    Notes
    -----
    Sums are over integer minor units and exact; floats are rounded to `DECIMALS`.
    """
    day = Day(as_of, zone)
    seen = {name: rows_before(tables, name, day) for name in TABLES}
    lines = seen["order_lines"]
    sizes = None
    if people is not None:
        sizes = department_sizes(lines, seen["products"])
        lines = lines.semi_join(people, c.CUSTOMER_ID)
    orders = baskets(lines)
    parts = (
        summarise_orders(orders, day=day),
        summarise_stores(orders),
        *summarise_assortment(pairs(lines), seen["products"], sizes),
        summarise_response(seen["touches"], day=day),
    )
    made = join_all(_everyone(seen) if people is None else people, parts)
    keys = {c.AS_OF_ON: ibis.literal(as_of), c.CUSTOMER_ID: made[c.CUSTOMER_ID]}
    return select_features(made, keys, FEATURES, counts=COUNTS)


def join_all(people: ibis.Table, parts: Iterable[ibis.Table]) -> ibis.Table:
    """One chain of left joins on `customer_id`; each part has one row per customer."""
    made = people
    for i, part in enumerate(parts):
        keyed = part.rename({f"key_{i}": c.CUSTOMER_ID})
        made = made.left_join(keyed, [(c.CUSTOMER_ID, f"key_{i}")])
    return made


def _everyone(seen: Mapping[str, ibis.Table]) -> ibis.Table:
    ids = [seen[name].select(c.CUSTOMER_ID) for name in ("order_lines", "touches", "customers")]
    everyone = ibis.union(*ids, distinct=True)
    return everyone.filter(everyone[c.CUSTOMER_ID].notnull())


def select_features(
    made: ibis.Table,
    keys: Mapping[str, ibis.Value],
    features: Iterable[Feature],
    *,
    counts: frozenset[str],
) -> ibis.Table:
    """Keys and the catalogue's columns with their types; names in `counts` are 0 where missing."""
    columns: dict[str, ibis.Value] = {}
    for feature in features:
        value = made[feature.name]
        if feature.type == "float64":
            value = value.cast("float64").round(DECIMALS)
        value = value.cast(feature.type)
        columns[feature.name] = value.fill_null(0) if feature.name in counts else value
    return made.select(**keys, **columns)

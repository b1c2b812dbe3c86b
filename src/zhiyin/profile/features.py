"""Features of every customer as of a day, as one Ibis expression."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr import operations as ops

from zhiyin.core import columns as c
from zhiyin.core.arguments import show
from zhiyin.core.clock import start_of_day
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.features import FEATURES, MOMENTS, Feature
from zhiyin.profile import browsing
from zhiyin.profile.assortment import summarise_assortment
from zhiyin.profile.facts import Facts, Keep, as_it_is, gather
from zhiyin.profile.purchases import (
    baskets,
    last_purchases,
    summarise_orders,
    summarise_stores,
)
from zhiyin.profile.response import summarise_response
from zhiyin.profile.visible import Days, read_tables

TABLES = ("order_lines", "products", "touches", "customers")
MANY_LINES = 5_000_000
DECIMALS = 9  # floats are rounded so that the order of a parallel sum cannot show (law 6)

# Without a purchase or a campaign these are 0; all other features are then missing.
COUNTS = frozenset(
    {"orders_count", "active_days", "revenue_minor", "returns_count", "coupon_minor"}
    | {"coupon_90d_minor", "coupon_orders_count", "coupon_orders_90d", "products_count"}
    | {"departments_count", "categories_count", "stores_count", "campaigns_count"}
    | {"campaigns_responded", "redemptions_count", "redemptions_90d", "redemption_days"}
    | {f.name for f in FEATURES if f.name.startswith(("orders_", "revenue_")) and f.window_days}
    | {"visits_count", "visits_7d", "visits_30d", "visits_90d", "visit_days_30d", "searches_30d"}
    | {"searches_90d", "views_7d", "views_30d", "views_90d", "viewed_products_90d"}
    | {"cart_adds_30d", "cart_adds_90d", "cart_waiting_products", "wished_products"}
    | {"reviews_count"}
)


def build(
    tables: Mapping[str, ibis.Table | pd.DataFrame | pa.Table],
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
        `party_id`, revisions resolved (what `store.read` gives); also `events` and `item_events`
        where a site or an app is tracked, else what is made from them is null. Rows on or after
        the day are ignored. They may be of Ibis, pandas or Arrow.
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

    Raises
    ------
    InvalidParameter
        If a table or a column is missing, a time is no naive UTC timestamp, the day is no date, or
        there is no such zone.

    Notes
    -----
    Sums are over integer minor units and exact; floats are rounded to `DECIMALS`.
    """
    start_of_day(as_of, zone)  # refuses what is no day or no zone
    tracked = [name for name in browsing.TABLES if isinstance(tables, Mapping) and name in tables]
    if people is not None and (
        not isinstance(people, ibis.Table) or c.CUSTOMER_ID not in people.columns
    ):
        raise InvalidParameter(
            f"people is {show(people)}", hint="an Ibis table with customer_id; None: everyone"
        )
    days = Days((as_of,), zone)
    facts = gather(read_tables(tables, (*TABLES, *tracked)), days)
    if people is None:
        return build_days(facts)
    numbers = facts.customers.select(c.CUSTOMER_ID, "who")
    wanted = people.select(c.CUSTOMER_ID, k=ibis.literal(0, "int8"))
    return build_days(facts, people=wanted.left_join(numbers, c.CUSTOMER_ID))


def build_days(
    facts: Facts,
    *,
    people: ibis.Table | None = None,
    moments: bool = False,
    keep: Keep = as_it_is,
) -> ibis.Table:
    """Compute the features of customers as of several days at once; see `build`.

    Parameters
    ----------
    facts
        What `gather` gives.
    people
        Who gets a row on which day: `customer_id`, `who`, and `k`, the day's place in `facts.days`.
        None: `everyone` on every day, which spares the search for their rows.
    moments
        Also give the columns of `core.features.MOMENTS`, after the features.
    keep
        Computes each part by itself: what `keep_parts` gives.
    """
    rows = everyone(facts) if people is None else people
    orders = baskets(facts, people)
    parts = [
        summarise_orders(orders, facts),
        summarise_stores(orders, facts),
        *summarise_assortment(facts, people),
        *summarise_response(facts),
    ]
    if facts.browsing is not None:
        bought = last_purchases(orders, facts)
        parts += browsing.summarise_browsing(
            facts.browsing, rows, bought, days=facts.days, starts=facts.starts
        )
    parts = [keep(part) for part in parts]
    if facts.days.single:
        rows = rows.select(c.CUSTOMER_ID, "who", **{c.AS_OF_ON: ibis.literal(facts.days.as_of[0])})
    else:
        rows = rows.inner_join(facts.starts.select("k", c.AS_OF_ON), "k")
    made = join_all(rows, parts, on=facts.days.keys)
    keys = {name: made[name] for name in (c.AS_OF_ON, c.CUSTOMER_ID)}
    known = {name: made[name] for name in made.columns}
    more = {m.name: known.get(m.name, ibis.null(m.type)).cast(m.type) for m in MOMENTS}
    return select_features(made, keys, FEATURES, counts=COUNTS, more=more if moments else {})


def keep_parts(keep: Keep, *, lines: int) -> Keep:
    """How parts of the features over so many order lines are computed: at once while they are few.

    Of many, the groups of one part need the memory that those of the others would take from it.
    """
    return keep if lines >= MANY_LINES else as_it_is


def everyone(facts: Facts, places: Collection[int] | None = None) -> ibis.Table:
    """All customers that a day sees, for the days at `places` (None: all).

    Returns
    -------
    `k`, `customer_id`, `who`.
    """
    if facts.days.single and places is None:
        return facts.customers.select(c.CUSTOMER_ID, "who", k=ibis.literal(0, "int8"))
    days = facts.starts.select("k")
    if places is not None:
        days = days.filter(days.k.isin(sorted(places)))
    seen = facts.customers.inner_join(days, facts.customers.since <= days.k)
    return seen.select("k", c.CUSTOMER_ID, "who")


def join_all(people: ibis.Table, parts: Iterable[ibis.Table], *, on: tuple[str, ...]) -> ibis.Table:
    """One chain of left joins on the keys `on`; each part has one row per key.

    Made of the operations that `Table.left_join` makes, which looks up every column of the chain
    again for each part: a twelfth of the time of a day's features.
    """
    first = ops.JoinReference(people.op(), 0)
    values = {name: ops.Field(first, name) for name in people.columns}
    links = []
    for i, part in enumerate(parts):
        other = ops.JoinReference(part.op(), i + 1)
        alike = [ops.Equals(ops.Field(first, key), ops.Field(other, key)) for key in on]
        links.append(ops.JoinLink("left", other, alike))
        for name in part.columns:
            if name not in on:
                values[f"{name}_{i}" if name in values else name] = ops.Field(other, name)
    return ops.JoinChain(first, links, values).to_expr()


def select_features(
    made: ibis.Table,
    keys: Mapping[str, ibis.Value],
    features: Iterable[Feature],
    *,
    counts: frozenset[str],
    more: Mapping[str, ibis.Value] | None = None,
) -> ibis.Table:
    """Keys and the catalogue's columns with their types; names in `counts` are 0 where missing.

    What is not in `made` was not observed and is null for everyone.
    """
    columns: dict[str, ibis.Value] = {}
    known = frozenset(made.columns)
    for feature in features:
        if feature.name not in known:
            columns[feature.name] = ibis.null(feature.type)
            continue
        value = made[feature.name]
        if feature.type == "float64":
            value = value.cast("float64").round(DECIMALS)
        value = value.cast(feature.type)
        columns[feature.name] = value.fill_null(0) if feature.name in counts else value
    return made.select(**keys, **columns, **(more or {}))

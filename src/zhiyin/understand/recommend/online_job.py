# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs; pyarrow makes `compute` when it is imported)
"""The job `understand.online`: the lists of the day become a generation of the online store.

Reads `recommendations` and `together` of the day, `order_lines` and `merges` as of it, and
`products` as they are now. Writes no table: what `GET /v1/recommend` looks up is made complete and
swapped in (`store.online`).
"""

from __future__ import annotations

import json
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from threadpoolctl import threadpool_limits

from zhiyin.core import columns as c
from zhiyin.core.config import UnderstandSettings
from zhiyin.core.context import Context
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.generation import PEOPLE, starts_of
from zhiyin.core.values import JobReport
from zhiyin.govern.live import read_kinship
from zhiyin.govern.packed import JOINS, NAMESPACES, pack_kinship
from zhiyin.understand.recommend.catalogue import COLUMNS, pack_catalogue
from zhiyin.understand.recommend.neighbours import nearest
from zhiyin.understand.recommend.shelf import (
    BOUGHT,
    CANDIDATES,
    KINDS,
    NEAR,
    TOGETHER,
)

JOB = "understand.online"
NEIGHBOURS, SHRINKAGE = 50, 10.0
POPULAR_DAYS = 90
_BECAUSE = r'"product_id": "(?P<said>(?:[^"\\]|\\.)*)"'
_NONE = -1


def run(ctx: Context, config: UnderstandSettings) -> JobReport:
    """Publish what is known on `ctx.as_of`; a generation of a later day is kept.

    Figures: `generation`, `customers`, `products`, `candidates`, `status` (`ok`, `kept_newer` or
    `no_store`).
    """
    if ctx.online is None:
        return JobReport(JOB, figures={"status": "no_store"})
    held = ctx.online.generation()
    if held is not None and held.about[c.AS_OF_ON] > ctx.as_of.isoformat():
        note = f"The online store keeps what is known on {held.about[c.AS_OF_ON]}, a later day."
        return JobReport(JOB, figures={"status": "kept_newer"}, notes=(note,))
    pairs = _purchases(ctx)
    lists, together = _lists(ctx), _together(ctx)
    # products as they are now: it is now that they are shown
    products = ctx.store.read("products").select(*COLUMNS).to_pyarrow()
    ids = _distinct(
        pairs[c.PRODUCT_ID],
        lists[c.PRODUCT_ID],
        products[c.PRODUCT_ID],
        together[c.PRODUCT_ID],
        together[c.OTHER_ID],
    )
    customers = _distinct(pairs[c.CUSTOMER_ID], lists[c.CUSTOMER_ID])
    arrays = pack_catalogue(
        products, ids, exponent=EXPONENTS[ctx.settings.currency],
        currency=ctx.settings.currency, settings=ctx.settings.recommend,
    )  # fmt: skip
    arrays |= _pack_lists(lists, ids, customers)
    arrays |= _pack_bought(pairs, ids, customers)
    arrays |= pack_kinship(read_kinship(ctx.store, as_of=ctx.as_of), customers.to_pylist())
    arrays |= _pack_popular(arrays, ctx.as_of)
    arrays |= _pack_together(together, ids)
    with threadpool_limits(1):
        arrays |= _pack_neighbours(arrays, config.recommend_min_buyers)
    about = {
        c.AS_OF_ON: ctx.as_of.isoformat(), c.TURN_ID: ctx.turn_id,
        NAMESPACES: _namespaces(ctx), PEOPLE: [CANDIDATES, BOUGHT, JOINS],
    }  # fmt: skip
    number = ctx.online.publish(arrays, about)
    sizes = {"customers": len(customers), "products": len(ids), "candidates": lists.num_rows}
    return JobReport(JOB, figures={"status": "ok", "generation": number, **sizes})


def _namespaces(ctx: Context) -> list[str]:
    """Id spaces that a request may name a customer in."""
    spaces = ctx.store.read("identities").select(c.NAMESPACE).distinct().to_pyarrow()
    return sorted(spaces[c.NAMESPACE].to_pylist())


def _purchases(ctx: Context) -> pa.Table:
    """When each customer bought each product last, and which day that was."""
    lines = ctx.store.read("order_lines", as_of=ctx.as_of)
    items = lines.filter((lines[c.KIND] == "item") & lines[c.CUSTOMER_ID].notnull())
    items = items.filter(items[c.PRODUCT_ID].notnull())
    last = items.group_by([c.CUSTOMER_ID, c.PRODUCT_ID]).aggregate(
        **{c.SOLD_AT: items[c.SOLD_AT].max()}
    )
    found = last.to_pyarrow()
    for place, name in enumerate((c.CUSTOMER_ID, c.PRODUCT_ID)):
        found = found.set_column(place, name, found[name].dictionary_encode().unify_dictionaries())
    return found


def _lists(ctx: Context) -> pa.Table:
    """The lists of the day with their reasons as numbers; those of a check day are left out."""
    rows = ctx.store.read("recommendations")
    rows = rows.filter(
        (rows[c.AS_OF_ON] == ibis.literal(ctx.as_of)) & ~rows[c.MODEL].startswith("check.")
    )
    columns = (c.CUSTOMER_ID, c.RANK, c.PRODUCT_ID, c.SCORE, c.REASON)
    return _with_reasons(rows.select(*columns).order_by([c.CUSTOMER_ID, c.RANK]).to_pyarrow())


def _together(ctx: Context) -> pa.Table:
    """What goes with each product."""
    rows = ctx.store.read("together")
    rows = rows.filter(rows[c.AS_OF_ON] == ibis.literal(ctx.as_of))
    return rows.select(c.PRODUCT_ID, c.OTHER_ID, c.CONFIDENCE).to_pyarrow()


def _with_reasons(rows: pa.Table) -> pa.Table:
    """The texts of reasons, which `reasons.explain_ranking` writes, as numbers."""
    reason = rows[c.REASON]

    def number(name: str) -> pa.ChunkedArray:
        found = pc.struct_field(pc.extract_regex(reason, f'"{name}": (?P<n>\\d+)'), "n")
        return pc.fill_null(found.cast(pa.int32()), _NONE)

    kind = pc.struct_field(pc.extract_regex(reason, r'"kind": "(?P<n>\w+)"'), "n")
    code = pc.fill_null(pc.index_in(kind, pa.array(KINDS)), 0).cast(pa.uint8())
    said = pc.struct_field(pc.extract_regex(reason, _BECAUSE), "said")
    if pc.any(pc.match_substring(said, "\\")).as_py():
        texts = [one and json.loads(f'"{one}"') for one in said.to_pylist()]
        said = pa.chunked_array([pa.array(texts, pa.string())])
    return pa.table({
        c.CUSTOMER_ID: rows[c.CUSTOMER_ID], c.PRODUCT_ID: rows[c.PRODUCT_ID],
        c.SCORE: rows[c.SCORE].cast(pa.float32()), c.KIND: code, "said": said,
        "count": pc.max_element_wise(number("times"), number("buyers")),
        "every_days": number("every_days"), "last_days": number("last_days"),
    })  # fmt: skip


def _distinct(*columns: pa.ChunkedArray) -> pa.Array:
    """The values of all columns, each once, sorted as Python does."""
    values = pc.unique(pa.concat_arrays([_values(column) for column in columns])).drop_null()
    return values.take(pc.array_sort_indices(values))


def _values(column: pa.ChunkedArray) -> pa.Array:
    if not pa.types.is_dictionary(column.type):
        return pc.unique(column).cast(pa.string())
    return column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.string())


def _codes(values: pa.ChunkedArray, ids: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(values.type):  # each text is looked up once
        code = _codes(_values(values), ids)
        places = [one.indices.to_numpy() for one in values.chunks]
        return code[np.concatenate([np.zeros(0, np.int64), *places])]
    found = pc.fill_null(pc.index_in(values, ids), _NONE)
    return np.asarray(found).astype(np.int32)


def _pack_lists(lists: pa.Table, ids: pa.Array, customers: pa.Array) -> dict[str, np.ndarray]:
    def plain(name: str) -> np.ndarray:
        return lists[name].combine_chunks().to_numpy(zero_copy_only=False)

    return {
        f"{CANDIDATES}.starts": starts_of(_codes(lists[c.CUSTOMER_ID], customers), len(customers)),
        f"{CANDIDATES}.item": _codes(lists[c.PRODUCT_ID], ids),
        f"{CANDIDATES}.score": plain(c.SCORE), f"{CANDIDATES}.kind": plain(c.KIND),
        f"{CANDIDATES}.said": _codes(lists["said"], ids), f"{CANDIDATES}.count": plain("count"),
        f"{CANDIDATES}.every_days": plain("every_days").astype(np.int16),
        f"{CANDIDATES}.last_days": plain("last_days").astype(np.int16),
    }  # fmt: skip


def _pack_bought(pairs: pa.Table, ids: pa.Array, customers: pa.Array) -> dict[str, np.ndarray]:
    who, what = _codes(pairs[c.CUSTOMER_ID], customers), _codes(pairs[c.PRODUCT_ID], ids)
    order = np.argsort(who.astype(np.int64) * len(ids) + what)
    seconds = pairs[c.SOLD_AT].cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    return {
        f"{BOUGHT}.starts": starts_of(who, len(customers)), f"{BOUGHT}.item": what[order],
        f"{BOUGHT}.at": np.asarray(seconds)[order],
    }  # fmt: skip


def _pack_popular(arrays: dict[str, np.ndarray], day: date) -> dict[str, np.ndarray]:
    """Buyers of each product, and all products by buyers lately, overall and by category."""
    item, at = arrays[f"{BOUGHT}.item"], arrays[f"{BOUGHT}.at"]
    category, size = arrays["item.category"], len(arrays["item.category"])
    buyers = np.bincount(item, minlength=size).astype(np.int32)
    end = int(np.datetime64(day, "s").astype(np.int64))
    lately = np.bincount(item[at >= end - POPULAR_DAYS * 86_400], minlength=size)
    order = np.lexsort((np.arange(size), -buyers, -lately))
    order = order.astype(np.int32)  # sold out or not: it may be there again before the next turn
    by_category = order[np.argsort(category[order], kind="stable")]
    by_category = by_category[category[by_category] >= 0]
    names = len(arrays["category.name.ends"]) - 1
    return {
        "item.buyers": buyers, "popular.item": order, "shelf.item": by_category,
        "shelf.starts": starts_of(category[by_category], names),
    }  # fmt: skip


def _pack_together(rows: pa.Table, ids: pa.Array) -> dict[str, np.ndarray]:
    """For each product what goes with it, the surest first."""
    source, target = _codes(rows[c.PRODUCT_ID], ids), _codes(rows[c.OTHER_ID], ids)
    score = np.asarray(rows[c.CONFIDENCE]).astype(np.float32)
    order = np.lexsort((target, -score, source))
    return {
        f"{TOGETHER}.starts": starts_of(source, len(ids)), f"{TOGETHER}.item": target[order],
        f"{TOGETHER}.score": score[order],
    }  # fmt: skip


def _pack_neighbours(arrays: dict[str, np.ndarray], min_buyers: int) -> dict[str, np.ndarray]:
    """For each product the ones with the most buyers in common (see `ItemItem`), best first."""
    buyers, item = arrays["item.buyers"], arrays[f"{BOUGHT}.item"]
    size, people = len(buyers), len(arrays[f"{BOUGHT}.starts"]) - 1
    taken = np.flatnonzero(buyers >= min_buyers)
    place = np.full(size, _NONE, np.int64)
    place[taken] = np.arange(len(taken))
    who = np.repeat(np.arange(people), np.diff(arrays[f"{BOUGHT}.starts"]))
    kept = place[item] >= 0
    values = np.ones(int(kept.sum()), np.float32)
    rows = sparse.csr_array(
        (values, (place[item[kept]], who[kept])), shape=(len(taken), people + 1)
    )
    near = nearest(rows, None, NEIGHBOURS, SHRINKAGE).tocoo()
    order = np.lexsort((near.col, -near.data, near.row))
    source, target = taken[near.row[order]], taken[near.col[order]]
    return {
        f"{NEAR}.starts": starts_of(source, size), f"{NEAR}.item": target.astype(np.int32),
        f"{NEAR}.score": near.data[order].astype(np.float32),
    }  # fmt: skip

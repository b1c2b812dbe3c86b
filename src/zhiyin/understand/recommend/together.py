# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOptionalMemberAccess=false
# (scipy types the shape of a sparse array as maybe None)
"""Bought together: which items share orders more often than chance would have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.stats import hypergeom

from zhiyin.core import columns as c
from zhiyin.core.arguments import check_number, check_whole
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import encode, indicator
from zhiyin.understand.recommend.interactions import (
    Interactions,
    id_texts,
    require_columns,
    to_arrow,
)

_Z = 1.959963984540054
_BLOCK_CELLS = 3_000_000  # pairs of items that are counted at once


@dataclass(frozen=True, eq=False)
class _Counts:
    """Pairs of items (first < second) that share orders often enough, of `tested` in all."""

    first: np.ndarray
    second: np.ndarray
    together: np.ndarray
    tested: int


def bought_together(
    lines: Interactions,
    *,
    min_orders: int = 20,
    min_together: int = 5,
    max_q: float = 0.05,
    k: int = 10,
) -> pa.Table:
    """The `k` items that go best with each item, by the orders that hold both.

    Parameters
    ----------
    lines
        Arrow, pandas or Ibis table: `order_id`, `product_id`; other columns are ignored, repeats
        within an order count once, rows without one of both are left out.
    min_orders
        Orders an item must be in to be looked at, >= 1.
    min_together
        Orders that must hold both, >= 1.
    max_q
        Largest share of false finds among all that are told, in (0, 1].
    k
        Most items told of each item, >= 1.

    Returns
    -------
    One row per direction, by `product_id` and `rank` (1 = the largest `lift_low`, ties to the
    smaller id): `other_id`; `orders_together`; `support`, the share of all orders that hold both;
    `confidence`, the share of orders with the product that hold the other; `lift`, that over the
    other's share of all orders; `lift_low`, the lower end of its 95 % interval; `p_value` and
    `q_value`. Only pairs with a lift above 1.

    Raises
    ------
    InvalidParameter
        If a number is out of its range or a column is missing.

    Notes
    -----
    With N orders, n_a and n_b that hold each and n_ab both: lift = N n_ab / (n_a n_b); p is
    Fisher's exact one-sided P(X >= n_ab), X hypergeometric(N, n_a, n_b); q is p after Benjamini &
    Hochberg (1995) over *all* pairs of the items looked at, those that never meet included, so
    that leaving out rare pairs makes nothing more significant. log lift has the variance
    1/n_ab - 1/n_a - 1/n_b + (2 lift - 1)/N (delta method). Orders count as independent: where a
    few customers order the same again and again, give the customer as `order_id`, and people are
    counted.

    Examples
    --------
    >>> orders = {"order_id": [*"aabbccddee"], "product_id": ["tea", "cup"] * 4 + ["ink", "pen"]}
    >>> bought_together(pa.table(orders), min_orders=1, min_together=2)["other_id"].to_pylist()
    ['tea', 'cup']
    """
    _check(min_orders, min_together, max_q, k)
    bought, items, total = _read(lines, min_orders)
    counts = _count(bought, min_together)
    orders = np.asarray(bought.sum(axis=0)).ravel().astype(np.int64)
    n_ab, n_a, n_b = counts.together, orders[counts.first], orders[counts.second]
    lift = total * n_ab / np.maximum(n_a * n_b, 1)
    p = np.clip(hypergeom.sf(n_ab - 1, total, n_a, n_b), 0.0, 1.0)
    q = adjust(p, tested=counts.tested)
    variance = 1 / n_ab - 1 / n_a - 1 / n_b + (2 * lift - 1) / max(total, 1)
    low = lift * np.exp(-_Z * np.sqrt(np.maximum(variance, 0)))
    kept = np.flatnonzero((lift > 1) & (q <= max_q))
    one = np.r_[counts.first[kept], counts.second[kept]]
    other = np.r_[counts.second[kept], counts.first[kept]]
    both = np.r_[kept, kept]
    order = np.lexsort((other, -low[both], one))
    one, other, both = one[order], other[order], both[order]
    rank = np.arange(len(one)) - np.searchsorted(one, one) + 1
    best = rank <= k
    one, other, both, rank = one[best], other[best], both[best], rank[best]
    return pa.table(
        {
            c.PRODUCT_ID: pa.array(items[one], pa.string()),
            c.RANK: pa.array(rank, pa.int64()),
            c.OTHER_ID: pa.array(items[other], pa.string()),
            c.ORDERS_TOGETHER: pa.array(n_ab[both], pa.int64()),
            c.SUPPORT: pa.array(n_ab[both] / max(total, 1), pa.float64()),
            c.CONFIDENCE: pa.array(n_ab[both] / orders[one], pa.float64()),
            c.LIFT: pa.array(lift[both]),
            c.LIFT_LOW: pa.array(low[both]),
            c.P_VALUE: pa.array(p[both]),
            c.Q_VALUE: pa.array(q[both]),
        }
    )


def adjust(p: np.ndarray, *, tested: int) -> np.ndarray:
    """Q-values of Benjamini and Hochberg where `tested` - len(p) further p-values are 1."""
    order = np.argsort(p, kind="stable")
    raw = p[order] * max(tested, len(p)) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _check(min_orders: int, min_together: int, max_q: float, k: int) -> None:
    for name, value in (("min_orders", min_orders), ("min_together", min_together), ("k", k)):
        check_whole(name, value, least=1)
    if not 0 < check_number("max_q", max_q) <= 1:
        raise InvalidParameter(f"max_q is {max_q}, it must be above 0 and at most 1")


def _read(lines: Interactions, min_orders: int) -> tuple[sparse.csr_array, np.ndarray, int]:
    """(orders, items) 0/1 of the items in enough orders, their ids, and the number of orders."""
    wanted = [c.ORDER_ID, c.PRODUCT_ID]
    require_columns(lines, wanted, what="lines", hint="a row is an order_id and a product_id")
    table = to_arrow(lines, wanted)
    if any(table[name].null_count for name in wanted):
        table = table.filter(pc.and_(*(pc.is_valid(table[name]) for name in wanted)))
    orders, order = encode(id_texts(table, c.ORDER_ID))
    items, item = encode(id_texts(table, c.PRODUCT_ID))
    bought = indicator(order, item, (len(orders), len(items)))
    often = np.flatnonzero(np.asarray(bought.sum(axis=0)).ravel() >= min_orders)
    return bought[:, often], items[often], len(orders)


def _count(bought: sparse.csr_array, least: int) -> _Counts:
    items = bought.shape[1]
    parts = list(_count_blocks(bought, least))
    first, second, together = (
        np.concatenate([np.zeros(0, dtype=np.int64), *(part[at] for part in parts)])
        for at in range(3)
    )
    return _Counts(first, second, together, items * (items - 1) // 2)


def _count_blocks(
    bought: sparse.csr_array, least: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    items = bought.shape[1]
    by_item = bought.T.tocsr()
    step = max(1, _BLOCK_CELLS // max(items, 1))
    for start in range(0, items, step):
        met = sparse.coo_array(by_item[start : start + step] @ bought)
        row, column = met.coords
        row = row + start
        kept = (column > row) & (met.data >= least)
        yield (
            row[kept].astype(np.int64),
            column[kept].astype(np.int64),
            np.round(met.data[kept]).astype(np.int64),
        )

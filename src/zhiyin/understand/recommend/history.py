# pyright: standard, reportAttributeAccessIssue=false, reportOptionalSubscript=false
# pyright: reportOperatorIssue=false
# (pyarrow makes the functions of `compute` when it is imported; scipy types shapes as maybe None;
# Ibis types a column of a table as one that can do nothing)
"""Who bought what, and when, as small coded arrays: the one input of every recommender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.interactions import (
    Interactions,
    column_names,
    require_columns,
    to_arrow,
)

_DAY_US = 86_400_000_000


@dataclass(frozen=True, eq=False)
class History:
    """Purchases before a moment, coded.

    A *purchase* is one product bought by one customer at one moment: repeated rows count once.
    Customers and products are sorted by id, so codes and every tie-break follow the ids.

    Attributes
    ----------
    until
        The moment (naive UTC) before which the purchases happened.
    customers
        (U,) ids of everyone with a purchase, of an eligible product or not.
    products
        (I,) ids of the eligible products: those with at least `min_buyers` buyers.
    visit_customer, visit_age_days
        (v,) int32 and float32, the distinct purchase moments of each customer, over all products.
    customer, product
        (n,) int32 codes of each purchase of an eligible product, sorted by customer, product, age.
    age_days
        (n,) float32, days from the purchase to `until`.
    amount, rating
        (n,) float32, how much each purchase counts, and how the customer rated it; None where
        that is not known.
    clock
        What ages are: `days`; `steps` (purchases that came after, where only their order is
        known); `none` (not even the order).
    """

    until: datetime
    customers: np.ndarray
    products: np.ndarray
    visit_customer: np.ndarray
    visit_age_days: np.ndarray
    customer: np.ndarray
    product: np.ndarray
    age_days: np.ndarray
    amount: np.ndarray | None = None
    rating: np.ndarray | None = None
    clock: str = "days"

    @property
    def shape(self) -> tuple[int, int]:
        """(customers, eligible products)."""
        return len(self.customers), len(self.products)

    @cached_property
    def visits(self) -> np.ndarray:
        """(U,) int64, distinct purchase moments of each customer, over all products."""
        return np.bincount(self.visit_customer, minlength=self.shape[0])

    @cached_property
    def pairs(self) -> Pairs:
        """One entry per customer and product bought, sorted by both."""
        return _pairs(self)

    @cached_property
    def buyers(self) -> np.ndarray:
        """(I,) int64, distinct buyers of each product."""
        return np.bincount(self.pairs.product, minlength=self.shape[1])

    def matrix(self, values: np.ndarray) -> sparse.csr_array:
        """(U + 1, I) float32 sparse matrix of one value per pair; the last row is empty.

        The last row stands for every customer without a history, so `codes` can name her too.
        """
        rows, columns = self.shape
        counts = np.bincount(self.pairs.customer, minlength=rows + 1)
        pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        data = np.ascontiguousarray(values, dtype=np.float32)
        return sparse.csr_array((data, self.pairs.product, pointers), shape=(rows + 1, columns))

    @cached_property
    def seen(self) -> sparse.csr_array:
        """(U + 1, I) ones where the customer has bought the product."""
        return self.matrix(np.ones(len(self.pairs.customer), dtype=np.float32))

    @cached_property
    def memo(self) -> dict[tuple[str, float, float, int], tuple[np.ndarray, np.ndarray]]:
        """What models derived from this history and may need again, by a key of theirs."""
        return {}

    @cached_property
    def steps(self) -> np.ndarray:
        """(m,) int64 of each pair: 0 for a customer's latest, 1 before it …; ties are equal."""
        pairs = self.pairs
        if self.clock == "none" or not len(pairs.customer):
            return np.zeros(len(pairs.customer), dtype=np.int64)
        order = np.lexsort((pairs.last_days, pairs.customer))
        who, age = pairs.customer[order], pairs.last_days[order]
        first = np.r_[True, who[1:] != who[:-1]]
        rank = np.cumsum(first | np.r_[True, age[1:] != age[:-1]])
        steps = np.empty(len(order), dtype=np.int64)
        steps[order] = rank - np.maximum.accumulate(np.where(first, rank, 0))
        return steps

    @property
    def amounts(self) -> np.ndarray:
        """(m,) how much the purchases of each pair count: the sum of their weights."""
        if self.amount is None or not len(self.pairs.start):
            return self.pairs.times.astype(np.float64)
        return np.add.reduceat(self.amount.astype(np.float64), self.pairs.start)

    @property
    def ratings(self) -> np.ndarray:
        """(m,) latest rating of each pair; 0 where there is none."""
        if self.rating is None or not len(self.pairs.start):
            return np.zeros(len(self.pairs.customer))
        return np.nan_to_num(self.rating[self.pairs.start].astype(np.float64))

    def faded(self, power: float) -> np.ndarray:
        """(m,) weight of each pair: (1 + steps) ** -power."""
        return (1.0 + self.steps) ** -power

    def codes(self, customer_ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """Row of each customer in `matrix`; U (the empty row) for those who are not known."""
        return lookup(self.customers, np.asarray(customer_ids, dtype=object), len(self.customers))

    def product_codes(self, product_ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """Column of each product; -1 for those that are not eligible."""
        return lookup(self.products, np.asarray(product_ids, dtype=object), -1)


@dataclass(frozen=True, eq=False)
class Pairs:
    """What a customer's purchases of one product come to; (m,) arrays of equal length."""

    customer: np.ndarray
    product: np.ndarray
    times: np.ndarray  # purchases
    last_days: np.ndarray  # age of the latest
    first_days: np.ndarray  # age of the earliest
    start: np.ndarray  # where the pair's purchases begin in the history

    def decayed(self, age_days: np.ndarray, *, scale_days: float) -> np.ndarray:
        """(m,) sum over purchases of exp(-age / scale)."""
        if not len(self.start):
            return np.zeros(0)
        weights = np.exp(-age_days.astype(np.float64) / scale_days)
        return np.add.reduceat(weights, self.start)


def read_history(interactions: Interactions, *, until: datetime, min_buyers: int = 20) -> History:
    """Code the purchases made before `until`.

    Parameters
    ----------
    interactions
        Arrow, pandas or Ibis table with `customer_id`, `product_id`, `sold_at` (naive UTC) and
        optionally `quantity`. Rows without customer or product, and rows with a negative
        quantity (returns), are left out. Exact repeats count once.
    until
        Purchases at or after this moment are ignored (aware, or naive UTC).
    min_buyers
        A product needs this many distinct buyers to be eligible, >= 1.

    Raises
    ------
    InvalidParameter
        If `min_buyers` is below 1 or a column is missing.
    """
    if min_buyers < 1:
        raise InvalidParameter(f"min_buyers is {min_buyers}, it must be at least 1")
    moment = naive_utc(until)
    rows = _purchases(interactions, before=moment)
    customers, customer = encode(rows[c.CUSTOMER_ID])
    products, product = encode(rows[c.PRODUCT_ID])
    sold = rows[c.SOLD_AT].to_numpy().astype("datetime64[us]").astype(np.int64)
    order = np.lexsort((-sold, product, customer))
    customer, product, sold = customer[order], product[order], sold[order]
    first = _first_of_equal(customer, product, sold)
    customer, product, sold = customer[first], product[first], sold[first]
    age = ((np.datetime64(moment, "us").astype(np.int64) - sold) / _DAY_US).astype(np.float32)
    came = count_visits(customer, sold)
    everything = History(
        moment, customers, products, customer[came], age[came], customer, product, age
    )
    return keep_products(everything, everything.buyers >= min_buyers)


def _first_of_equal(*columns: np.ndarray) -> np.ndarray:
    """(n,) mask of sorted rows that leaves out repeats of the row before."""
    if not len(columns[0]):
        return np.zeros(0, dtype=bool)
    return np.r_[True, np.any([each[1:] != each[:-1] for each in columns], axis=0)]


def keep_products(history: History, keep: np.ndarray) -> History:
    """The same history with only the products where the (I,) mask `keep` is true."""
    code = np.cumsum(keep, dtype=np.int32) - 1
    kept = keep[history.product] if len(history.product) else np.zeros(0, dtype=bool)
    return replace(
        history,
        products=history.products[keep],
        customer=history.customer[kept],
        product=code[history.product[kept]].astype(np.int32),
        age_days=history.age_days[kept],
        **{name: values[kept] for name, values in _of_rows(history).items()},
    )


def keep_rows(history: History, keep: np.ndarray) -> History:
    """The same history with only the purchases where the (n,) mask `keep` is true."""
    return replace(
        history,
        customer=history.customer[keep],
        product=history.product[keep],
        age_days=history.age_days[keep],
        **{name: values[keep] for name, values in _of_rows(history).items()},
    )


def _of_rows(history: History) -> dict[str, np.ndarray]:
    named = {"amount": history.amount, "rating": history.rating}
    return {name: values for name, values in named.items() if values is not None}


def split_history(
    history: History, *, days: float, min_buyers: int
) -> tuple[History, sparse.csr_array]:
    """The history as it was `days` earlier, and which of its purchases came after.

    Returns
    -------
    past
        Purchases older than `days`, of products that had `min_buyers` buyers by then. Customers
        keep their codes, so some may have nothing.
    later
        (U + 1, I) 0/1 matrix of the past's products bought in the last `days`.
    """
    old = history.age_days > days
    cut = history.until - timedelta(days=days)
    before = replace(
        history,
        until=cut,
        visit_customer=history.visit_customer[history.visit_age_days > days],
        visit_age_days=history.visit_age_days[history.visit_age_days > days] - np.float32(days),
        customer=history.customer[old],
        product=history.product[old],
        age_days=history.age_days[old] - np.float32(days),
        **{name: values[old] for name, values in _of_rows(history).items()},
    )
    keep = before.buyers >= min_buyers
    past = keep_products(before, keep)
    code = np.cumsum(keep) - 1
    kept = ~old & keep[history.product] if len(old) else old
    rows, columns = history.customer[kept], code[history.product[kept]]
    shape = (history.shape[0] + 1, past.shape[1])
    return past, indicator(rows, columns, shape)


def truth_matrix(
    interactions: Interactions, history: History, *, before: datetime | None = None
) -> sparse.csr_array:
    """(U + 1, I) 0/1 matrix of what known customers bought from `history.until` on.

    Parameters
    ----------
    interactions
        As in `read_history`; rows before `history.until` are ignored.
    before
        End of the window, exclusive; None: all later rows.

    Notes
    -----
    Distinct products among the eligible ones; customers and products the history does not know
    are left out.
    """
    rows = _purchases(interactions, before=before and naive_utc(before), since=history.until)
    customers, customer = encode(rows[c.CUSTOMER_ID])
    products, product = encode(rows[c.PRODUCT_ID])
    row = history.codes(customers)[customer] if len(customer) else np.zeros(0, dtype=np.int64)
    column = history.product_codes(products)[product] if len(product) else row
    known = (row < len(history.customers)) & (column >= 0)
    return indicator(row[known], column[known], (history.shape[0] + 1, history.shape[1]))


def indicator(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    """1 at each distinct (row, column)."""
    unique = distinct(rows.astype(np.int64) * max(shape[1], 1) + columns)
    place = (unique // max(shape[1], 1), unique % max(shape[1], 1))
    return sparse.csr_array((np.ones(len(unique), dtype=np.float32), place), shape=shape)


def distinct(keys: np.ndarray) -> np.ndarray:
    """Sorted distinct whole numbers; `np.unique` of many takes fifty times as long."""
    ordered = np.sort(keys)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered


def _pairs(history: History) -> Pairs:
    customer, product = history.customer, history.product
    if not len(customer):
        none = np.zeros(0, dtype=np.int32)
        return Pairs(none, none, none, none.astype(np.float32), none.astype(np.float32), none)
    new = np.r_[True, (customer[1:] != customer[:-1]) | (product[1:] != product[:-1])]
    start = np.flatnonzero(new)
    end = np.r_[start[1:], len(customer)]
    return Pairs(
        customer=customer[start],
        product=product[start],
        times=(end - start).astype(np.int32),
        last_days=history.age_days[start],  # sorted youngest first
        first_days=history.age_days[end - 1],
        start=start,
    )


def _purchases(
    interactions: Interactions, *, before: datetime | None, since: datetime | None = None
) -> pa.Table:
    """(customer, product, moment) rows of the window; repeats are still there."""
    table = _to_arrow(interactions, before=before, since=since)
    keys = [c.CUSTOMER_ID, c.PRODUCT_ID, c.SOLD_AT]
    mask = pc.and_(pc.is_valid(table[c.CUSTOMER_ID]), pc.is_valid(table[c.PRODUCT_ID]))
    mask = pc.and_(mask, pc.is_valid(table[c.SOLD_AT]))
    if before is not None:
        mask = pc.and_(mask, pc.less(table[c.SOLD_AT], pa.scalar(before, pa.timestamp("us"))))
    if since is not None:
        edge = pa.scalar(since, pa.timestamp("us"))
        mask = pc.and_(mask, pc.greater_equal(table[c.SOLD_AT], edge))
    if c.QUANTITY in table.column_names:
        mask = pc.and_(mask, pc.fill_null(pc.greater_equal(table[c.QUANTITY], 0), True))
    return table.filter(mask).select(keys)


def _to_arrow(
    interactions: Interactions, *, before: datetime | None, since: datetime | None
) -> pa.Table:
    wanted = [c.CUSTOMER_ID, c.PRODUCT_ID, c.SOLD_AT]
    hint = "a row is a customer_id, a product_id and when it was sold (sold_at)"
    require_columns(interactions, wanted, what="interactions", hint=hint)
    wanted += [c.QUANTITY] if c.QUANTITY in column_names(interactions) else []
    if isinstance(interactions, ir.Table):  # the engine cuts the window
        if before is not None:
            interactions = interactions.filter(interactions[c.SOLD_AT] < before)
        if since is not None:
            interactions = interactions.filter(interactions[c.SOLD_AT] >= since)
    table = to_arrow(interactions, wanted)
    types = {c.CUSTOMER_ID: pa.string(), c.PRODUCT_ID: pa.string(), c.SOLD_AT: pa.timestamp("us")}
    fields = [pa.field(name, types.get(name, pa.float64())) for name in wanted]
    return table.cast(pa.schema(fields))


def encode(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct values, and the (n,) int32 place of each row's value among them."""
    coded = column.dictionary_encode().combine_chunks()  # codes are copied, not what they name
    values = np.asarray(coded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
    order = pc.sort_indices(coded.dictionary).to_numpy()
    place = np.empty(len(values), dtype=np.int32)
    place[order] = np.arange(len(values), dtype=np.int32)
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return values[order], place[codes] if len(codes) else np.zeros(0, dtype=np.int32)


def lookup(sorted_ids: np.ndarray, wanted: np.ndarray, missing: int) -> np.ndarray:
    if not len(sorted_ids) or not len(wanted):
        return np.full(len(wanted), missing, dtype=np.int64)
    place = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return np.where(sorted_ids[place] == wanted, place, missing)


def count_visits(customer: np.ndarray, sold: np.ndarray) -> np.ndarray:
    """Indices of one purchase for each distinct customer and moment."""
    if not len(customer):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((sold, customer))
    who, when = customer[order], sold[order]
    return order[np.r_[True, (who[1:] != who[:-1]) | (when[1:] != when[:-1])]]

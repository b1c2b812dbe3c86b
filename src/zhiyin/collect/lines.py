# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Order lines: what each line is, what it is worth, what it takes back, and the orders they make.

Revenue is defined here, once. `amount` is what was paid for the line, net of discounts and
negative for returns; tax is in it only if `revenue.include_tax`, shipping and fee lines count only
if `revenue.include_shipping` (else their money stands in `shipping` and their `amount` is 0).
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect.mapping import Mapping
from zhiyin.collect.values import Checked, as_text
from zhiyin.core import columns as c
from zhiyin.core.config import RevenueSettings
from zhiyin.core.tables import ORDERS

AMOUNTS = ("gross", "discount", "coupon", "tax", "shipping", "amount")
MINOR = (
    c.GROSS_MINOR, c.DISCOUNT_MINOR, c.COUPON_MINOR, c.TAX_MINOR, c.SHIPPING_MINOR, c.AMOUNT_MINOR,
)  # fmt: skip
BASE = (
    c.GROSS_BASE_MINOR, c.DISCOUNT_BASE_MINOR, c.COUPON_BASE_MINOR, c.TAX_BASE_MINOR,
    c.SHIPPING_BASE_MINOR, c.AMOUNT_BASE_MINOR,
)  # fmt: skip
PAID = "paid_base"  # what the file says was paid; for the reconciliation only
KIND_NAMES = ("item", "return", "shipping", "fee", "discount", "sample", "adjustment")
_KIND = {name: number for number, name in enumerate(KIND_NAMES)}


def settle_amounts(
    checked: Checked, *, mapping: Mapping, revenue: RevenueSettings, kinds: np.ndarray | None
) -> None:
    """Fill gross, discount, coupon, tax, shipping and amount of lines or orders, in place.

    paid = amount, or gross - discount - coupon where the file has no amount;
    amount = paid, less tax (shipping) that the file's amount includes and the settings leave out,
    plus tax (shipping) that it leaves out and the settings include. `kinds` (n,) are the codes
    of `classify_lines`; None for orders.
    """
    for names in (MINOR, BASE):
        gross, discount, coupon, tax, shipping, paid = (_values(checked, name) for name in names)
        off = (0 if discount is None else discount) + (0 if coupon is None else coupon)
        if paid is None:
            paid = -off if gross is None else gross - off
        if gross is None:
            gross = paid + off
        amount = paid
        for kind, part, counts in (
            ("tax", tax, revenue.include_tax),
            ("shipping", shipping, revenue.include_shipping),
        ):
            included = kind in mapping.amount_includes
            if part is not None and included != counts:
                amount = amount + (part if counts else -part)
        if kinds is not None:
            extra = np.isin(kinds, (_KIND["shipping"], _KIND["fee"]))
            if extra.any():
                shipping = np.where(extra, paid, 0 if shipping is None else shipping)
                if not revenue.include_shipping:
                    amount, gross = np.where(extra, 0, amount), np.where(extra, 0, gross)
        if names is BASE:
            checked.columns[PAID] = pa.array(paid, pa.int64())
        zero = np.zeros(checked.count, np.int64)
        parts = (gross, discount, coupon, tax, shipping, amount)
        for name, part in zip(names, parts, strict=True):
            checked.columns[name] = pa.array(zero if part is None else part, pa.int64())


def _values(checked: Checked, name: str) -> np.ndarray | None:
    column = checked.columns.get(name)
    if column is None:
        return None
    return pc.fill_null(column, 0).to_numpy(zero_copy_only=False)


def classify_lines(checked: Checked, *, mapping: Mapping, party_known: np.ndarray) -> np.ndarray:
    """The kind of each line as a code into `KIND_NAMES`; (n,) int64.

    The mapping's rules come first. Otherwise: a cancellation or a negative quantity is a return
    (an adjustment of stock where neither money nor a customer is in it); quantity 0 without
    money that takes a coupon is a discount, any other quantity 0 a sample.
    """
    quantity = checked.array(c.QUANTITY)
    money = np.zeros(checked.count, bool)
    for name in (c.GROSS_MINOR, c.AMOUNT_MINOR):
        values = _values(checked, name)
        money |= False if values is None else values != 0
    coupon = _values(checked, c.COUPON_MINOR)
    off = np.zeros(checked.count, bool) if coupon is None else coupon != 0
    kinds = np.zeros(checked.count, np.int64)
    kinds[(quantity < 0) | _cancelled(checked.columns[c.ORDER_ID], mapping)] = _KIND["return"]
    kinds[(quantity < 0) & ~money & ~party_known] = _KIND["adjustment"]
    kinds[quantity == 0] = _KIND["sample"]
    paid = _values(checked, c.AMOUNT_MINOR)
    empty = ~money if paid is None else paid == 0
    kinds[(quantity == 0) & off & empty] = _KIND["discount"]
    undecided = np.ones(checked.count, bool)
    for rule in mapping.kinds:
        hit = _matches(checked, rule.column, rule.pattern, mapping) & undecided
        kinds[hit] = _KIND[rule.kind]
        undecided &= ~hit
    return kinds


def _cancelled(order_ids: pa.Array, mapping: Mapping) -> np.ndarray:
    if not mapping.cancellation_prefix:
        return np.zeros(len(order_ids), bool)
    start = f"{mapping.source}:{mapping.cancellation_prefix}"
    return _bools(pc.starts_with(order_ids, start))


def _bools(column: pa.Array) -> np.ndarray:
    return pc.fill_null(column, False).to_numpy(zero_copy_only=False).astype(bool)


def _matches(checked: Checked, name: str, pattern: str, mapping: Mapping) -> np.ndarray:
    rule = mapping.columns.get(name)
    header = name if rule is None else rule.headers[0]
    column = pc.dictionary_encode(as_text(checked.raw.rows.column(header)))
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    wanted = re.compile(pattern)
    hit = [t is not None and bool(wanted.fullmatch(t)) for t in column.dictionary.to_pylist()]
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray([*hit, False])[codes]


def number_lines(checked: Checked, *, mapping: Mapping) -> None:
    """Fill `line_id` (source:order:line) and `suspect`, in place.

    Without a line id in the file, lines are numbered by their place in the order, so a file that
    holds whole orders gives the same ids again. Suspect is an exact repeat of an earlier line.
    """
    orders = codes_of(checked.columns[c.ORDER_ID])
    if c.LINE_ID in checked.columns:
        texts = checked.columns[c.LINE_ID]
    else:
        place = pd.Series(orders).groupby(orders).cumcount().to_numpy() + 1
        texts = pa.array(place).cast(pa.string())
    checked.columns[c.LINE_ID] = pc.binary_join_element_wise(
        checked.columns[c.ORDER_ID], texts, ":"
    )
    checked.columns[c.SUSPECT] = pa.array(_repeats(checked, orders, mapping))


def _repeats(checked: Checked, orders: np.ndarray, mapping: Mapping) -> np.ndarray:
    keys = [orders]
    if c.PRODUCT_ID in checked.columns:
        keys.append(codes_of(checked.columns[c.PRODUCT_ID]))
    row = combine_codes(keys)
    twice = pd.Series(row).duplicated(keep=False).to_numpy()
    suspects = np.zeros(checked.count, bool)
    places = np.flatnonzero(twice)
    if len(places):
        if c.LINE_ID in mapping.columns:  # earlier = smaller id, whatever the order of the rows
            ids = checked.columns[c.LINE_ID].take(pa.array(places)).to_pylist()
            places = places[sorted(range(len(ids)), key=lambda place: ids[place] or "")]
        own = {h for n in (c.LINE_ID,) if n in mapping.columns for h in mapping.columns[n].headers}
        kept = [n for n in checked.raw.rows.column_names if n not in {*own, *mapping.ignore}]
        rows = checked.raw.rows.select(kept).take(pa.array(places)).to_pandas().astype("string")
        suspects[places] = rows.duplicated(keep="first").to_numpy()
    return suspects


def combine_codes(keys: list[np.ndarray]) -> np.ndarray:
    """One code for each distinct combination of codes; exact."""
    made = keys[0]
    for key in keys[1:]:
        width = int(key.max(initial=0)) + 2
        made = pd.factorize(made * width + key + 1)[0].astype(np.int64)
    return made


def codes_of(column: pa.Array) -> np.ndarray:
    """A code per distinct value in order of appearance, -1 where null; (n,) int64."""
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def link_returns(lines: pa.Table, earlier: pa.Table | None = None) -> pa.Array:
    """For each return, the last line sold before it of the same customer and product.

    Parameters
    ----------
    lines
        Accepted lines: `line_id`, `party_id`, `product_id`, `sold_at`, `kind`.
    earlier
        Lines already in the lake, same columns.

    Returns
    -------
    `returns_line_id`, null where there is none; as long as `lines`.
    """
    names = [c.LINE_ID, c.PARTY_ID, c.PRODUCT_ID, c.SOLD_AT, c.KIND]
    returned = _bools(pc.equal(lines.column(c.KIND), "return").combine_chunks())
    found = np.full(lines.num_rows, None, object)
    back = lines.select(names).filter(pa.array(returned)).to_pandas()
    back = back.dropna(subset=[c.PARTY_ID, c.PRODUCT_ID])
    if len(back) == 0:
        return pa.array(found, pa.string())
    sold = lines.select(names)
    if earlier is not None and earlier.num_rows:
        sold = pa.concat_tables([sold, earlier.select(names).cast(sold.schema)])
    wanted = pc.and_(
        pc.equal(sold.column(c.KIND), "item"),
        pc.is_in(sold.column(c.PARTY_ID), value_set=pa.array(back[c.PARTY_ID].unique())),
    )
    goods = sold.filter(wanted).to_pandas().dropna(subset=[c.PARTY_ID, c.PRODUCT_ID])
    keys = [c.PARTY_ID, c.PRODUCT_ID]
    back["place"] = np.flatnonzero(returned)[back.index.to_numpy()]
    goods = goods.rename(columns={c.LINE_ID: c.RETURNS_LINE_ID}).drop(columns=[c.KIND])
    match = pd.merge_asof(
        back.sort_values([c.SOLD_AT, c.LINE_ID]),
        goods.sort_values([c.SOLD_AT, c.RETURNS_LINE_ID]),
        on=c.SOLD_AT, by=keys, direction="backward",
    )  # fmt: skip
    ids = match[c.RETURNS_LINE_ID].astype(object)
    found[match["place"].to_numpy()] = ids.where(ids.notna(), None).to_numpy()
    return pa.array(found, pa.string())


def derive_orders(lines: pa.Table, *, mapping: Mapping, base_currency: str) -> pa.Table:
    """One order per order id of `lines`, in order of appearance.

    Amounts are sums of the lines; the time is that of the first line. An order is `cancelled` if
    its id says so, `returned` if it holds nothing but returns, else `completed`. An order in
    several currencies is given in the workspace's.
    """
    order = codes_of(lines.column(c.ORDER_ID).combine_chunks())
    first = np.flatnonzero(~pd.Series(order).duplicated().to_numpy())
    sums = {name: _add_up(lines.column(name), order, len(first)) for name in (*MINOR, *BASE)}
    moments = lines.column(c.SOLD_AT).to_numpy()
    earliest = pd.Series(moments).groupby(order).min().to_numpy()
    currency = codes_of(lines.column(c.CURRENCY).combine_chunks())
    spread = pd.Series(currency).groupby(order).agg(["min", "max"])
    mixed = (spread["min"] != spread["max"]).to_numpy()
    for minor, base in zip(MINOR, BASE, strict=True):
        sums[minor] = np.where(mixed, sums[base], sums[minor])
    back = _bools(pc.equal(lines.column(c.KIND), "return").combine_chunks())
    goods = _bools(pc.equal(lines.column(c.KIND), "item").combine_chunks())
    only_back = np.bincount(order, back) > 0
    only_back &= np.bincount(order, goods) == 0
    heads = lines.take(pa.array(first))
    ids = heads.column(c.ORDER_ID).combine_chunks()
    status = np.where(only_back, "returned", "completed")
    status = np.where(_cancelled(ids, mapping), "cancelled", status)
    money = heads.column(c.CURRENCY).combine_chunks()
    made = {
        c.ORDER_ID: ids,
        c.PARTY_ID: _settled(lines, c.PARTY_ID, order, len(first)),
        c.ORDERED_AT: pa.array(earliest.astype("datetime64[us]")),
        c.STORE_ID: _settled(lines, c.STORE_ID, order, len(first)),
        c.STATUS: pa.array(status, pa.string()),
        c.CURRENCY: pc.if_else(pa.array(mixed), base_currency, money),
        **{name: pa.array(sums[name]) for name in (*MINOR, *BASE)},
    }
    return pa.table({name: made[name] for name in ORDERS.names if name in made})


def _add_up(column: pa.ChunkedArray, order: np.ndarray, count: int) -> np.ndarray:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, order, column.to_numpy())  # exact: whole numbers, no float between
    return sums


def _settled(lines: pa.Table, name: str, order: np.ndarray, count: int) -> pa.Array:
    """The value of each order: the one its lines agree on; else that of the earliest line with
    one (by time, then id), whatever the order of the rows."""
    column = lines.column(name).combine_chunks()
    codes = codes_of(column)
    known = np.flatnonzero(codes >= 0)
    place = np.full(count, -1, np.int64)
    place[order[known[::-1]]] = known[::-1]
    agreed = np.where(place >= 0, codes[place], -1)
    split = np.zeros(count, bool)
    split[order[known[codes[known] != agreed[order[known]]]]] = True
    rows = known[split[order[known]]]
    if len(rows):
        earliest = pc.sort_indices(
            pa.table(
                {
                    "order": order[rows],
                    "at": lines.column(c.SOLD_AT).take(pa.array(rows)),
                    "id": lines.column(c.LINE_ID).take(pa.array(rows)),
                }
            ),
            sort_keys=[("order", "ascending"), ("at", "ascending"), ("id", "ascending")],
        ).to_numpy()
        ranked = rows[earliest]
        first = np.flatnonzero(np.diff(order[ranked], prepend=-1))
        place[order[ranked[first]]] = ranked[first]
    return column.take(pa.array(place, mask=place < 0))

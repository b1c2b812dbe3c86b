# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Raw rows become typed columns; what is wrong with a row is a code and a sentence, not a crash.

Sentences name the column and the rule, never the value: it could be personal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Mapping as Mapping_
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import money, times
from zhiyin.collect.files import Raw
from zhiyin.collect.guards import MAX_CELL_BYTES
from zhiyin.collect.mapping import CONSENTS, GRANTED, MONEY, Mapping, Rule
from zhiyin.collect.personal import mask
from zhiyin.collect.values import (
    DELETED,
    Checked,
    Problems,
    Terms,
    as_text,
    source_column,
    source_numbers,
)
from zhiyin.core import columns as c
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.schema import Column, req
from zhiyin.core.tables import TABLES

ORDER_PARTY = "order_party"  # the customer of a line's order; no column of the lake
AHEAD = timedelta(hours=24)
ID_COLUMNS = (
    c.ORDER_ID, c.PRODUCT_ID, c.STORE_ID, c.CAMPAIGN_ID, c.OFFER_ID, c.TOUCH_ID, c.TEXT_ID,
    c.CONTRACT_ID,
)  # fmt: skip
_LIMITS = {c.BODY: 100_000, c.URL: 2_000, c.NAME: 1_000, c.PROPERTIES: 10_000}
_ID_LIMIT, _LIMIT = 160, 400
_ALLOWED = {
    ("touches", c.KIND): (
        "planned", "sent", "delivered", "impression", "open", "click", "machine_open",
        "machine_click", "bounce", "complaint", "unsubscribe", "redemption",
    ),
    ("texts", c.KIND): ("review", "chat", "ticket"),
    ("orders", c.STATUS): ("completed", "cancelled", "returned"),
}  # fmt: skip
_DEFAULTS = {("texts", c.KIND): "review"}
_WORDS = {
    "true": True, "1": True, "yes": True, "y": True, "t": True, "是": True, "同意": True,
    "granted": True, "false": False, "0": False, "no": False, "n": False, "f": False, "否": False,
    "拒绝": False, "refused": False,
}  # fmt: skip
_FIRST_DAY = np.datetime64("1970-01-02")


def check_rows(raw: Raw, table: str, *, terms: Terms) -> Checked:
    """Type every mapped value of `raw` for `table`.

    Returns
    -------
    Columns by their name in the lake, ids as `source:id`, times naive UTC; identifiers (`user_id`,
    `email`, `phone`) as text. Reasons: `missing_key`, `wrong_type`, `too_long`, `unknown_value`,
    `unknown_currency`, `no_rate`, `date_ahead`, `out_of_range`, `unknown_order`.
    """
    problems = Problems(np.zeros(raw.rows.num_rows, np.int16))
    made = Checked(table, raw, {}, problems)
    _check_lengths(made)
    _find_deleted(made, terms.mapping)
    for target, rule in terms.mapping.columns.items():
        if target in MONEY or target in _MINOR_NAMES:
            continue
        made.columns[target] = _typed(made, target, rule, terms)
    _fill_defaults(made)
    _prefix_ids(made, terms.mapping.source)
    if terms.orders_of is not None:
        _take_from_orders(made, terms.orders_of)
    _require(made)
    _check_time(made, terms)
    _add_money(made, terms)
    return made


def _check_lengths(made: Checked) -> None:
    """No field, mapped or not, is longer than `MAX_CELL_BYTES`."""
    for header, column in zip(made.raw.rows.column_names, made.raw.rows.columns, strict=True):
        if not pa.types.is_string(column.type):
            continue
        length = pc.binary_length(column)
        if (pc.max(length).as_py() or 0) > MAX_CELL_BYTES:
            long = pc.fill_null(pc.greater(length, MAX_CELL_BYTES), False).to_numpy()
            made.problems.flag(
                long.astype(bool), "too_long", f"more than {MAX_CELL_BYTES:,} bytes", header
            )


def _find_deleted(made: Checked, mapping: Mapping) -> None:
    """Which rows delete their key (blank: no)."""
    if mapping.delete:
        flags = _boolean(made, mapping.delete, as_text(made.raw.rows.column(mapping.delete)), {})
        made.columns[DELETED] = pc.fill_null(flags, False)


_MINOR_NAMES = {minor: name for name, (minor, _) in MONEY.items()}


def _column(table: str, name: str) -> Column:
    if table == CONSENTS:
        if name == c.AT:
            return req(name, "timestamp", "")
        return req(name, "bool", "") if name == GRANTED else Column(name, "string", "")
    schema = TABLES[table]
    if name in schema.names:
        return schema.column(name)
    return Column(name, "timestamp" if name == c.VALID_AT else "string", "")


def _typed(made: Checked, target: str, rule: Rule, terms: Terms) -> pa.Array:
    column = _column(made.table, target)
    problems, rows = made.problems, made.raw.rows
    formats = terms.mapping.date_formats
    if column.type in ("int64", "float64"):
        return _number(made, target, rule, terms, whole=column.type == "int64")
    raw = source_column(rows, rule)
    if column.type == "timestamp":
        moments, given = times.parse_times(raw, zone=terms.zone, formats=formats)
        problems.flag(
            given & np.isnat(moments), "wrong_type", f"{target} is no date and time", target
        )
        return pa.array(moments, pa.timestamp("us"))
    if column.type == "date":
        days, given = times.parse_days(raw, formats=formats)
        problems.flag(given & np.isnat(days), "wrong_type", f"{target} is no date", target)
        return pa.array(days, pa.date32())
    text = as_text(raw)
    if column.type == "bool":
        return _boolean(made, target, text, terms.mapping.values.get(target, {}))
    limit = _LIMITS.get(
        target, _ID_LIMIT if target in ID_COLUMNS or target == c.LINE_ID else _LIMIT
    )
    length = pc.utf8_length(text)
    if (pc.max(length).as_py() or 0) > limit:
        long = pc.fill_null(pc.greater(length, limit), False).to_numpy(zero_copy_only=False)
        problems.flag(long, "too_long", f"{target} has more than {limit} characters", target)
    if words := terms.mapping.values.get(target):
        text = _in_our_words(text, words)
    if target == c.CURRENCY:
        text = pc.utf8_upper(text)
    if target == c.BODY:
        text = pa.array([None if t is None else mask(t) for t in text.to_pylist()], pa.string())
    if allowed := _ALLOWED.get((made.table, target)):
        text = pc.utf8_lower(text)
        strange = pc.invert(pc.is_in(text, value_set=pa.array(allowed)))
        strange = pc.and_(strange, pc.is_valid(text)).to_numpy(zero_copy_only=False)
        problems.flag(strange, "unknown_value", f"{target} is none of {', '.join(allowed)}", target)
    return text


def _in_our_words(text: pa.Array, words: Mapping_[str, str]) -> pa.Array:
    """Texts of the file as ours; `*` is what any other or none means, otherwise it stays."""
    known = pa.array([key for key in words if key != "*"], pa.string())
    ours = pa.array([words[key] for key in known.to_pylist()], pa.string())
    made = ours.take(pc.index_in(text, value_set=known))
    rest = pa.scalar(words["*"]) if "*" in words else text
    return pc.if_else(pc.is_in(text, value_set=known), made, rest)


def _boolean(made: Checked, target: str, text: pa.Array, ours: Mapping_[str, str]) -> pa.Array:
    if ours:
        text = _in_our_words(text, ours)
    words = pa.array(list(_WORDS))
    values = pa.array(list(_WORDS.values()))
    place = pc.index_in(pc.utf8_lower(text), value_set=words)
    strange = pc.and_(pc.is_null(place), pc.is_valid(text)).to_numpy(zero_copy_only=False)
    made.problems.flag(strange, "wrong_type", f"{target} is neither yes nor no", target)
    return values.take(place)


def _number(made: Checked, target: str, rule: Rule, terms: Terms, *, whole: bool) -> pa.Array:
    read = source_numbers(made.raw.rows, rule, mark=terms.mapping.decimal)
    made.problems.flag(read.wrong, "wrong_type", f"{target} is no number", target)
    if whole:
        values = [None if v is None or v != int(v) else int(v) for v in read.values]
        bad = np.asarray([v is None for v in values] + [False])[read.codes]
        made.problems.flag(bad, "wrong_type", f"{target} is no whole number", target)
        table = np.asarray([v or 0 for v in values], np.int64)
        return pa.array(read.take(table, 0), mask=read.empty | bad)
    table = np.asarray([np.nan if v is None else float(v) for v in read.values], np.float64)
    values = read.take(table, np.nan)
    if target == c.RATING:
        made.problems.flag(
            (values < 1) | (values > 5), "out_of_range", "rating is not in 1..5", c.RATING
        )
    return pa.array(values, mask=np.isnan(values))


def _fill_defaults(made: Checked) -> None:
    for (table, name), value in _DEFAULTS.items():
        if table == made.table and name not in made.columns:
            made.columns[name] = pa.repeat(pa.scalar(value), made.count)
    if made.table in ("touches", "texts"):
        key = c.TOUCH_ID if made.table == "touches" else c.TEXT_ID
        if key not in made.columns:
            made.columns[key] = content_ids(made.raw.rows)
    if made.table == "contracts":
        _end_after_start(made)
    if made.table == "rates" and c.RATE in made.columns:
        made.columns[c.RATE] = _positive_rates(made)


def _end_after_start(made: Checked) -> None:
    """A contract that ends before it starts is refused."""
    if c.START_ON in made.columns and c.END_ON in made.columns:
        start, end = made.array(c.START_ON), made.array(c.END_ON)
        made.problems.flag(
            np.asarray(end < start), "out_of_range", "end_on is before start_on", c.END_ON
        )


def content_ids(rows: pa.Table) -> pa.Array:
    """An id per row from its content: the same row has the same id in every file."""
    names = sorted(rows.column_names)
    texts = zip(*(as_text(rows.column(name)).to_pylist() for name in names), strict=True)
    return pa.array(
        [hashlib.sha256(json.dumps(row).encode()).hexdigest()[:24] for row in texts], pa.string()
    )


def _positive_rates(made: Checked) -> pa.Array:
    read = money.numbers(pa.chunked_array([made.columns[c.RATE]]))
    good = [v is not None and v > 0 for v in read.values]
    bad = ~np.asarray([*good, True])[read.codes]
    made.problems.flag(bad, "wrong_type", "rate is no positive number")
    return pa.array([None if v is None else format(v, "f") for v in read.values], pa.string()).take(
        pa.array(read.codes, mask=read.empty)
    )


def _require(made: Checked) -> None:
    """Every mapped column that the table requires has a value on every row."""
    for name, column in made.columns.items():
        needed = name in (c.LINE_ID,) or _column(made.table, name).required
        if needed and name != c.CURRENCY and column.null_count:
            missing = pc.is_null(column).to_numpy(zero_copy_only=False)
            key = name == c.LINE_ID or (made.table in TABLES and name in TABLES[made.table].key)
            missing &= key | ~made.deleted
            code = "missing_key" if key else "missing_value"
            made.problems.flag(missing, code, f"{name} is empty", name)


def _check_time(made: Checked, terms: Terms) -> None:
    """Business time is after 1970-01-01 and at most 24 hours ahead of the clock."""
    schema = TABLES.get(made.table)
    name = {"spend": c.SPENT_ON, "rates": c.RATE_ON, CONSENTS: c.AT}.get(
        made.table, schema.time if schema else None
    )
    for one in {name, c.VALID_AT} & set(made.columns):
        moments = made.array(one).astype("datetime64[us]")
        limit = np.datetime64(terms.now + AHEAD, "us")
        with np.errstate(invalid="ignore"):
            made.problems.flag(moments > limit, "date_ahead", f"{one} is over 24 hours ahead", one)
            made.problems.flag(
                moments < _FIRST_DAY, "out_of_range", f"{one} is before 1970-01-02", one
            )


def _take_from_orders(made: Checked, orders_of: Callable[[pa.Array], pa.Table]) -> None:
    """Lines take their order's customer, and its time where they have none."""
    ids = made.columns[c.ORDER_ID]
    orders = orders_of(pc.unique(ids).drop_null())
    place = pc.index_in(ids, value_set=orders.column(c.ORDER_ID).combine_chunks())
    unknown = pc.is_null(place).to_numpy(zero_copy_only=False)
    made.columns[ORDER_PARTY] = orders.column(c.PARTY_ID).combine_chunks().take(place)
    moments = orders.column(c.ORDERED_AT).combine_chunks().cast(pa.timestamp("us")).take(place)
    if c.SOLD_AT in made.columns:
        moments = pc.coalesce(made.columns[c.SOLD_AT], moments)
    else:
        made.problems.flag(unknown, "unknown_order", "its order is not loaded: load orders first")
    made.columns[c.SOLD_AT] = moments


def _prefix_ids(made: Checked, source: str) -> None:
    for name in ID_COLUMNS:
        if name in made.columns:
            made.columns[name] = prefixed(made.columns[name], source)


def prefixed(ids: pa.Array, *parts: str) -> pa.Array:
    """`source:id`; null stays null."""
    return pc.binary_join_element_wise(*(pa.scalar(p) for p in parts), ids, ":")


def _add_money(made: Checked, terms: Terms) -> None:
    """Add `*_minor` and `*_base_minor` of every mapped amount, and the currency."""
    wanted = [t for t in terms.mapping.columns if t in MONEY or t in _MINOR_NAMES]
    if not wanted and (made.table == "rates" or c.CURRENCY not in made.columns):
        if made.table == "rates":
            _known_currency(made, made.columns[c.CURRENCY])
        return
    texts = made.columns.get(c.CURRENCY)
    if texts is None:
        texts = pa.repeat(pa.scalar(terms.currency), made.count)
    else:
        texts = pc.fill_null(texts, terms.currency)
    made.columns[c.CURRENCY] = texts
    codes, names = _known_currency(made, texts)
    exponents = np.asarray([EXPONENTS.get(n, 2) for n in names] or [2], np.int64)[codes]
    rate = money.row_rates(codes, names, _days(made, terms), terms.rates)
    made.problems.flag(
        rate.wrong, "no_rate", f"no rate to {terms.base} on or before the day of the row"
    )
    base_exponent = EXPONENTS[terms.base]
    for target in wanted:
        name = _MINOR_NAMES.get(target, target)
        read = source_numbers(
            made.raw.rows, terms.mapping.columns[target], mark=terms.mapping.decimal
        )
        if name == "price" and made.table == "order_lines":
            rule = terms.mapping.columns[c.QUANTITY]
            units = source_numbers(made.raw.rows, rule, mark=terms.mapping.decimal)
            name, read = "gross", money.multiply(read, units)
        made.problems.flag(read.wrong, "wrong_type", f"{target} is no number", target)
        power = np.zeros_like(exponents) if target in _MINOR_NAMES else exponents
        minor, right = money.minor_units(read, power)
        made.problems.flag(~right & ~read.empty, "out_of_range", f"{target} is too large", target)
        if name in ("amount", "gross", "cost") and made.table in ("orders", "order_lines", "spend"):
            made.problems.flag(
                read.empty & ~made.deleted, "missing_value", f"{target} is empty", target
            )
        base = money.to_base(minor, rate, exponents, base_exponent=base_exponent)
        for column, values in zip(MONEY[name], (minor, base), strict=True):
            made.columns[column] = pa.array(values, mask=read.empty)


def _known_currency(made: Checked, texts: pa.Array) -> tuple[np.ndarray, list[str]]:
    encoded = pc.dictionary_encode(texts)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = np.asarray([name not in EXPONENTS for name in names] or [False])
    made.problems.flag(
        unknown[codes], "unknown_currency", "currency is no code of ISO 4217", c.CURRENCY
    )
    return codes, names


def _days(made: Checked, terms: Terms) -> np.ndarray:
    """The local day of each row that its rate is taken from."""
    today = times.local_days(np.asarray([terms.now], "datetime64[us]"), terms.zone)[0]
    for name in (c.SOLD_AT, c.ORDERED_AT, c.OCCURRED_AT, c.SPENT_ON, c.START_ON):
        if name in made.columns:
            days = made.array(name)
            if name not in (c.SPENT_ON, c.START_ON) and {*terms.rates.days}:
                days = times.local_days(days.astype("datetime64[us]"), terms.zone)
            days = days.astype("datetime64[D]")
            return np.where(np.isnat(days), today, days)
    return np.full(made.count, today)

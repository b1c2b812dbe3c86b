# pyright: standard, reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Interactions of any kind (`user_id`, `item_id`, …) as a `History`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.history import History, count_visits, encode, lookup
from zhiyin.understand.recommend.interactions import (
    Interactions,
    column_names,
    floats_of,
    id_texts,
    require_columns,
    to_arrow,
)

USER_ID, ITEM_ID, WEIGHT = "user_id", "item_id", "weight"
_DAY_US = 86_400_000_000
# microseconds of a unit, told by how large numbers since 1970 are in it
_UNITS = ((1e6, _DAY_US), (1e11, 1e6), (1e14, 1e3), (1e17, 1.0), (np.inf, 1e-3))
_FEW_STEPS = 20  # fewer say nothing of an order
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (naive UTC, as everywhere in a history)


@dataclass(frozen=True, eq=False)
class Events:
    """What happened, coded, and the types that ids had."""

    history: History
    user_type: pa.DataType
    item_type: pa.DataType


def read_events(
    interactions: Interactions, *, items: np.ndarray | None = None, clock: str | None = None
) -> Events:
    """Code a table of interactions.

    Parameters
    ----------
    interactions
        Arrow, pandas or Ibis table: `user_id`, `item_id`, and optionally `at` (a moment, or a
        number: days, or seconds, milliseconds … since 1970, told by size), `weight` (how much the
        interaction counts, > 0; 1 without) and `rating`. Rows without a user or an item, or of
        weight 0 and below, are left out.
    items
        Sorted ids (strings) of a catalogue; items outside of it are left out. None: all that
        occur.
    clock
        Whether rows without `at` are in order in time (`steps`) or not (`none`); None: looked at.

    Notes
    -----
    With `at`, rows that are equal in user, item and `at` count once. Without it the order of the
    rows is each user's order in time, unless her ids come sorted: then there is none; repeats of
    an item stand where the last one does, their weights summed.

    Raises
    ------
    InvalidParameter
        If a column is missing, or `at` is neither a moment nor a number.
    """
    table = _select(interactions)
    user_type, item_type = table.schema.field(USER_ID).type, table.schema.field(ITEM_ID).type
    users, user = encode(id_texts(table, USER_ID))
    known, item = encode(id_texts(table, ITEM_ID))
    if items is not None:
        place = lookup(items, known, -1)
        item = place[item].astype(np.int32) if len(item) else item
        keep = item >= 0
        table, user, item, known = table.filter(pa.array(keep)), user[keep], item[keep], items
    amount = _floats(table, WEIGHT)
    rating = _floats(table, c.RATING)
    if c.AT in table.column_names:
        moment = _microseconds(table[c.AT])
        until, clock = int(moment.max(initial=0)) + 1, "days"
        age = ((until - moment) / _DAY_US).astype(np.float32)
    else:
        moment, until = np.arange(len(user), dtype=np.int64), 0
        if clock not in ("steps", "none"):
            clock = "none" if _are_sorted(user, _order_of(known)[item]) else "steps"
        age = _steps_left(user)
    keep, amount = _distinct(user, item, moment, amount, merge=clock != "days")
    user, item, age, moment = user[keep], item[keep], age[keep], moment[keep]
    visits = count_visits(user, moment)
    history = History(
        _EPOCH + timedelta(microseconds=until), users, known, user[visits], age[visits],
        user, item, age, amount, None if rating is None else rating[keep], clock,
    )  # fmt: skip
    return Events(history, user_type, item_type)


def _select(interactions: Interactions) -> pa.Table:
    hint = "a row is a user_id and an item_id, where there are some with at, weight, rating"
    require_columns(interactions, (USER_ID, ITEM_ID), what="interactions", hint=hint)
    names = column_names(interactions)
    wanted = [USER_ID, ITEM_ID, *(n for n in (c.AT, WEIGHT, c.RATING) if n in names)]
    table = to_arrow(interactions, wanted)
    mask = pc.and_(pc.is_valid(table[USER_ID]), pc.is_valid(table[ITEM_ID]))
    if c.AT in wanted:
        mask = pc.and_(mask, pc.is_valid(table[c.AT]))
    if WEIGHT in wanted:
        amount = floats_of(table, WEIGHT)
        fine = pc.and_(pc.greater(amount, 0), pc.is_finite(amount))
        mask = pc.and_(mask, pc.fill_null(fine, False))
    return table.filter(mask)


def _floats(table: pa.Table, name: str) -> np.ndarray | None:
    if name not in table.column_names:
        return None
    column = pc.fill_null(floats_of(table, name), float("nan"))
    return column.to_numpy().astype(np.float32)


def _microseconds(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = getattr(column.type, "tz", None)
        return column.cast(pa.timestamp("us", zone)).cast(pa.int64()).to_numpy()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = column.to_numpy().astype(np.float64)
        largest = float(np.abs(numbers).max(initial=0))
        unit = next(size for below, size in _UNITS if largest < below)
        return np.round((numbers - numbers.min(initial=largest)) * unit).astype(np.int64)
    raise InvalidParameter(f"column 'at' is of type {column.type}: it must be a moment or a number")


def _steps_left(user: np.ndarray) -> np.ndarray:
    """How many later rows the same user has."""
    order = np.argsort(user, kind="stable")[::-1]
    who = user[order]
    first = np.r_[True, who[1:] != who[:-1]][: len(who)]
    place = np.arange(len(who))
    steps = np.empty(len(who), dtype=np.float32)
    steps[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return steps


def _order_of(ids: np.ndarray) -> np.ndarray:
    """Where each id stands, numbers by their size."""
    if len(ids) and all(one.isdigit() for one in ids):
        return ids.astype(np.float64)
    return np.arange(len(ids))


def _are_sorted(user: np.ndarray, item: np.ndarray) -> bool:
    """Whether nearly every user's items come in the order of their ids: no order in time."""
    order = np.argsort(user, kind="stable")
    same = user[order][1:] == user[order][:-1]
    steps = np.diff(item[order])[same]
    return len(steps) >= _FEW_STEPS and max((steps >= 0).mean(), (steps <= 0).mean()) > 0.95


def _distinct(
    user: np.ndarray,
    item: np.ndarray,
    moment: np.ndarray,
    amount: np.ndarray | None,
    *,
    merge: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows to keep, sorted by user, item and age, and their weights.

    `merge`: one row for a user and item, the latest, with the weights of all.
    """
    order = np.lexsort((-moment, item, user))
    pair = (user[order].astype(np.int64) << 32) + item[order]
    new = np.r_[True, pair[1:] != pair[:-1]][: len(pair)]
    if not merge:
        new |= np.r_[True, np.diff(moment[order]) != 0][: len(pair)]
    keep = order[new]
    if not merge:
        return keep, None if amount is None else amount[keep]
    start = np.flatnonzero(new)
    each = np.ones(len(order), dtype=np.float32) if amount is None else amount[order]
    return keep, np.add.reduceat(each, start) if len(start) else each

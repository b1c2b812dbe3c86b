# pyright: standard, reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""One reason for every place of many lists, as JSON, a column at a time.

Fifty places for each of a million customers are too many for a dictionary each: what speaks for
a product is found in blocks of numbers, and the texts are joined by Arrow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.understand.recommend.ease import Ease
from zhiyin.understand.recommend.scorer import FILL, Ranking

MOST = 3
"""Products of hers that a reason names at most."""
_CELLS = 24_000_000
_BLOCK = 2_000_000  # cells of a block of what she owns
_SHARES = pa.array([repr(part / 1000) for part in range(1001)])


@dataclass(frozen=True, eq=False)
class Reasons:
    """For each filled place, list after list: whether she took it before, and why, as JSON."""

    repeat: np.ndarray
    texts: pa.Array


def explain_ranking(model: Ease, codes: np.ndarray, ranking: Ranking) -> Reasons:
    """One reason for each filled place of each list.

    Parameters
    ----------
    model
        The fitted EASE whose weights tell which of her products speak for another.
    codes
        (n,) customers by code.
    ranking
        Their lists.

    Returns
    -------
    Texts are one of `{"kind": "repeat", "times", "last_days", "every_days"}` (days rounded;
    `every_days` is null after one purchase), `{"kind": "because", "products": [{"product_id",
    "share"}]}` with the share of all that speaks for it, largest first, or
    `{"kind": "popular", "buyers"}`.
    """
    history = model.history
    rows, ranks = np.nonzero(ranking.products >= 0)
    products, who = ranking.products[rows, ranks], codes[rows]
    pairs, width = history.pairs, max(history.shape[1], 1)
    keys = pairs.customer.astype(np.int64) * width + pairs.product
    wanted = who.astype(np.int64) * width + products
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    repeat = keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)
    open_ = np.flatnonzero(~repeat & (ranking.scores[rows, ranks] > FILL))
    said, shares = _evidence(model, who[open_], products[open_])
    because = open_[said[:, 0] >= 0]
    texts = _popular(history.buyers[products])
    texts = _put(texts, np.flatnonzero(repeat), _repeats(model, place[repeat]))
    found = said[:, 0] >= 0
    ids = pa.array([json.dumps(str(one)) for one in history.products], pa.string())
    texts = _put(texts, because, _because(ids, said[found], shares[found]))
    return Reasons(repeat, texts)


def _put(texts: pa.Array, places: np.ndarray, values: pa.Array) -> pa.Array:
    """The texts with others at some places, which are sorted."""
    mask = np.zeros(len(texts), bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), values)


def _popular(buyers: np.ndarray) -> pa.Array:
    return _join('{"buyers": ', _numbers(buyers), ', "kind": "popular"}')


def _repeats(model: Ease, pairs: np.ndarray) -> pa.Array:
    """Her rhythm with a product, from pairs of customer and product."""
    held = model.history.pairs
    times = held.times[pairs].astype(np.int64)
    last, first = held.last_days[pairs], held.first_days[pairs]
    every = np.rint((first - last) / np.maximum(times - 1, 1)).astype(np.int64)
    rhythm = pc.if_else(pa.array(times > 1), _numbers(every), "null")
    days = _numbers(np.rint(last).astype(np.int64))
    return _join(
        '{"every_days": ', rhythm, ', "kind": "repeat", "last_days": ', days, ', "times": ',
        _numbers(times), "}",
    )  # fmt: skip


def _because(ids: pa.Array, said: np.ndarray, shares: np.ndarray) -> pa.Array:
    text = _join('{"kind": "because", "products": [', _piece(ids, said[:, 0], shares[:, 0]))
    for one in range(1, said.shape[1]):
        there = said[:, one] >= 0
        more = _join(", ", _piece(ids, np.maximum(said[:, one], 0), shares[:, one]))
        text = _join(text, pc.if_else(pa.array(there), more, ""))
    return _join(text, "]}")


def _piece(ids: pa.Array, said: np.ndarray, shares: np.ndarray) -> pa.Array:
    share = _SHARES.take(pa.array(np.rint(shares * 1000).astype(np.int64)))
    return _join('{"product_id": ', ids.take(pa.array(said)), ', "share": ', share, "}")


def _join(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _numbers(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.int64)).cast(pa.string())


def _evidence(model: Ease, who: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, MOST) products of hers that speak for each product, -1 where no more do, and shares."""
    said = np.full((len(who), MOST), -1, np.int64)
    shares = np.zeros((len(who), MOST))
    targets = np.unique(products)
    step = max(1, _CELLS // max(model.history.shape[1], 1))
    for start in range(0, len(targets), step):
        chunk = targets[start : start + step]
        weights = model.evidence(chunk)
        here = np.flatnonzero((products >= chunk[0]) & (products <= chunk[-1]))
        sizes = np.diff(model.rows_.indptr)[who[here]]
        here = here[np.argsort(sizes, kind="stable")]  # like with like: little is padded
        for part in _parts(np.sort(sizes)):
            mine = here[part]
            columns = np.searchsorted(chunk, products[mine])
            said[mine], shares[mine] = _strongest(model, who[mine], weights, columns)
    return said, shares


def _parts(sizes: np.ndarray) -> list[slice]:
    """Slices of sorted sizes whose longest, times their number, stays within bounded memory."""
    made, start = list[slice](), 0
    while start < len(sizes):
        end = start + 1
        ahead = len(sizes) - start
        while ahead:  # by halves: the longest stands at the end of a slice
            if (
                end + ahead <= len(sizes)
                and (end + ahead - start) * (int(sizes[end + ahead - 1]) + 1) <= _BLOCK
            ):
                end += ahead
            else:
                ahead //= 2
        made.append(slice(start, end))
        start = end
    return made


def _strongest(
    model: Ease, who: np.ndarray, weights: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows = model.rows_
    begin, end = rows.indptr[who], rows.indptr[who + 1]
    longest = int((end - begin).max(initial=0))
    said, shares = np.full((len(who), MOST), -1, np.int64), np.zeros((len(who), MOST))
    if not longest:
        return said, shares
    at = begin[:, None] + np.arange(longest)
    there = at < end[:, None]
    at = np.where(there, at, 0)
    owned = rows.indices[at]
    parts = np.where(there, rows.data[at] * weights[owned, columns[:, None]], 0)
    np.maximum(parts, 0, out=parts)
    total = parts.sum(axis=1, dtype=np.float64)
    line = np.arange(len(who))
    for one in range(min(MOST, longest)):
        best = parts.argmax(axis=1)  # the first of equal ones
        value = parts[line, best]
        found = value > 0
        said[found, one] = owned[line, best][found]
        shares[found, one] = value[found] / total[found]
        parts[line, best] = 0
    return said, shares

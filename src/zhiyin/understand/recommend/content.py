# pyright: standard, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false
# (scipy types the shape of a sparse array as maybe None)
"""Items by what is known of them: the way to what nobody has taken yet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from scipy import sparse

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend.embedding import embed_texts
from zhiyin.understand.recommend.events import ITEM_ID
from zhiyin.understand.recommend.history import History, lookup
from zhiyin.understand.recommend.interactions import (
    Interactions,
    column_names,
    id_texts,
    require_columns,
    to_arrow,
)
from zhiyin.understand.recommend.scorer import Faded

_WORD = re.compile(r"[^\W_]+")
_LEVEL = re.compile(r"\s*[/>|]\s*")
_TEXT_WORDS = 4  # words from which a value is a text and not a name
_BINS = 5
_NAMES, _NAME_WORDS = 0.1, 2.0  # distinct values an item, and words a value, from which texts name
_TEXT_SIZE = 256  # 64 and 128 blur names that attributes tell apart; 512 is no better


@dataclass(frozen=True, eq=False)
class Described:
    """Items (sorted ids) and their features, (items, features) 0/1; `texts`: (items, d) vectors of
    what they are called, of norm 1, or 0 where nothing is said.
    """

    ids: np.ndarray
    features: sparse.csr_array
    names: tuple[str, ...]
    texts: np.ndarray | None = field(default=None, repr=False)


@dataclass
class Content(Faded):
    """Items that resemble hers in what is known of them.

    Parameters
    ----------
    described
        The items' features, from `read_attributes`.
    fade
        (1 + s) ** -fade is the weight of her item with s later ones.

    Notes
    -----
    score(u, j) = sum_i w_ui (cos(f_i, f_j) + cos(t_i, t_j)) / 2, with features f weighed by
    log(items / items that have it): the rare ones say more; t is the embedding of what the items
    are called. Without such texts it is cos(f_i, f_j) alone.
    """

    described: Described | None = field(default=None, repr=False)
    fade: float = 0.0
    name: str = "content"
    features_: sparse.csr_array = field(init=False, repr=False)
    texts_: np.ndarray = field(init=False, repr=False)

    def _learn(self, history: History) -> None:
        if self.described is None:
            raise InvalidParameter(
                "a model of content needs attributes of items", hint="pass fit(attributes=…)"
            )
        known = self.described
        count = np.asarray(known.features.sum(axis=0)).ravel()
        rarity = np.log((len(known.ids) + 1.0) / np.maximum(count, 1))
        weighed = sparse.csr_array(known.features @ sparse.diags_array(rarity))
        norm = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        scaled = sparse.diags_array(1 / np.where(norm > 0, norm, 1.0)) @ weighed
        empty = sparse.csr_array((1, scaled.shape[1]), dtype=np.float64)
        padded = sparse.csr_array(sparse.vstack([scaled, empty]))
        place = lookup(known.ids, history.products, len(known.ids))
        self.features_ = sparse.csr_array(padded[place]).astype(np.float32)
        texts = np.zeros((len(known.ids), 0), np.float32) if known.texts is None else known.texts
        self.texts_ = np.vstack([texts, np.zeros((1, texts.shape[1]), np.float32)])[place]
        if texts.shape[1]:  # both halves are scores of one place: half of each is in each factor
            half = np.float32(np.sqrt(0.5))
            self.features_, self.texts_ = self.features_ * half, self.texts_ * half

    def score(self, codes: np.ndarray) -> np.ndarray:
        rows = self.rows_[codes]
        made = ((rows @ self.features_) @ self.features_.T).toarray()
        if self.texts_.shape[1]:
            made += (rows @ self.texts_) @ self.texts_.T
        return made

    def evidence(self, targets: np.ndarray) -> np.ndarray:
        """(I, len(targets)) how alike each item is to each target, <= 1; 0 for itself."""
        weights = (self.features_ @ self.features_[targets].T).toarray()
        weights += self.texts_ @ self.texts_[targets].T
        weights[targets, np.arange(len(targets))] = 0
        return weights


def read_attributes(attributes: Interactions) -> Described:
    """Features of items.

    Parameters
    ----------
    attributes
        `item_id` and any other columns. A word or two is one value; `a / b / c` (or `>`, `|`) is a
        path, whose every level counts; longer texts count by their words (Chinese by pairs of
        characters); lists by their members; numbers by fifths of the items. Columns of texts that
        name items (of two words and more, distinct values for a tenth of the items) are embedded
        too, all of an item as one text (see `embed_texts`).

    Raises
    ------
    InvalidParameter
        If there is no `item_id`.
    """
    hint = "a row is an item_id and what is known of the item, in columns of any names"
    require_columns(attributes, (ITEM_ID,), what="attributes", hint=hint)
    held = column_names(attributes)
    require_columns(attributes, held, what="attributes", hint=hint)
    table = to_arrow(attributes, held)
    ids = id_texts(table, ITEM_ID).to_pylist()
    items = np.unique(np.array([one for one in ids if one is not None], dtype=object))
    place = {one: row for row, one in enumerate(items)}
    found: Counter[tuple[int, str]] = Counter()
    said = [""] * len(items)
    for name in table.column_names:
        if name == ITEM_ID:
            continue
        if _names_items(table[name], len(items)):
            for item, value in zip(ids, table[name].to_pylist(), strict=True):
                if item is not None and value:
                    said[place[item]] += f" {value}"
        for item, value in zip(ids, _values(table[name]), strict=True):
            if item is not None:
                found.update((place[item], f"{name}={one}") for one in value)
    names = sorted({name for _, name in found})
    column = {name: number for number, name in enumerate(names)}
    rows = np.array([row for row, _ in found], dtype=np.int64)
    columns = np.array([column[name] for _, name in found], dtype=np.int64)
    features = sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(len(items), max(len(names), 1))
    )
    texts = embed_texts(said, size=_TEXT_SIZE) if any(said) else None
    return Described(items, features, tuple(names), texts)


def _names_items(column: pa.ChunkedArray, items: int) -> bool:
    """Whether the texts of a column name single items rather than kinds of them."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return False
    values = [one for one in column.unique().to_pylist() if one]
    words = sum(len(_parts(word)) for one in values for word in _WORD.findall(one.lower()))
    return len(values) >= _NAMES * items and words >= _NAME_WORDS * max(len(values), 1)


def _values(column: pa.ChunkedArray) -> Iterator[list[str]]:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64()).to_numpy()
        finite = numbers[np.isfinite(numbers)]
        edges = np.quantile(finite, np.arange(1, _BINS) / _BINS) if len(finite) else []
        for number in numbers:
            yield [] if np.isnan(number) else [str(int(np.searchsorted(edges, number)))]
        return
    for value in column.to_pylist():
        if value is None:
            yield []
        elif isinstance(value, list):
            yield [str(one) for one in value if one is not None]
        else:
            yield _split(str(value))


def _split(text: str) -> list[str]:
    levels = [part for part in _LEVEL.split(text) if part]
    if len(levels) > 1:
        return [" / ".join(levels[: depth + 1]) for depth in range(len(levels))]
    words = [part for word in _WORD.findall(text.lower()) for part in _parts(word)]
    return [text.strip()] if len(words) < _TEXT_WORDS else words


def _parts(word: str) -> list[str]:
    if word.isascii() or len(word) < 3:
        return [word]
    return [word[at : at + 2] for at in range(len(word) - 1)]

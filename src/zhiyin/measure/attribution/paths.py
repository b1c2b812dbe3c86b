"""Paths: what reached people, in order, until they converted or did not.

`Paths` holds equal paths once, with how many converted and how many did not: what an engine has
summed. `journeys.py` makes them from tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from zhiyin.core.errors import InvalidParameter

NONE = "(none)"
"""The channel of conversions that nothing reached: they are shown, and given to nobody."""


@dataclass(frozen=True)
class Paths:
    """m distinct paths over named channels.

    `steps` has the places (in `channels`) of all touches, path after path; path i's are
    `steps[starts[i] : starts[i + 1]]`. `conversions` and `nulls` (m,) count its ends; conversions
    may be money, then all of the results are. `ages` (one per step) are days before the end.
    """

    channels: tuple[str, ...]
    steps: np.ndarray
    starts: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    ages: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.conversions)

    @property
    def lengths(self) -> np.ndarray:
        """(m,) touches of each path."""
        return np.diff(self.starts)

    @property
    def of_step(self) -> np.ndarray:
        """The path of each step."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def total(self) -> float:
        """Conversions of all paths, those without a touch too."""
        return float(self.conversions.sum())

    @property
    def untouched(self) -> float:
        """Conversions of paths without a touch."""
        return float(self.conversions[self.lengths == 0].sum())


def make_paths(
    rows: Iterable[Sequence[object]], *, ages: Iterable[Sequence[float]] | None = None
) -> Paths:
    """Paths from (channels, conversions, nulls) or (channels, conversions).

    Parameters
    ----------
    rows
        For each path the channels in order (a list, or text such as "mail > search"), how many
        such paths converted and how many did not (0 where it is left out).
    ages
        For each path the days from each touch to the conversion (or the end), for time decay.

    Raises
    ------
    InvalidParameter
        If a row is neither, a number is negative or missing, or ages do not go with the touches.

    Examples
    --------
    >>> make_paths([(["search", "mail"], 2, 5), ("mail", 1, 20)])
    """
    listed: list[list[str]] = []
    counted: list[tuple[float, float]] = []
    for row in rows:
        if isinstance(row, str) or len(row) not in (2, 3):
            raise InvalidParameter(
                f"a path is (channels, conversions, nulls), not {row!r}",
                hint="channels are a list of names in order",
            )
        listed.append(_read_channels(row[0]))
        counted.append((_count(row[1]), _count(row[2]) if len(row) == 3 else 0.0))
    old = None if ages is None else [[float(day) for day in one] for one in ages]
    if old is not None and [len(one) for one in old] != [len(one) for one in listed]:
        raise InvalidParameter("each touch of each path needs its age in days")
    names = [name for one in listed for name in one]
    channels = tuple(sorted(set(names)))
    places = {name: place for place, name in enumerate(channels)}
    numbers = np.array(counted, dtype=float).reshape(-1, 2)
    return Paths(
        channels,
        np.array([places[name] for name in names], dtype=np.int64),
        np.cumsum([0, *(len(one) for one in listed)]),
        numbers[:, 0],
        numbers[:, 1],
        None if old is None else _check_ages([day for one in old for day in one]),
    )


def read_paths(table: pa.Table) -> Paths:
    """Paths from Arrow rows `path` (list of text), `conversions` and `nulls`, as engines sum them.

    A missing list is a path without touches.

    Raises
    ------
    InvalidParameter
        If a column is missing or a channel has no name.
    """
    missing = {"path", "conversions", "nulls"} - {*table.column_names}
    if missing:
        raise InvalidParameter(f"the paths have no column {', '.join(sorted(missing))}")
    lists = table["path"].combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # no chunk at all
        lists = lists.chunk(0) if lists.num_chunks else pa.array([], pa.list_(pa.string()))
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    coded = lists.flatten().dictionary_encode()
    if coded.null_count:
        raise InvalidParameter("a touch has no channel", hint="name what is unknown, e.g. 'other'")
    found = [str(name) for name in coded.dictionary.to_pylist()]
    channels = tuple(sorted(found))
    places = np.array([channels.index(name) for name in found], dtype=np.int64)
    codes = coded.indices.to_numpy(zero_copy_only=False)
    return Paths(
        channels,
        places[codes] if len(codes) else np.zeros(0, dtype=np.int64),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        table["conversions"].to_numpy().astype(float),
        table["nulls"].to_numpy().astype(float),
    )


def as_paths(paths: Paths | Iterable[Sequence[object]]) -> Paths:
    """`Paths` as they are; rows of any other kind by `make_paths`."""
    return paths if isinstance(paths, Paths) else make_paths(paths)


def _read_channels(given: object) -> list[str]:
    if isinstance(given, str):
        given = [part.strip() for part in given.split(">") if part.strip()]
    if not isinstance(given, Iterable):
        raise InvalidParameter(f"channels are a list of names, not {given!r}")
    names = list(given)
    if not all(isinstance(name, str) and name and name != NONE for name in names):
        raise InvalidParameter(
            "a channel has no name", hint=f"a channel is text; {NONE} stands for no touch at all"
        )
    return names


def _count(given: object) -> float:
    number = float(given)  # pyright: ignore[reportArgumentType] # text fails as it should
    if not (np.isfinite(number) and number >= 0):
        raise InvalidParameter(f"{given!r} paths cannot end so", hint="0 or more")
    return number


def _check_ages(days: list[float]) -> np.ndarray:
    ages = np.array(days, dtype=float)
    if not (np.isfinite(ages) & (ages >= 0)).all():
        raise InvalidParameter("a touch lies after the conversion", hint="ages are days, 0 or more")
    return ages

"""Looks for what must not be there: identifiers and texts, in every byte and every decoded cell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PARQUET = ".parquet"


@dataclass(frozen=True)
class Trace:
    """One file in which a needle was found: `number` is its place in the list, not its value."""

    path: Path
    number: int
    where: str  # bytes, or the column


def find_traces(folder: Path, needles: Sequence[str]) -> list[Trace]:
    """Where below `folder` any of `needles` occurs, in file order.

    Every file is searched as bytes (UTF-8, and as JSON escapes it). Files whose name holds
    `.parquet` are decoded too, because compression hides what they say: every text and binary
    cell, in nested columns as well. What cannot be decoded (half-written) is searched as bytes.
    """
    found: list[Trace] = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        found += _in_bytes(path, needles)
        if PARQUET in path.name:
            found += _in_cells(path, needles)
    return found


def _in_bytes(path: Path, needles: Sequence[str]) -> Iterator[Trace]:
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for number, needle in enumerate(needles):
            escaped = json.dumps(needle)[1:-1].encode()
            if any(content.find(form) >= 0 for form in {needle.encode(), escaped}):
                yield Trace(path, number, "bytes")


def _in_cells(path: Path, needles: Sequence[str]) -> Iterator[Trace]:
    try:
        file = pq.ParquetFile(path)
        groups = [file.read_row_group(one) for one in range(file.num_row_groups)]
    except (pa.ArrowException, OSError):
        return
    seen: set[tuple[str, int]] = set()
    for rows in groups:
        for name, array in _texts(rows):
            for number, needle in enumerate(needles):
                if (name, number) not in seen and _holds(array, needle):
                    seen.add((name, number))
                    yield Trace(path, number, name)


def _texts(rows: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    for name in rows.column_names:
        for chunk in rows.column(name).chunks:
            yield from ((name, leaf) for leaf in _leaves(chunk))


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    kind = array.type
    if isinstance(array, pa.DictionaryArray):
        yield from _leaves(array.dictionary)
    elif isinstance(array, pa.StructArray):
        for one in array.flatten():
            yield from _leaves(one)
    elif isinstance(array, pa.MapArray):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif isinstance(array, pa.ListArray | pa.LargeListArray):
        yield from _leaves(array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield array.cast(pa.large_string()).cast(pa.large_binary())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield array.cast(pa.large_binary())


def _holds(array: pa.Array, needle: str) -> bool:
    options = pc.MatchSubstringOptions(needle.encode())
    hits = pc.call_function("match_substring", [array], options)
    return pc.call_function("any", [hits]).as_py() is True

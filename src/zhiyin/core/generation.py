# pyright: standard
# (numpy types an array read from a file as one of anything)
"""A generation of the online store: what requests look up, made by a job and then only read.

It is a set of named arrays. Arrays about people follow one convention, so that an erasure finds
its way without knowing what they mean: `party.id` (sorted) names every party, `party.row` the
person each is; a *group* of arrays has `<group>.starts`, and the entries of row r are
`[starts[r]:starts[r + 1]]` of every other array `<group>.…`. `about["people"]` names the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

FORMAT = 1
PARTY, PARTY_ROW, PARTIES = "party.id", "party.row", "parties"
PEOPLE = "people"
"""Key of `about` under which the groups of arrays stand."""
STARTS = "starts"
PARTY_TYPE = "S40"


@dataclass(frozen=True, eq=False)
class Generation:
    """One generation: its number, what it says of itself (JSON values), its arrays."""

    number: int
    about: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def row_of(self, party_id: str) -> int:
        """The row of the person whom a party belongs to; -1: nobody's."""
        ids, key = self.arrays[PARTY], party_id.encode()
        place = int(ids.searchsorted(key))
        if place < len(ids) and ids[place] == key:
            return int(self.arrays[PARTY_ROW][place])
        return -1

    def span(self, group: str, row: int) -> slice:
        """Where the entries of a person stand in every array of a group."""
        starts = self.arrays[f"{group}.{STARTS}"]
        return slice(int(starts[row]), int(starts[row + 1]))

    def people(self, group: str, row: int) -> dict[str, np.ndarray]:
        """The entries of a person in every array of a group, by the array's name in it."""
        start, span = f"{group}.", self.span(group, row)
        return {
            name.removeprefix(start): array[span]
            for name, array in self.arrays.items()
            if name.startswith(start) and name != f"{start}{STARTS}"
        }

    def parties_of(self, row: int) -> list[str]:
        """All parties of a person, the one that stands for her first."""
        places = self.arrays[f"{PARTIES}.place"][self.span(PARTIES, row)]
        return [one.decode() for one in self.arrays[PARTY][places].tolist()]


def starts_of(codes: np.ndarray, rows: int) -> np.ndarray:
    """`starts` of a group whose entries, sorted by row, belong to the rows `codes`."""
    counts = np.bincount(codes, minlength=rows)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def pack_people(parties: Iterable[tuple[str, int]], rows: int) -> dict[str, np.ndarray]:
    """The arrays that lead from (party, row) pairs, sorted by row, to people and back."""
    pairs = list(parties)
    ids = np.array([party.encode() for party, _ in pairs], dtype=PARTY_TYPE)
    row = np.array([number for _, number in pairs], dtype=np.int32)
    order = np.argsort(ids, kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return {
        PARTY: ids[order], PARTY_ROW: row[order],
        f"{PARTIES}.starts": starts_of(row, rows), f"{PARTIES}.place": place,
    }  # fmt: skip


def pack_texts(name: str, texts: pa.Array) -> dict[str, np.ndarray]:
    """Many texts, none of them null, as two arrays, for `Texts`."""
    held = texts.cast(pa.large_string())
    _, ends, letters = held.buffers()
    ends = np.frombuffer(ends, np.int64)[held.offset : held.offset + len(held) + 1]
    letters = np.frombuffer(letters or b"", np.uint8)
    return {f"{name}.bytes": letters[ends[0] : ends[-1]], f"{name}.ends": ends - ends[0]}


class Texts:
    """Texts of a generation by their place, decoded only when they are asked for."""

    def __init__(self, generation: Generation, name: str) -> None:
        self._bytes = generation.arrays[f"{name}.bytes"].data
        self._ends: list[int] = generation.arrays[f"{name}.ends"].tolist()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> bytes:
        return bytes(self._bytes[self._ends[place] : self._ends[place + 1]])

# pyright: standard
# (numpy types an array read from a file as one of anything)
"""What requests need to know of people's records, as arrays of a generation (`core.generation`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from zhiyin.core.generation import PARTY_TYPE, Generation, pack_people, starts_of
from zhiyin.core.parties import Join
from zhiyin.govern.people import Kinship

JOINS = "joins"
NAMESPACES = "namespaces"
"""Key of `about`: the id spaces in which customers are named."""


def pack_kinship(kinship: Kinship, customers: Sequence[str]) -> dict[str, np.ndarray]:
    """Every party of each customer, a row each, and the merges that make them one person."""
    parties = [(one, row) for row, who in enumerate(customers) for one in kinship.parties(who)]
    joins = [(row, one) for row, who in enumerate(customers) for one in kinship.joins(who)]
    rows = np.array([row for row, _ in joins], np.int64)
    return {
        **pack_people(parties, len(customers)),
        f"{JOINS}.starts": starts_of(rows, len(customers)),
        f"{JOINS}.party": np.array([one.party_id.encode() for _, one in joins], PARTY_TYPE),
        f"{JOINS}.into": np.array([one.into.encode() for _, one in joins], PARTY_TYPE),
        f"{JOINS}.at": np.array([one.at.timestamp() for _, one in joins], np.float64),
    }


def joins_of(held: Generation | None, row: int) -> list[Join]:
    """The merges that make the parties of a row one person; -1: nobody's."""
    if held is None or row < 0:
        return []
    mine = held.people(JOINS, row)
    return [
        Join(party.decode(), into.decode(), datetime.fromtimestamp(at, UTC))
        for party, into, at in zip(
            mine["party"].tolist(), mine["into"].tolist(), mine["at"].tolist(), strict=True
        )
    ]

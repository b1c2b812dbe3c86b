"""Columns that several tables share."""

from __future__ import annotations

from dataclasses import replace

from zhiyin.core import columns as c
from zhiyin.core.schema import Column, col, req

PARTY = col(c.PARTY_ID, "string", "identifier of the person; empty: no customer", pii="pseudonym")
A_PARTY = replace(PARTY, required=True)
CUSTOMER = req(c.CUSTOMER_ID, "string", "the person, as of the row's day", pii="pseudonym")
LOADED = (
    req(c.SOURCE, "string", "name of the source the row came from"),
    req(c.LOAD_ID, "string", "the load that wrote it"),
    req(c.LOADED_AT, "timestamp", "when it was written", volatile=True),
)
OPEN = (
    col(c.PROPERTIES, "json", "further non-personal fields"),
    col(c.PERSONAL, "binary", "personal fields, encrypted with the party's key", pii="encrypted"),
)
REVISED = (
    req(c.REVISION, "int64", "running number of the revision, from 1"),
    req(c.VALID_AT, "timestamp", "from when the revision holds"),
    req(c.RECORDED_AT, "timestamp", "when it was recorded", volatile=True),
    req(c.OP, "string", "upsert or delete"),
)
MONTH = req(c.MONTH, "string", "month of the business time, YYYY-MM (partition)")


def money(*pairs: tuple[str, str, str]) -> tuple[Column, ...]:
    made: list[Column] = []
    for minor, base, meaning in pairs:
        made.append(col(minor, "int64", meaning, "minor units as received"))
        made.append(col(base, "int64", meaning, "minor units of the workspace currency"))
    return tuple(made)

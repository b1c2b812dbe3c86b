"""A store and a vault in memory for the tests of collect."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import ibis
import pyarrow as pa
import sqlalchemy as sa

from zhiyin.collect.shape import arrow_schema
from zhiyin.core import columns as c
from zhiyin.core.ledger import metadata
from zhiyin.core.tables import TABLES


class Killed(Exception):
    """The process ends here."""


class FakeStore:
    """Appends once per (table, app, seq <= last); reads the last revision of each key."""

    def __init__(self, *, die_at: int | None = None):
        self.backend = ibis.duckdb.connect(":memory:", threads=1)
        self.ledger = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        metadata.create_all(self.ledger)
        self.rows: dict[str, pa.Table] = {}
        self.done: dict[tuple[str, str], int] = {}
        self.die_at, self.appends, self.number = die_at, 0, 0

    def append(self, table, rows, *, app, seq=0):
        self.appends += 1
        if self.appends == self.die_at:
            raise Killed
        if seq <= self.done.get((table, app), -1):
            return 0
        schema = arrow_schema(TABLES[table])
        assert rows.schema == schema
        for column in TABLES[table].columns:
            assert not column.required or rows.column(column.name).null_count == 0, column.name
        self.rows[table] = pa.concat_tables([self.stored(table), rows])
        self.done[table, app] = seq
        return rows.num_rows

    def stored(self, table):
        return self.rows.get(table, arrow_schema(TABLES[table]).empty_table())

    def read(self, table, *, as_of=None):
        rows, definition = self.stored(table), TABLES[table]
        if definition.revisions and rows.num_rows:
            last = {}
            for row in sorted(rows.to_pylist(), key=lambda r: (r[c.VALID_AT], r[c.REVISION])):
                last[tuple(row[name] for name in definition.key)] = row
            rows = pa.Table.from_pylist(list(last.values()), schema=rows.schema)
        return self.to_ibis(rows)

    def to_ibis(self, rows):
        self.number += 1
        return self.backend.create_table(f"t{self.number}", rows, temp=True)

    @contextmanager
    def begin(self):
        with self.ledger.begin() as connection:
            yield connection

    def pandas(self, table):
        return self.read(table).to_pyarrow().to_pandas()

    def list(self, table):
        return self.read(table).to_pyarrow().to_pylist()


class FakeVault:
    """Seals by writing the party before the JSON, reversed: nothing readable in the blob."""

    def party_ids(self, namespace, values):
        return ["p_" + hashlib.sha256(f"{namespace}|{v}".encode()).hexdigest()[:26] for v in values]

    def seal(self, party_ids, values):
        return [
            None
            if value is None
            else bytes(b ^ 0x5A for b in f"{party}|{json.dumps(value)}".encode())
            for party, value in zip(party_ids, values, strict=True)
        ]

    def unseal(self, party_ids, blobs):
        made = []
        for party, blob in zip(party_ids, blobs, strict=True):
            if blob is None:
                made.append(None)
                continue
            who, _, text = bytes(b ^ 0x5A for b in blob).decode().partition("|")
            assert who == party
            made.append(json.loads(text))
        return made

    def token(self, purpose, value):
        return hashlib.sha256(f"{purpose}|{value}".encode()).hexdigest()

    def seal_with(self, key_id, data):
        return [bytes(b ^ 0x5A for b in one) for one in data]


def open_content(blob):
    """What `seal_with` sealed."""
    return bytes(b ^ 0x5A for b in blob).decode()

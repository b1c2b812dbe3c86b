"""Pulls of a PostgreSQL database: what SQLite keeps, and what only a server has."""

from __future__ import annotations

import resource
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tests.unit.collect.fakes import rows_of
from tests.unit.collect.sources.databases import MAPPING, DatabaseContract
from zhiyin.collect.sources import Intake, pull
from zhiyin.collect.sources.config import parse_source
from zhiyin.collect.sources.sql import open_database, read_batches, reflect_stream
from zhiyin.core import columns as c
from zhiyin.core.errors import InputError


class TestPostgres(DatabaseContract):
    """Every promise about databases."""


def source_of(database, **table):
    values = {"origin": "till.sales", "table": "orders", "cursor": "changed", "mapping": MAPPING}
    url = database.url.render_as_string(hide_password=False)
    return parse_source(
        {"kind": "sql", "url": url, "tables": [values | table]}, name="till", where="test",
        read=dict,
    )  # fmt: skip


@pytest.fixture
def typed(database):
    """A table in a schema, with the types that only PostgreSQL has."""
    with database.begin() as connection:
        for text in (
            "CREATE SCHEMA till",
            "CREATE TABLE till.sales (no uuid PRIMARY KEY, buyer text, mail text, "
            "paid numeric(12,2), placed date, changed timestamptz, more jsonb)",
            "INSERT INTO till.sales VALUES ('11111111-1111-1111-1111-111111111111', 'b', "
            "'a@example.com', 12.30, '2026-02-01', '2026-02-01 23:30:00+08', '{\"a\": 1}')",
        ):
            connection.execute(sa.text(text))
    return database


def test_types_of_the_server_come_as_they_are(typed, store, vault, settings, clock, tmp_path):
    mapping = MAPPING | {"properties": ["more", "changed"]}
    intake = Intake(store, vault, settings, clock, tmp_path)
    source = source_of(typed, mapping=mapping)
    (made,) = pull(intake, "till", source)
    assert (made.loaded, made.quarantined) == (1, 0)
    (row,) = rows_of(store, "orders")
    assert row[c.ORDER_ID] == "till:11111111-1111-1111-1111-111111111111"
    assert row[c.AMOUNT_MINOR] == 1230
    assert row[c.ORDERED_AT] == datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None)
    assert '"{\\"a\\": 1}"' in row[c.PROPERTIES]
    assert pull(intake, "till", source)[0].again == 1


def test_a_view_is_read_like_a_table(typed, store, vault, settings, clock, tmp_path):
    with typed.begin() as connection:
        connection.execute(sa.text("CREATE VIEW till.recent AS SELECT * FROM till.sales"))
    intake = Intake(store, vault, settings, clock, tmp_path)
    source = source_of(typed, origin="till.recent", key=["no"])
    assert pull(intake, "till", source)[0].loaded == 1


def test_rows_are_streamed_by_the_server(database):
    text = (
        "CREATE TABLE big AS SELECT g AS no, repeat('x', 1000) AS mail, g AS buyer, 1.5 AS paid, "
        "now()::timestamp AS placed FROM generate_series(1, 300000) g"
    )
    with database.begin() as connection:
        connection.execute(sa.text(text))
    mapping = MAPPING | {"columns": {"order_id": "no", "ordered_at": "placed", "amount": "paid",
                                     "channel": "mail"}}  # fmt: skip
    source = source_of(database, origin="big", cursor="no", key=["no"], mapping=mapping)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_database(source.url, password="") as engine, engine.connect() as connection:
        stream = reflect_stream(engine, source.tables[0])
        count = sum(
            len(part) for part in read_batches(connection, stream, after=None, batch_rows=5000)
        )
    assert count == 300_000
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 150  # all rows at once would take over 300 MB


def test_a_server_that_is_not_there_says_no_password(tmp_path):
    url = f"postgresql://me@/shop?host={tmp_path}"
    with pytest.raises(InputError) as raised, open_database(url, password="hunter2") as engine:
        engine.connect()
    assert "hunter2" not in str(raised.value)

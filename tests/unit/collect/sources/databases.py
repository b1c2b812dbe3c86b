"""A shop's database and pulls of it: the same tests run on SQLite and on PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.collect.fakes import Killed, rows_of, stored
from zhiyin.collect.ledger import read_pull
from zhiyin.collect.sources import Intake, pull
from zhiyin.collect.sources.config import parse_source
from zhiyin.core import columns as c
from zhiyin.core.errors import ConfigError

START = datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None)

shop = sa.MetaData()
sales = sa.Table(
    "sales", shop,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("buyer", sa.String(40)),
    sa.Column("mail", sa.String(80)),
    sa.Column("paid", sa.Numeric(12, 2)),
    sa.Column("placed", sa.DateTime, nullable=False),
    sa.Column("changed", sa.DateTime),
    sa.Column("secret_note", sa.String(200)),
)  # fmt: skip
MAPPING = {
    "columns": {"order_id": "no", "user_id": "buyer", "email": "mail", "amount": "paid",
                "ordered_at": "placed"},
    "currency": "USD", "zone": "UTC",
}  # fmt: skip


def sale(no, *, minutes=0, paid="10.00", buyer=None, **more):
    at = START + timedelta(minutes=minutes)
    return {
        "no": no, "buyer": buyer or f"b{no % 7}", "mail": None, "paid": paid, "placed": at,
        "changed": at, "secret_note": "knows the owner", **more,
    }  # fmt: skip


class DatabaseContract:
    """What a pull of a database keeps. A subclass has a fixture `database`: an empty engine whose
    URL, without its password, a source may name."""

    @pytest.fixture
    def source(self, database):
        shop.drop_all(database)
        shop.create_all(database)

        def make(**more):
            table = {"origin": "sales", "table": "orders", "cursor": "changed", "batch_rows": 3}
            values = {
                "kind": "sql",
                "url": database.url.render_as_string(hide_password=False),
                "tables": [table | {"mapping": MAPPING} | more],
            }
            return parse_source(values, name="till", where="test", read=dict)

        return make

    @pytest.fixture
    def put(self, database):
        def insert(*rows):
            with database.begin() as connection:
                connection.execute(sales.insert(), list(rows))

        return insert

    @pytest.fixture
    def take(self, store, vault, settings, clock, tmp_path, source):
        def run(**options):
            made = options.pop("source", None) or source()
            intake = Intake(store, vault, settings, clock, tmp_path)
            return pull(intake, "till", made, **options)[0]

        return run

    def test_all_rows_come_in_batches_and_the_second_pull_brings_none(self, put, take, store):
        put(*(sale(no, minutes=no) for no in range(1, 9)))
        first = take()
        assert (first.read, first.loaded, first.quarantined, first.loads) == (8, 8, 0, 3)
        assert {row[c.ORDER_ID] for row in rows_of(store, "orders")} == {
            f"till:{no}" for no in range(1, 9)
        }
        assert sum(row[c.AMOUNT_MINOR] for row in rows_of(store, "orders")) == 8000
        again = take()
        assert again.read == again.again > 0  # the window is read once more, and known
        assert len(stored(store, "orders")) == 8

    def test_only_named_columns_leave_the_source(self, put, take, store):
        put(sale(1))
        take()
        assert all(row[c.PROPERTIES] is None for row in rows_of(store, "orders"))

    def test_a_row_that_commits_late_is_not_missed(self, put, take, store):
        put(sale(1, minutes=0), sale(2, minutes=10))
        take()
        put(sale(3, minutes=7))  # before the cursor, within the overlap of 5 minutes
        late = take()
        assert (late.loaded, late.again) == (1, 1)
        assert len(rows_of(store, "orders")) == 3

    def test_a_changed_row_becomes_the_next_revision_once(self, put, take, store, database):
        put(sale(1), sale(2, minutes=1))
        take()
        with database.begin() as connection:
            later = START + timedelta(minutes=2)
            connection.execute(sales.update().where(sales.c.no == 1).values(paid=25, changed=later))
        take()
        take()
        mine = [row for row in stored(store, "orders") if row[c.ORDER_ID] == "till:1"]
        assert [(row[c.REVISION], row[c.AMOUNT_MINOR]) for row in mine] == [(1, 1000), (2, 2500)]

    def test_a_row_that_goes_back_is_seen_too(self, put, take, store, database):
        put(sale(1))
        for paid in (25, 10):  # within one moment of the cursor
            take()
            with database.begin() as connection:
                connection.execute(sales.update().values(paid=paid))
        take()
        assert [row[c.AMOUNT_MINOR] for row in stored(store, "orders")] == [1000, 2500, 1000]

    def test_a_refused_row_is_refused_once(self, put, take, store):
        put(sale(1), sale(2, paid=None))
        assert take().quarantined == 1
        assert take().quarantined == 0
        assert [row[c.REASON] for row in rows_of(store, "quarantine")] == ["missing_value"]

    def test_equal_times_are_told_apart_by_the_key(self, put, take, store):
        put(*(sale(no) for no in range(1, 12)))  # all at one moment, four batches
        assert take().loaded == 11
        put(sale(12))
        assert take().loaded == 1
        assert len(stored(store, "orders")) == 12

    def test_a_number_that_grows_is_a_cursor(self, put, take, store, source):
        put(*(sale(no) for no in range(1, 6)))
        wanted = source(cursor="no", overlap=0)
        assert take(source=wanted).loaded == 5
        put(sale(9), sale(8))
        assert take(source=wanted).read == 2
        assert len(stored(store, "orders")) == 7

    def test_rows_without_a_cursor_are_told(self, put, take):
        put(sale(1), sale(2, changed=None))
        made = take()
        assert made.read == 1
        assert made.notes == ("1 rows have no changed and are never read",)

    def test_a_dry_run_writes_nothing(self, put, take, store):
        put(sale(1), sale(2, paid=None))
        made = take(dry_run=True)
        assert (made.loaded, made.quarantined) == (1, 1)
        assert "missing_value" in made.problems[0]
        assert stored(store, "orders") == []
        assert take().loaded == 1

    def test_from_the_start_again_nothing_is_doubled(self, put, take, store):
        put(*(sale(no, minutes=no) for no in range(1, 9)))
        take()
        made = take(from_start=True)
        assert (made.read, made.unchanged) == (8, 8)
        assert len(stored(store, "orders")) == 8

    @pytest.mark.parametrize("die_at", [1, 2, 3, 4, 6, 8, 11])
    def test_killed_anywhere_and_run_again_nothing_is_lost_or_doubled(
        self, put, take, store, die_at
    ):
        put(*(sale(no, minutes=no, paid=None if no == 4 else "10.00") for no in range(1, 9)))
        store.die_at = die_at
        with suppress(Killed):
            take()
        put(sale(20, minutes=20))  # the source goes on meanwhile
        with suppress(Killed):
            take()
        take()
        ids = [row[c.ORDER_ID] for row in stored(store, "orders")]
        assert sorted(ids) == sorted({f"till:{no}" for no in (1, 2, 3, 5, 6, 7, 8, 20)})
        assert len(stored(store, "quarantine")) == 1

    @pytest.mark.parametrize("die_at", [2, 3, 5, 6, 7, 8, 9, 12, 15])
    def test_killed_between_lake_and_ledger_nothing_is_lost_or_doubled(
        self, put, take, store, die_at
    ):
        put(*(sale(no, minutes=no, paid=None if no == 4 else "10.00") for no in range(1, 9)))
        store.die_at_begin = store.begins + die_at
        with suppress(Killed):
            take()
        store.die_at_begin = None
        put(sale(20, minutes=20))
        take()
        ids = [row[c.ORDER_ID] for row in stored(store, "orders")]
        assert sorted(ids) == sorted(f"till:{no}" for no in (1, 2, 3, 5, 6, 7, 8, 20))
        assert len(stored(store, "quarantine")) == 1

    def test_the_position_holds_no_personal_data(self, put, take, store, source):
        put(sale(1, mail="ann@example.com"))
        take()
        with store.begin() as connection:
            state = read_pull(connection, "till", source().tables[0].stream)
        assert state.position == START.isoformat()
        assert len(state.seen) == 16
        assert b"ann" not in state.seen

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"origin": "nothing"}, "no table 'nothing'"),
            ({"cursor": "nothing"}, "no column 'nothing'"),
            ({"cursor": "placed", "overlap": 0}, "time of several|may be that of several"),
            ({"cursor": "buyer", "overlap": 5}, "no overlap"),
        ],
    )
    def test_a_wrong_source_is_told(self, take, source, change, message):
        with pytest.raises(ConfigError, match=message):
            take(source=source(**change))

"""What every store must do. A new one is done when a subclass of `StoreContract` passes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import turns
from zhiyin.core.protocols import Store

ZONE = "America/New_York"
DAY = date(2024, 3, 10)  # begins at 05:00 UTC; a change to summer time is on it
MIDNIGHT = datetime.fromisoformat("2024-03-10T05:00")  # naive UTC, as the lake keeps it
LOADED = datetime.fromisoformat("2026-01-01")

Row = dict[str, Any]


def touch(number: int, at: datetime, *, party: str = "p_a") -> Row:
    """A row of `touches`."""
    return {
        c.TOUCH_ID: f"t:{number}", c.PARTY_ID: party, c.OCCURRED_AT: at, c.KIND: "open",
        c.SOURCE: "t", c.LOAD_ID: "l", c.LOADED_AT: LOADED,
    }  # fmt: skip


def order(
    key: str, at: datetime, *, revision: int = 1, valid: datetime | None = None, **more: object
) -> Row:
    """A row of `orders`: one revision of one order."""
    return {
        c.ORDER_ID: key, c.REVISION: revision, c.VALID_AT: valid or at, c.RECORDED_AT: LOADED,
        c.OP: "upsert", c.PARTY_ID: "p_a", c.ORDERED_AT: at, c.STATUS: "completed",
        c.CURRENCY: "USD", c.SOURCE: "t", c.LOAD_ID: "l", c.LOADED_AT: LOADED, **more,
    }  # fmt: skip


def merge(party: str, into: str, at: datetime, *, undone: datetime | None = None) -> Row:
    """A row of `merges`."""
    return {c.PARTY_ID: party, c.INTO: into, c.AT: at, c.RULE: "email", c.UNDONE_AT: undone}


def tag(day: date, customer: str, name: str) -> Row:
    """A row of `tags`."""
    return {c.AS_OF_ON: day, c.CUSTOMER_ID: customer, c.TAG: name, c.KIND: "rule", c.VERSION: 1}


def rows_of(store: Store, table: str, *, as_of: date | None = None) -> list[Row]:
    """What `read` gives, as dictionaries."""
    return store.read(table, as_of=as_of).to_pyarrow().to_pylist()


def put(store: Store, table: str, *rows: Row, app: str = "test", seq: int = 0) -> int:
    """Append dictionaries; what one lacks is null."""
    names = dict.fromkeys(name for row in rows for name in row)
    full = pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows])
    return store.append(table, full, app=app, seq=seq)


class StoreContract:
    """Tests of `core.protocols.Store`. A subclass has a fixture `store`, empty, in `ZONE`."""

    def test_an_unwritten_table_is_empty_and_has_its_columns(self, store: Store) -> None:
        table = store.read("orders", as_of=DAY)
        assert table.columns[-1] == c.CUSTOMER_ID
        assert table.count().to_pyarrow().as_py() == 0
        assert c.CUSTOMER_ID not in store.read("products").columns

    def test_an_unknown_table_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.read("nothing")
        with pytest.raises(NotFound):
            store.append("nothing", pa.table({}), app="a")
        with pytest.raises(NotFound):
            store.replace("nothing", pa.table({}), scope={})

    def test_a_segment_is_appended_once(self, store: Store) -> None:
        first = touch(1, MIDNIGHT)
        assert put(store, "touches", first, app="load:1", seq=0) == 1
        assert put(store, "touches", first, app="load:1", seq=0) == 0
        assert put(store, "touches", touch(2, MIDNIGHT), app="load:1", seq=1) == 1
        assert put(store, "touches", first, app="load:1", seq=0) == 0
        assert put(store, "touches", touch(3, MIDNIGHT), app="load:2", seq=0) == 1
        assert sorted(row[c.TOUCH_ID] for row in rows_of(store, "touches")) == [
            "t:1", "t:2", "t:3",
        ]  # fmt: skip

    def test_rows_come_back_as_they_were_given(self, store: Store) -> None:
        row = touch(1, datetime.fromisoformat("2024-01-31T23:59:59.999999")) | {
            c.COST_BASE_MINOR: -7,
            c.PROPERTIES: '{"名": "知音"}',
            c.PERSONAL: b"\x01\x00\xff",
        }
        put(store, "touches", row)
        [read] = rows_of(store, "touches")
        assert {name: read[name] for name in row} == row
        assert read[c.MONTH] == "2024-01"
        assert read[c.CAMPAIGN_ID] is None

    def test_an_append_of_no_rows_counts_as_done(self, store: Store) -> None:
        none = pa.Table.from_pylist([touch(1, MIDNIGHT)]).slice(0, 0)
        assert store.append("touches", none, app="a", seq=0) == 0
        assert put(store, "touches", touch(1, MIDNIGHT), app="a", seq=0) == 0
        assert rows_of(store, "touches") == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"nonsense": 1}, "no column nonsense"),
            ({c.KIND: None}, "kind of touches is required"),
            ({c.COST_MINOR: "much"}, "cannot be stored as int64"),
            ({c.MONTH: "2023-01"}, "not the month"),
        ],
    )
    def test_a_row_that_does_not_fit_is_refused(self, store: Store, change: Row, said: str) -> None:
        with pytest.raises(InvalidParameter, match=said) as caught:
            put(store, "touches", touch(1, MIDNIGHT) | change)
        assert "much" not in str(caught.value)
        assert rows_of(store, "touches") == []

    def test_a_lacking_required_column_is_named(self, store: Store) -> None:
        row = touch(1, MIDNIGHT)
        del row[c.KIND]
        with pytest.raises(InvalidParameter, match="lack the required column kind"):
            put(store, "touches", row)

    def test_a_day_sees_what_was_before_its_local_midnight(self, store: Store) -> None:
        instant = timedelta(microseconds=1)
        put(store, "touches", touch(1, MIDNIGHT - instant), touch(2, MIDNIGHT))
        assert [row[c.TOUCH_ID] for row in rows_of(store, "touches", as_of=DAY)] == ["t:1"]
        after = DAY + timedelta(days=1)  # 23 hours later: summer time began
        put(store, "touches", touch(3, MIDNIGHT + timedelta(hours=23)), app="b")
        assert len(rows_of(store, "touches", as_of=after)) == 2

    def test_a_moment_is_no_day(self, store: Store) -> None:
        with pytest.raises(InvalidParameter, match="local day"):
            store.read("touches", as_of=MIDNIGHT)

    def test_the_last_revision_before_the_day_holds(self, store: Store) -> None:
        at = MIDNIGHT - timedelta(days=5)
        put(
            store,
            "orders",
            order("o:1", at, amount_base_minor=1),
            order("o:1", at, revision=2, valid=at + timedelta(days=1), amount_base_minor=2),
            order("o:1", at, revision=3, valid=MIDNIGHT, amount_base_minor=3),
            order("o:2", at, amount_base_minor=9),
        )
        seen = {r[c.ORDER_ID]: r[c.AMOUNT_BASE_MINOR] for r in rows_of(store, "orders", as_of=DAY)}
        assert seen == {"o:1": 2, "o:2": 9}
        now = {r[c.ORDER_ID]: r[c.AMOUNT_BASE_MINOR] for r in rows_of(store, "orders")}
        assert now == {"o:1": 3, "o:2": 9}

    def test_a_deleted_key_is_gone_from_its_day_on(self, store: Store) -> None:
        at = MIDNIGHT - timedelta(days=5)
        put(store, "orders", order("o:1", at), order("o:2", at))
        put(store, "orders", order("o:1", at, revision=2, valid=MIDNIGHT, op="delete"), app="b")
        assert len(rows_of(store, "orders", as_of=DAY)) == 2
        assert [r[c.ORDER_ID] for r in rows_of(store, "orders")] == ["o:2"]

    def test_a_key_with_an_empty_part_has_revisions(self, store: Store) -> None:
        row = {
            c.OFFER_ID: "f:1", c.REVISION: 1, c.VALID_AT: MIDNIGHT, c.RECORDED_AT: LOADED,
            c.OP: "upsert", c.SOURCE: "t", c.LOAD_ID: "l", c.LOADED_AT: LOADED,
        }  # fmt: skip
        put(store, "offers", row, row | {c.REVISION: 2, c.NAME: "new"})
        assert [r[c.NAME] for r in rows_of(store, "offers")] == ["new"]

    def test_a_key_recorded_twice_is_read_once(self, store: Store) -> None:
        put(store, "orders", order("o:1", MIDNIGHT))
        put(store, "orders", order("o:1", MIDNIGHT), app="b")
        assert len(rows_of(store, "orders")) == 1

    def test_without_merges_a_customer_is_her_party(self, store: Store) -> None:
        at = MIDNIGHT - timedelta(days=1)
        put(store, "orders", order("o:1", at), order("o:2", at, party_id=None))
        seen = {r[c.ORDER_ID]: r[c.CUSTOMER_ID] for r in rows_of(store, "orders", as_of=DAY)}
        assert seen == {"o:1": "p_a", "o:2": None}

    def test_a_merge_holds_from_its_day_until_it_is_undone(self, store: Store) -> None:
        at = MIDNIGHT - timedelta(days=9)
        put(store, "touches", touch(1, at), touch(2, at, party="p_b"), touch(3, at, party="p_c"))
        joined, undone = MIDNIGHT - timedelta(days=5), MIDNIGHT - timedelta(days=2)
        put(store, "merges", merge("p_a", "p_b", joined), merge("p_b", "p_c", joined))

        def customers(day: date | None) -> list[str]:
            rows = rows_of(store, "touches", as_of=day)
            return [r[c.CUSTOMER_ID] for r in sorted(rows, key=lambda r: r[c.TOUCH_ID])]

        assert customers(DAY - timedelta(days=5)) == ["p_a", "p_b", "p_c"]
        assert customers(DAY - timedelta(days=4)) == ["p_c", "p_c", "p_c"]
        put(store, "merges", merge("p_b", "p_c", joined, undone=undone), app="undo")
        assert customers(DAY - timedelta(days=2)) == ["p_c", "p_c", "p_c"]
        assert customers(DAY - timedelta(days=1)) == ["p_b", "p_b", "p_c"]
        assert customers(None) == ["p_b", "p_b", "p_c"]

    def test_an_undone_merge_is_one_row_and_unknown_before(self, store: Store) -> None:
        joined = MIDNIGHT - timedelta(days=5)
        put(store, "merges", merge("p_a", "p_b", joined))
        put(store, "merges", merge("p_a", "p_b", joined, undone=MIDNIGHT), app="undo")
        assert [r[c.UNDONE_AT] for r in rows_of(store, "merges", as_of=DAY)] == [None]
        assert [r[c.UNDONE_AT] for r in rows_of(store, "merges")] == [MIDNIGHT]

    def test_merged_rows_keep_their_number_and_their_empty_customers(self, store: Store) -> None:
        at = MIDNIGHT - timedelta(days=9)
        put(store, "orders", order("o:1", at), order("o:2", at, party_id=None))
        put(store, "merges", merge("p_a", "p_b", at), merge("p_a", "p_c", at))
        seen = {r[c.ORDER_ID]: r[c.CUSTOMER_ID] for r in rows_of(store, "orders", as_of=DAY)}
        assert seen == {"o:1": "p_b", "o:2": None}

    def test_a_scope_is_replaced_and_nothing_else(self, store: Store) -> None:
        other = DAY - timedelta(days=1)
        old = pa.Table.from_pylist([tag(DAY, "p_a", "old"), tag(DAY, "p_b", "old")])
        store.replace("tags", old, scope={c.AS_OF_ON: DAY})
        store.replace(
            "tags", pa.Table.from_pylist([tag(other, "p_a", "kept")]), scope={c.AS_OF_ON: other}
        )
        new = pa.Table.from_pylist([tag(DAY, "p_a", "new")])
        for _ in range(2):  # a resumed job writes again
            assert store.replace("tags", new, scope={c.AS_OF_ON: DAY}) == 1
        assert sorted(row[c.TAG] for row in rows_of(store, "tags")) == ["kept", "new"]
        assert store.replace("tags", new.slice(0, 0), scope={c.AS_OF_ON: DAY}) == 0
        assert [row[c.TAG] for row in rows_of(store, "tags")] == ["kept"]

    def test_a_scope_may_have_several_columns_and_quotes(self, store: Store) -> None:
        rows = [tag(DAY, "p_a", "it's"), tag(DAY, "p_a", "b")]
        store.replace("tags", pa.Table.from_pylist(rows), scope={})
        store.replace(
            "tags", pa.Table.from_pylist(rows[:0] or [tag(DAY, "p_b", "it's")]),
            scope={c.AS_OF_ON: DAY, c.TAG: "it's", c.VERSION: 1},
        )  # fmt: skip
        seen = sorted((row[c.TAG], row[c.CUSTOMER_ID]) for row in rows_of(store, "tags"))
        assert seen == [("b", "p_a"), ("it's", "p_b")]

    def test_an_empty_scope_is_the_whole_table(self, store: Store) -> None:
        rows = pa.Table.from_pylist([tag(DAY, "p_a", "a")])
        store.replace("tags", rows, scope={})
        store.replace("tags", pa.Table.from_pylist([tag(DAY, "p_a", "b")]), scope={})
        assert [row[c.TAG] for row in rows_of(store, "tags")] == ["b"]

    def test_rows_outside_the_scope_are_refused(self, store: Store) -> None:
        rows = pa.Table.from_pylist([tag(DAY, "p_a", "a")])
        with pytest.raises(InvalidParameter, match="outside the scope"):
            store.replace("tags", rows, scope={c.AS_OF_ON: DAY + timedelta(days=1)})

    def test_a_scope_names_no_person(self, store: Store) -> None:
        rows = pa.Table.from_pylist([tag(DAY, "p_a", "a")])
        with pytest.raises(InvalidParameter, match="identifies a person"):
            store.replace("tags", rows, scope={c.CUSTOMER_ID: "p_a"})

    def test_own_rows_join_with_stored_ones(self, store: Store) -> None:
        put(store, "touches", touch(1, MIDNIGHT), touch(2, MIDNIGHT, party="p_b"))
        mine = store.to_ibis(pa.table({c.PARTY_ID: ["p_b"], "weight": [2.5]}))
        joined = store.read("touches").inner_join(mine, c.PARTY_ID)
        assert joined.select(c.TOUCH_ID, "weight").to_pyarrow().to_pylist() == [
            {c.TOUCH_ID: "t:2", "weight": 2.5}
        ]
        assert mine.count().to_pyarrow().as_py() == 1

    def test_what_was_added_since_a_version(self, store: Store) -> None:
        assert store.added("touches", since=-1)[0] == -1
        put(store, "touches", touch(1, MIDNIGHT))
        version, nothing = store.added("touches")
        assert nothing is None
        late, later = MIDNIGHT - timedelta(days=9), MIDNIGHT + timedelta(days=9)
        put(store, "touches", touch(2, late, party="p_b"), touch(3, later), seq=1)
        newer, rows = store.added("touches", since=version, as_of=DAY)
        assert newer > version
        assert rows is not None
        seen = rows.to_pyarrow().to_pylist()
        assert [(row[c.TOUCH_ID], row[c.CUSTOMER_ID]) for row in seen] == [("t:2", "p_b")]
        again = store.added("touches", since=newer)[1]
        assert again is not None
        assert again.count().to_pyarrow().as_py() == 0

    def test_what_was_added_is_not_known_after_a_rewrite(self, store: Store) -> None:
        rows = pa.Table.from_pylist([tag(DAY, "p_a", "a")])
        store.replace("tags", rows, scope={c.AS_OF_ON: DAY})
        version, _ = store.added("tags")
        store.replace("tags", rows, scope={c.AS_OF_ON: DAY})
        assert store.added("tags", since=version)[1] is None

    def test_a_ledger_transaction_is_all_or_nothing(self, store: Store) -> None:
        row = {
            "turn_id": "a", "as_of_on": DAY, "state": "running", "inputs": {"orders": 3},
            "config": {}, "code_version": "1", "started_at": MIDNIGHT,
        }  # fmt: skip
        with store.begin() as connection:
            connection.execute(turns.insert().values(row))
        with pytest.raises(IntegrityError), store.begin() as connection:
            connection.execute(turns.insert(), [row | {"turn_id": "b"}, row])
        with store.begin() as connection:
            assert connection.execute(sa.select(turns.c.turn_id)).scalars().all() == ["a"]

# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What every engine must do. A new one is done when a subclass of `EngineContract` passes.

The expressions of all rooms are computed twice: by the engine over a lake, and by the DuckDB of a
`MemoryStore`, whose reads are plain Python. The rows must be the same, floats to 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import ibis
import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core.protocols import Store
from zhiyin.profile import browsing, features
from zhiyin.testing.engine_rows import BOUNDARY, DAY, EARLIER, ZONE, fill
from zhiyin.testing.store import MemoryStore

TOLERANCE = 1e-9
READ = (*features.TABLES, *browsing.TABLES, "offers", "campaigns", "merges")


def assert_equal(made: ibis.Table, wanted: ibis.Table) -> None:
    """The same columns and types, and the same rows in any order, floats to `TOLERANCE`."""
    assert_alike(made.to_pyarrow(), wanted.to_pyarrow())


def assert_alike(made: pa.Table, wanted: pa.Table) -> None:
    """As `assert_equal`, of rows that are computed already."""
    assert made.schema.equals(wanted.schema)
    made, wanted = _sorted(made), _sorted(wanted)
    for field in wanted.schema:
        found, expected = made[field.name], wanted[field.name]
        if pa.types.is_floating(field.type):
            assert found.is_null().equals(expected.is_null()), field.name
            np.testing.assert_allclose(
                *(one.fill_null(0).to_numpy() for one in (found, expected)),
                rtol=TOLERANCE, atol=TOLERANCE, err_msg=field.name,
            )  # fmt: skip
        else:
            assert found.to_pylist() == expected.to_pylist(), field.name


def _sorted(rows: pa.Table) -> pa.Table:
    """In the order of all columns, those that are equal to the last digit first."""
    floats = [field.name for field in rows.schema if pa.types.is_floating(field.type)]
    exact = [name for name in rows.column_names if name not in floats]
    listed = rows.to_pylist()
    order = sorted(
        range(rows.num_rows),
        key=lambda place: (
            [repr(listed[place][name]) for name in exact],
            [(listed[place][name] is None, round(listed[place][name] or 0, 6)) for name in floats],
        ),
    )
    return rows.take(pa.array(order, pa.int64()))


def read_all(store: Store, day: date | None) -> dict[str, ibis.Table]:
    """Every table of the contract as a day sees it."""
    return {name: store.read(name, as_of=day) for name in READ}


class EngineContract:
    """Tests of `core.protocols.Engine`.

    A subclass has a fixture `store` of module scope: an empty store in `engine_rows.ZONE` whose
    reads are run by the engine.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def both(cls, store: Store) -> Iterator[tuple[Store, MemoryStore]]:
        """The store and the reference, with the same rows; first what holds of empty ones."""
        reference = MemoryStore(zone=ZONE)
        for name in READ:
            assert_equal(store.read(name, as_of=DAY), reference.read(name, as_of=DAY))
        fill(store)
        fill(reference)
        yield store, reference
        reference.close()

    def test_rows_come_back_as_they_were(self, store: Store) -> None:
        rows = pa.table(
            {
                "text": ["知音", "café", "", "O'Neil's 50% \\ \"x\"\n", None],
                "whole": pa.array([1, -(2**62) - 1, None, 2**53 + 1, 0], pa.int64()),
                "small": pa.array([1, None, -128, 127, 0], pa.int8()),
                "share": [0.1, None, float("nan"), float("inf"), -0.0],
                "yes": [True, None, False, True, False],
                "on": [date(2024, 3, 10), None, date(1900, 1, 1), date(2099, 12, 31), DAY],
                "at": pa.array(
                    [datetime(2024, 3, 10, 2, 30, 0, 1), None, BOUNDARY, BOUNDARY, BOUNDARY],  # noqa: DTZ001 - the lake keeps naive UTC
                    pa.timestamp("us"),
                ),
                "raw": pa.array([b"\x00\xff", None, b"", b"a", b"b"], pa.binary()),
            }
        )
        table = store.to_ibis(rows)
        assert table.schema() == ibis.Schema.from_pyarrow(rows.schema)
        back = table.to_pyarrow()
        assert back.schema.equals(rows.schema)
        assert repr(back.to_pylist()) == repr(rows.to_pylist())
        empty = store.to_ibis(rows.slice(0, 0)).to_pyarrow()
        assert (empty.num_rows, empty.schema.equals(rows.schema)) == (0, True)

    @pytest.mark.parametrize("day", [None, DAY, EARLIER])
    def test_a_day_sees_the_same_rows(
        self, both: tuple[Store, MemoryStore], day: date | None
    ) -> None:
        for name, table in read_all(both[0], day).items():
            assert_equal(table, both[1].read(name, as_of=day))

    @pytest.mark.parametrize("day", [DAY, EARLIER])
    def test_features_are_equal(self, both: tuple[Store, MemoryStore], day: date) -> None:
        made, wanted = (features.build(read_all(one, day), as_of=day, zone=ZONE) for one in both)
        assert_equal(made, wanted)
        assert wanted.count().to_pyarrow().as_py() > 10
        assert c.CUSTOMER_ID in made.columns

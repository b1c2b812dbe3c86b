"""Tables that are handed to the features: of any kind, refused where they lack something."""

from __future__ import annotations

from datetime import UTC, date, datetime

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.profile.features import build
from zhiyin.profile.visible import COLUMNS, read_tables

DAY = date(2025, 3, 1)
LINES = pa.table(
    {
        name: [1] if "minor" in name or name == "quantity" else ["x"]
        for name in COLUMNS["order_lines"]
    }
    | {"sold_at": pa.array([datetime(2025, 1, 1)], pa.timestamp("us"))}
)


def read(lines):
    return read_tables({"order_lines": lines}, ["order_lines"])["order_lines"]


def test_tables_of_ibis_arrow_and_pandas_are_the_same():
    given = (ibis.memtable(LINES), LINES, pd.DataFrame(LINES.to_pylist()))
    assert len({read(lines).count().to_pyarrow().as_py() for lines in given}) == 1
    assert all(read(lines).sold_at.type().is_timestamp() for lines in given)


@pytest.mark.parametrize(
    ("lines", "said", "hint"),
    [
        (LINES.drop(["store_id", "kind"]), "no column store_id, kind", "customer_id"),
        (LINES.rename_columns(["客户", *LINES.column_names[1:]]), "no column customer_id", "客户"),
        (LINES.set_column(2, "sold_at", pa.array(["2025-01-01"])), "sold_at .* is string", "UTC"),
        (
            LINES.set_column(2, "sold_at", pa.array([datetime(2025, 1, 1, tzinfo=UTC)])),
            "sold_at .* is timestamp", "without a zone",
        ),
        ([{"customer_id": "a"}], "order_lines is a list", "Arrow"),
    ],
    ids=["columns", "Chinese names", "text times", "zoned times", "a list"],
)  # fmt: skip
def test_what_a_table_lacks_is_said(lines, said, hint):
    with pytest.raises(InvalidParameter, match=said) as error:
        read(lines)
    assert hint in str(error.value.hint)


def test_a_missing_table_and_a_day_as_text_are_refused():
    with pytest.raises(InvalidParameter, match="no table products, touches, customers"):
        build({"order_lines": LINES}, as_of=DAY, zone="UTC")
    with pytest.raises(InvalidParameter, match="no date"):
        build({"order_lines": LINES}, as_of="2025-03-01", zone="UTC")  # pyright: ignore[reportArgumentType]  # wrong on purpose

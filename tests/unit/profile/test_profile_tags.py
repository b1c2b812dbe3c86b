from __future__ import annotations

from datetime import date, datetime

import ibis
import pyarrow as pa

from tests.unit.profile.shop_rows import Shop, line
from zhiyin.core.features import FEATURES
from zhiyin.core.tables import TABLES
from zhiyin.profile.tags import TAGS, apply

DAY = date(2017, 6, 1)
TYPES = {"int64": pa.int64(), "float64": pa.float64()}


def tags_of(**values) -> dict[str, str]:
    columns = {f.name: pa.array([values.get(f.name)], TYPES[f.type]) for f in FEATURES}
    table = pa.table({"as_of_on": [DAY], "customer_id": ["a"], **columns})
    con = ibis.duckdb.connect(threads=1)
    rows = apply(con.create_table("features", table)).to_pyarrow()
    assert tuple(rows.column_names) == TABLES["tags"].names
    return {row["tag"]: row["value"] for row in rows.to_pylist()}


def test_the_first_set_is_complete_and_in_both_languages():
    assert len(TAGS) >= 15
    assert len({tag.name for tag in TAGS}) == len(TAGS)
    assert all(any("\u4e00" <= ch <= "\u9fff" for ch in tag.label_zh) for tag in TAGS)


def test_someone_without_features_gets_no_tag():
    assert tags_of() == {}


def test_a_customer_who_stays_away_gets_both_tags_with_their_values():
    made = tags_of(orders_count=1, recency_days=120, tenure_days=120)
    assert made == {"one_time": "120", "dormant": "120"}


def test_thresholds_are_where_the_label_says():
    assert "new" in tags_of(tenure_days=29)
    assert "new" not in tags_of(tenure_days=30)


def test_features_for_some_are_those_for_everyone():
    shop = Shop()
    rows = [
        line("a", "o1", datetime(2017, 5, 1), product="p1"),
        line("b", "o2", datetime(2017, 5, 2), product="p2", amount=5000),
    ]
    everyone = {row["customer_id"]: row for row in shop.features(lines=rows).to_pylist()}
    some = shop.features_of(["a"], lines=rows).to_pylist()
    assert some == [everyone["a"]]

from __future__ import annotations

from pathlib import Path

import pytest

from zhiyin.collect.mapping import (
    LOADABLE,
    check_mapping,
    default_mapping,
    parse_mapping,
    read_mapping,
    targets,
)
from zhiyin.core.errors import InputError, NotFound

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "mappings").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_reads_and_fills_columns_of_its_table(path):
    mapping = read_mapping(path)
    assert mapping.table in LOADABLE
    assert set(mapping.columns) <= set(targets(mapping.table))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"source": "s", "columns": {}, "colour": 1}, "colour"),
        ({"source": "S p", "columns": {}}, "source"),
        ({"source": "s", "columns": {"a": {"sum": ["x"], "column": "y"}}}, "one of"),
        ({"source": "s", "columns": {"a": {"product": ["x"]}}}, "two headers"),
        ({"source": "s", "columns": {}, "zone": "Mars"}, "zone"),
        ({"source": "s", "columns": {}, "kinds": [{"kind": "fee", "pattern": "("}]}, "regular"),
        ({"source": "s", "columns": {}, "kinds": [{"kind": "gift", "pattern": "x"}]}, "kind"),
    ],
)
def test_a_wrong_mapping_names_what_is_wrong(values, says):
    with pytest.raises(InputError, match=says):
        parse_mapping(values, where="m.toml")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"columns": {}}, 'source = "shop"'),
        ({"source": "My Shop", "columns": {}}, 'source = "shop"'),
        ({"source": "s"}, 'order_id = "Order No"'),
        ({"source": "s", "columns": {}, "colour": 1}, "correct its spelling"),
        ({"source": "s", "columns": {}, "zone": "Mars"}, "examples/mappings"),
    ],
)
def test_the_hint_shows_what_to_write(values, line):
    with pytest.raises(InputError) as error:
        parse_mapping(values, where="m.toml")
    assert line in error.value.hint


def test_a_missing_or_broken_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no mapping"):
        read_mapping(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_text("source = ")
    with pytest.raises(InputError, match="TOML"):
        read_mapping(tmp_path / "m.toml")


def test_our_own_headers_need_no_mapping():
    made = default_mapping("stores", ["Store_ID", "city", "floor"])
    assert {k: r.column for k, r in made.columns.items()} == {
        "store_id": "Store_ID",
        "city": "city",
    }


def test_a_file_without_one_of_our_headers_needs_a_mapping():
    with pytest.raises(InputError, match="no header"):
        default_mapping("stores", ["filiale"])


@pytest.mark.parametrize(
    ("table", "columns", "headers", "says"),
    [
        ("stores", {"store_id": "a"}, ["b"], "no column 'a'"),
        ("stores", {"shop": "a"}, ["a"], "no column 'shop' to fill"),
        ("rates", {"currency": "a", "rate_on": "b"}, ["a", "b"], "no rate"),
        ("order_lines", {"order_id": "a", "sold_at": "a", "quantity": "a"}, ["a"], "amount"),
        ("touches", {"occurred_at": "a", "kind": "a"}, ["a"], "user_id or email or phone"),
    ],
)
def test_a_mapping_has_to_fit_the_file_and_the_table(table, columns, headers, says):
    mapping = parse_mapping({"source": "s", "columns": columns}, where="m")
    with pytest.raises(InputError, match=says):
        check_mapping(mapping, table, headers)


def test_a_mapping_for_another_table_is_refused():
    mapping = parse_mapping({"source": "s", "table": "stores", "columns": {}}, where="m")
    with pytest.raises(InputError, match="for stores"):
        check_mapping(mapping, "products", [])


def test_derived_tables_cannot_be_loaded():
    with pytest.raises(NotFound, match="features"):
        targets("features")

"""What a file does to keys that the lake knows: new revisions, blanks filled, left alone, ended."""

from __future__ import annotations

import json

import pytest

from tests.unit.collect.fakes import rows_of, stored
from zhiyin.collect.guards import MAX_CELL_BYTES
from zhiyin.core.errors import InputError

STORES = {"source": "s", "columns": {"store_id": "id", "city": "city", "country": "country"}}
PEOPLE = {"source": "crm", "columns": {"user_id": "id", "email": "email", "city": "city"}}


def stores(store):
    return {r["store_id"]: (r["city"], r["country"]) for r in rows_of(store, "stores")}


@pytest.mark.parametrize(
    ("policy", "wanted", "written"),
    [
        ("overwrite", ("Paris", None), 1), ("fill", ("Rome", "IT"), 1), ("skip", ("Rome", None), 0),
    ],
)  # fmt: skip
def test_a_known_key_is_treated_by_the_policy(load, store, policy, wanted, written):
    load("stores", "id,city,country\n1,Rome,\n", mapping=STORES)
    country = "IT" if policy == "fill" else ""
    text = f"id,city,country\n1,Paris,{country}\n2,Oslo,NO\n"
    report = load("stores", text, mapping=STORES | {"policy": policy})
    assert stores(store) == {"s:1": wanted, "s:2": ("Oslo", "NO")}
    assert (report.written["stores"], report.unchanged) == (written + 1, 1 - written)


def test_filling_where_nothing_is_blank_writes_nothing(load, store):
    load("stores", "id,city,country\n1,Rome,IT\n", mapping=STORES)
    report = load("stores", "id,city,country\n1,Paris,FR\n", mapping=STORES | {"policy": "fill"})
    assert report.unchanged == 1
    assert len(stored(store, "stores")) == 1


def test_filling_keeps_personal_fields_and_adds_what_was_missing(load, store, vault):
    load("customers", "id,email,city,nick name\n7,a@shop.example,,Li\n", mapping=PEOPLE)
    load(
        "customers", "id,email,city,nick name,phone\n7,b@shop.example,Rome,,+39 06 1234567\n",
        mapping=PEOPLE | {"policy": "fill"},
    )  # fmt: skip
    (row,) = rows_of(store, "customers")
    assert (row["city"], row["revision"]) == ("Rome", 2)
    (fields,) = vault.unseal([row["party_id"]], [row["personal"]])
    assert fields == {
        "user_id": "7", "email": "a@shop.example", "nick name": "Li", "phone": "+39 06 1234567",
    }  # fmt: skip


def test_money_of_another_currency_fills_no_blank(load, store):
    load("rates", "currency,rate_on,rate\nEUR,2020-01-01,1.1\n")
    load("products", "product_id,name,currency\nA,Tea,USD\n")
    mapping = {
        "source": "shop", "policy": "fill",
        "columns": {n: n for n in ("product_id", "name", "currency", "price", "brand")},
    }  # fmt: skip
    load("products", "product_id,name,currency,price,brand\nA,Tea,EUR,5.00,Acme\n", mapping=mapping)
    (row,) = rows_of(store, "products")
    assert (row["brand"], row["currency"], row["price_minor"]) == ("Acme", "USD", None)


def test_a_row_marked_deleted_ends_its_key_and_a_later_row_begins_it_again(load, store, clock):
    mapping = STORES | {"delete": "gone"}
    load("stores", "id,city,country,gone\n1,Rome,IT,\n2,Oslo,NO,no\n", mapping=mapping)
    report = load("stores", "id,city,country,gone\n1,,,yes\n9,,,yes\n", mapping=mapping)
    assert (report.quarantined, report.written["stores"], report.unchanged) == (0, 1, 1)
    assert stores(store) == {"s:2": ("Oslo", "NO")}
    ended = stored(store, "stores")[-1]
    assert (ended["op"], ended["revision"], ended["city"]) == ("delete", 2, "Rome")


def test_a_deleted_order_needs_nothing_but_its_id(load, store):
    columns = {n: n for n in ("order_id", "ordered_at", "amount", "user_id")}
    mapping = {"source": "s", "columns": columns, "delete": "deleted"}
    head = "order_id,ordered_at,amount,user_id,deleted\n"
    load("orders", head + "1,2026-01-05,5.00,ann,0\n2,2026-01-05,6.00,bob,0\n", mapping=mapping)
    report = load("orders", head + "1,,,,1\n,,,,1\n3,,,,0\n", mapping=mapping)
    assert [(p.line_no, p.reason) for p in report.problems] == [
        (3, "missing_key"), (4, "missing_value"),
    ]  # fmt: skip
    assert [row["order_id"] for row in rows_of(store, "orders")] == ["s:2"]


def test_a_word_that_is_neither_yes_nor_no_deletes_nothing(load, store):
    mapping = STORES | {"delete": "gone"}
    load("stores", "id,city,country,gone\n1,Rome,IT,\n", mapping=mapping)
    report = load("stores", "id,city,country,gone\n1,Rome,IT,perhaps\n", mapping=mapping)
    assert [(p.reason, p.column) for p in report.problems] == [("wrong_type", "gone")]
    assert len(rows_of(store, "stores")) == 1


def test_lines_are_not_deleted_behind_the_back_of_their_order(load):
    columns = {n: n for n in ("order_id", "sold_at", "quantity", "price", "line_id")}
    with pytest.raises(InputError, match="order_lines cannot be deleted"):
        load(
            "order_lines", "order_id,sold_at,quantity,price,line_id,d\n1,2026-01-05,1,1,1,1\n",
            mapping={"source": "s", "delete": "d", "columns": columns},
        )  # fmt: skip


def test_rows_of_events_cannot_be_deleted(load):
    mapping = {
        "source": "s",
        "delete": "d",
        "columns": {n: n for n in ("user_id", "occurred_at", "kind")},
    }
    with pytest.raises(InputError, match="cannot be deleted"):
        load("touches", "user_id,occurred_at,kind,d\na,2026-01-05,open,1\n", mapping=mapping)


def test_a_header_with_several_values_gives_a_list(load, store):
    mapping = STORES | {"multiple": {"tags": ";"}}
    load("stores", "id,city,country,tags\n1,Rome,IT,big; new ;\n2,Oslo,NO,\n", mapping=mapping)
    kept = [row["properties"] for row in rows_of(store, "stores")]
    assert [None if one is None else json.loads(one) for one in kept] == [
        {"tags": ["big", "new"]}, None,
    ]  # fmt: skip


def test_a_field_that_is_far_too_long_refuses_its_row_even_if_no_rule_reads_it(load, store):
    long = "x" * (MAX_CELL_BYTES + 1)
    report = load(
        "stores", f"id,city,country,note\n1,Rome,IT,{long}\n2,Oslo,NO,ok\n", mapping=STORES
    )
    assert [(p.line_no, p.reason, p.column) for p in report.problems] == [(2, "too_long", "note")]
    assert set(stores(store)) == {"s:2"}


def test_problems_name_the_column_of_the_file(load):
    mapping = {"source": "s", "columns": {"store_id": "Filiale", "city": "Ort"}}
    report = load(
        "stores", f"Filiale,Ort\n,Rome\n{'9' * 200},Rome\n", mapping=mapping, dry_run=True
    )
    assert [(p.line_no, p.column, p.reason) for p in report.problems] == [
        (2, "Filiale", "missing_key"), (3, "Filiale", "too_long"),
    ]  # fmt: skip


def test_a_draft_is_not_loaded(load):
    with pytest.raises(InputError, match="draft") as error:
        load("stores", "id,city,country\n1,Rome,IT\n", mapping=STORES | {"draft": True})
    assert "draft = true" in error.value.hint


def test_words_of_the_source_become_ours(load, store):
    mapping = {
        "source": "s", "columns": {n: n for n in ("order_id", "ordered_at", "amount", "status")},
        "values": {"status": {"已退款": "returned", "*": "completed"}},
    }  # fmt: skip
    head = "order_id,ordered_at,amount,status\n"
    rows = "1,2026-01-05,1,已退款\n2,2026-01-05,1,已发货\n3,2026-01-05,1,\n"
    load("orders", head + rows, mapping=mapping)
    assert [row["status"] for row in rows_of(store, "orders")] == [
        "returned", "completed", "completed",
    ]  # fmt: skip

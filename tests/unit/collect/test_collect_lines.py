from __future__ import annotations

import pytest

from tests.unit.collect.fakes import rows_of
from zhiyin.collect.reconcile import render_reconciliation
from zhiyin.core.config import RevenueSettings, Settings

HEAD = "order_id,user_id,product_id,sold_at,quantity,price\n"
MAPPING = {
    "source": "s",
    "cancellation_prefix": "C",
    "columns": {n: n for n in HEAD.strip().split(",")},
    "kinds": [
        {"kind": "shipping", "pattern": "POST|DOT"},
        {"kind": "fee", "pattern": "BANK.*"},
        {"kind": "discount", "pattern": "D"},
    ],
}


def kinds(store):
    return [row["kind"] for row in rows_of(store, "order_lines")]


def test_lines_are_typed_by_code_then_by_quantity(load, store):
    text = HEAD + (
        "1,ann,A,2026-01-01,1,1\n1,ann,POST,2026-01-01,1,3\n1,,BANK CHARGES,2026-01-01,-1,2\n"
        "1,ann,D,2026-01-01,-1,1\n1,ann,A,2026-01-01,0,1\nC2,ann,A,2026-01-01,-1,1\n"
        "3,,A,2026-01-01,-5,0\n1,ann,POSTCARD,2026-01-01,1,1\n"
    )
    load("order_lines", text, mapping=MAPPING)
    assert kinds(store) == [
        "item", "shipping", "fee", "discount", "sample", "return", "adjustment", "item",
    ]  # fmt: skip


def test_a_coupon_without_its_product_is_a_discount(load, store):
    head = "order_id,sold_at,quantity,amount,coupon\n"
    load("order_lines", head + "1,2026-01-01,0,0,2.00\n1,2026-01-01,0,0,0\n")
    assert kinds(store) == ["discount", "sample"]


def test_shipping_and_fees_are_revenue_only_by_setting(load, store, settings):
    text = HEAD + "1,ann,A,2026-01-01,1,10\n1,ann,POST,2026-01-01,1,3\n"
    report = load("order_lines", text, mapping=MAPPING)
    assert (report.total.net, report.total.left_out, report.total.paid) == (1000, 300, 1300)
    assert [r["shipping_minor"] for r in rows_of(store, "order_lines")] == [0, 300]
    with_it = settings.model_copy(update={"revenue": RevenueSettings(include_shipping=True)})
    again = load("order_lines", text + "\n", mapping=MAPPING, settings=with_it, dry_run=True)
    assert (again.total.net, again.total.left_out) == (1300, 0)


@pytest.mark.parametrize(
    ("included", "counts", "amount"),
    [(["tax"], False, 100), (["tax"], True, 119), ([], False, 119), ([], True, 138)],
)
def test_tax_is_in_revenue_by_setting_whether_or_not_the_file_has_it_in(
    load, store, included, counts, amount
):
    settings = Settings(name="s", revenue=RevenueSettings(include_tax=counts))
    names = ("order_id", "sold_at", "quantity", "amount", "tax")
    mapping = {"source": "s", "amount_includes": included, "columns": {n: n for n in names}}
    text = "order_id,sold_at,quantity,amount,tax\n1,2026-01-01,1,1.19,0.19\n"
    load("order_lines", text, mapping=mapping, settings=settings)
    assert rows_of(store, "order_lines")[0]["amount_minor"] == amount


def test_amount_is_gross_less_discounts_where_the_file_has_none(load, store):
    head = "order_id,sold_at,quantity,gross,discount,coupon\n"
    load("order_lines", head + "1,2026-01-01,1,10,1.50,0.50\n")
    (row,) = rows_of(store, "order_lines")
    assert (row["gross_minor"], row["amount_minor"]) == (1000, 800)


def test_exact_repeats_are_kept_and_suspect(load, store):
    line = "1,ann,A,2026-01-01,1,1\n"
    report = load("order_lines", HEAD + line + line + "1,ann,A,2026-01-01,2,1\n" + line)
    assert [r["suspect"] for r in rows_of(store, "order_lines")] == [False, True, False, True]
    assert (report.loaded, report.suspects, report.total.net) == (4, 2, 500)


def test_a_return_is_linked_to_the_last_sale_before_it(load, store):
    text = HEAD + (
        "1,ann,A,2026-01-01,1,1\n2,ann,A,2026-01-05,1,1\n3,bob,A,2026-01-06,1,1\n"
        "C4,ann,A,2026-01-07,-1,1\nC5,ann,B,2026-01-07,-1,1\n6,ann,A,2026-01-08,1,1\n"
        "C7,,A,2026-01-09,-1,1\n"
    )
    load("order_lines", text, mapping=MAPPING)
    links = {r["order_id"]: r["returns_line_id"] for r in rows_of(store, "order_lines")}
    assert links == {
        "s:1": None, "s:2": None, "s:3": None, "s:C4": "s:2:1", "s:C5": None, "s:6": None,
        "s:C7": None,
    }  # fmt: skip


def test_a_return_finds_its_sale_in_an_earlier_load(load, store):
    load("order_lines", HEAD + "1,ann,A,2026-01-01,1,1\n", mapping=MAPPING)
    load("order_lines", HEAD + "C2,ann,A,2026-01-02,-1,1\n", mapping=MAPPING)
    assert {r["order_id"]: r["returns_line_id"] for r in rows_of(store, "order_lines")} == {
        "s:1": None, "s:C2": "s:1:1",
    }  # fmt: skip


def test_orders_say_whether_they_are_cancelled_or_returned(load, store):
    text = HEAD + "1,ann,A,2026-01-01,1,1\nC2,ann,A,2026-01-02,-1,1\n3,ann,A,2026-01-03,-1,1\n"
    load("order_lines", text, mapping=MAPPING)
    assert {o["order_id"]: o["status"] for o in rows_of(store, "orders")} == {
        "s:1": "completed", "s:C2": "cancelled", "s:3": "returned",
    }  # fmt: skip


def test_orders_of_a_source_that_brings_its_own_are_not_derived(load, store):
    load("orders", "order_id,user_id,ordered_at,amount\n1,ann,2026-01-01,9.99\n")
    load("order_lines", HEAD + "1,ann,A,2026-01-01,1,1\n")
    assert [o["amount_minor"] for o in rows_of(store, "orders")] == [999]


def test_reconciliation_adds_up_by_local_month(load):
    text = HEAD + (
        "1,ann,A,2026-01-31 23:30,2,5\n1,ann,D,2026-01-31 23:30,-1,1\n2,,A,2026-02-01 00:30,1,5\n"
        "C3,ann,A,2026-02-02,-1,5\n4,bob,A,2026-02-03,1,x\n5,bob,A,never,1,2.50\n"
    )
    report = load("order_lines", text, mapping=MAPPING)
    january, february, unknown = report.months
    assert (january.month, january.gross, january.discounts, january.net) == (
        "2026-01",
        1000,
        100,
        900,
    )
    assert (february.read, february.loaded, february.quarantined) == (3, 2, 1)
    assert (february.gross, february.returns, february.net) == (500, -500, 0)
    assert february.share_without_customer == 0.5
    assert (unknown.month, unknown.quarantined, unknown.quarantined_paid) == ("?", 1, 250)
    assert (report.total.paid_in, report.total.paid_back) == (1500, -600)


def test_the_table_is_shown_in_english_and_chinese(load):
    report = load("order_lines", HEAD + "1,ann,A,2026-01-01,2,617.28\n2,,A,2026-01-01,x,1\n")
    english = render_reconciliation(report)
    assert "1,234.56" in english
    assert "wrong_type 1" in english
    chinese = render_reconciliation(report, language="zh")
    assert "隔离" in chinese
    assert len({line.count("  ") > 3 for line in chinese.splitlines()[1:4]}) == 1

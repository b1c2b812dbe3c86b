"""Exports of shops and ad platforms, each in its real format, against totals checked by hand."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter

from tests.unit.collect.fakes import naive, rows_of
from zhiyin.collect.intake import Wish, load_plan, plan_load
from zhiyin.collect.presets import find_preset, presets
from zhiyin.core.config import Settings
from zhiyin.core.errors import InputError, NotFound
from zhiyin.core.ledger import consents

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def bring(store, vault, clock, tmp_path):
    """Load fixtures as their presets; the plans and reports by table."""

    def run(*names, currency="USD", zone="UTC", **wish):
        settings = Settings(name="shop", currency=currency, zone=zone)
        made = []
        for name in names:
            plan = plan_load(tmp_path, FIXTURES / name, Wish(**wish))
            made.append((plan, load_plan(store, vault, settings, clock, plan)))
        return made

    return run


def sums(report):
    """Net, paid in and paid back, as in the shop's own dashboard."""
    return report.total.net, report.total.paid_in, report.total.paid_back


def test_shopify_lines_add_up_to_what_was_paid(bring, store, vault):
    ((plan, reports),) = bring("shopify_orders.csv")
    assert plan.preset.name == "shopify_orders"
    assert [report.quarantined for report in reports] == [0] * 6
    orders, lines, refunds = reports[:3]
    # paid 34.14 + 10.80 + 29.97, refunded 10.80 + 9.99; without tax 2.96 - 0.80 and shipping 5.00:
    assert sums(lines) == (66_95, 74_91, 0)
    assert sums(refunds) == (-19_99, 0, -20_79)
    assert orders.total.net == 66_95 - 19_99
    rows = {row["line_id"]: row for row in rows_of(store, "order_lines")}
    assert len(rows) == 6
    tee, mug = rows["shopify:#1001:1"], rows["shopify:#1001:2"]
    # 19.98 : 10.00 of 34.14 paid, of 2.16 tax and of 5.00 shipping
    assert (tee["gross_minor"], mug["gross_minor"]) == (19_98, 10_00)
    assert tee["amount_minor"] + mug["amount_minor"] == 26_98
    assert tee["discount_minor"] + mug["discount_minor"] == 3_00
    assert tee["party_id"] == mug["party_id"] == vault.party_ids("email", ["ann@shop.example"])[0]
    assert rows["shopify:#1002:refund"]["sold_at"] == naive(2025, 5, 4, 15)
    assert rows["shopify:#1002:refund"]["kind"] == "return"
    assert rows["shopify:#1003:1"]["product_id"] == "shopify:Gift wrap"  # it has no SKU
    by_order = {row["order_id"]: row for row in rows_of(store, "orders")}
    assert by_order["shopify:#1001"]["ordered_at"] == naive(2025, 5, 1, 13, 58, 12)
    assert by_order["shopify:#1002"]["status"] == "returned"
    assert "shopify:#1004" not in by_order  # voided
    assert plan.left[0].count == 1
    assert "never paid" in plan.words()[1]


def test_shopify_accepts_marketing_is_a_consent_by_import(bring, store, vault):
    bring("shopify_orders.csv")
    with store.begin() as connection:
        rows = connection.execute(consents.select()).all()
    ann, bob = vault.party_ids("email", ["ann@shop.example", "bob@shop.example"])
    assert {(r.party_id, r.granted, r.channel, r.source) for r in rows} == {
        (ann, True, "email", "import"), (bob, False, "email", "import"),
    }  # fmt: skip


def test_shopify_names_and_addresses_are_nowhere_in_clear(bring, store):
    bring("shopify_orders.csv")
    for table in ("orders", "order_lines", "customers", "products"):
        assert "Ann Example" not in repr(rows_of(store, table))
        assert "Main St" not in repr(rows_of(store, table))
    products = {row["name"] for row in rows_of(store, "products")}
    assert products == {"Mug", "Crew Tee - Black / S", "Gift wrap"}


def test_the_same_export_again_changes_nothing(bring, store):
    bring("shopify_orders.csv")
    before = len(rows_of(store, "order_lines"))
    ((_, again),) = bring("shopify_orders.csv")
    assert all(report.already for report in again)
    assert len(rows_of(store, "order_lines")) == before


def test_the_same_export_as_a_workbook_is_recognised_and_gives_the_same_sums(
    bring, store, vault, clock, tmp_path
):
    path = tmp_path / "orders.xlsx"
    text = (FIXTURES / "shopify_orders.csv").read_text()
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("orders")
        for place, row in enumerate(csv.reader(text.splitlines())):
            sheet.write_row(place, 0, row)
    plan = plan_load(tmp_path, path, Wish())
    reports = load_plan(store, vault, Settings(name="shop", zone="UTC"), clock, plan)
    assert plan.preset.name == "shopify_orders"
    assert sums(reports[1]) == (66_95, 74_91, 0)
    assert sums(reports[2]) == (-19_99, 0, -20_79)


def test_woocommerce_lines_of_an_order_need_no_order_number(bring, store):
    ((plan, reports),) = bring("woocommerce_orders.csv", currency="EUR", zone="Europe/Berlin")
    assert plan.preset.name == "woocommerce_orders"
    # paid 36.10 + 9.52; tax 6.10 + 1.52, shipping 4.00; refunded 2.38, of it tax 0.38
    assert sums(reports[1]) == (26_00 + 8_00, 45_62, 0)
    assert sums(reports[2]) == (-2_00, 0, -2_38)
    assert reports[0].total.net == 32_00
    lines = {row["line_id"]: row for row in rows_of(store, "order_lines")}
    tea, pot = (lines[f"woocommerce:501:{n}"]["amount_minor"] for n in (1, 2))
    assert tea + pot == 26_00
    assert abs(tea - 16_00) <= 1  # paid, tax and shipping are split apart, each to the cent
    assert lines["woocommerce:501:1"]["sold_at"] == naive(2025, 3, 1, 9, 15)


def test_taobao_orders_and_their_items_are_one_customers(bring, store, vault):
    (_, orders), (_, items) = bring("taobao_orders.csv", "taobao_items.csv", currency="CNY")
    # paid 98 + 30, of it postage 8, refunded 10
    assert (orders[0].loaded, orders[0].total.net) == (2, 110_00)
    assert sums(items[0]) == (120_00, 120_00, 0)
    assert sums(items[1]) == (-10_00, 0, -10_00)
    lines = {row["line_id"].split(":", 2)[2]: row for row in rows_of(store, "order_lines")}
    (ya,) = vault.party_ids("taobao_nick", ["小雅"])
    assert lines["2468013579000000101"]["party_id"] == ya
    assert lines["2468013579000000101"]["order_id"] == "taobao:2468013579000000001"
    assert lines["2468013579000000201-refund"]["amount_minor"] == -10_00
    assert lines["2468013579000000101"]["sold_at"] == naive(2025, 1, 3, 2, 5)
    by_order = {row["order_id"]: row for row in rows_of(store, "orders")}
    assert by_order["taobao:2468013579000000002"]["ordered_at"] == naive(2025, 1, 4, 1, 5)
    assert {row["namespace"] for row in rows_of(store, "identities")} == {"taobao_nick", "phone"}


def test_items_without_time_take_it_from_their_order_or_are_refused(bring, store):
    _, (_, items) = bring("taobao_orders.csv", "taobao_items_plain.csv", currency="CNY")
    assert (items[0].loaded, items[0].reasons) == (2, {"unknown_order": 1})
    assert items[0].total.net == 100_00
    assert {row["sold_at"] for row in rows_of(store, "order_lines")} == {naive(2025, 1, 3, 2, 5)}
    assert all(row["party_id"] for row in rows_of(store, "order_lines"))


def test_youzan_orders_and_goods(bring, store, vault):
    (_, orders), (_, items) = bring("youzan_orders.csv", "youzan_items.csv", currency="CNY")
    # paid 95 + 60 with postage 5, refunded 20
    assert (orders[0].loaded, orders[0].total.net) == (2, 130_00)
    assert sums(items[0]) == (150_00, 150_00, 0)
    assert sums(items[1]) == (-20_00, 0, -20_00)
    (alice,) = vault.party_ids("phone", ["+8613800138000"])
    assert {row["party_id"] for row in rows_of(store, "order_lines")} >= {alice}
    (order, _) = rows_of(store, "orders")
    assert (order["gross_minor"], order["discount_minor"]) == (100_00 + 5_00, 10_00)


def test_google_ads_report_without_its_title_and_totals(bring, store):
    ((plan, (report,)),) = bring("google_ads.csv")
    assert (plan.preset.name, plan.left[0].count, report.quarantined) == ("google_ads", 2, 0)
    rows = {(row["spent_on"], row["campaign_id"]): row for row in rows_of(store, "spend")}
    assert sum(row["cost_minor"] for row in rows.values()) == 1_850_10
    brand = rows[date(2025, 7, 1), "google_ads:901"]  # two ad groups of one campaign and day
    assert (brand["cost_minor"], brand["impressions"], brand["clicks"]) == (1_100_00, 21_000, 440)


def test_google_ads_micros_are_money(bring, store):
    bring("google_ads_api.csv")
    assert [row["cost_minor"] for row in rows_of(store, "spend")] == [1_100_00, 250_10]  # half even


def test_meta_ads_currency_stands_in_the_header(bring, store):
    ((plan, (report,)),) = bring("meta_ads.csv", currency="EUR")
    assert (plan.preset.name, report.loaded, plan.left[0].count) == ("meta_ads", 3, 1)
    rows = rows_of(store, "spend")
    assert sum(row["cost_minor"] for row in rows) == 348_99
    assert {(row["currency"], row["channel"]) for row in rows} == {("EUR", "meta_ads")}
    assert {row["campaign_id"] for row in rows} == {"meta_ads:1201", "meta_ads:1202"}


def test_meta_rows_over_several_days_are_refused(tmp_path):
    path = tmp_path / "meta.csv"
    path.write_text(
        "Campaign name,Amount spent (USD),Impressions,Reporting starts,Reporting ends\n"
        "Summer,5,100,2025-07-01,2025-07-31\n"
    )
    with pytest.raises(InputError, match="more than one day") as error:
        plan_load(tmp_path, path, Wish())
    assert "breakdown by day" in error.value.hint


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.csv")), ids=lambda path: path.stem)
def test_every_fixture_is_recognised_as_its_preset(path, tmp_path):
    assert plan_load(tmp_path, path, Wish()).preset.name == path.stem


def test_every_preset_has_a_fixture_and_words_in_two_languages():
    assert {path.stem for path in FIXTURES.glob("*.csv")} == set(presets())
    for one in presets().values():
        assert one.title != one.title_zh
        assert one.how
        assert one.how_zh


def test_a_preset_may_serve_several_shops(bring, store):
    bring("google_ads.csv", source="google_ads_eu")
    assert {row["source"] for row in rows_of(store, "spend")} == {"google_ads_eu"}


def test_an_unknown_preset_is_an_error_that_lists_them():
    with pytest.raises(NotFound) as error:
        find_preset("amazon")
    assert "shopify_orders" in error.value.hint


def test_a_file_that_nothing_fits_is_not_loaded(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="nothing is known") as error:
        plan_load(tmp_path, path, Wish())
    assert "zhiyin map" in error.value.hint


def test_order_properties_hold_no_personal_field(bring, store):
    bring("shopify_orders.csv")
    kept = [json.loads(row["properties"]) for row in rows_of(store, "orders")]
    assert {"Discount Code": "SPRING"}.items() <= kept[0].items() or any(
        one.get("Discount Code") == "SPRING" for one in kept
    )
    assert all("Billing Name" not in one for one in kept)

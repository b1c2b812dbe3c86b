from __future__ import annotations

import json
from datetime import date

import pytest

from tests.unit.collect.fakes import Killed, MortalStore, naive, rows_of, stored
from zhiyin.collect import write
from zhiyin.core.ledger import consents, loads
from zhiyin.core.tables import TABLES

LINES = "order_id,user_id,product_id,sold_at,quantity,price\n"
GOOD = (
    f"{LINES}1,ann,A,2026-01-05 10:00,2,1.50\n1,ann,B,2026-01-05 10:00,1,0.99\n"
    "2,,A,2026-01-06 23:30,1,1.50\n"
)


def reasons(report):
    return [(p.line_no, p.reason) for p in report.problems]


def test_lines_become_lines_orders_and_customers(load, store, vault):
    report = load("order_lines", GOOD)
    assert (report.read, report.loaded, report.quarantined) == (3, 3, 0)
    rows = rows_of(store, "order_lines")
    assert [r["line_id"] for r in rows] == ["shop:1:1", "shop:1:2", "shop:2:1"]
    assert [r["amount_minor"] for r in rows] == [300, 99, 150]
    assert rows[0]["sold_at"] == naive(2026, 1, 5, 15)  # New York is UTC-5
    assert rows[0]["valid_at"] == rows[0]["sold_at"]
    assert rows[2]["party_id"] is None
    orders = {o["order_id"]: o for o in rows_of(store, "orders")}
    assert orders["shop:1"]["amount_base_minor"] == 399
    assert orders["shop:2"]["party_id"] is None
    (customer,) = rows_of(store, "customers")
    assert customer["party_id"] == rows[0]["party_id"]
    assert customer["valid_at"] == rows[0]["sold_at"]
    assert vault.unseal([customer["party_id"]], [customer["personal"]]) == [{"user_id": "ann"}]


def test_the_same_file_again_changes_nothing(load, store):
    first = load("order_lines", GOOD)
    appends = store.appends
    again = load("order_lines", GOOD, name="renamed.csv")
    assert again.already
    assert again.total == first.total
    assert store.appends == appends


def test_a_longer_file_adds_only_what_is_new(load, store):
    load("order_lines", GOOD)
    report = load("order_lines", GOOD + "3,bob,A,2026-01-07 10:00,1,1.50\n")
    assert (report.loaded, report.unchanged, report.written["order_lines"]) == (4, 3, 1)
    assert len(stored(store, "order_lines")) == 4
    assert len(stored(store, "orders")) == 3
    assert len(stored(store, "customers")) == 2


def test_lines_of_a_known_order_in_a_later_file_make_its_next_revision(load, store):
    mapping = {"source": "s", "columns": {n: n for n in LINES.strip().split(",")}}
    mapping["columns"]["line_id"] = "line"
    head = LINES.strip() + ",line\n"
    load("order_lines", head + "1,ann,A,2026-01-05,1,2.00,a\n", mapping=mapping)
    load("order_lines", head + "1,ann,B,2026-01-05,1,3.00,b\n", mapping=mapping)
    (order,) = rows_of(store, "orders")
    assert (order["revision"], order["amount_minor"]) == (2, 500)


BAD = [
    ("9,ann,A,someday,1,1.00", "wrong_type"),
    ("9,ann,A,2026-01-05,many,1.00", "wrong_type"),
    ("9,ann,A,2026-01-05,1,1.0.0", "wrong_type"),
    ("9,ann,A,2026-03-03 12:00,1,1.00", "date_ahead"),
    ("9,ann,A,1901-01-01,1,1.00", "out_of_range"),
    ("9,ann,A,,1,1.00", "missing_value"),
    ("9,ann,A,2026-01-05,1,", "missing_value"),
    ("9,ann,A,2026-01-05,1,99999999999999", "out_of_range"),
    (f"{'9' * 200},ann,A,2026-01-05,1,1.00", "too_long"),
    ("9,ann,A,2026-01-05,1", "wrong_columns"),
]


def test_bad_lines_go_to_quarantine_with_line_and_reason(load, store, vault):
    report = load("order_lines", GOOD + "".join(f"{line}\n" for line, _ in BAD))
    assert (report.read, report.loaded, report.quarantined) == (3 + len(BAD), 3, len(BAD))
    assert reasons(report) == [(n, reason) for n, (_, reason) in enumerate(BAD, start=5)]
    for row in rows_of(store, "quarantine"):
        line, reason = BAD[row["line_no"] - 5]
        assert (row["reason"], row["table"]) == (reason, "order_lines")
        assert "ann" not in row["message"]
        (content,) = vault.unseal_with(row["key_id"], [row["content"]])
        assert line.split(",")[0] in content.decode()
        assert b"ann" not in row["content"]


def test_an_empty_order_id_is_a_missing_key_only_where_it_is_needed(load):
    report = load("order_lines", GOOD + ",ann,A,2026-01-05,1,1.00\n")
    assert reasons(report) == [(5, "missing_value")]


def test_quarantine_names_the_party_that_the_row_names(load, store, vault):
    load("order_lines", GOOD + "9,ann,A,someday,1,1.00\n")
    (row,) = rows_of(store, "quarantine")
    assert json.loads(row["party_ids"]) == vault.party_ids("user_id", ["ann"])


def test_24_hours_ahead_is_still_taken(load):
    report = load("order_lines", LINES + "1,a,A,2026-03-02 06:59,1,1\n2,a,A,2026-03-02 07:01,1,1\n")
    assert reasons(report) == [(3, "date_ahead")]  # the clock is at 07:00 New York


def test_currencies_are_converted_by_the_rate_of_the_day(load, store):
    load("rates", "currency,rate_on,rate\nEUR,2026-01-01,1.10\nEUR,2026-01-06,1.255\n")
    text = LINES.replace("price", "price,currency")
    text += "1,a,A,2026-01-05,1,1.00,EUR\n2,a,A,2026-01-06,1,1.00,eur\n3,a,A,2026-01-06,1,1.00,\n"
    text += "4,a,A,2025-12-31,1,1.00,EUR\n5,a,A,2026-01-06,1,1,XXQ\n6,a,A,2026-01-06,1,1,GBP\n"
    report = load("order_lines", text)
    rows = rows_of(store, "order_lines")
    assert [(r["amount_minor"], r["amount_base_minor"], r["currency"]) for r in rows] == [
        (100, 110, "EUR"), (100, 126, "EUR"), (100, 100, "USD"),
    ]  # fmt: skip
    assert reasons(report) == [(5, "no_rate"), (6, "unknown_currency"), (7, "no_rate")]


def test_rows_refused_for_want_of_a_rate_load_once_it_is_there(load, store):
    text = LINES.replace("price", "price,currency") + "1,a,A,2026-01-05,1,1.00,EUR\n"
    assert load("order_lines", text).quarantined == 1
    assert load("order_lines", text).already
    load("rates", "currency,rate_on,rate\nEUR,2026-01-01,2\n")
    assert load("order_lines", text).loaded == 1
    assert load("order_lines", text).already
    assert [r["amount_base_minor"] for r in rows_of(store, "order_lines")] == [200]


def test_exact_duplicates_of_a_key_are_dropped_and_counted(load, store):
    report = load("stores", "store_id,city\n1,Rome\n1,Rome\n2,Oslo\n")
    assert (report.read, report.loaded, report.repeated) == (3, 3, 1)
    assert len(stored(store, "stores")) == 2


def test_different_rows_of_one_key_are_all_refused(load, store):
    report = load("stores", "store_id,city\n1,Rome\n1,Paris\n1,Rome\n2,Oslo\n")
    assert reasons(report) == [(n, "conflicting_duplicate") for n in (2, 3, 4)]
    assert [r["store_id"] for r in rows_of(store, "stores")] == ["shop:2"]


def test_a_mapping_may_keep_the_first_of_different_rows(load, store):
    mapping = {"source": "s", "conflicts": "first", "columns": {"store_id": "i", "city": "c"}}
    load("stores", "i,c\n1,Rome\n1,Paris\n", mapping=mapping)
    assert [r["city"] for r in rows_of(store, "stores")] == ["Rome"]


def test_a_changed_row_is_the_next_revision_valid_from_the_load(load, store, clock):
    load("stores", "store_id,city\n1,Rome\n2,Oslo\n")
    report = load("stores", "store_id,city\n1,Paris\n2,Oslo\n")
    assert (report.unchanged, report.written["stores"]) == (1, 1)
    rows = stored(store, "stores")
    assert [(r["store_id"], r["city"], r["revision"]) for r in rows] == [
        ("shop:1", "Rome", 1), ("shop:2", "Oslo", 1), ("shop:1", "Paris", 2),
    ]  # fmt: skip
    assert rows[0]["valid_at"] == clock.now().replace(tzinfo=None)


def test_static_attributes_hold_for_all_days(load, store):
    mapping = {"source": "s", "static": True, "columns": {"store_id": "i"}}
    load("stores", "i\n1\n", mapping=mapping)
    assert rows_of(store, "stores")[0]["valid_at"] == naive(1970, 1, 1)


def test_a_known_event_with_other_content_is_refused(load):
    head = "touch_id,user_id,occurred_at,kind\n"
    load("touches", head + "1,ann,2026-01-05,open\n")
    report = load("touches", head + "1,ann,2026-01-05,click\n2,ann,2026-01-05,Open\n")
    assert reasons(report) == [(2, "conflicting_duplicate")]
    assert (report.loaded, report.quarantined) == (1, 1)


def test_events_without_an_id_are_known_by_their_content(load, store):
    head = "user_id,occurred_at,kind\n"
    load("touches", head + "ann,2026-01-05,open\nann,2026-01-05,open\nann,2026-01-06,jump\n")
    report = load("touches", head + "ann,2026-01-05,open\nann,2026-01-07,open\n")
    assert report.unchanged == 1
    assert len(stored(store, "touches")) == 2
    assert [r["reason"] for r in rows_of(store, "quarantine")] == ["unknown_value"]


def test_customers_keep_what_is_personal_encrypted(load, store, vault):
    text = "客户,邮箱,手机,姓名,等级\n7,Li@Shop.Example,138 0013 8000,李雷,金\n"
    mapping = {
        "source": "crm", "calling_code": "86",
        "columns": {"user_id": "客户", "email": "邮箱", "phone": "手机"},
    }  # fmt: skip
    report = load("customers", text.encode("gb18030"), mapping=mapping)
    (row,) = rows_of(store, "customers")
    assert row["party_id"] == vault.party_ids("user_id", ["7"])[0]
    assert row["undated"] is True
    assert json.loads(row["properties"]) == {"等级": "金"}
    assert vault.unseal([row["party_id"]], [row["personal"]]) == [
        {"user_id": "7", "email": "Li@Shop.Example", "phone": "138 0013 8000", "姓名": "李雷"}
    ]
    assert report.notes == ("kept encrypted: 姓名",)
    assert {(i["namespace"], i["party_id"]) for i in rows_of(store, "identities")} == {
        (n, row["party_id"]) for n in ("user_id", "email", "phone")
    }


def test_an_unchanged_customer_makes_no_revision_though_it_is_sealed_anew(load, store):
    load("customers", "user_id,email\n7,a@shop.example\n")
    report = load("customers", "user_id,email\n7,a@shop.example\n8,b@shop.example\n")
    assert (report.unchanged, report.written["customers"]) == (1, 1)
    load("customers", "user_id,email\n7,c@shop.example\n")
    assert sorted(r["revision"] for r in rows_of(store, "customers")) == [1, 2]


def test_a_customer_list_after_the_orders_follows_the_first_sight(load, store):
    load("order_lines", GOOD)
    mapping = {"source": "crm", "static": True, "columns": {"user_id": "u", "city": "c"}}
    load("customers", "u,c\nann,Rome\n", mapping=mapping)
    (row,) = rows_of(store, "customers")
    assert (row["revision"], row["city"]) == (2, "Rome")
    assert row["valid_at"] == naive(2026, 1, 5, 15)


def test_a_row_by_email_and_a_customer_with_that_email_are_merged(load, store, vault):
    load("touches", "email,occurred_at,kind\nANN@shop.example,2026-01-05,open\n")
    load("customers", "user_id,email\nann,ann@shop.example\n")
    (merge,) = rows_of(store, "merges")
    assert merge["party_id"] == vault.party_ids("email", ["ann@shop.example"])[0]
    assert merge["into"] == vault.party_ids("user_id", ["ann"])[0]
    assert merge["rule"] == "same_row"
    load("customers", "user_id,email\nbob,bob@shop.example\n")
    assert len(rows_of(store, "merges")) == 1


def test_an_email_that_two_customers_share_merges_nobody(load, store):
    load("touches", "email,occurred_at,kind\nus@shop.example,2026-01-05,open\n")
    load("customers", "user_id,email\nann,us@shop.example\nbob,us@shop.example\n")
    assert rows_of(store, "merges") == []


def test_personal_columns_of_facts_are_encrypted_under_the_party(load, store, vault):
    text = "user_id,email,occurred_at,kind,ip\nann,a@shop.example,2026-01-05,open,10.0.0.1\n"
    load("touches", text)
    (row,) = rows_of(store, "touches")
    assert row["properties"] is None
    assert vault.unseal([row["party_id"]], [row["personal"]]) == [
        {"email": "a@shop.example", "ip": "10.0.0.1"}
    ]


def test_consents_go_to_the_ledger_once(load, store):
    text = "user_id,granted,at,channel\nann,yes,2026-01-05,email\nbob,拒绝,2026-01-05,email\n"
    text += "cy,maybe,2026-01-05,email\n,yes,2026-01-05,email\n"
    report = load("consents", text)
    assert reasons(report) == [(4, "wrong_type"), (5, "missing_key")]
    load("consents", text + "ann,no,2026-02-05,email\n")
    with store.begin() as connection:
        rows = connection.execute(consents.select().order_by(consents.c.at)).all()
    assert [(r.granted, r.purpose, r.channel) for r in rows[2:]] == [(False, "marketing", "email")]
    assert {r.granted for r in rows[:2]} == {True, False}


def test_texts_are_masked_before_they_are_written(load, store):
    load("texts", "user_id,occurred_at,body,rating\nann,2026-01-05,mail me: a@shop.example,5\n")
    (row,) = rows_of(store, "texts")
    assert (row["body"], row["rating"], row["kind"]) == ("mail me: [email]", 5.0, "review")


def test_spend_is_dated_at_the_local_midnight(load, store):
    load("spend", "spent_on,channel,cost,clicks\n2026-01-05,search,12.50,7\n")
    (row,) = rows_of(store, "spend")
    assert (row["spent_on"], row["occurred_at"]) == (date(2026, 1, 5), naive(2026, 1, 5, 5))
    assert (row["cost_base_minor"], row["clicks"]) == (1250, 7)


def test_campaigns_and_offers_load_with_their_days(load, store):
    load("campaigns", "campaign_id,start_on,end_on,valid_at\n1,2026-02-01,2026-02-28,2026-01-31\n")
    load("offers", "offer_id,campaign_id,product_id,value\nX,1,A,0.50\nX,1,B,0.50\n")
    (campaign,) = rows_of(store, "campaigns")
    assert (campaign["start_on"], campaign["valid_at"]) == (
        date(2026, 2, 1), naive(2026, 1, 31, 5),
    )  # fmt: skip
    assert [o["product_id"] for o in rows_of(store, "offers")] == ["shop:A", "shop:B"]
    assert [o["campaign_id"] for o in rows_of(store, "offers")] == ["shop:1"] * 2


def test_a_dry_run_writes_nothing_and_shows_the_problems(load, store):
    report = load("order_lines", GOOD + "9,ann,A,someday,1,1.00\n", dry_run=True)
    assert (report.loaded, report.quarantined, report.dry_run) == (3, 1, True)
    assert not any(len(stored(store, name)) for name in TABLES)
    with store.begin() as connection:
        assert connection.execute(loads.select()).all() == []
    assert not load("order_lines", GOOD + "9,ann,A,someday,1,1.00\n").already


@pytest.mark.parametrize("die_at", [1, 2, 4, 7])
def test_a_load_that_was_killed_goes_on_and_ends_the_same(load, monkeypatch, die_at):
    monkeypatch.setattr(write, "SLICE", 2)
    text = GOOD + "3,bob,A,2026-01-07,1,1.50\n3,bob,A,2026-01-07,-1,1.50\n9,x,A,someday,1,1\n"
    whole, broken = MortalStore(), MortalStore(die_at=die_at)
    load("order_lines", text, store=whole)
    died = False
    try:
        load("order_lines", text, store=broken)
    except Killed:
        died = True
    assert died == (die_at <= whole.appends)
    broken.die_at = None
    load("order_lines", text, store=broken)
    for name in ("order_lines", "orders", "quarantine", "identities", "customers"):
        assert _plain(broken, name) == _plain(whole, name), name
        assert len(stored(broken, name)) == len(stored(whole, name))


def _plain(store, name):
    """The rows without their ciphertexts, which are made anew in each run."""
    return [{**row, "personal": None, "content": None} for row in rows_of(store, name)]


def test_the_ledger_keeps_the_reconciliation(load, store):
    report = load("order_lines", GOOD)
    with store.begin() as connection:
        (row,) = connection.execute(loads.select()).all()
    assert (row.state, row.rows_read, row.rows_loaded) == ("done", 3, 3)
    assert row.reconciliation["total"]["net"] == report.total.net == 549


CONTRACTS = "contract_id,user_id,kind,start_on,end_on,cancelled_on\n"


def test_contracts_are_revisions_that_begin_at_midnight_of_the_source(load, store, vault):
    first = load("contracts", f"{CONTRACTS}7,ann,mobile,2026-01-05,,\n8,bob,mobile,2026-02-01,,\n")
    assert (first.read, first.loaded) == (2, 2)
    again = load("contracts", f"{CONTRACTS}7,ann,mobile,2026-01-05,2026-03-01,2026-02-10\n")
    assert again.written["contracts"] == 1
    ann, bob = sorted(rows_of(store, "contracts"), key=lambda row: row["contract_id"])
    assert (ann["contract_id"], ann["revision"], ann["end_on"]) == ("shop:7", 2, date(2026, 3, 1))
    assert ann["occurred_at"] == ann["valid_at"] == naive(2026, 1, 5, 5)  # New York is UTC-5
    assert (bob["kind"], bob["end_on"], bob["month"]) == ("mobile", None, "2026-02")
    people = {row["party_id"]: row["valid_at"] for row in rows_of(store, "customers")}
    assert people[ann["party_id"]] == ann["occurred_at"]  # known since her contract began


def test_a_contract_without_customer_or_that_ends_before_it_starts_is_refused(load):
    report = load(
        "contracts",
        f"{CONTRACTS}7,,mobile,2026-01-05,,\n8,bob,mobile,2026-02-01,2026-01-01,\n9,cat,,2026-02-01,,\n",
    )
    assert reasons(report) == [(2, "missing_key"), (3, "out_of_range")]
    assert report.loaded == 1

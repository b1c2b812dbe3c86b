"""An export holds every row of the person and nothing of anybody else."""

import json
import stat

import people
import pytest

from zhiyin.core import columns as c
from zhiyin.person import export_customer
from zhiyin.person.rows import person_tables
from zhiyin.person.words import Words


@pytest.fixture(scope="module")
def exported(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return export_customer(shop.store, shop.vault, people.ANA, folder, clock=shop.clock)


def test_it_holds_everything_of_hers_and_nothing_of_a_similar_customer(shop, exported):
    others = (*people.OF_BEA, people.party_of(shop, people.BEA), "81735")
    for path in exported:
        text = path.read_text(encoding="utf-8")
        assert [one for one in people.OF_ANA if one not in text] == []
        assert [one for one in others if one in text] == []


def test_every_row_of_hers_in_every_table_is_there(shop, exported):
    tables = json.loads(exported[0].read_text(encoding="utf-8"))["tables"]
    party = people.party_of(shop, people.ANA)
    for table in person_tables():
        if shop.store.lake.open(table.name) is None:
            continue
        rows = shop.store.read_stored(table.name)
        column = c.PARTY_ID if c.PARTY_ID in rows.columns else c.CUSTOMER_ID
        if column not in rows.columns:
            continue
        count = rows.filter(rows[column] == party).count().to_pyarrow().as_py()
        assert len(tables.get(table.name, {"rows": []})["rows"]) == count, table.name
    assert {"orders", "touches", "texts", "messages", "consents", "scores"} <= set(tables)
    assert len(tables["orders"]["rows"]) == 6
    assert tables["orders"]["sources"] == ["laden"]


def test_what_requests_look_up_of_her_is_there(exported):
    rows = json.loads(exported[0].read_text(encoding="utf-8"))["tables"]["online"]["rows"]
    listed = [row for row in rows if row["group"] == "candidates"]
    assert [row["product_id"] for row in listed] == ["laden:p1"]
    recent = [(row["product_id"], row["bought"]) for row in rows if row["group"] == "recent"]
    assert recent == [("laden:p2", False)]
    assert {row["product_id"] for row in rows if row["group"] == "bought"} == {
        "laden:p1", "laden:p2"
    }  # fmt: skip


def test_choices_about_her_what_came_of_them_and_the_numbers_they_saw_are_there(exported):
    tables = json.loads(exported[0].read_text(encoding="utf-8"))["tables"]
    asked = [row for row in tables["decisions"]["rows"] if row["decided_by"] == "point"]
    assert [row["action"] for row in asked] == ["none", "letter"]
    assert asked[0]["context"] == {"recency_days": 17.0}
    assert [row["value_minor"] for row in tables["outcomes"]["rows"]] == [100]
    numbers = [row for row in tables["online"]["rows"] if row["group"] == "numbers"]
    assert numbers == [{"group": "numbers", "name": "recency_days", "value": 17.0}]


def test_sealed_fields_are_opened_and_codes_said_in_words(exported):
    tables = json.loads(exported[0].read_text(encoding="utf-8"))["tables"]
    assert tables["customers"]["rows"][0]["personal"]["customer_name"] == people.OF_ANA[4]
    assert tables["messages"]["rows"][0]["content"]["to"] == people.OF_ANA[1]
    assert tables["reviews"]["rows"][0]["note"] == {"text": f"{people.OF_ANA[4]} marries"}
    assert tables["tasks"]["rows"][0]["note"] == {"text": f"{people.OF_ANA[4]} asks"}
    assert "someday" in tables["quarantine"]["rows"][0]["content"]
    assert tables["decisions"]["rows"][0]["reason_words"]["zh"]
    assert tables["order_lines"]["rows"][0]["product_name"] in ("Tea", "Bread")


def test_each_table_says_what_it_is_used_for_in_both_languages(exported):
    tables = json.loads(exported[0].read_text(encoding="utf-8"))["tables"]
    for name, part in tables.items():
        assert part["purpose"]["en"] != part["purpose"]["zh"], name
    for table in person_tables():
        assert Words("zh").term("purpose", table.name) != table.name.replace("_", " ")


def test_the_page_needs_no_network_and_only_its_owner_reads_it(exported):
    page = exported[1].read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert [stat.S_IMODE(path.stat().st_mode) for path in exported] == [0o600, 0o600]


def test_what_a_customer_wrote_is_shown_as_text(tmp_path):
    from zhiyin.app import Workspace
    from zhiyin.core.config import validate_settings

    file = tmp_path / "customers.csv"
    file.write_text("user_id,customer_name\nu-1,<script>alert(1)</script>\n")
    settings = validate_settings({"name": "<b>shop</b>"}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as shop:
        shop.load("customers", file)
        paths = export_customer(shop.store, shop.vault, "u-1", tmp_path, clock=shop.clock)
    assert "<script>" not in paths[1].read_text(encoding="utf-8")

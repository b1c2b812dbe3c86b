"""Authorisations of a workspace: granted over HTTP and by file, shown, exported, erased."""

import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.authorisations import Authorisations
from zhiyin.cli import app
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import InputError, InvalidParameter, NotFound
from zhiyin.core.ledger import audit, authorisations
from zhiyin.person.explain import explain_customer
from zhiyin.person.export import export_customer
from zhiyin.store.ledger import reading

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
ANA, BEA, NEW = "oZQANA_1234567890abcdefghij", "oZQBEA_1234567890abcdefghij", "oZQNEW_123456789"
MAPPING = """
source = "mini"
identifier_scope = "wx1"
[columns]
user_id = "id"
openid = "open"
"""


@pytest.fixture
def shop(tmp_path):
    act = {"wechat_app_id": "wx1", "wechat_template": "TPL"}
    settings = validate_settings({"name": "laden", "act": act}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(NOW)
        load(made, tmp_path, [("ana", ANA), ("bea", BEA)])
        yield made


def load(shop, folder, people):
    file, mapping = folder / f"{people[0][0]}.csv", folder / "mini.toml"
    file.write_text("\n".join(["id,open", *map(",".join, people)]) + "\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    shop.load("customers", file, mapping=mapping)


def held_by(shop):
    return Authorisations(shop.store, shop.vault, shop.clock, shop.settings)


def rows(shop):
    with reading(shop.store.ledger) as connection:
        return connection.execute(sa.select(authorisations)).all()


def test_one_is_granted_by_openid_or_by_customer_and_a_repeat_counts_once(shop):
    held = held_by(shop)
    made = held.grant(openid=ANA, source="order page", key="tap 1")
    assert made == {"template": "TPL", "granted": 1, "left": 1}
    assert held.grant(openid=ANA, source="order page", key="tap 1")["granted"] == 0
    assert held.grant(customer="ana", source="order page", times=2)["left"] == 3
    assert {row.party_id for row in rows(shop)} == set(shop.vault.party_ids("user_id", ["ana"]))
    assert held.listed() == [{"template": "TPL", "granted": 3, "spent": 0, "void": 0, "left": 3}]


def test_an_openid_that_nobody_knows_yet_keeps_what_it_allowed(shop, tmp_path):
    held = held_by(shop)
    held.grant(openid=NEW, source="order page")
    load(shop, tmp_path, [("new", NEW)])
    (one,) = held.shown("new")["authorisations"]
    assert (one["template"], one["source"]) == ("TPL", "order page")
    assert held.grant(customer="new", source="order page")["left"] == 2


@pytest.mark.parametrize(("wrong", "error"), [
    ({"openid": "not an openid"}, InvalidParameter),
    ({"openid": ANA, "customer": "ana"}, InvalidParameter),
    ({}, InvalidParameter),
    ({"openid": ANA, "template": "no template"}, InvalidParameter),
    ({"openid": ANA, "times": 0}, InvalidParameter),
    ({"openid": ANA, "source": " "}, InvalidParameter),
    ({"customer": "nobody"}, NotFound),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused_and_names_nobody(shop, wrong, error):
    with pytest.raises(error) as caught:
        held_by(shop).grant(**{"source": "page"} | wrong)
    assert ANA not in str(caught.value)
    assert rows(shop) == []


def test_without_a_mini_programme_nothing_is_granted(tmp_path):
    settings = validate_settings({"name": "b"}, where="test")
    other = Workspace.create(tmp_path / "b", settings)
    with other, pytest.raises(InvalidParameter, match="mini-programme"):
        held_by(other).grant(openid=ANA, source="page")


def test_a_file_grants_once_however_often_it_is_loaded(shop, tmp_path):
    file = tmp_path / "granted.csv"
    file.write_text(
        "openid,template,granted_at,key\n"
        f"{ANA},,2024-05-01T10:00:00,\n{ANA},,2024-05-01T10:05:00,\n{BEA},OTHER,,tap-7\n"
        f"{BEA},,,\nno openid,,,\n{ANA},,yesterday,\n",
        encoding="utf-8",
    )
    argv = ["authorisation", "load", str(file), "-w", str(shop.folder), "--json"]
    said = [json.loads(CliRunner().invoke(app, argv).output) for _ in range(2)]
    assert said == [{"granted": 4, "refused": 2}, {"repeated": 4, "refused": 2}]
    moments = {row.granted_at for row in rows(shop) if row.template == "TPL"}
    assert datetime(2024, 5, 1, 10) in moments
    with pytest.raises(InputError, match="openid"):
        held_by(shop).load(_write(tmp_path, "a,b\n"), source="file")


def _write(folder, text):
    path = folder / "other.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_can_be_made_void_and_the_audit_says_so(shop):
    held = held_by(shop)
    held.grant(openid=ANA, source="page", times=2)
    held.grant(openid=BEA, source="page")
    assert held.void("ana", template="TPL", reason="she asked", by="Ana")["voided"] == 2
    assert held.listed() == [{"template": "TPL", "granted": 3, "spent": 0, "void": 2, "left": 1}]
    with reading(shop.store.ledger) as connection:
        noted = connection.execute(sa.select(audit)).all()[-1]
    assert (noted.action, noted.detail["voided"]) == ("authorisation.void", 2)


def test_it_is_explained_in_both_languages(shop):
    held_by(shop).grant(openid=ANA, source="page", times=2)
    answer = explain_customer(shop.store, shop.vault, "ana")
    assert answer.values["authorisations"] == [
        {"template": "TPL", "granted": 2, "spent": 0, "void": 0, "left": 2}
    ]
    assert "2 of 2 left" in answer.text
    assert "剩余 2" in explain_customer(shop.store, shop.vault, "ana", language="zh").text
    assert "订阅授权" not in explain_customer(shop.store, shop.vault, "bea", language="zh").text


def test_an_export_holds_hers_and_nobody_elses(shop, tmp_path):
    held_by(shop).grant(openid=ANA, source="order page")
    held_by(shop).grant(openid=BEA, source="another page")
    path, _ = export_customer(shop.store, shop.vault, "ana", tmp_path / "x", clock=shop.clock)
    part = json.loads(path.read_text(encoding="utf-8"))["tables"]["authorisations"]
    assert [row["source"] for row in part["rows"]] == ["order page"]
    assert part["purpose"]["zh"]


def test_an_erasure_takes_hers_also_those_from_before_she_was_known(shop, tmp_path):
    held = held_by(shop)
    held.grant(openid=NEW, source="page")
    held.grant(openid=BEA, source="page")
    load(shop, tmp_path, [("new", NEW)])
    proof = shop.erase("new")
    assert proof["traces"] == []
    assert {row.party_id for row in rows(shop)} == set(shop.vault.party_ids("user_id", ["bea"]))

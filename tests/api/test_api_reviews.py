"""Decisions that wait for a person, from the answer of `/v1/decide` to the lake."""

from __future__ import annotations

import warnings
from datetime import timedelta

import people
import pytest
import sqlalchemy as sa

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.ledger import reviews
from zhiyin.decide.points.check import parse
from zhiyin.govern.roles import ROLES, allows
from zhiyin.points import Points
from zhiyin.reviews import Reviews
from zhiyin.store.ledger import reading

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client
    from starlette.testclient import TestClient

CASES = "/v1/admin/reviews"
TILL = {
    "key": "till",
    "default": "none",
    "context": {"amount": {"middle": 50, "width": 30}},
    "actions": [{"name": "none"}, {"name": "gift", "stock": 5}],
    "review": {"rules": [{"name": "large", "when": [["amount", ">", 1000]]}], "hours": 4},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("reviews")) as made:
        people.add_derived(made)
        Points(made.store, made.clock).put(parse(TILL), by="Ana")
        yield made


@pytest.fixture(scope="module")
def call(shop):
    keys = {role: make_key(shop.store, role, role, clock=shop.clock) for role in ROLES}
    with TestClient(create_app(shop.folder, clock=shop.clock)) as client:

        def ask(method, path, role="approver", body=None):
            headers = {"Authorization": f"Bearer {keys[role]}"}
            return client.request(method, path, json=body, headers=headers)

        yield ask


@pytest.fixture(scope="module")
def asked(call):
    """A choice of a large amount for Ana, and one that nobody answers."""

    def decide(**body):
        body = {"placement": "till", "context": {"amount": 5000}} | body
        return call("POST", "/v1/decide", "service", body).json()

    small = decide(context={"amount": 10})
    assert (small["pending"], small["default"]) == (False, False)
    return decide(customer=people.ANA, decision_id="basket 1"), decide(decision_id="basket 2")


def test_a_large_amount_waits_with_the_default_action(call, asked):
    mine, other = asked
    assert (mine["pending"], mine["action"], mine["reason"]) == (True, "none", "sent_to_person")
    assert mine["policy_version"] == ""
    found = call("GET", CASES).json()
    assert {one["decision_id"] for one in found} == {mine["decision_id"], other["decision_id"]}
    case = next(one for one in found if one["decision_id"] == mine["decision_id"])
    assert (case["rule"], case["numbers"], case["eligible"]) == (
        "large", {"amount": 5000.0}, ["none", "gift"],
    )  # fmt: skip
    assert case["until"] == (people.NOW + timedelta(hours=4)).isoformat()


def test_who_may_see_and_decide(call, asked):
    for role in ROLES:
        may = {one: allows(role, one) for one in ("review:read", "review:answer", "decision:ask")}
        for method, path, permission in (
            ("GET", CASES, "review:read"),
            ("GET", f"{CASES}/{asked[0]['decision_id']}", "review:read"),
            ("POST", f"{CASES}/d_none/take", "review:answer"),
            ("GET", f"/v1/reviews/{asked[0]['decision_id']}", "decision:ask"),
        ):
            there = 404 if "none" in path else 200
            expected = there if may[permission] else 403
            assert call(method, path, role).status_code == expected, (role, path)


def test_a_person_decides_and_who_asked_is_told(call, asked):
    number = asked[0]["decision_id"]
    told = f"/v1/reviews/{number}"
    assert call("GET", told, "service").json()["pending"] is True
    assert call("POST", f"{CASES}/{number}/take").json()["taken_by"] == "approver"
    body = {"action": "gift", "reason": "known_better", "note": "a wedding, says Ana"}
    assert call("POST", f"{CASES}/{number}/answer", "marketer", body).status_code == 409
    wrong = body | {"action": "yacht"}
    assert call("POST", f"{CASES}/{number}/answer", body=wrong).status_code == 422
    done = call("POST", f"{CASES}/{number}/answer", body=body).json()
    assert (done["state"], done["action"], done["note"]) == ("answered", "gift", body["note"])
    assert done["reason_words"]["zh"]
    answer = call("GET", told, "service").json()
    assert (answer["pending"], answer["action"]) == (False, "gift")
    assert [one["decision_id"] for one in call("GET", f"{CASES}?closed=true").json()] == [number]
    assert call("GET", "/v1/admin/decisions/till", "marketer").json()["given"] == {"gift": 1}


def test_nobody_reports_what_a_person_decided(call):
    body = {"outcome_id": "o", "kind": "review:override", "customer": "u"}
    assert call("POST", "/v1/outcome", "service", body).status_code == 422


def test_what_was_decided_is_in_the_lake_once(call, asked, shop):
    number = asked[0]["decision_id"]
    later = FrozenClock(people.NOW + timedelta(hours=5))
    assert Reviews(shop.store, shop.vault, later).expire() == 1
    shop.clock = later
    for _ in range(2):
        shop.compact()
    with reading(shop.store.ledger) as connection:
        held = connection.execute(sa.select(reviews)).all()
    assert {(row.state, row.copied) for row in held} == {("answered", True), ("expired", False)}
    (row,) = (
        one for one in shop.table("outcomes").to_pyarrow().to_pylist()
        if one[c.DECISION_ID] == number
    )  # fmt: skip
    assert (row[c.KIND], row[c.ACTION]) in {
        ("review:override", "gift"), ("review:confirmed", "gift"),
    }  # fmt: skip

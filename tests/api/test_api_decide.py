"""`POST /v1/decide` and `/v1/outcome` over HTTP: who may ask, what is answered, what is kept."""

from __future__ import annotations

import json
import shutil
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor

import people
import pytest

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.collect.write_keys import make_write_key
from zhiyin.consents import Consents
from zhiyin.core import columns as c
from zhiyin.core.errors import JournalError
from zhiyin.decide import online_job
from zhiyin.decide.points.check import parse
from zhiyin.govern.gate import ANY_CHANNEL, PERSONALISATION
from zhiyin.govern.roles import ROLES, allows
from zhiyin.points import Points

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client
    from starlette.testclient import TestClient

DECIDE, OUTCOME = "/v1/decide", "/v1/outcome"
HOME = {
    "key": "home",
    "default": "none",
    "context": {"cart_value": {"middle": 50, "width": 30}},
    "actions": [
        {"name": "none"},
        {"name": "coupon", "category": "price"},
        {"name": "sale", "category": "price", "end_on": "2024-05-31"},  # over on people.NOW
        {"name": "gift", "needs": [["cart_value", ">=", 100]]},
    ],
    "policy": {"name": "linear_thompson", "explore": 0.1},
    "reward": {"window_days": 7},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("decide")) as made:
        people.add_derived(made)
        Points(made.store, made.clock).put(parse(HOME), by="Ana")
        yield made


@pytest.fixture(scope="module")
def keys(shop):
    return {role: make_key(shop.store, role, role, clock=shop.clock) for role in ROLES}


@pytest.fixture(scope="module")
def client(shop):
    with TestClient(
        create_app(shop.folder, clock=shop.clock), raise_server_exceptions=False
    ) as made:
        yield made


@pytest.fixture(scope="module")
def post(client, keys):
    def call(path, role="service", **body):
        headers = {"Authorization": f"Bearer {keys[role]}"} if role else {}
        return client.post(path, json=body, headers=headers)

    return call


def decided(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_only_a_key_that_may_ask_gets_in(post):
    for role in ROLES:
        expected = 200 if allows(role, "decision:ask") else 403
        assert post(DECIDE, role, placement="home").status_code == expected
        assert post(OUTCOME, role, outcome_id=role, kind="x", customer="u").status_code == expected
    assert post(DECIDE, "", placement="home").status_code == 401


def test_a_visitor_gets_an_eligible_action_with_its_chance(post):
    made = decided(post(DECIDE, placement="home", anonymous_id="v1"))
    assert made["action"] in {"none", "coupon"}  # the sale is over, the cart not known
    assert made["actions"] == [made["action"]]
    assert made["propensity"] == pytest.approx(0.5)  # nothing is known yet: both alike
    assert made["reason"] in {"by_policy", "explored"}
    assert made["policy_version"].startswith("linear_thompson-")
    assert not made["default"]
    found = {
        decided(post(DECIDE, placement="home", context={"cart_value": 120}))["action"]
        for _ in range(40)
    }
    assert found == {"none", "coupon", "gift"}


def test_a_slate_holds_different_actions(post):
    made = decided(post(DECIDE, placement="home", k=3, context={"cart_value": 120}))
    assert sorted(made["actions"]) == ["coupon", "gift", "none"]
    assert made["propensity"] == pytest.approx(1 / 6, rel=0.05)


def test_the_same_id_gets_the_same_answer_also_at_once_and_from_another_process(
    shop, keys, client, post
):
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(post, DECIDE, placement="home", decision_id="basket 7") for _ in range(8)
        ]
        bodies = {one.result().text for one in asked}
    assert len(bodies) == 1
    with TestClient(create_app(shop.folder, clock=shop.clock)) as other:
        headers = {"Authorization": f"Bearer {keys['service']}"}
        body = {"placement": "home", "decision_id": "basket 7"}
        assert other.post(DECIDE, json=body, headers=headers).text in bodies
    seen = {decided(post(DECIDE, placement="home", decision_id=f"b{n}"))["action"]
            for n in range(30)}  # fmt: skip
    assert len(seen) == 2  # another id, another lot


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_parameter"),
        ({"placement": "Home page"}, "invalid_parameter"),
        ({"placement": "home", "k": 0}, "invalid_parameter"),
        ({"placement": "home", "k": 21}, "invalid_parameter"),
        ({"placement": "home", "deadline_ms": -1}, "invalid_parameter"),
        ({"placement": "home", "context": {"aaaa": 1}}, "invalid_parameter"),
        ({"placement": "home", "context": {"cart_value": 1e300}}, "invalid_parameter"),
        ({"placement": "home", "context": {"cart_value": "aaaa"}}, "invalid_parameter"),
        ({"placement": "home", "custommer": "aaaa"}, "invalid_parameter"),
        ({"placement": "home", "customer": "a" * 257}, "invalid_parameter"),
    ],
)
def test_wrong_input_is_told_without_being_quoted(post, body, code):
    answer = post(DECIDE, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "aaaa" not in answer.text


def test_what_is_no_json_and_other_methods_are_refused(client, keys):
    headers = {"Authorization": f"Bearer {keys['service']}"}
    assert client.post(DECIDE, content=b"{", headers=headers).status_code == 422
    assert client.post(DECIDE, content=b"\xff", headers=headers).status_code == 422
    assert client.get(DECIDE, headers=headers).status_code == 405
    assert client.post(DECIDE, content=b" " * 70_000, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "purchase", "customer": "u"},
        {"outcome_id": "o", "kind": "purchase"},
        {"outcome_id": "o", "kind": "pur chase", "customer": "u"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "at": "2024-06-03T12:00:00Z"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "at": "0001-01-01T00:00:00+14:00"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "action": "for ann@shop.example"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "at": "2024-06-01T12:00:00"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "value_minor": 1, "currency": "BEEF"},
        {"outcome_id": "o", "kind": "x", "customer": "u", "value_minor": 10**16},
    ],
)
def test_an_outcome_that_cannot_be_meant_is_refused(post, body):
    assert post(OUTCOME, **body).status_code == 422


def test_the_default_action_is_given_with_its_reason(shop, client, post):
    points = Points(shop.store, shop.clock)
    nobody = decided(post(DECIDE, placement="cellar"))
    assert (nobody["action"], nobody["reason"], nobody["default"]) == (None, "unknown_point", True)
    late = decided(post(DECIDE, placement="home", deadline_ms=0))
    assert late["reason"] in {"by_policy", "explored"}  # the test's clock stands still
    points.put(parse(HOME | {"key": "needy", "features": ["recency_days"]}), by="Ana")
    closed = HOME["actions"][2]
    points.put(parse(HOME | {"key": "over", "default": "sale", "actions": [closed]}), by="Ana")
    points.pause("home", by="Ana")
    client.app.points.look()
    paused = decided(post(DECIDE, placement="home", customer=people.ANA))
    assert (paused["action"], paused["reason"]) == ("none", "point_paused")
    assert (paused["propensity"], paused["policy_version"]) == (1.0, "")
    assert decided(post(DECIDE, placement="needy"))["reason"] == "no_features"
    assert decided(post(DECIDE, placement="over"))["reason"] == "nothing_eligible"
    points.resume("home", by="Ana")
    client.app.points.look()
    assert not client.app.points.look()
    assert not decided(post(DECIDE, placement="home"))["default"]


def test_a_deadline_that_has_passed_is_no_choice(shop, client, post, monkeypatch):
    ticks = iter(range(1_000))
    monkeypatch.setattr(type(shop.clock), "monotonic", lambda _: next(ticks) / 10)
    made = decided(post(DECIDE, placement="home"))
    assert (made["action"], made["reason"]) == ("none", "too_late")
    monkeypatch.undo()
    assert not decided(post(DECIDE, placement="home"))["default"]


def test_what_cannot_be_read_is_no_error_for_the_page(client, post, monkeypatch):
    def broken():
        raise sqlite3.OperationalError("disk I/O error")

    door = client.app.choices.door
    monkeypatch.setattr(door, "_online", type("Broken", (), {"generation": lambda _: broken()})())
    made = decided(post(DECIDE, placement="home"))
    assert (made["action"], made["reason"]) == ("none", "store_unreadable")


def test_nothing_is_answered_that_is_not_on_the_disk(client, post, monkeypatch):
    async def fails(*_):
        raise JournalError("no room", hint="make room")

    monkeypatch.setattr(client.app.choices._journal, "append", fails)
    assert post(DECIDE, placement="home", decision_id="again").status_code == 503
    assert post(OUTCOME, outcome_id="o9", kind="x", customer="u").status_code == 503
    monkeypatch.undo()
    assert post(DECIDE, placement="home", decision_id="again").status_code == 200


def test_the_document_describes_both_with_their_permission(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in (DECIDE, OUTCOME):
        assert paths[path]["post"]["x-permission"] == "decision:ask"


@pytest.fixture(scope="module")
def kept(shop, tmp_path_factory):
    """Rows of what a server of its own decided, and was told, compacted; asked by id."""
    folder = tmp_path_factory.mktemp("kept") / "shop"
    shutil.copytree(shop.folder, folder)
    shutil.rmtree(folder / "journal", ignore_errors=True)
    with people.Workspace.open(folder, write=True, clock=shop.clock) as own:
        key = make_key(own.store, "kept", "service", clock=shop.clock)
        headers, asked = {"Authorization": f"Bearer {key}"}, {}
        with TestClient(create_app(folder, clock=shop.clock)) as made:

            def call(path, **body):
                return decided(made.post(path, json=body, headers=headers))

            asked["hers"] = call(
                DECIDE, placement="home", customer=people.ANA, decision_id="mine",
                context={"cart_value": 120}, k=2,
            )  # fmt: skip
            call(DECIDE, placement="home", customer=people.ANA, decision_id="mine")
            asked["visitor"] = call(DECIDE, placement="home", anonymous_id="v9")
            asked["unknown"] = call(DECIDE, placement="cellar", anonymous_id="v9")
            for _ in range(2):
                asked["outcome"] = call(
                    OUTCOME, outcome_id="order 5", decision_id="mine", kind="purchase",
                    action="gift", value_minor=1999, at="2024-05-31T10:00:00+02:00",
                )  # fmt: skip
            asked["other"] = call(
                OUTCOME, outcome_id="order 6", customer=people.ANA, kind="purchase",
                value_minor=7, currency="JPY",
            )  # fmt: skip
        own.compact()
        own.compact()
        rows = {
            name: own.table(name).to_pyarrow().to_pylist() for name in ("decisions", "outcomes")
        }
        yield asked, rows, own


def test_a_choice_is_a_row_for_each_place_once(kept, shop):
    asked, rows, _ = kept
    mine = [one for one in rows["decisions"] if one[c.DECISION_ID].startswith(
        asked["hers"]["decision_id"])]  # fmt: skip
    mine.sort(key=lambda one: one[c.RANK])
    assert [one[c.ACTION] for one in mine] == asked["hers"]["actions"]
    chance = mine[0][c.PROPENSITY] * mine[1][c.PROPENSITY]
    assert chance == pytest.approx(asked["hers"]["propensity"])
    assert json.loads(mine[0][c.ELIGIBLE]) == ["none", "coupon", "gift"]
    assert set(json.loads(mine[1][c.ELIGIBLE])) == {"none", "coupon", "gift"} - {mine[0][c.ACTION]}
    assert json.loads(mine[0][c.CONTEXT]) == {"cart_value": 120.0}
    assert {one[c.PARTY_ID] for one in mine} == {people.party_of(shop, people.ANA)}
    assert mine[0][c.CAMPAIGN_ID] == "point:home"
    assert (mine[0][c.DECIDED_BY], mine[0][c.VERSION], mine[0][c.POLICY]) == (
        "point", 1, "linear_thompson",
    )  # fmt: skip
    (visitor,) = (
        one for one in rows["decisions"] if one[c.DECISION_ID] == asked["visitor"]["decision_id"]
    )
    assert visitor[c.PARTY_ID] == shop.vault.party_ids("anonymous_id", ["v9"])[0]
    assert json.loads(visitor[c.CONTEXT]) == {"cart_value": None}
    (unknown,) = (
        one for one in rows["decisions"] if one[c.DECISION_ID] == asked["unknown"]["decision_id"]
    )
    assert (unknown[c.ACTION], unknown[c.POLICY]) == ("nothing", "default")


def test_an_outcome_is_kept_once_and_belongs_to_whom_the_decision_was_about(kept, shop):
    asked, rows, _ = kept
    assert len(rows["outcomes"]) == 2
    by_id = {one[c.OUTCOME_ID]: one for one in rows["outcomes"]}
    first, second = by_id[asked["outcome"]["outcome_id"]], by_id[asked["other"]["outcome_id"]]
    assert first[c.DECISION_ID] == asked["hers"]["decision_id"]
    assert first[c.PARTY_ID] == second[c.PARTY_ID] == people.party_of(shop, people.ANA)
    assert (first[c.ACTION], first[c.VALUE_BASE_MINOR]) == ("gift", 1999)
    assert first[c.OCCURRED_AT].isoformat() == "2024-05-31T08:00:00"
    assert (second[c.VALUE_MINOR], second[c.VALUE_BASE_MINOR]) == (7, None)  # no rate of JPY


def test_who_refuses_gets_choices_without_what_is_known_of_her(shop, keys):
    point = HOME | {"key": "numbers", "features": ["seen.24h"]}
    Points(shop.store, shop.clock).put(parse(point), by="Ana")
    with TestClient(create_app(shop.folder, clock=shop.clock)) as own:
        held = own.app.choices.door

        def numbers():
            body = {"placement": "numbers", "customer": people.BEA}
            headers = {"Authorization": f"Bearer {keys['service']}"}
            seen = []
            decide = held.decide
            held.decide = lambda asked: seen.extend(decide(asked)) or seen
            assert own.post(DECIDE, json=body, headers=headers).status_code == 200
            held.decide = decide
            return seen[0].numbers[0], seen[0].personalised

        assert numbers() == (0.0, True)
        consents = Consents(shop.store, shop.vault, shop.clock, shop.settings)
        consents.put(
            people.party_of(shop, people.BEA), purpose=PERSONALISATION, channel=ANY_CHANNEL,
            granted=False, source="t", proof={},
        )  # fmt: skip
        assert numbers() == (None, False)


def test_what_she_does_and_what_a_turn_learns_count_at_once(tmp_path):
    point = HOME | {"features": ["recency_days", "seen.24h"], "policy": {
        "name": "rules", "explore": 0.0, "settings": {
            "rules": [{"when": [["seen.24h", ">=", 2]], "then": "coupon"}]}}}  # fmt: skip
    with people.make_shop(tmp_path) as shop:
        people.add_derived(shop)
        Points(shop.store, shop.clock).put(parse(point), by="Ana")
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        with shop.store.begin() as connection:
            now = shop.clock.now().replace(tzinfo=None)
            source = make_write_key(connection, "laden", kind="browser", now=now)
        app = create_app(shop.folder)  # on the machine's clock, as events are
        with TestClient(app) as own:

            def ask():
                body = {"placement": "home", "anonymous_id": "v1", "deadline_ms": 10_000}
                headers = {"Authorization": f"Bearer {key}"}
                return decided(own.post(DECIDE, json=body, headers=headers))

            assert ask()["reason"] == "no_features"
            online_job.run(shop.context(people.AS_OF), shop.settings.decide)
            assert (ask()["action"], ask()["reason"]) == ("none", "by_policy")
            for product in ("p1", "p2"):
                event = {"event": "Product Viewed", "anonymousId": "v1"}
                event |= {"writeKey": source.write_key, "properties": {"product_id": product}}
                assert own.post("/v1/track", json=event).status_code == 200
            own.portal.call(app.watcher.settled)
            assert (ask()["action"], ask()["propensity"]) == ("coupon", 1.0)
            Points(shop.store, shop.clock).put(parse(HOME), by="Ana")
            app.points.look()
            assert ask()["policy_version"].startswith("linear_thompson-")

"""`GET /v1/recommend` over HTTP: who may ask, what is answered, what the journal keeps."""

import json
import warnings

import people
import pytest

from zhiyin.api.keys import make_key, revoke_keys
from zhiyin.api.server import create_app
from zhiyin.collect.write_keys import make_write_key
from zhiyin.consents import Consents
from zhiyin.core import columns as c
from zhiyin.govern.gate import ANY_CHANNEL, PERSONALISATION
from zhiyin.govern.roles import ROLES, allows

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client
    from starlette.testclient import TestClient

PATH = "/v1/recommend"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("recommend")) as made:
        people.add_derived(made)
        settings = made.folder / "zhiyin.toml"
        placed = '[recommend.placements.home]\nk = 1\npins = ["laden:p2"]\n'
        settings.write_text(settings.read_text(encoding="utf-8") + placed, encoding="utf-8")
        people.add_online(made)
        yield made


@pytest.fixture(scope="module")
def keys(shop):
    return {role: make_key(shop.store, role, role, clock=shop.clock) for role in ROLES}


@pytest.fixture(scope="module")
def client(shop):
    with TestClient(create_app(shop.folder), raise_server_exceptions=False) as made:
        yield made


def ask(client, key, query="", **headers):
    return client.get(f"{PATH}?{query}", headers={"Authorization": f"Bearer {key}"} | headers)


def first(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]


def test_only_a_key_that_may_ask_gets_in(client, keys):
    for role in ROLES:
        answer = ask(client, keys[role])
        expected = 200 if allows(role, "decision:ask") else 403
        assert (role, answer.status_code) == (role, expected)
    for wrong in ("", "zk_00000000_" + "a" * 43):
        assert ask(client, wrong).status_code == 401
        assert ask(client, wrong).json()["code"] == "not_authenticated"
    assert client.get(PATH, headers={"X-Api-Key": keys["service"]}).status_code == 200


def test_a_revoked_key_is_out_when_what_is_remembered_of_it_is_old(shop, monkeypatch):
    monkeypatch.setattr("zhiyin.api.live_reads.FRESH_S", -1.0)
    key = make_key(shop.store, "leaving", "service", clock=shop.clock)
    with TestClient(create_app(shop.folder)) as own:
        assert ask(own, key).status_code == 200
        revoke_keys(shop.store, "leaving", clock=shop.clock)
        assert ask(own, key).status_code == 401


@pytest.mark.parametrize(
    "customer", [people.ANA, f"user_id:{people.ANA}", f"  {people.ANA} ", "ours"]
)
def test_a_customer_is_named_as_the_shop_names_her(client, shop, keys, customer):
    named = people.party_of(shop, people.ANA) if customer == "ours" else customer
    answer = client.get(
        PATH, params={"customer": named}, headers={"Authorization": f"Bearer {keys['service']}"}
    )
    item = first(answer)
    assert (item["product_id"], item["source"], item["rank"]) == ("laden:p1", "customer", 1)
    assert item["reason"] == {
        "kind": "because", "en": "because you bought Bread", "zh": "因为您买过Bread"
    }  # fmt: skip
    assert answer.json()["personalised"]
    assert people.ANA not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_who_is_not_known_gets_what_is_beside_or_popular(client, keys):
    answer = ask(client, keys["service"], "customer=nobody&item=laden:p1")
    assert first(answer)["source"] == "item"
    assert first(ask(client, keys["service"], "session=v&basket=laden:p1,x"))["source"] == "basket"
    assert ask(client, keys["service"]).json()["source"] == "popular"
    assert not answer.json()["personalised"]


def test_a_placement_has_rules_of_its_own(client, keys):
    answer = ask(client, keys["service"], f"placement=home&customer={people.ANA}")
    assert [one["source"] for one in answer.json()["items"]] == ["pin"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("placement=cellar", 404, "not_found"),
        ("k=0", 422, "invalid_parameter"),
        ("k=101", 422, "invalid_parameter"),
        ("k=ten", 422, "invalid_parameter"),
        ("k=%C2%B2", 422, "invalid_parameter"),
        ("custommer=x", 422, "invalid_parameter"),
        ("item=a&item=b", 422, "invalid_parameter"),
        ("item=" + "a" * 257, 422, "invalid_parameter"),
        ("basket=" + "a" * 257, 422, "invalid_parameter"),
        ("basket=" + "a," * 101, 422, "invalid_parameter"),
        ("customer=%FF%00%ED%A0%80&session=%00", 200, None),
        ("basket=,,&item=&k=&placement=", 200, None),
    ],
)
def test_wrong_input_is_told_without_being_quoted(client, keys, query, status, code):
    answer = ask(client, keys["service"], query)
    assert answer.status_code == status, answer.text
    assert answer.json().get("code") == code
    assert "aaaa" not in answer.text


def test_other_methods_are_none(client, keys):
    answer = client.post(PATH, headers={"Authorization": f"Bearer {keys['service']}"})
    assert (answer.status_code, answer.json()["code"]) == (405, "invalid_parameter")


def test_the_document_describes_it_with_its_permission(client):
    described = client.get("/openapi.json").json()["paths"][PATH]["get"]
    assert described["x-permission"] == "decision:ask"
    names = {one["name"] for one in described["parameters"]}
    assert names == {"customer", "session", "item", "basket", "placement", "k"}


def test_before_the_first_turn_it_says_what_to_do(tmp_path):
    with people.make_shop(tmp_path) as empty:
        key = make_key(empty.store, "s", "service", clock=empty.clock)
        with TestClient(create_app(empty.folder)) as client:
            answer = ask(client, key, "customer=x")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_enough_data")
    assert answer.json()["hint"] == "zhiyin run"


def test_what_was_shown_to_whom_is_a_decision_in_the_lake_once(tmp_path):
    with people.make_shop(tmp_path) as shop:
        people.add_derived(shop)
        people.add_online(shop)
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        with TestClient(create_app(shop.folder)) as client:
            for query in (
                f"customer={people.ANA}",
                "session=visitor&item=laden:p1",
                "item=laden:p1",
            ):
                assert ask(client, key, query).status_code == 200
            said = ask(client, key, f"customer={people.BEA}&k=1").json()
        shop.compact()
        shop.compact()
        rows = shop.table("decisions").to_pyarrow().to_pylist()
        kept = {row[c.PARTY_ID]: row for row in rows if row[c.DECIDED_BY] == "placement"}
        assert len([row for row in rows if row[c.DECIDED_BY] == "placement"]) == 3
        bea = kept[people.party_of(shop, people.BEA)]
        assert bea[c.DECISION_ID] == said["recommendation_id"]
        assert json.loads(bea[c.PRODUCT_IDS]) == ["laden:p1"]
        assert (bea[c.ACTION], bea[c.PROPENSITY], bea[c.PERSONALISED]) == ("customer", 1.0, True)
        visitor = kept[shop.vault.party_ids("anonymous_id", ["visitor"])[0]]
        assert (visitor[c.ACTION], visitor[c.REASON]) == ("item", "recommended_to_all")


def test_a_refusal_holds_from_the_next_request_on(tmp_path):
    with people.make_shop(tmp_path) as shop:
        people.add_derived(shop)
        people.add_online(shop)
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        record = Consents(shop.store, shop.vault, shop.clock, shop.settings)
        with TestClient(create_app(shop.folder)) as client:
            assert ask(client, key, f"customer={people.ANA}").json()["personalised"]
            party = people.party_of(shop, people.ANA)
            said = {"purpose": PERSONALISATION, "channel": ANY_CHANNEL, "source": "t", "proof": {}}
            record.put(party, granted=False, **said)
            refused = ask(client, key, f"customer={people.ANA}").json()
            assert (refused["personalised"], refused["source"]) == (False, "popular")
            assert ask(client, key, f"customer={people.BEA}").json()["personalised"]


def test_a_visitor_gets_what_stands_beside_what_she_just_looked_at(tmp_path):
    with people.make_shop(tmp_path) as shop:
        people.add_online(shop)
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        with shop.store.begin() as connection:
            now = shop.clock.now().replace(tzinfo=None)
            source = make_write_key(connection, "laden", kind="browser", now=now)
        app = create_app(shop.folder)
        with TestClient(app) as client:
            assert ask(client, key, "session=v1").json()["source"] == "popular"
            event = {"event": "Product Viewed", "anonymousId": "v1", "writeKey": source.write_key,
                     "properties": {"product_id": "p1"}}  # fmt: skip
            assert client.post("/v1/track", json=event).status_code == 200
            client.portal.call(app.watcher.settled)
            found = ask(client, key, "session=v1").json()
            assert (found["source"], found["personalised"]) == ("session", True)
            assert found["items"][0]["reason"]["en"] == "because you looked at Tea"
            assert ask(client, key, "session=v2").json()["source"] == "popular"


def test_whoever_came_after_the_last_turn_is_served_by_what_she_does_today(tmp_path):
    with people.make_shop(tmp_path) as shop:
        people.add_derived(shop)
        people.add_online(shop)
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        with shop.store.begin() as connection:
            now = shop.clock.now().replace(tzinfo=None)
            web = make_write_key(connection, "laden", kind="browser", now=now).write_key
            mini = make_write_key(
                connection, "laden", kind="mobile", now=now, user_namespace="mini_id"
            ).write_key
        tea = {"product_id": "p1"}
        bought = {"order_id": "o1", "products": [tea | {"quantity": 1, "price": 2}]}
        app = create_app(shop.folder)
        with TestClient(app) as client:
            assert ask(client, key, "customer=reg1").json()["source"] == "popular"
            assert ask(client, key, "customer=reg1&item=laden:p1").json()["source"] == "item"
            assert ask(client, key, "customer=reg1&basket=laden:p1").json()["source"] == "basket"
            for who, name, said, write_key in (
                ("reg1", "Product Viewed", tea, web),
                ("buys1", "Order Completed", bought, web),
                ("mini1", "Product Viewed", tea, mini),  # no turn has seen its id space
            ):
                event = {"event": name, "userId": who, "writeKey": write_key, "properties": said}
                assert client.post("/v1/track", json=event).status_code == 200
            client.portal.call(app.watcher.settled)
            found = {
                who: ask(client, key, f"customer={who}").json()
                for who in ("reg1", "buys1", "mini1", "mini_id:mini1", "other")
            }
    assert found.pop("other")["source"] == "popular"
    for who, answer in found.items():
        assert (who, answer["source"], answer["personalised"]) == (who, "session", True)
        assert answer["items"][0]["product_id"] == "laden:p2"
    assert found["reg1"]["items"][0]["reason"]["en"] == "because you looked at Tea"
    assert found["buys1"]["items"][0]["reason"]["en"] == "because you bought Tea"


def test_products_that_are_loaded_reach_requests_before_the_next_turn(tmp_path):
    with people.make_shop(tmp_path) as shop:
        people.add_online(shop)
        key = make_key(shop.store, "s", "service", clock=shop.clock)
        app = create_app(shop.folder)
        with TestClient(app) as client:
            before = ask(client, key).json()["items"]
            assert [one["name"] for one in before] == ["Tea", "Bread"]
            later, mapping = tmp_path / "later.csv", tmp_path / "later.toml"
            later.write_text(
                "sku,title,stock,since\np1,Green tea,4,2024-06-02\np2,Bread,0,2024-06-02\n"
            )
            columns = 'product_id = "sku"\nname = "title"\nvalid_at = "since"'
            mapping.write_text(
                people.MAPPING.format(extra='properties = ["stock"]', columns=columns)
            )
            shop.load("products", later, mapping=mapping)
            app.products.look()
            after = ask(client, key).json()["items"]
            assert [one["name"] for one in after] == ["Green tea"]

"""Every route asks for its permission, and nobody gets in without a key that is in force."""

import base64
import hashlib
import subprocess
import sys

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from zhiyin.api.access import PUBLIC, Route, add_routes
from zhiyin.api.keys import find_caller, make_key, revoke_keys
from zhiyin.api.server import ROUTES
from zhiyin.core.errors import ConfigError, InvalidParameter
from zhiyin.core.ledger import api_keys
from zhiyin.govern.roles import ROLES, allows
from zhiyin.store.ledger import reading

SECURED = [route for route in ROUTES if route.permission != PUBLIC]
EXAMPLES = {
    "name": "orders",
    "turn_id": "t",
    "job_id": "j",
    "customer": "x",
    "token": "x.y",
    "source": "s",
    "event": "Seen",
    "task": "churn",
    "key": "spring",
    "task_id": "m_1",
    "decision_id": "d_1",
    "number": "7",
}


def path_of(route):
    return route.path.replace(":path}", "}").format(**EXAMPLES)


@pytest.mark.parametrize("route", SECURED, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_opens_to_exactly_the_roles_with_its_permission(as_role, route):
    body = {} if route.method == "POST" else None
    for role in (*ROLES, "nobody"):
        answer = as_role(role, route.method, path_of(route), json=body)
        if role == "nobody":
            assert answer.status_code == 401
            assert answer.json()["code"] == "not_authenticated"
        elif allows(role, route.permission):
            assert answer.status_code not in (401, 403), (role, answer.text)
        else:
            assert answer.status_code == 403, role
            assert route.permission in answer.json()["hint"]


def test_public_routes_are_these_and_no_others(client):
    assert {route.path for route in ROUTES if route.permission == PUBLIC} == {
        "/health", "/u/{token}", "/c/{token}", "/p/{token}", "/r/{token}", "/o/{name}",
        "/v1/hooks/{source}", "/v1/returns/{provider}", "/v1/replies/twilio", "/zhiyin.js",
        "/v1/receipts/twilio", "/v1/receipts/{provider}/{secret}", "/q/{token}",
    }  # fmt: skip
    paths = {route.path for route in client.app.app.routes}
    assert paths == {route.path for route in ROUTES} | {"/openapi.json"}


def test_a_route_without_a_known_permission_does_not_get_in():
    with pytest.raises(ConfigError, match="GET /x"):
        add_routes(FastAPI(), [Route("GET", "/x", "people:raed", lambda: None)])


@pytest.mark.parametrize("way", ["bearer", "x-api-key", "basic"])
def test_a_key_is_taken_in_three_ways(client, served, way):
    key = served[1]["viewer"]
    basic = base64.b64encode(f"me:{key}".encode()).decode()
    headers = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "x-api-key": {"X-Api-Key": key},
        "basic": {"Authorization": f"Basic {basic}"},
    }[way]
    assert client.get("/v1/turns", headers=headers).status_code == 200


def test_what_a_browser_sends_by_itself_changes_nothing(client, served):
    basic = base64.b64encode(f"me:{served[1]['admin']}".encode()).decode()
    answer = client.post("/v1/jobs", json={}, headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer zk_00000000_" + "a" * 43, "Basic ???", "Basic eDp5", "Digest x", "Bearer é"],
)
def test_a_wrong_key_is_refused(client, value):
    answer = client.get("/v1/turns", headers={"Authorization": value.encode()})
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


def test_a_key_with_the_id_of_another_is_refused(served):
    shop, keys = served
    key = keys["admin"]
    assert find_caller(shop.store, key).role == "admin"
    assert find_caller(shop.store, key[:-1] + ("a" if key[-1] != "a" else "b")) is None


def test_a_revoked_key_is_refused_at_once(client, served):
    shop, _ = served
    key = make_key(shop.store, "leaver", "admin", clock=shop.clock)
    headers = {"X-Api-Key": key}
    assert client.get("/v1/turns", headers=headers).status_code == 200
    assert revoke_keys(shop.store, "leaver", clock=shop.clock) == 1
    assert revoke_keys(shop.store, "leaver", clock=shop.clock) == 0
    assert client.get("/v1/turns", headers=headers).status_code == 401


def test_only_the_hash_of_a_key_is_kept(served):
    shop, keys = served
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(api_keys)).all()
    assert keys["admin"] not in str(rows)
    assert hashlib.sha256(keys["admin"].encode()).hexdigest() in {row.hash for row in rows}


@pytest.mark.parametrize(("name", "role"), [("x", "king"), ("", "viewer"), ("x" * 81, "viewer")])
def test_a_key_needs_a_name_and_a_known_role(served, name, role):
    with pytest.raises(InvalidParameter):
        make_key(served[0].store, name, role, clock=served[0].clock)


def test_a_server_that_only_collects_loads_no_learning_library():
    heavy = {"sklearn", "lightgbm", "onnxruntime", "scipy.stats"}
    asked = f"import sys, zhiyin.api.server; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

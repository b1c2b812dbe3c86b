"""Candidates over HTTP: who may do what, and that servers follow what was decided of them."""

from __future__ import annotations

import warnings

import people
import pytest

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.core.errors import NotEnoughData
from zhiyin.core.ledger import jobs
from zhiyin.decide.candidates import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.ramp import Metric, start
from zhiyin.govern.roles import ROLES, allows
from zhiyin.points import Points
from zhiyin.store.ledger import transaction
from zhiyin.worker import run_job, take_job

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client
    from starlette.testclient import TestClient

POLICIES = "/v1/admin/decisions/till/policies"
TILL = {
    "key": "till",
    "context": {"cart": {}},
    "default": "none",
    "actions": [{"name": "none"}, {"name": "gift"}],
    "policy": {"name": "rules", "explore": 0.0, "settings": {"rules": []}},
}
GIFTS = {"policy": "rules", "settings": {"rules": [{"when": [], "then": "gift"}]}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with people.make_shop(tmp_path_factory.mktemp("candidates")) as made:
        Points(made.store, made.clock).put(parse(TILL), by="Ana")
        yield made


@pytest.fixture(scope="module")
def keys(shop):
    return {role: make_key(shop.store, role, role, clock=shop.clock) for role in ROLES}


@pytest.fixture(scope="module")
def client(shop):
    with TestClient(create_app(shop.folder, clock=shop.clock)) as made:
        yield made


@pytest.fixture(scope="module")
def call(client, keys):
    def ask(method, path, role="admin", body=None):
        headers = {"Authorization": f"Bearer {keys[role]}"}
        return client.request(method, path, json=body, headers=headers)

    return ask


def decide(client, call, n=40):
    client.app.points.look()
    made = [
        call("POST", "/v1/decide", "service", {"placement": "till", "decision_id": f"{n}.{one}"})
        for one in range(n)
    ]
    return [one.json() for one in made]


def test_who_may_try_judge_approve_and_stop(call):
    for role in ROLES:
        for path, permission, body in (
            (f"{POLICIES}/99/judge", "decision:write", None),
            (f"{POLICIES}/99/approve", "decision:approve", None),
            (f"{POLICIES}/99/decline", "decision:approve", {}),
            (f"{POLICIES}/99/withdraw", "decision:stop", {}),
            ("/v1/admin/decisions/cellar/stop", "decision:stop", None),
        ):
            expected = 404 if allows(role, permission) else 403
            assert call("POST", path, role, body).status_code == expected, (role, path)
        expected = 200 if allows(role, "decision:read") else 403
        assert call("GET", POLICIES, role).status_code == expected


def done(shop, call, asked):
    """What a worker makes of a job that was asked for."""
    assert asked.status_code == 202, asked.text
    job = take_job(shop.store, holder="w", clock=shop.clock)
    assert job.job_id == asked.json()["job_id"]
    with transaction(shop.store.ledger) as connection:
        connection.execute(jobs.delete())
    return run_job(shop.folder, job)


def test_a_worker_makes_a_candidate_and_judges_it_when_there_is_something_to_judge_by(shop, call):
    made = done(shop, call, call("POST", POLICIES, "marketer", GIFTS))
    assert made["state"] == "candidate"
    number = made["number"]
    with pytest.raises(NotEnoughData):
        done(shop, call, call("POST", f"{POLICIES}/{number}/judge", "marketer"))
    assert call("POST", POLICIES, "marketer", {"policy": "magic"}).json()["code"] == "invalid_rule"
    assert call("POST", f"{POLICIES}/{number}/approve", "approver").status_code == 422
    assert [one["number"] for one in call("GET", POLICIES).json()] == [1, number]


def test_servers_follow_a_candidate_that_takes_over_and_is_taken_back(shop, client, call):
    assert {one["action"] for one in decide(client, call)} == {"none"}
    number = done(shop, call, call("POST", POLICIES, "marketer", GIFTS | {"explore": 0.0}))[
        "number"
    ]
    with shop.store.begin() as connection:
        one = ledger.find_candidate(connection, "till", number)
        passed = ledger.keep_verdict(
            connection, one, {"promoted": True, "reasons": []}, by="t", now=one.made_at
        )
    assert passed.state == "passed"
    begun = call("POST", f"{POLICIES}/{number}/approve", "approver").json()
    assert (begun["state"], begun["share"]) == ("ramping", 0.01)
    with shop.store.begin() as connection:
        one = ledger.find_candidate(connection, "till", number)
        half = start(Metric(1.0), planned=9, shares=(0.5,), holdout=0.1)
        ledger.keep_step(connection, one, half, until=one.made_at, now=one.made_at)
    found = decide(client, call, 41)
    assert {one["action"] for one in found} == {"none", "gift"}
    assert {one["propensity"] for one in found} == {0.5}
    call("POST", f"{POLICIES}/{number}/withdraw", "analyst", {"why": "x"})
    assert {one["action"] for one in decide(client, call, 42)} == {"none"}


def test_the_kill_switch_of_one_and_of_all(client, call):
    assert call("POST", "/v1/admin/decisions/till/stop", "approver").json()[0]["state"] == "paused"
    assert {one["reason"] for one in decide(client, call, 3)} == {"point_paused"}
    call("PATCH", "/v1/admin/decisions/till", "marketer", {"state": "active"})
    assert {one["reason"] for one in decide(client, call, 4)} == {"by_policy"}
    stopped = call("POST", "/v1/admin/decisions-stop", "marketer").json()
    assert [one["key"] for one in stopped] == ["till"]
    assert {one["reason"] for one in decide(client, call, 5)} == {"point_paused"}

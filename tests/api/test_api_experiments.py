"""An experiment from its plan to its decision, as a site and its people run it over HTTP."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import people
import pytest
from typer.testing import CliRunner

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.cli import app
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import JournalError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client
    from starlette.testclient import TestClient

BEGIN = datetime(2026, 3, 2, 10, tzinfo=UTC)
PEOPLE = 160
ADMIN = "/v1/admin/experiments"
PLAN = {
    "question": "Does the new page make people click?", "control": "old",
    "arms": {"old": 1, "new": 1}, "starts_on": "2026-03-02", "ends_on": "2026-03-02",
    "planned": PEOPLE, "window_days": 1, "unit": "visitor",
    "metrics": [{"name": "clicked", "of": "event:Clicked", "kind": "share"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    settings = validate_settings({"name": "s", "currency": "EUR", "zone": "UTC"}, where="test")
    folder = tmp_path_factory.mktemp("experiments") / "shop"
    people.Workspace.create(folder, settings).close()
    with people.Workspace.open(folder, write=True, clock=FrozenClock(BEGIN)) as made:
        yield made


@pytest.fixture(scope="module")
def keys(shop):
    roles = ("marketer", "approver", "analyst", "service", "viewer")
    return {role: make_key(shop.store, role, role, clock=shop.clock) for role in roles}


class Caller:
    """Requests with the key of a role, all within the server's thread."""

    def __init__(self, client, keys):
        transport = httpx.ASGITransport(client.app, raise_app_exceptions=False)
        self.within = httpx.AsyncClient(transport=transport, base_url="http://shop")
        self.portal, self.keys = client.portal, keys

    def __call__(self, role, method, path, **more):
        return self.portal.call(partial(self.ask, role, method, path, **more))

    async def ask(self, role, method, path, **more):
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        answer = await self.within.request(method, path, headers=headers, **more)
        return answer.status_code, answer.json()

    async def assign(self, people):
        path = "/v1/assign?experiment=page&anonymous_id=v{}"
        asked = [self.ask("service", "GET", path.format(n)) for n in range(people)]
        return [made for _, made in await asyncio.gather(*asked)]


@pytest.fixture(scope="module")
def lived(shop, keys):
    """What the site was answered on the day, all of it compacted a week later."""
    with shop.store.begin() as connection:
        now = shop.clock.now()
        write_key = make_write_key(connection, "site", kind="server", now=now).write_key
    answers = {}
    with TestClient(create_app(shop.folder, clock=shop.clock)) as client:
        call = Caller(client, keys)
        answers["put"] = call("analyst", "PUT", f"{ADMIN}/page", json={"experiment": PLAN})
        answers["early"] = call("service", "GET", "/v1/assign?experiment=page&anonymous_id=v")
        answers["start"] = call("marketer", "POST", f"{ADMIN}/page/start")
        shop.clock.at += timedelta(seconds=3)
        events = []
        arms = client.portal.call(call.assign, PEOPLE)
        for n, one in enumerate(arms):
            if n % 10 < (7 if one["arm"] == "new" else 2):
                events.append({
                    "type": "track", "event": "Clicked", "messageId": f"m{n}",
                    "anonymousId": f"v{n}", "timestamp": (BEGIN + timedelta(hours=1)).isoformat(),
                })  # fmt: skip
        shop.clock.at += timedelta(hours=2)
        sent = client.post("/v1/batch", json={"batch": events, "writeKey": write_key})
        assert sent.status_code == 200
        answers["again"] = client.portal.call(call.assign, 5)
    shop.clock.at = BEGIN + timedelta(days=2)
    shop.compact()
    return arms, answers


def test_a_visitor_gets_one_arm_for_good_and_is_kept_once_a_day(shop, lived):
    arms, answers = lived
    assert answers["put"][1]["state"] == "draft"
    assert answers["early"] == (200, {
        "experiment": "page", "arm": "old", "assigned": False, "reason": "not_begun",
        "decision_id": None,
    })  # fmt: skip
    assert answers["start"][1]["hash"] == answers["put"][1]["hash"]
    assert {one["arm"] for one in arms} == {"old", "new"}
    assert answers["again"] == arms[:5]
    rows = shop.table("decisions").to_pyarrow().to_pylist()
    assert {row[c.DECISION_ID]: row[c.ACTION] for row in rows} == {
        one["decision_id"]: one["arm"] for one in arms
    }
    assert len(rows) == PEOPLE
    assert {row[c.PARTY_ID] for row in rows} == set(
        shop.vault.party_ids("anonymous_id", [f"v{n}" for n in range(PEOPLE)])
    )


def test_it_is_read_and_decided_and_then_everybody_gets_what_was_decided(shop, keys, lived):
    shop.clock.at = BEGIN + timedelta(days=1)
    with TestClient(create_app(shop.folder, clock=shop.clock)) as client:
        call = Caller(client, keys)
        early = call("analyst", "GET", f"{ADMIN}/page/read-out")[1]
        assert early["en"][0].startswith("Cannot tell yet: the plan looks once, on 2026-03-04")
        decided = {"choice": "take_treatment"}
        refused = call("marketer", "POST", f"{ADMIN}/page/decide", json=decided)
        assert (refused[0], refused[1]["hint"]) == (422, "give a reason")
        shop.clock.at = BEGIN + timedelta(days=2)
        found = call("analyst", "GET", f"{ADMIN}/page/read-out")[1]
        assert found["assigned"] == dict(Counter(one["arm"] for one in lived[0]))
        assert found["readings"][0]["base"] == pytest.approx(0.2, abs=0.06)
        assert found["en"][0].startswith("new brought more clicked: +")
        assert found["zh"][0].startswith("new 带来了更多 clicked")
        assert call("analyst", "POST", f"{ADMIN}/page/decide", json=decided)[0] == 403
        assert call("approver", "POST", f"{ADMIN}/page/decide", json=decided)[1]["state"] == (
            "decided"
        )
        got = call("service", "GET", "/v1/assign?experiment=page&anonymous_id=v999")[1]
        assert (got["arm"], got["assigned"], got["reason"]) == ("new", False, "decided")
        shown = call("viewer", "GET", f"{ADMIN}/page")
        assert shown[0] == 403
        decision = call("marketer", "GET", f"{ADMIN}/page")[1]["decision"]
    assert (decision["by"], decision["verdict"]) == ("approver", "brought_more")
    assert decision["read_out"]["readings"] == found["readings"]


def test_what_cannot_be_kept_is_not_assigned_and_what_is_wrong_is_said(
    shop, keys, lived, monkeypatch
):
    with TestClient(
        create_app(shop.folder, clock=shop.clock), raise_server_exceptions=False
    ) as client:
        call = Caller(client, keys)
        other = PLAN | {"starts_on": "2026-03-01", "ends_on": "2026-12-31"}
        call("marketer", "PUT", f"{ADMIN}/other", json={"experiment": other})
        call("marketer", "POST", f"{ADMIN}/other/start")

        async def full(*_):
            raise JournalError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(client.app.app.state.assignments._journal, "append", full)
            path = "/v1/assign?experiment=other&anonymous_id=v1"
            assert call("service", "GET", path)[0] >= 500
        assert call("service", "GET", path)[1]["assigned"]
        assert call("service", "GET", path.replace("other", "none-such"))[0] == 404
        assert call("viewer", "GET", path)[0] == 403
        frozen = call("marketer", "PUT", f"{ADMIN}/other", json={"experiment": PLAN})
        assert "its plan is frozen" in frozen[1]["message"]
        wrong = call("marketer", "PUT", f"{ADMIN}/x", json={"experiment": PLAN | {"id": "y"}})
        assert wrong[0] == 422
        assert "is called 'y'" in wrong[1]["message"]
        stopped = call("marketer", "POST", f"{ADMIN}/other/stop", json={"why": "a fault"})
        assert stopped[1]["state"] == "stopped"


TOML = """
id = "typed"
question = "Does a letter bring orders?"
control = "none"
starts_on = 2026-03-01
ends_on = 2026-12-31
planned = 1000
arms = { none = 1.0, letter = 1.0 }
[[metrics]]
name = "orders"
"""


def test_a_person_runs_it_from_the_command_line(shop, lived, tmp_path):
    file = tmp_path / "typed.toml"
    file.write_text(TOML)

    def run(*words, code=0):
        done = CliRunner().invoke(app, ["experiment", *words, "-w", str(shop.folder)])
        assert done.exit_code == code, done.output
        return done.output

    checked = CliRunner().invoke(app, ["experiment", "check", str(file)]).output
    assert checked.startswith("typed: letter, none; orders decides; ")
    assert run("put", str(file)).startswith("typed: version 1, draft")
    assert run("start", "typed", "--by", "Ana").startswith("typed: version 1, running")
    assert "typed" in run("list")
    assert "尚无法判断" in run("read", "typed", "--lang", "zh")
    assert '"assigned": {' in run("read", "typed", "--json")
    assert run("stop", "typed", "--why", "enough").startswith("typed: version 1, stopped")
    run("decide", "typed", "keep_control", "--by", "Ana")
    assert '"decided": "keep_control"' in run("show", "typed")

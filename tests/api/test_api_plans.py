"""Plans and the debugger over HTTP: who may what, and nobody's personal data in any answer."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.app import Workspace
from zhiyin.cli import app as command_line
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core.clock import FrozenClock, naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.core.ledger import audit
from zhiyin.store.ledger import reading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = "/v1/admin/plans/web/Product/Viewed"
SCHEMA = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
MAIL, PHONE = "ana.zq@example.com", "13800138777"
LEAKS = (MAIL, PHONE, "ana.zq")


class Served:
    """A workspace behind a client; `send` tracks events and moves them to the lake."""

    def __init__(self, folder, clock):
        values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
        self.folder, self.clock = folder, clock
        with Workspace.create(folder, validate_settings(values, where="test")) as shop:
            with shop.store.begin() as connection:
                now = naive_utc(clock.now())
                self.key = make_write_key(connection, "web", kind="server", now=now).write_key
            roles = ("admin", "analyst", "marketer", "viewer")
            self.keys = {role: make_key(shop.store, role, role, clock=clock) for role in roles}

    def call(self, role, method, path, **options):
        from starlette.testclient import TestClient

        headers = {"Authorization": f"Bearer {self.keys[role]}"} if role else {}
        with TestClient(create_app(self.folder, clock=self.clock)) as client:
            return client.request(method, path, headers=headers, **options)

    def send(self, *events, query=""):
        body = {"batch": list(events), "writeKey": self.key}
        answer = self.call(None, "POST", f"/v1/batch{query}", json=body)
        with Workspace.open(self.folder, write=True, clock=self.clock) as shop:
            shop.compact()
        return answer


@pytest.fixture
def web(tmp_path):
    return Served(tmp_path / "shop", FrozenClock(NOW))


def seen(message, name="Product/Viewed", **properties):
    return {
        "type": "track", "event": name, "userId": "u1", "messageId": message,
        "properties": properties,
    }  # fmt: skip


def personal(message):
    """An event with an address and a telephone everywhere where a client may put them."""
    return seen(
        message, name=f"Mail to {MAIL}", email=MAIL, note=f"call {PHONE}", query=MAIL,
        number=int(PHONE), order_id=MAIL, tags=[MAIL, {MAIL: PHONE}],
        url=f"https://example.com/{MAIL}?x={PHONE}",
    ) | {"context": {"traits": {"phone": PHONE}, "page": {"title": MAIL}}, MAIL: PHONE}  # fmt: skip


def test_an_analyst_sets_a_plan_a_marketer_reads_it_and_a_viewer_does_not(web):
    body = {"mode": "quarantine", "schema": SCHEMA}
    assert web.call("marketer", "PUT", ONE, json=body).status_code == 403
    made = web.call("analyst", "PUT", ONE, json=body)
    assert (made.status_code, made.json()["version"]) == (200, 1)
    assert made.json()["event"] == "Product/Viewed"
    shown = web.call("marketer", "GET", ONE).json()
    assert (shown["schema"], shown["mode"]) == (SCHEMA, "quarantine")
    assert web.call("viewer", "GET", ONE).status_code == 403
    assert [one["event"] for one in web.call("admin", "GET", "/v1/admin/plans").json()] == [
        "Product/Viewed"
    ]
    assert web.call("analyst", "DELETE", ONE).json()["mode"] == "removed"
    assert web.call("marketer", "GET", ONE).status_code == 404
    with Workspace.open(web.folder) as shop, reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(audit.c.actor, audit.c.action)).all()
    assert [tuple(row) for row in rows] == [("analyst", "plan.set"), ("analyst", "plan.remove")]


@pytest.mark.parametrize(
    "body",
    [{}, {"schema": []}, {"schema": {"type": "x"}}, {"schema": SCHEMA, "mode": "loud"},
     {"schema": {"$ref": "http://127.0.0.1:9/x"}}, {"schema": SCHEMA, "more": 1}],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused_with_a_sentence(web, body):
    answer = web.call("admin", "PUT", ONE, json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"
    assert web.call("admin", "GET", "/v1/admin/plans").json() == []


def test_unknown_events_have_counts_and_times(web):
    web.call("admin", "PUT", ONE, json={"schema": SCHEMA})
    web.send(seen("m1", price=1), seen("m2", "Odd"))
    web.clock.at += timedelta(hours=1)
    web.send(seen("m3", "Odd"), {"type": "page", "userId": "u1", "messageId": "m4"})
    rows = web.call("marketer", "GET", "/v1/admin/plans/web/unknown").json()
    assert rows == [
        {"event": "Odd", "events": 2, "first_received_at": "2026-03-01T12:00:00Z",
         "last_received_at": "2026-03-01T13:00:00Z"},
        {"event": "$page", "events": 1, "first_received_at": "2026-03-01T13:00:00Z",
         "last_received_at": "2026-03-01T13:00:00Z"},
    ]  # fmt: skip


def test_the_debugger_shows_newest_first_with_findings_in_words_and_counts(web):
    web.call("admin", "PUT", ONE, json={"schema": SCHEMA})
    web.send(seen("m1", price=1), seen("m2", price="x"))
    web.clock.at += timedelta(minutes=5)
    web.send(seen("m1", price=1), {"type": "track", "event": "Nobody", "messageId": "m5"})
    web.clock.at += timedelta(minutes=5)
    shown = web.call("marketer", "GET", "/v1/admin/events?source=web&language=zh").json()
    assert [one["state"] for one in shown["events"]] == ["refused", "kept", "kept"]
    assert shown["events"][0]["reason"] == "missing_identity"
    assert "content" not in shown["events"][0]
    (found,) = [one for event in shown["events"] for one in event["findings"]]
    assert found == {"code": "plan:price:type", "words": "price：类型不对（埋点方案）"}
    expected = {
        "received": 4, "events": 2, "duplicates": 1, "refused": {"missing_identity": 1},
        "findings": {"plan:price:type": 1},
    }  # fmt: skip
    assert shown["counts"]["web"] == {"hour": expected, "day": expected}
    web.clock.at += timedelta(hours=2)
    later = web.call("marketer", "GET", "/v1/admin/events?problems=true&limit=1").json()
    assert later["counts"]["web"]["hour"]["received"] == 0
    assert later["counts"]["web"]["day"] == expected
    assert len(later["events"]) == 1


@pytest.mark.parametrize("mode", ["warn", "quarantine"])
def test_no_answer_of_the_debugger_holds_a_planted_address_or_telephone(web, mode):
    schema = {"properties": {"note": {"maxLength": 1}, "tags": {"type": "string"}},
              "additionalProperties": False}  # fmt: skip
    name = "Written"
    web.call("admin", "PUT", f"/v1/admin/plans/web/{name}", json={"schema": schema, "mode": mode})
    strict = web.send(
        personal("m1"), personal("m2") | {"event": name}, personal("m3") | {"userId": None},
        query="?strict=1",
    )  # fmt: skip
    answers = [
        strict,
        web.call("admin", "GET", "/v1/admin/events?source=web"),
        web.call("admin", "GET", "/v1/admin/events?content=true&language=zh"),
        web.call("admin", "GET", "/v1/admin/plans/web/unknown"),
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert len(answers[1].json()["events"]) == 3
    contents = [one["content"] for one in answers[2].json()["events"] if one["state"] == "refused"]
    assert "[email]" in json.dumps(contents)
    texts = [answer.text for answer in answers]
    for command in (
        ["source", "events", "web"],
        ["plan", "infer", "web"],
        ["plan", "unknown", "web"],
    ):
        done = CliRunner().invoke(command_line, [*command, "-w", str(web.folder)])
        assert done.exit_code == 0, done.output
        texts.append(done.output)
    assert [(leak, text) for text in texts for leak in LEAKS if leak in text] == []


def test_what_refused_events_held_is_for_those_who_may_see_personal_data_and_is_noted(web):
    web.send({"type": "track", "event": "Nobody", "properties": {"a": MAIL}, "messageId": "m"})
    path = "/v1/admin/events?content=true"
    assert web.call("analyst", "GET", path).status_code == 403
    (row,) = web.call("admin", "GET", path).json()["events"]
    assert row["content"]["properties"] == {"a": "[email]"}
    with Workspace.open(web.folder) as shop, reading(shop.store.ledger) as connection:
        actions = connection.execute(sa.select(audit.c.action)).scalars().all()
    assert actions == ["events.read_refused"]


def test_strict_says_what_becomes_of_each_event_and_keeps_the_good_ones(web):
    web.call("admin", "PUT", ONE, json={"schema": SCHEMA, "mode": "quarantine"})
    bad = {"type": "track", "event": "Nobody", "messageId": "m5"}
    answer = web.send(seen("m1", price=1), seen("m2", price="x"), bad, query="?strict=1")
    said = answer.json()
    assert (answer.status_code, said["success"]) == (200, False)
    assert [one["kept"] for one in said["items"]] == [True, False, False]
    assert said["items"][1]["findings"][0]["code"] == "plan:price:type"
    assert said["items"][2]["reason"]["code"] == "missing_identity"
    rows = web.call("admin", "GET", "/v1/admin/events").json()["events"]
    assert sorted(one["state"] for one in rows) == ["kept", "refused", "refused"]
    assert web.send(seen("m9", price=1)).json() == {"success": True}

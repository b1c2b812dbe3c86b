"""Calls for shop staff over HTTP: each store its own, names and numbers for those who call."""

from __future__ import annotations

import warnings

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.api.keys import make_key
from zhiyin.api.server import create_app
from zhiyin.campaigns import campaigns_of
from zhiyin.core.clock import FrozenClock
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import messages, tasks
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import add_consent
from zhiyin.govern.roles import ROLES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for another client than the one installed
    from starlette.testclient import TestClient

BASE = "/v1/admin/tasks"
RULE = {"type": "trait", "field": "language", "op": "in", "value": ["en", "zh"]}
TEXT = {"subject": "Spring", "text": "Hello {{ name }}."}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A served shop whose clock stands still in the daytime, with calls to both customers, Ana's
    in a store: `ask(who, method, path)` and the task id of each.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ZHIYIN_ACT__CALLING_CODE", "86")
        folder = tmp_path_factory.mktemp("tasks")
        with people.make_shop(folder) as shop:
            ids = _put(shop)
            keys = {role: make_key(shop.store, role, role, clock=shop.clock) for role in ROLES}
            keys["Bo"] = make_key(shop.store, "Bo", "staff", clock=shop.clock, store_id="laden:s1")
            app = create_app(shop.folder, clock=FrozenClock(people.NOW))
            with TestClient(app, raise_server_exceptions=False) as client:

                def ask(who, method, path, **options):
                    headers = {"Authorization": f"Bearer {keys[who]}"}
                    return client.request(method, path, headers=headers, **options)

                yield shop, ask, ids


def _put(shop):
    parties = {user: people.party_of(shop, user) for user in (people.ANA, people.BEA)}
    with shop.store.begin() as connection:
        for party in parties.values():
            line = Consent(party, "marketing", "call", True, shop.clock.now(), "counter")
            add_consent(connection, line)
    made = campaigns_of(shop.store, shop.vault, shop.settings, shop.clock, people.AS_OF)
    definition = {"key": "calls", "rule": RULE, "channel": "task",
                  "variants": [{"name": "a", "en": TEXT, "zh": TEXT}]}  # fmt: skip
    made.create(parse_definition(definition), by="Ana")
    made.start("calls", by="Ana")
    made.plan("calls")
    shop.send("zhiyin:calls")  # without any channel
    with shop.store.begin() as connection:
        held = connection.execute(sa.select(tasks.c.party_id, tasks.c.message_id)).all()
        ids = {row.party_id: row.message_id for row in held}
        mine = tasks.c.party_id == parties[people.ANA]
        connection.execute(tasks.update().where(mine).values(store_id="laden:s1"))
    return {user: ids[party] for user, party in parties.items()}


def test_staff_see_the_calls_of_their_store_alone(desk):
    _, ask, calls = desk
    for query in ("", "?store=", "?store=other"):
        found = ask("Bo", "GET", f"{BASE}{query}").json()
        assert [one["task_id"] for one in found] == [calls[people.ANA]]
    assert ask("Bo", "GET", f"{BASE}/{calls[people.BEA]}").status_code == 404
    assert ask("Bo", "POST", f"{BASE}/{calls[people.BEA]}/take").status_code == 404
    central = ask("staff", "GET", BASE).json()  # a key of no store
    assert [one["task_id"] for one in central] == [calls[people.BEA]]


def test_who_may_not_call_sees_no_name_and_no_number(desk):
    _, ask, calls = desk
    answer = ask("marketer", "GET", f"{BASE}?language=zh")
    assert len(answer.json()) == 2
    assert [one for one in people.OF_ANA if one in answer.text] == []
    assert ask("marketer", "POST", f"{BASE}/{calls[people.ANA]}/take").status_code == 403
    assert ask("viewer", "GET", BASE).status_code == 403


def test_a_call_is_taken_by_one_and_answered(desk):
    shop, ask, calls = desk
    one = f"{BASE}/{calls[people.ANA]}"
    assert ask("Bo", "GET", one).json()["phone"] == ""
    taken = ask("Bo", "POST", f"{one}/take")
    assert taken.status_code == 200, taken.text
    assert taken.json()["phone"] == people.OF_ANA[2]
    assert ask("admin", "POST", f"{one}/take").status_code == 409
    assert ask("admin", "POST", f"{one}/answer", json={"answer": "done"}).status_code == 409
    assert ask("Bo", "POST", f"{one}/answer", json={"answer": "later"}).status_code == 422
    said = ask("Bo", "POST", f"{one}/answer", json={"answer": "done", "note": "on Friday"})
    assert (said.status_code, said.json()["state"]) == (200, "done"), said.text
    closed = ask("Bo", "GET", f"{BASE}?closed=true").json()
    assert [(row["note"], row["answered_by"]) for row in closed] == [("on Friday", "Bo")]
    with shop.store.begin() as connection:
        mine = messages.c.message_id == calls[people.ANA]
        assert connection.execute(sa.select(messages.c.state).where(mine)).scalar_one() == "sent"


def test_a_key_of_a_store_is_for_staff(desk):
    shop, _, _ = desk
    with pytest.raises(InvalidParameter, match="no store"):
        make_key(shop.store, "x", "admin", clock=shop.clock, store_id="laden:s1")

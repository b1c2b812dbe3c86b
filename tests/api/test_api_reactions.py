"""Links in e-mails lead on, keep who followed them, and count machines apart."""

import base64
import hashlib
import hmac
from datetime import timedelta

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.links import CLICK, OPEN, link, sign
from zhiyin.act.tracked import read_click
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, SystemClock, naive_utc
from zhiyin.core.ledger import messages, reactions, suppressions
from zhiyin.reactions import copy_ledger
from zhiyin.store.ledger import reading

MESSAGE = "m_zq81734"
TARGET = "https://shop.example/tea?utm_source=zhiyin"
PERSON = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0"}


def token(shop, target=TARGET, links=5):
    packed = base64.urlsafe_b64encode(target.encode()).rstrip(b"=").decode()
    made = sign(shop.vault, CLICK, f"{MESSAGE}.{links}.{packed}")
    assert read_click(shop.vault, made).url == target
    return made


@pytest.fixture(autouse=True)
def nothing_before_or_after(served):
    shop = served[0]
    with shop.store.begin() as connection:
        connection.execute(
            messages.update()
            .where(messages.c.message_id == MESSAGE)
            .values(sent_at=naive_utc(people.NOW))
        )
    yield
    with shop.store.begin() as connection:
        connection.execute(reactions.delete())


def kept(shop):
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(reactions).order_by(reactions.c.reaction_id)).all()
    return [(row.kind, row.machine, row.link) for row in rows]


def test_a_click_leads_on_and_is_kept_with_its_party(client, served):
    shop, _ = served
    answer = client.get(f"/r/{token(shop)}", headers=PERSON, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, TARGET)
    assert answer.headers["cache-control"] == "no-store"
    assert kept(shop) == [("click", None, "https://shop.example/tea")]
    with reading(shop.store.ledger) as connection:
        row = connection.execute(sa.select(reactions)).one()
    assert row.party_id == people.party_of(shop, people.ANA)


@pytest.mark.parametrize("made_up", ["x", "m_1.5.aHR0cHM6Ly9ldmls.0000", "a.b.c.d", "é"])
def test_a_link_that_was_made_up_leads_nowhere(client, served, made_up):
    assert client.get(f"/r/{made_up}", follow_redirects=False).status_code == 404
    assert client.get(f"/o/{made_up}.gif").status_code == 404
    assert kept(served[0]) == []


def test_the_link_of_somebody_who_was_erased_leads_on_and_keeps_nothing(client, served):
    shop, _ = served
    gone = sign(shop.vault, CLICK, "m_gone.1.aHR0cHM6Ly9zaG9wLmV4YW1wbGU")
    answer = client.get(f"/r/{gone}", headers=PERSON, follow_redirects=False)
    assert answer.headers["location"] == "https://shop.example"
    assert kept(shop) == []


def test_scanners_are_kept_apart(client, served, as_role):
    shop, _ = served
    path = f"/r/{token(shop)}"
    client.head(path, headers=PERSON, follow_redirects=False)
    client.get(path, headers={"User-Agent": "curl/8"}, follow_redirects=False)
    client.get(path, headers=PERSON, follow_redirects=False)
    assert [machine for _, machine, _ in kept(shop)] == ["head", "scanner", None]
    counted = as_role("analyst", "GET", "/v1/admin/reactions").json()["reactions"]
    assert {(row["kind"], row["machine"]): row["reactions"] for row in counted} == {
        ("click", None): 1, ("click", "head"): 1, ("click", "scanner"): 1,
    }  # fmt: skip


def test_many_links_in_a_moment_are_a_machines_also_the_first_of_them(client, served):
    shop, _ = served
    for number in range(3):
        path = f"/r/{token(shop, f'https://shop.example/{number}')}"
        client.get(path, headers=PERSON, follow_redirects=False)
    assert [machine for _, machine, _ in kept(shop)] == ["burst"] * 3


def test_an_open_is_a_picture_that_nobody_may_store(client, served):
    shop, _ = served
    path = link(shop.vault, OPEN, MESSAGE, public_url="") + ".gif"
    answer = client.get(path, headers=PERSON)
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content[:6] == b"GIF89a"
    client.get(path, headers={"User-Agent": "Mozilla/5.0"})
    assert [(kind, machine) for kind, machine, _ in kept(shop)] == [
        ("open", None), ("open", "apple_privacy"),
    ]  # fmt: skip


def test_whoever_calls_a_link_for_ever_fills_nothing(client, served):
    shop, _ = served
    path = f"/r/{token(shop)}"
    for _ in range(55):
        client.get(path, headers=PERSON, follow_redirects=False)
    assert len(kept(shop)) == 50


def test_sent_messages_become_touches_once(served):
    shop, _ = served
    clock = FrozenClock(people.NOW + timedelta(seconds=90))
    assert copy_ledger(shop.store, FrozenClock(people.NOW + timedelta(seconds=5))) == 0
    with reading(shop.store.ledger) as connection:
        sent = {
            row.message_id: row
            for row in connection.execute(sa.select(messages).where(messages.c.state == "sent"))
        }
    assert copy_ledger(shop.store, clock) == len(sent) > 0
    rows = shop.table("touches").to_pyarrow().to_pylist()
    mine = [row for row in rows if row[c.KIND] == "sent" and row[c.SOURCE] == "zhiyin"]
    assert {row[c.MESSAGE_ID] for row in mine} == set(sent)
    for row in mine:
        one = sent[row[c.MESSAGE_ID]]
        assert (row[c.OCCURRED_AT], row[c.PARTY_ID]) == (one.sent_at, one.party_id)
        assert (row[c.CAMPAIGN_ID], row[c.CHANNEL]) == (one.campaign_id, one.channel)
    assert copy_ledger(shop.store, clock) == 0
    with shop.store.begin() as connection:  # who died after writing to the lake writes nothing more
        connection.execute(messages.update().values(copied=False))
    assert copy_ledger(shop.store, clock) == 0


def test_settled_reactions_become_touches_once(client, served):
    shop, _ = served
    copy_ledger(shop.store, FrozenClock(people.NOW + timedelta(seconds=90)))  # what was sent
    before = shop.table("touches").count().to_pyarrow().as_py()
    path = f"/r/{token(shop)}"
    client.get(path, headers=PERSON, follow_redirects=False)
    client.head(path, follow_redirects=False)
    with reading(shop.store.ledger) as connection:
        at = connection.execute(sa.select(sa.func.max(reactions.c.at))).scalar_one()
    early, late = (FrozenClock(at.replace(tzinfo=people.NOW.tzinfo) + timedelta(seconds=s))
                   for s in (5, 90))  # fmt: skip
    assert copy_ledger(shop.store, early) == 0
    assert copy_ledger(shop.store, late) == 2
    assert copy_ledger(shop.store, late) == 0
    rows = shop.table("touches").to_pyarrow().to_pylist()
    mine = sorted(row[c.KIND] for row in rows if row[c.SOURCE] == "zhiyin")
    assert [one for one in mine if one != "sent"] == ["click", "machine_click"]
    assert len(rows) == before + 2
    # a copier that died after it wrote to the lake writes nothing again
    with shop.store.begin() as connection:
        connection.execute(reactions.update().values(copied=False))
    assert copy_ledger(shop.store, late) == 0


def test_events_of_a_provider_are_taken_once_and_only_with_its_signature(
    client, served, monkeypatch
):
    shop, _ = served
    stamp, long_id = str(int(SystemClock().now().timestamp())), "m_" + "cd" * 16

    def event(key):
        made = hmac.new(key.encode(), f"{stamp}t".encode(), hashlib.sha256).hexdigest()
        return {
            "signature": {"timestamp": stamp, "token": "t", "signature": made},
            "event-data": {
                "id": "e", "event": "complained",
                "message": {"headers": {"message-id": f"{long_id}@shop.example"}},
            },
        }  # fmt: skip

    path = "/v1/returns/mailgun"
    assert client.post(path, json=event("k")).status_code == 404  # no secret is set
    monkeypatch.setenv("ZHIYIN_SOURCE_RETURNS_MAILGUN", "k")
    assert client.post(path, json=event("guessed")).status_code == 401
    assert client.post(path, json=event("k")).json() == {"unknown_message": 1}
    with shop.store.begin() as connection:
        party = people.party_of(shop, people.ANA)
        connection.execute(messages.insert().values(
            message_id=long_id, campaign_id="laden:k1", turn_id="t", party_id=party,
            customer_id=party, channel="email", language="en", state="sent",
            planned_at=naive_utc(people.NOW), address_token="hash of an address",
        ))  # fmt: skip
    try:
        answers = [client.post(path, json=event("k")).json() for _ in range(2)]
        assert answers == [{"taken": 1}, {"repeated": 1}]
        with reading(shop.store.ledger) as connection:
            held = connection.execute(sa.select(suppressions)).one()
        assert (held.token, held.reason) == ("hash of an address", "complaint")
    finally:
        with shop.store.begin() as connection:
            connection.execute(messages.delete().where(messages.c.message_id == long_id))
            connection.execute(suppressions.delete())

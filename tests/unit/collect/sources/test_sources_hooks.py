"""Webhooks: signatures by kind, kept once, moved to the lake once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.collect.conftest import NOW
from tests.unit.collect.fakes import Killed, rows_of, stored
from zhiyin.collect.sources import Intake, pull
from zhiyin.collect.sources.config import parse_source
from zhiyin.collect.sources.hooks import read_body, receive
from zhiyin.collect.sources.paths import rows_of as json_rows
from zhiyin.collect.sources.signatures import verify
from zhiyin.core import columns as c
from zhiyin.core.errors import Busy, ConfigError, InputError, NotAuthenticated
from zhiyin.core.ledger import arrivals, data_keys

SECRET = "shhh"
ORDERS = {
    "table": "orders",
    "topics": ["orders/create", "orders/updated"],
    "mapping": {
        "columns": {"order_id": "id", "email": "customer.email", "ordered_at": "created_at",
                    "amount": "total_price", "currency": "currency", "valid_at": "updated_at"},
    },
}  # fmt: skip
LINES = {
    "table": "order_lines",
    "topics": ["orders/create"],
    "each": "line_items",
    "mapping": {
        "columns": {"order_id": "id", "line_id": "line_items.id", "sold_at": "created_at",
                    "email": "customer.email", "product_id": "line_items.product_id",
                    "quantity": "line_items.quantity", "price": "line_items.price"},
    },
}  # fmt: skip


def source_of(signature="shopify", tables=(ORDERS,), **more):
    values = {"kind": "webhook", "signature": signature, "tables": list(tables), **more}
    return parse_source(values, name="web", where="test", read=dict)


def order(number=1, *, total="12.30", minute=0, lines=()):
    at = f"2026-02-01T10:{minute:02d}:00-05:00"
    return json.dumps({
        "id": number, "created_at": "2026-02-01T10:00:00-05:00", "updated_at": at,
        "total_price": total, "currency": "USD", "customer": {"email": "ann@example.com"},
        "line_items": list(lines),
    }).encode()  # fmt: skip


def shopify(body, *, hook_id="w-1", topic="orders/create", secret=SECRET):
    made = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-shopify-hmac-sha256": made, "x-shopify-webhook-id": hook_id,
            "x-shopify-topic": topic}  # fmt: skip


def standard(body, *, key=b"k" * 24, hook_id="msg_1", at=None):
    moment = str(int((at or NOW).timestamp()))
    signed = f"{hook_id}.{moment}.".encode() + body
    made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": hook_id, "webhook-timestamp": moment, "webhook-signature": f"v1,{made}"}


def check(source, headers, body, *secrets):
    return verify(source, headers, body, secrets=secrets, now=NOW)


def test_the_published_example_of_standard_webhooks_verifies():
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip
    at = datetime.fromtimestamp(1614265330, UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = verify(source_of("standard"), headers, body, secrets=[secret], now=at)
    assert found.hook_id == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_published_example_of_github_verifies():
    headers = {
        "x-hub-signature-256": "sha256="
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "x-github-event": "ping",
    }  # fmt: skip
    found = check(source_of("github"), headers, b"Hello, World!", "It's a Secret to Everybody")
    assert found.topic == "ping"


def test_a_header_of_ones_own_is_configured():
    body, at = b"{}", str(int(NOW.timestamp()))
    signed = hmac.new(b"shhh", f"{at}.".encode() + body, hashlib.sha512).hexdigest()
    source = source_of(
        "hmac", header="X-Sig", prefix="v0=", digest="sha512", timestamp_header="X-Time",
        id_header="X-Id",
    )  # fmt: skip
    headers = {"x-sig": f"v0={signed}", "x-time": at, "x-id": "7"}
    assert check(source, headers, body, SECRET).hook_id == "7"
    for wrong in ({"x-sig": signed}, {"x-time": "1"}, {"x-sig": "v0=zz"}, {"x-time": "١"}):
        with pytest.raises(NotAuthenticated):
            check(source, headers | wrong, body, SECRET)


@pytest.mark.parametrize("secrets", [("new", SECRET), (SECRET,)])
def test_the_secret_before_the_present_one_is_taken_too(secrets):
    body = order()
    assert check(source_of(), shopify(body), body, *secrets).hook_id == "w-1"


@pytest.mark.parametrize("kind", ["standard", "shopify", "github", "hmac"])
def test_nothing_unsigned_comes_in(kind):
    body = order()
    good = {"standard": standard(body), "shopify": shopify(body)}.get(kind, {})
    key = "whsec_" + base64.b64encode(b"k" * 24).decode() if kind == "standard" else SECRET
    for headers, content in (({}, body), (good, body + b" ")):
        with pytest.raises(NotAuthenticated):
            check(source_of(kind), headers, content, key)
    with pytest.raises(ConfigError, match="no secret"):
        check(source_of(kind), good, body)


@pytest.mark.parametrize(("minutes", "right"), [(4, True), (6, False), (-4, True), (-6, False)])
def test_a_signed_time_may_be_five_minutes_off(minutes, right):
    body = order()
    headers = standard(body, at=NOW - timedelta(minutes=minutes))
    key = "whsec_" + base64.b64encode(b"k" * 24).decode()
    if right:
        assert check(source_of("standard"), headers, body, key).hook_id == "msg_1"
    else:
        with pytest.raises(NotAuthenticated, match="5 minutes"):
            check(source_of("standard"), headers, body, key)


def test_paths_reach_into_objects_and_arrays():
    document = {"id": "1", "a": [{"b": [{"c": "x"}, {"c": "y"}]}, {"b": [{"c": "z"}]}]}
    assert list(json_rows(document, ["id", "a.0.b.1.c", "a.9.b"])) == [["1", "y", None]]
    assert list(json_rows(document, ["id", "a.b.c"], each="a.b")) == [
        ["1", "x"], ["1", "y"], ["1", "z"],
    ]  # fmt: skip
    assert list(json_rows([document, "no", document], ["id"])) == [["1"], ["1"]]


@pytest.mark.parametrize("body", [b"", b"{", b'"text"', b"3", b"[" * 1000, b"\xff\xfe{}"])
def test_a_body_that_can_never_be_read_is_refused(body):
    with pytest.raises(InputError):
        read_body(body)


def test_numbers_keep_every_cent():
    assert read_body(b'{"a": 12.10, "b": 900719925474099312345}') == {
        "a": "12.10", "b": "900719925474099312345",
    }  # fmt: skip


@pytest.fixture
def web(store, vault, settings, clock, tmp_path, monkeypatch):
    monkeypatch.setenv("ZHIYIN_SOURCE_WEB", SECRET)
    intake = Intake(store, vault, settings, clock, tmp_path)

    class Web:
        source = source_of(tables=(ORDERS, LINES))

        def send(self, body, **more):
            clock.at += timedelta(seconds=1)
            return receive(intake, "web", self.source, shopify(body, **more), body)

        def drain(self, **more):
            return pull(intake, "web", self.source, **more)

    return Web()


def test_a_webhook_is_kept_once_and_loaded_once(web, store):
    lines = [{"id": 5, "product_id": 7, "quantity": 2, "price": "3.10"},
             {"id": 6, "product_id": 8, "quantity": 1, "price": "6.10"}]  # fmt: skip
    body = order(lines=lines)
    assert [web.send(body), web.send(body)] == ["kept", "known"]
    web.drain()
    assert web.send(body) == "known"
    web.drain()
    (one,) = stored(store, "orders")
    assert (one[c.ORDER_ID], one[c.AMOUNT_MINOR]) == ("web:1", 1230)
    assert [(row[c.LINE_ID], row[c.AMOUNT_MINOR]) for row in rows_of(store, "order_lines")] == [
        ("web:1:5", 620), ("web:1:6", 610),
    ]  # fmt: skip


def test_a_later_state_of_an_order_is_its_next_revision(web, store):
    web.send(order(total="10.00"), hook_id="a")
    web.send(order(total="8.00", minute=5), hook_id="b", topic="orders/updated")
    web.send(order(2), hook_id="c")
    web.drain()
    mine = [row for row in stored(store, "orders") if row[c.ORDER_ID] == "web:1"]
    assert [(row[c.REVISION], row[c.AMOUNT_MINOR]) for row in mine] == [(1, 1000), (2, 800)]
    assert len(rows_of(store, "orders")) == 2


def test_a_topic_that_no_table_wants_is_not_kept(web, store):
    assert web.send(order(), topic="app/uninstalled") == "ignored"
    with store.begin() as connection:
        assert connection.execute(sa.select(arrivals)).all() == []


def test_bodies_lie_encrypted_and_then_go_with_their_key(web, store, clock):
    web.send(order())
    with store.begin() as connection:
        (row,) = connection.execute(sa.select(arrivals)).all()
    assert b"ann@example.com" not in row.content
    web.drain()
    with store.begin() as connection:
        (row,) = connection.execute(sa.select(arrivals)).all()
        keys = connection.execute(sa.select(data_keys.c.key_id)).scalars().all()
    assert (row.state, row.content) == ("done", None)
    assert row.key_id in keys  # another process may be about to use it
    clock.at = NOW + timedelta(hours=3)
    web.drain()
    with store.begin() as connection:
        keys = connection.execute(sa.select(data_keys.c.key_id)).scalars().all()
    assert not [key for key in keys if key.startswith("hook:")]


@pytest.mark.parametrize("die_at", [1, 2, 3, 4, 5])
def test_killed_while_loading_nothing_is_lost_or_doubled(web, store, die_at):
    for number in range(1, 4):
        web.send(order(number), hook_id=f"w{number}")
    web.send(order(1, total="9.00", minute=9), hook_id="late", topic="orders/updated")
    store.die_at = die_at
    with suppress(Killed):
        web.drain()
    web.send(order(4), hook_id="w4")
    with suppress(Killed):
        web.drain()
    web.drain()
    found = [(row[c.ORDER_ID], row[c.REVISION], row[c.AMOUNT_MINOR])
             for row in stored(store, "orders")]  # fmt: skip
    assert sorted(found) == [
        ("web:1", 1, 1230), ("web:1", 2, 900), ("web:2", 1, 1230), ("web:3", 1, 1230),
        ("web:4", 1, 1230),
    ]  # fmt: skip


def test_too_many_that_wait_are_sent_away_for_now(web):
    web.source = source_of(max_waiting=2)
    web.send(order(1), hook_id="a")
    web.send(order(2), hook_id="b")
    with pytest.raises(Busy) as raised:
        web.send(order(3), hook_id="c")
    assert raised.value.retry_after_s == 60
    assert web.send(order(1), hook_id="a") == "known"

"""The door for webhooks, and what the API says of sources and the catalogue."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
import sqlalchemy as sa

from zhiyin.api import hooks
from zhiyin.core.errors import ConcurrentWrite
from zhiyin.core.ledger import arrivals, jobs
from zhiyin.intake import ask_due_pulls
from zhiyin.store.ledger import reading

SOURCE = """
kind = "webhook"
signature = "shopify"
[[tables]]
table = "orders"
[tables.mapping.columns]
order_id = "id"
ordered_at = "at"
amount = "total"
"""


@pytest.fixture(scope="module")
def door(served, client):
    folder = served[0].folder / "sources"
    folder.mkdir()
    path = folder / "tills.toml"
    path.write_text(SOURCE)
    patch = pytest.MonkeyPatch()
    patch.setenv("ZHIYIN_SOURCE_TILLS", "shhh")

    def post(body, *, signer=b"shhh", hook_id="1"):
        made = base64.b64encode(hmac.new(signer, body, hashlib.sha256).digest()).decode()
        headers = {"X-Shopify-Hmac-Sha256": made, "X-Shopify-Webhook-Id": hook_id}
        return client.post("/v1/hooks/tills", content=body, headers=headers)

    yield post
    patch.undo()
    path.unlink()
    folder.rmdir()


def body_of(number=1, **more):
    return json.dumps(
        {"id": number, "at": "2024-01-02T10:00:00Z", "total": "5.00", **more}
    ).encode()


def test_a_webhook_is_on_the_disk_before_it_is_acknowledged(door, served):
    assert door(body_of()).json() == {"state": "kept"}
    with reading(served[0].store.ledger) as connection:
        (row,) = connection.execute(sa.select(arrivals)).all()
    assert (row.source, row.state) == ("tills", "waiting")
    again = door(body_of())
    assert (again.status_code, again.json()) == (200, {"state": "known"})


def test_a_wrong_signature_is_refused_and_keeps_nothing(door):
    answer = door(body_of(9), signer=b"other", hook_id="9")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_what_can_never_be_read_is_refused_for_good(door):
    assert door(b"not json", hook_id="8").status_code == 400


def test_a_large_order_comes_in_and_a_larger_one_does_not(door):
    assert door(body_of(7, note="x" * 500_000), hook_id="7").json() == {"state": "kept"}
    assert door(body_of(6, note="x" * 1_100_000), hook_id="6").status_code in (400, 413)


def test_a_source_that_is_not_there_is_not_found(client, door):
    assert client.post("/v1/hooks/none", content=b"{}").status_code == 404
    assert client.post("/v1/hooks/..%2Fzhiyin", content=b"{}").status_code == 404


def test_a_held_ledger_asks_for_the_webhook_again(door, monkeypatch):
    def held(*_):
        raise ConcurrentWrite("held")

    monkeypatch.setattr(hooks, "receive", held)
    answer = door(body_of(5), hook_id="5")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_waiting_webhook_makes_a_job_once(door, served, as_role):
    shop = served[0]
    door(body_of(4), hook_id="4")
    assert ask_due_pulls(shop.store, shop.folder, shop.clock) == ["tills"]
    assert ask_due_pulls(shop.store, shop.folder, shop.clock) == []
    assert as_role("admin", "POST", "/v1/admin/sources/tills/pull").json()["asked"] is False
    (shown,) = as_role("viewer", "GET", "/v1/admin/sources").json()
    assert shown["waiting"] >= 1
    assert shown["kind"] == "webhook"
    with reading(shop.store.ledger) as connection:
        query = sa.select(jobs.c.arguments).where(jobs.c.kind == "pull")
        assert connection.execute(query).scalars().all() == [{"source": "tills"}]


def test_the_catalogue_tells_what_every_table_means(as_role):
    entries = as_role("analyst", "GET", "/v1/admin/catalog").json()
    found = {one["table"]: one for one in entries}
    assert found["orders"]["meaning"]["zh"].startswith("订单")
    assert found["orders"]["rows"] > 0
    column = found["customers"]["columns"][-4]
    assert column["pii"] == "encrypted"
    one = as_role("analyst", "GET", "/v1/admin/catalog/orders").json()
    assert one["sources"] == found["orders"]["sources"]
    assert as_role("analyst", "GET", "/v1/admin/catalog/nothing").status_code == 404
    assert as_role("analyst", "GET", "/v1/admin/quality").json() == []

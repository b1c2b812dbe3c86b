"""Receipts of text messages come in by a secret in the address, or by a signature."""

import base64
import hashlib
import hmac
import json

import pytest
import sqlalchemy as sa

from zhiyin.core.ledger import suppressions
from zhiyin.store.ledger import reading

SECRET = "a-long-secret-of-the-address"
UP = {"phone_number": "13700000001", "content": "TD", "sequence_id": 1}


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("ZHIYIN_SOURCE_RECEIPTS_ALIYUN", SECRET)
    monkeypatch.setenv("ZHIYIN_SMS_KEY", "AC1")
    monkeypatch.setenv("ZHIYIN_SMS_SECRET", "a-token")


def suppressed(shop):
    with reading(shop.store.ledger) as connection:
        return len(connection.execute(sa.select(suppressions)).all())


def test_the_secret_opens_and_the_provider_hears_what_it_wants(client, served):
    before = suppressed(served[0])
    answer = client.post(f"/v1/receipts/aliyun/{SECRET}", json=[UP])
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "OK"})
    assert suppressed(served[0]) == before + 1
    with served[0].store.begin() as connection:
        connection.execute(suppressions.delete().where(suppressions.c.channel == "sms"))


@pytest.mark.parametrize(("path", "status"), [
    (f"/v1/receipts/aliyun/{SECRET[:-1]}", 401), (f"/v1/receipts/tencent/{SECRET}", 404),
    (f"/v1/receipts/nobody/{SECRET}", 404),
])  # fmt: skip
def test_without_it_nothing_is_taken(client, served, path, status, caplog):
    before = suppressed(served[0])
    answer = client.post(path, json=[UP])
    assert answer.status_code == status
    assert SECRET not in answer.text + caplog.text
    assert suppressed(served[0]) == before


def test_a_body_that_is_none_is_refused_for_good(client):
    answer = client.post(f"/v1/receipts/aliyun/{SECRET}", content=b"{")
    assert answer.status_code == 400


def test_twilio_must_have_signed_it(client, served):
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    url = served[0].settings.act.public_url.rstrip("/") + "/v1/receipts/twilio"
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    made = base64.b64encode(hmac.new(b"a-token", text.encode(), hashlib.sha1).digest()).decode()
    said = [
        client.post("/v1/receipts/twilio", data=fields, headers={"X-Twilio-Signature": one})
        for one in (made, "wrong")
    ]
    assert [one.status_code for one in said] == [204, 401]
    assert json.loads(said[1].text)["code"] == "not_authenticated"

"""Consents over HTTP: a link that a scanner follows grants nothing, a posted one does, once."""

import people
import pytest
import sqlalchemy as sa

from zhiyin.act.links import CONFIRM, UNSUBSCRIBE, sign
from zhiyin.core.ledger import audit, consent_requests, consents, messages, suppressions

TABLES = (consents, consent_requests, messages, suppressions, audit)


@pytest.fixture(autouse=True)
def as_before(served):
    shop, _ = served
    with shop.store.begin() as connection:
        kept = [(one, [dict(row) for row in connection.execute(sa.select(one)).mappings()])
                for one in TABLES]  # fmt: skip
    yield
    with shop.store.begin() as connection:
        for table, rows in kept:
            connection.execute(table.delete())
            if rows:
                connection.execute(table.insert(), rows)


@pytest.fixture
def asked(as_role):
    body = {"customer": people.OF_ANA[1], "source": "newsletter form", "proof": {"ip": "192.0.2.7"}}
    answer = as_role("service", "POST", "/v1/consents/ask", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["request_id"]


def granted(served):
    with served[0].store.begin() as connection:
        query = sa.select(sa.func.count()).where(consents.c.source == "double opt-in")
        return connection.execute(query).scalar_one()


def test_get_asks_and_post_grants_once(client, served, asked):
    link = f"/c/{sign(served[0].vault, CONFIRM, asked)}"
    page = client.get(link)
    assert '<form method="post">' in page.text
    assert "script" not in page.text
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert granted(served) == 0
    done = [client.post(link), client.post(link)]
    assert [one.status_code for one in done] == [200, 200]
    assert granted(served) == 1
    text = page.text + done[0].text
    assert [one for one in (*people.OF_ANA, "p_", "192.0.2") if one in text] == []


@pytest.mark.parametrize("kind", [UNSUBSCRIBE, "made up"])
def test_another_link_does_not_confirm(client, served, asked, kind):
    link = f"/c/{sign(served[0].vault, kind, asked)}"
    assert (client.get(link).status_code, client.post(link).status_code) == (404, 404)
    assert granted(served) == 0


def test_a_request_that_is_gone_is_answered_and_grants_nothing(client, served):
    link = f"/c/{sign(served[0].vault, CONFIRM, 'gone')}"
    assert (client.get(link).status_code, client.post(link).status_code) == (200, 200)
    assert granted(served) == 0


def test_the_record_is_shown_and_changed_by_who_may(as_role):
    body = {"customer": people.BEA}
    said = body | {"source": "counter", "reason": "card"}
    as_role("admin", "POST", "/v1/admin/consents/give", json=said)
    found = as_role("marketer", "POST", "/v1/admin/consents/show", json=body).json()
    assert {"purpose": "marketing", "channel": "email", "state": "granted"} in found["states"]
    assert as_role("marketer", "POST", "/v1/admin/consents/withdraw", json=said).status_code == 403

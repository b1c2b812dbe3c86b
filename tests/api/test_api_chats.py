"""Chats over HTTP: mass messages, and what customers allowed a mini-programme to send."""

import people

from zhiyin.act.mass_ledger import MassSend, add_mass_send
from zhiyin.core.clock import naive_utc


def test_mass_messages_are_listed_with_who_must_confirm_them(as_role, served):
    batch = MassSend("b_9", "laden:k1", "wecom", "li", 2, "secret", naive_utc(people.NOW))
    with served[0].store.begin() as connection:
        add_mass_send(connection, batch, [])
    (one,) = as_role("analyst", "GET", "/v1/admin/mass-sends").json()
    assert (one["member"], one["messages"], one["parts"]) == ("li", 2, [])
    assert one["asked_at"] == "2024-06-01T12:00:00+00:00"
    assert "digest" not in one


def test_only_who_may_grant_can_grant(as_role):
    body = {"openid": "oABC", "source": "order page"}
    assert as_role("viewer", "POST", "/v1/authorisations", json=body).status_code == 403
    answer = as_role("service", "POST", "/v1/authorisations", json=body)
    assert answer.status_code == 422  # this workspace has no mini-programme
    assert "mini-programme" in answer.json()["message"]
    assert as_role("analyst", "GET", "/v1/admin/authorisations").json() == []


def test_only_who_may_write_consents_makes_a_stock_void(as_role):
    shown = as_role(
        "marketer", "POST", "/v1/admin/authorisations/show", json={"customer": people.ANA}
    ).json()
    assert shown["authorisations"] == []
    body = {"customer": people.ANA, "template": "TPL", "reason": "she asked"}
    path = "/v1/admin/authorisations/void"
    assert as_role("marketer", "POST", path, json=body).status_code == 403
    assert as_role("admin", "POST", path, json=body).json() == {
        "customer_id": shown["customer_id"], "template": "TPL", "voided": 0,
    }  # fmt: skip

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

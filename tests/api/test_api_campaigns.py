"""Campaigns over HTTP: planned by one, approved by another, seen by those who may."""

from __future__ import annotations

import people
import sqlalchemy as sa

from zhiyin.core.ledger import audit
from zhiyin.store.ledger import reading

BASE = "/v1/admin/campaigns"
RULE = {"type": "trait", "field": "language", "op": "missing"}
TEXT = {"subject": "Spring", "text": "Look."}


def campaign(**changes):
    return {"campaign": {"rule": RULE, "variants": [{"name": "a", "en": TEXT}]} | changes}


def test_one_plans_another_approves_and_it_is_started_paused_and_cancelled(as_role):
    made = as_role("marketer", "PUT", f"{BASE}/over-http", json=campaign())
    assert made.status_code == 200, made.text
    assert made.json()["state"] == "draft"
    assert as_role("marketer", "POST", f"{BASE}/over-http/approve").status_code == 403
    approved = as_role("approver", "POST", f"{BASE}/over-http/approve")
    assert (approved.json()["state"], approved.json()["approved_by"]) == ("approved", "a approver")
    for step, state in (
        ("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled"),
    ):  # fmt: skip
        answer = as_role("marketer", "POST", f"{BASE}/over-http/{step}")
        assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
    shown = as_role("analyst", "GET", f"{BASE}/over-http").json()
    assert (shown["state"], shown["counts"]["planned"]) == ("cancelled", 0)
    assert "over-http" in [one["key"] for one in as_role("analyst", "GET", BASE).json()]


def test_nobody_approves_her_own(as_role):
    as_role("admin", "PUT", f"{BASE}/own", json=campaign())
    answer = as_role("admin", "POST", f"{BASE}/own/approve")
    assert answer.status_code == 403
    assert "cannot approve" in answer.text


def test_a_check_says_what_would_happen_and_keeps_nothing(as_role):
    asked = campaign(key="asked")
    found = as_role("approver", "POST", "/v1/admin/campaign-check", json=asked | {"language": "zh"})
    assert found.status_code == 200, found.text
    body = found.json()
    assert body["messages"] + sum(one["stopped"] for one in body["sizes"]) == body["audience"]
    assert body["text"].startswith("活动 asked")
    assert as_role("analyst", "GET", f"{BASE}/asked").status_code == 404


def test_who_may_not_plan_plans_nothing_and_mistakes_are_named(as_role):
    assert as_role("viewer", "GET", BASE).status_code == 403
    assert as_role("analyst", "PUT", f"{BASE}/x", json=campaign()).status_code == 403
    wrong = as_role("marketer", "PUT", f"{BASE}/x", json=campaign(holdout_share=2))
    assert wrong.status_code in (400, 422)
    assert "holdout_share" in wrong.text
    other = as_role("marketer", "PUT", f"{BASE}/x", json=campaign(key="y"))
    assert other.json()["message"] == "the campaign is called 'y', not 'x'"
    assert "variants" in as_role("analyst", "GET", "/v1/admin/campaign-schema").text


def test_a_preview_names_nobody_but_to_who_may_see_personal_data(as_role, served):
    as_role("marketer", "PUT", f"{BASE}/look", json=campaign())
    (shown,) = as_role("approver", "GET", f"{BASE}/look/preview").json()
    assert (shown["variant"], shown["language"], shown["subject"]) == ("a", "en", "Spring")
    asked = {"customer": people.ANA}
    assert as_role("marketer", "POST", f"{BASE}/look/preview", json=asked).status_code == 403
    hers = as_role("admin", "POST", f"{BASE}/look/preview", json=asked)
    assert hers.status_code == 200, hers.text
    assert hers.json()["customer_id"].startswith("p_")
    unknown = {"customer": "nobody@nowhere.example"}
    assert as_role("admin", "POST", f"{BASE}/look/preview", json=unknown).status_code == 404
    with reading(served[0].store.ledger) as connection:
        query = sa.select(audit.c.actor, audit.c.detail).where(
            audit.c.action == "campaign.previewed"
        )
        (noted,) = connection.execute(query).all()
    assert (noted.actor, noted.detail["customer"]) == ("a admin", hers.json()["customer_id"])


def test_a_test_message_is_asked_for_by_who_plans_and_waits_for_the_worker(as_role):
    as_role("marketer", "PUT", f"{BASE}/tried", json=campaign())
    asked = {"address": "boss@shop.example", "variant": "a"}
    assert as_role("analyst", "POST", f"{BASE}/tried/test", json=asked).status_code == 403
    assert as_role("marketer", "POST", f"{BASE}/unknown/test", json=asked).status_code == 404
    assert as_role("marketer", "POST", f"{BASE}/tried/test", json={}).status_code == 422
    hers = {"address": "ana@customer.example"}
    refused = as_role("marketer", "POST", f"{BASE}/tried/test", json=hers)
    assert refused.json()["hint"] == "name it in act.testers"
    answer = as_role("marketer", "POST", f"{BASE}/tried/test", json=asked)
    assert answer.status_code == 202, answer.text
    job = as_role("admin", "GET", f"/v1/jobs/{answer.json()['job_id']}").json()
    assert (job["kind"], job["state"], job["requested_by"]) == ("test", "waiting", "a marketer")
    assert "@" not in str(job)

"""Journeys over HTTP: kept by one person, published by another, refused with a reason."""

from __future__ import annotations

NAME = "/v1/admin/journeys/hello"
JOURNEY = {"key": "hello", "entry": {"type": "api"},
           "steps": {"rest": {"type": "delay", "days": 1}}}  # fmt: skip


def test_nobody_publishes_her_own_draft(as_role):
    unnamed = {name: value for name, value in JOURNEY.items() if name != "key"}
    made = as_role("admin", "PUT", NAME, json={"journey": unnamed})
    assert made.json() == {"key": "hello", "version": 1, "state": "draft"}
    assert as_role("admin", "POST", f"{NAME}/publish").status_code == 403
    assert as_role("marketer", "POST", f"{NAME}/publish").status_code == 403
    assert as_role("approver", "POST", f"{NAME}/publish").json()["state"] == "published"
    asked = {"customers": ["nobody@shop.example"]}
    entered = as_role("marketer", "POST", f"{NAME}/enter", json=asked)
    assert entered.json() == {"entered": 0, "refused": 0, "unknown": 1}
    paused = as_role("marketer", "PATCH", NAME, json={"state": "paused"})
    assert paused.json()["state"] == "paused"
    shown = as_role("analyst", "GET", NAME).json()
    assert (shown["state"], shown["inside"]) == ("paused", [])
    assert as_role("approver", "POST", f"{NAME}/end").json()["state"] == "ended"


def test_a_wrong_journey_is_refused_with_its_place(as_role):
    wrong = JOURNEY | {"start": "rst"}
    answer = as_role("marketer", "PUT", NAME, json={"journey": wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_rule")
    assert answer.json()["message"] == "$.start: there is no step 'rst'"
    assert answer.json()["hint"] == "did you mean 'rest'?"
    other = as_role("marketer", "PUT", NAME, json={"journey": JOURNEY | {"key": "other"}})
    assert other.json()["message"] == "the journey is called 'other', not 'hello'"

"""Audiences over HTTP: counted, kept, explained, and refused with a reason."""

from __future__ import annotations

import pytest

BOUGHT = {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 1}
NAME = "/v1/admin/audiences/buyers"


def test_a_rule_is_counted_without_being_kept(as_role):
    answer = as_role("marketer", "POST", "/v1/admin/audience-preview", json={"rule": BOUGHT})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["size"] == len(found["sample"]) > 0
    assert found["sql"].startswith("SELECT")
    assert as_role("marketer", "GET", NAME).status_code == 404


def test_an_audience_is_kept_shown_and_explains_a_customer(as_role):
    made = as_role("marketer", "PUT", "/v1/admin/audiences/kept", json={"rule": BOUGHT})
    assert made.json() == {"name": "kept", "version": 1, "kind": "scheduled"}
    assert (
        as_role("viewer", "PUT", "/v1/admin/audiences/kept", json={"rule": BOUGHT}).status_code
        == 403
    )
    listed = as_role("analyst", "GET", "/v1/admin/audiences").json()
    assert "kept" in {one["name"] for one in listed}
    assert as_role("analyst", "GET", "/v1/admin/audiences/kept").json()["rule"] == BOUGHT
    preview = as_role(
        "marketer", "POST", "/v1/admin/audience-preview", json={"rule": BOUGHT}
    ).json()
    asked = {"customer": preview["sample"][0], "language": "zh"}
    said = as_role("marketer", "POST", "/v1/admin/audiences/kept/explain", json=asked).json()
    assert said["inside"] is True
    assert said["text"].startswith("在受众内，因为历史上订单行")
    assert as_role("marketer", "GET", "/v1/admin/audience-changes").json() == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (BOUGHT | {"days": -3}, "a window of -3 days"),
        ({"type": "and", "rules": []}, "joins no rules"),
        ({"type": "tag", "tag": "dormnt"}, "there is no tag 'dormnt'"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_code(as_role, rule, said):
    answer = as_role("marketer", "PUT", NAME, json={"rule": rule})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_rule"
    assert said in answer.json()["message"]
    assert answer.json()["hint"]


def test_look_alikes_of_too_short_a_list_are_refused_and_not_everyone_may_ask(as_role):
    assert as_role("marketer", "PUT", "/v1/admin/audiences/good", json={"rule": BOUGHT}).is_success
    path = "/v1/admin/audiences/good/look-alike"
    assert as_role("viewer", "POST", path, json={}).status_code == 403
    answer = as_role("marketer", "POST", path, json={"name": "more", "language": "zh"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_enough_data"
    assert answer.json()["message"].endswith("至少需要 50 人")
    assert answer.json()["hint"].startswith("请使用更长的名单")
    assert as_role("marketer", "GET", "/v1/admin/audiences/more").status_code == 404
    other = as_role("marketer", "POST", "/v1/admin/audiences/nobody/look-alike", json={})
    assert other.status_code == 404
    assert as_role("marketer", "POST", path, json={"share": 1.5}).status_code == 422


def test_the_schema_of_rules_is_served(as_role):
    found = as_role("approver", "GET", "/v1/admin/audience-schema").json()
    assert "Behaviour" in found["$defs"]

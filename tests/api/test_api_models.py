"""Models over HTTP: seen by those who may, promoted by those who may."""

from __future__ import annotations

LIST = "/v1/admin/models"


def test_versions_are_listed_for_those_who_may_see_models(as_role):
    answer = as_role("analyst", "GET", LIST)
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json(), list)
    assert as_role("viewer", "GET", LIST).status_code == 403


def test_a_version_that_is_not_there_is_named(as_role):
    wanted = {"version": "feedfeedfeed"}
    answer = as_role("approver", "POST", f"{LIST}/churn/promote", json=wanted)
    assert answer.status_code == 404
    assert "feedfeedfeed" in answer.text
    assert as_role("analyst", "GET", f"{LIST}/churn?version=feed").status_code == 404
    assert as_role("approver", "POST", f"{LIST}/churn/rollback", json={}).status_code == 404


def test_a_marketer_sees_models_and_promotes_none(as_role):
    assert as_role("marketer", "GET", LIST).status_code == 200
    wanted = {"version": "feedfeedfeed"}
    assert as_role("marketer", "POST", f"{LIST}/churn/promote", json=wanted).status_code == 403


def test_a_model_that_is_no_onnx_is_refused_and_none_is_listed(as_role):
    guests = "/v1/admin/model-guests"
    assert as_role("analyst", "GET", guests).json() == []
    body = {"content": "bm8=", "features": ["recency_days"], "learned_until": "2024-01-01"}
    answer = as_role("approver", "PUT", f"{guests}/churn/mine", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert "ONNX" in answer.text
    assert as_role("marketer", "PUT", f"{guests}/churn/mine", json=body).status_code == 403
    assert as_role("approver", "DELETE", f"{guests}/churn/mine").status_code == 404

"""Decision points over HTTP: defined, shown, paused; refused with the place that is wrong."""

from __future__ import annotations

PATH = "/v1/admin/decisions/hello"
POINT = {"default": "none", "actions": [{"name": "none"}, {"name": "coupon"}]}


def test_a_point_is_put_shown_paused_and_resumed(as_role):
    put = as_role("marketer", "PUT", PATH, json={"decision": POINT})
    assert put.json() == {"key": "hello", "version": 1, "state": "active"}
    assert as_role("approver", "PUT", PATH, json={"decision": POINT}).status_code == 403
    paused = as_role("analyst", "PATCH", PATH, json={"state": "paused"})
    assert paused.json()["state"] == "paused"
    more = POINT | {"key": "hello", "k": 2}
    again = as_role("marketer", "PUT", PATH, json={"decision": more}).json()
    assert again == {"key": "hello", "version": 2, "state": "paused"}
    shown = as_role("approver", "GET", PATH).json()
    assert (shown["definition"]["k"], len(shown["policies"])) == (2, 2)
    assert "artifact" not in str(shown)
    assert as_role("admin", "PATCH", PATH, json={"state": "active"}).json()["state"] == "active"
    listed = as_role("approver", "GET", "/v1/admin/decisions").json()
    assert "hello" in {one["key"] for one in listed}


def test_a_wrong_point_is_refused_with_its_place(as_role):
    wrong = as_role("marketer", "PUT", PATH, json={"decision": POINT | {"default": "noen"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_rule")
    assert wrong.json()["message"].startswith("$.default")
    assert wrong.json()["hint"] == "did you mean 'none'?"
    other = as_role("marketer", "PUT", PATH, json={"decision": POINT | {"key": "other"}})
    assert "is called 'other'" in other.json()["message"]
    assert as_role("viewer", "GET", PATH).status_code == 403
    assert as_role("marketer", "GET", "/v1/admin/decisions/none-such").status_code == 404

"""Tags over HTTP: kept, shown, given, counted, and refused with a reason."""

from __future__ import annotations

import people
import pytest

CITY = {
    "label": "City", "label_zh": "城市", "owner": "crm",
    "body": {"kind": "fact", "source": "attribute", "field": "city"},
}  # fmt: skip
VIP = CITY | {"body": {"kind": "manual"}}


def test_a_tag_is_kept_versioned_shown_and_retired(as_role):
    path = "/v1/admin/tags/home"
    made = as_role("marketer", "PUT", path, json={"definition": CITY, "draft": True})
    assert made.json() == {"name": "home", "version": 1, "status": "draft"}, made.text
    made = as_role("analyst", "PUT", path, json={"definition": CITY})
    assert made.json()["version"] == 2
    assert as_role("approver", "PUT", path, json={"definition": CITY}).status_code == 403
    shown = as_role("approver", "GET", path).json()
    assert shown["made_from"] == [{"kind": "column", "name": "customers.city"}]
    assert [one["changed_by"] for one in shown["versions"]] == ["a analyst", "a marketer"]
    assert as_role("marketer", "POST", f"{path}/retire").json()["status"] == "retired"
    listed = {one["name"]: one for one in as_role("analyst", "GET", "/v1/admin/tags").json()}
    assert listed["home"]["status"] == "retired"
    assert listed["weekly"]["owner"] == "zhiyin"


def test_a_manual_tag_is_given_and_taken_by_those_who_may(as_role):
    as_role("marketer", "PUT", "/v1/admin/tags/guest", json={"definition": VIP})
    give, whom = "/v1/admin/tags/guest/give", {"customers": [people.ANA]}
    assert as_role("analyst", "POST", give, json=whom).status_code == 403
    assert as_role("marketer", "POST", give, json=whom).json() == {"name": "guest", "customers": 1}
    taken = as_role("marketer", "POST", "/v1/admin/tags/guest/take", json=whom)
    assert taken.status_code == 200, taken.text
    nobody = as_role("marketer", "POST", give, json={"customers": ["nobody@example.com"]})
    assert nobody.status_code == 404
    assert "example.com" not in nobody.text


def test_history_and_coverage_are_told(as_role):
    told = as_role("marketer", "POST", "/v1/admin/tag-history", json={"customer": people.ANA})
    assert told.json()["spells"][0]["tag"] == "regular"
    rows = as_role("marketer", "GET", "/v1/admin/tag-coverage?name=regular").json()
    assert [(one["customers"], one["base"], one["share"]) for one in rows] == [(2, 2, 1.0)]
    assert "$defs" in as_role("analyst", "GET", "/v1/admin/tag-schema").json()


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (CITY | {"body": {"kind": "fact", "source": "attribute", "field": "citty"}}, "citty"),
        (CITY | {"body": {"kind": "rule", "rule": {"type": "and", "rules": []}}}, "joins no rules"),
        ({"label": "x"}, "'label_zh' is missing"),
    ],
)
def test_a_wrong_tag_is_refused_with_its_code(as_role, definition, said):
    answer = as_role("marketer", "PUT", "/v1/admin/tags/wrong", json={"definition": definition})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_rule"
    assert said in answer.json()["message"]
    assert answer.json()["hint"]


def test_a_persona_is_of_many_people_or_of_one(as_role):
    small = as_role("marketer", "POST", "/v1/admin/persona", json={"tag": "regular"})
    assert small.json()["code"] == "not_enough_data"
    assert people.ANA not in small.text
    none = as_role("marketer", "POST", "/v1/admin/persona", json={})
    assert none.status_code == 422
    asked = {"customer": people.ANA, "language": "zh"}
    one = as_role("marketer", "POST", "/v1/admin/customer-persona", json=asked).json()
    assert [tag["label"] for tag in one["tags"]] == ["规律购买"]
    assert "偏好" in one["text"]
    assert people.ANA not in one["text"]

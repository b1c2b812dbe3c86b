"""Identity over HTTP: identifiers go in the body, answers name nobody, changes are noted."""

import people
import sqlalchemy as sa

from zhiyin.core.ledger import audit

BASE = "/v1/admin/identity"


def test_a_marketer_looks_and_only_an_admin_merges(as_role, served):
    shop, _ = served
    both = {"customer": people.ANA, "into": people.BEA}
    seen = as_role("marketer", "POST", f"{BASE}/preview", json=both)
    assert seen.status_code == 200
    assert seen.json()["parties"] == 2
    assert as_role("marketer", "POST", f"{BASE}/merge", json=both).status_code == 403
    made = as_role("admin", "POST", f"{BASE}/merge", json=both)
    assert made.status_code == 200, made.text
    shown = as_role("marketer", "POST", f"{BASE}/show", json={"customer": people.ANA}).json()
    assert len(shown["records"]) == 2
    (merge,) = shown["merges"]
    pair = {"party_id": merge["party_id"], "into": merge["into"]}
    undone = as_role("admin", "POST", f"{BASE}/undo", json=pair)
    assert undone.json()["still_one"] is False
    assert [one for one in people.OF_ANA if one in seen.text + made.text + undone.text] == []
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.action.like("identity.%"))).all()
    assert {(row.action, row.actor) for row in rows} == {
        ("identity.merge", "a admin"), ("identity.undo", "a admin"),
    }  # fmt: skip


def test_conflicts_are_counted(as_role):
    answer = as_role("analyst", "GET", f"{BASE}/conflicts", params={"language": "zh"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"total", "counts", "conflicts"}


def test_an_unknown_customer_is_not_quoted(as_role):
    answer = as_role("admin", "POST", f"{BASE}/show", json={"customer": "zq-nobody@example.com"})
    assert answer.status_code == 404
    assert "zq-nobody" not in answer.text

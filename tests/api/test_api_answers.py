"""What the routes answer: no personal data, one shape of errors, closed doors for browsers."""

import json

import people
import pytest

from zhiyin.api.errors import STATUS, status_of
from zhiyin.api.shell import MAX_BODY
from zhiyin.api.tables import shown_columns
from zhiyin.core import columns as c
from zhiyin.core import errors
from zhiyin.core.tables import TABLES


def get(as_role, path, role="admin"):
    answer = as_role(role, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_health_needs_no_key_and_says_nothing_of_the_shop(client):
    answer = client.get("/health")
    assert answer.json()["status"] == "ok"
    assert set(answer.json()) == {"status", "version"}


def test_the_api_describes_itself_with_the_permission_of_each_route(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert paths["/v1/tables/{name}"]["get"]["x-permission"] == "table:read"
    assert client.get("/docs").status_code == 404


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_table_shows_personal_data(as_role, name):
    body = get(as_role, f"/v1/tables/{name}?limit=1000")
    text = json.dumps(body)
    encrypted = {one.name for one in TABLES[name].columns if one.pii == "encrypted"}
    assert not encrypted & {key for row in body["rows"] for key in row}
    personal = [*people.OF_ANA[1:4], *people.OF_BEA[1:4]]
    assert [one for one in personal if one in text] == []


def test_bytes_and_blobs_are_never_shown():
    for table in TABLES.values():
        assert all(one.type != "binary" for one in shown_columns(table))
        assert all(one.pii != "encrypted" for one in shown_columns(table))


def test_rows_come_in_pages_without_gaps_or_repeats(as_role):
    everything = get(as_role, "/v1/tables/order_lines?limit=1000")["rows"]
    assert len(everything) == 24
    pages, offset = [], 0
    while offset is not None:
        page = get(as_role, f"/v1/tables/order_lines?limit=7&offset={offset}")
        pages += page["rows"]
        offset = page["next_offset"]
    assert pages == everything


def test_rows_are_filtered_by_day_and_by_columns(as_role, served):
    party = people.party_of(served[0], people.ANA)
    mine = get(as_role, f"/v1/tables/orders?customer_id={party}")["rows"]
    assert len(mine) == 6
    assert {row[c.PARTY_ID] for row in mine} == {party}
    before = get(as_role, "/v1/tables/orders?as_of=2024-05-01")["rows"]
    assert 0 < len(before) < 12
    assert get(as_role, "/v1/tables/tags?as_of_on=2024-06-01&version=1")["rows"]
    assert get(as_role, "/v1/tables/decisions?explored=true")["rows"] == []
    assert get(as_role, "/v1/tables/order_lines?quantity=1.0&kind=item&limit=1")["rows"]
    assert get(as_role, "/v1/tables/stores")["rows"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/tables/nothing", 404),
        ("/v1/tables/orders?colour=red", 404),
        ("/v1/tables/customers?personal=x", 404),
        ("/v1/tables/tags?as_of_on=someday", 422),
        ("/v1/tables/tags?version=one", 422),
        ("/v1/tables/decisions?explored=maybe", 422),
        ("/v1/tables/orders?as_of=yesterday", 422),
        ("/v1/tables/orders?limit=0", 422),
        ("/v1/tables/orders?limit=100000", 422),
        ("/v1/tables/orders?offset=-1", 422),
        ("/v1/turns/none", 404),
        ("/v1/jobs/none", 404),
        ("/v1/people/nobody/explain", 404),
        ("/v1/people/x/explain?language=fr", 422),
        ("/nowhere", 404),
    ],
)
def test_errors_have_one_shape(as_role, path, status):
    answer = as_role("admin", "GET", path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "hint"}


def test_an_error_does_not_repeat_what_was_asked_for(as_role):
    answer = as_role("admin", "GET", "/v1/people/someone@example.com/explain")
    assert answer.status_code == 404
    assert "someone" not in answer.text


def test_what_goes_wrong_inside_stays_inside(as_role, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("secret@example.com")

    monkeypatch.setattr("zhiyin.api.pages.explain_customer", fail)
    answer = as_role("admin", "GET", "/v1/people/x/explain")
    assert answer.status_code == 500
    assert answer.json()["code"] == "error"
    assert "secret" not in answer.text


def test_every_error_has_a_status():
    kinds = [errors.ZhiyinError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = [kind for kind in kinds[1:] if kind.__module__ == errors.__name__]
    assert [kind for kind in ours if not any(one in STATUS for one in kind.__mro__)] == []
    assert status_of(errors.SchemaTooNew("x")) == 500


def test_a_request_that_is_too_large_is_refused(client, served):
    headers = {"X-Api-Key": served[1]["admin"], "Content-Type": "application/json"}
    body = b'{"kind": "' + b"x" * MAX_BODY + b'"}'
    answers = [
        client.post("/v1/jobs", content=body, headers=headers),
        client.post("/v1/jobs", content=iter([body[:1000], body[1000:]]), headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [413, 413]
    assert answers[0].json()["code"] == "too_large"


def test_the_report_is_shown_with_the_policy_it_brings(as_role):
    answer = as_role("viewer", "GET", "/")
    assert "a report" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'sha256-x'" in policy
    assert "frame-ancestors 'none'" in policy
    assert get(as_role, "/v1/summary", role="viewer") == {"turn_id": "t"}


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/v1/tables", "/"])
def test_every_answer_closes_the_doors_of_browsers(client, path):
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "server" not in headers


def test_one_customer_is_explained_by_the_sources_id(as_role, served):
    answer = get(as_role, f"/v1/people/{people.BEA}/explain?language=zh", role="analyst")
    assert answer["customer_id"] == people.party_of(served[0], people.BEA)
    assert "作为对照组保留" in answer["text"]


def test_a_turn_is_shown_with_its_state(as_role):
    assert get(as_role, "/v1/turns")[0]["turn_id"] == "t"
    assert get(as_role, "/v1/turns/t")["state"] == "done"
    assert get(as_role, "/v1/turns/t")["steps"][0]["job"] == "act"


def test_a_job_is_asked_for_once_and_not_run_here(as_role, served):
    asked = {"kind": "turn", "as_of": "2024-06-01"}
    first = as_role("analyst", "POST", "/v1/jobs", json=asked)
    assert first.status_code == 202
    job = first.json()
    assert (job["state"], job["requested_by"]) == ("waiting", "a analyst")
    assert as_role("admin", "POST", "/v1/jobs", json=asked).json()["job_id"] == job["job_id"]
    assert get(as_role, f"/v1/jobs/{job['job_id']}") == job
    assert job in get(as_role, "/v1/jobs")


@pytest.mark.parametrize(
    "asked", [{"kind": "erase"}, {"kind": "turn", "as_of": "soon"}, {"x": 1}, [], "turn"]
)
def test_a_job_of_another_kind_is_refused(as_role, asked):
    answer = as_role("admin", "POST", "/v1/jobs", json=asked)
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message", "hint"}

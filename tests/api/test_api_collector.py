"""The tracking API: what SDKs send is taken, what it answers tells them the right thing to do."""

import base64
import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhiyin.api.server import create_app
from zhiyin.app import Workspace
from zhiyin.collect.received import unpack
from zhiyin.collect.write_keys import make_write_key, revoke_write_key
from zhiyin.core.config import validate_settings
from zhiyin.store.journal import finished_segments, read_segment
from zhiyin.store.vault import open_segment_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
EVENT = {"type": "track", "event": "Signed Up", "userId": "u1", "messageId": "m1"}
SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}


class Tracked:
    """A workspace that takes events, and what its journal then holds."""

    def __init__(self, folder):
        values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
        self.folder = folder
        self.shop = Workspace.create(folder, validate_settings(values, where="test"))
        with self.shop.store.begin() as connection:
            self.key = make_write_key(connection, "web", kind="browser", now=NOW).write_key
            self.server_key = make_write_key(connection, "crm", kind="server", now=NOW).write_key
            self.slow_key = make_write_key(
                connection, "slow", kind="server", now=NOW, events_per_s=1
            ).write_key

    def kept(self):
        """Requests in the finished segments of the journal, oldest first."""
        keys = open_segment_keys(self.folder / "keys")
        segments = finished_segments(self.folder / "journal")
        return [unpack(f.payload) for s in segments for f in read_segment(s.path, keys)]


@pytest.fixture
def tracked(tmp_path):
    made = Tracked(tmp_path / "shop")
    yield made
    made.shop.close()


@pytest.fixture
def call(tracked):
    """Send one request to a server that is stopped after it; the answer and what was kept."""
    from starlette.testclient import TestClient

    def send(method, path, **options):
        with TestClient(create_app(tracked.folder), raise_server_exceptions=False) as client:
            answer = client.request(method, path, **options)
        return answer, tracked.kept()

    return send


def basic(key):
    return {"Authorization": "Basic " + base64.b64encode(key.encode()).decode()}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"])
def test_a_batch_is_kept_as_it_came(call, tracked, path):
    body = {"batch": [EVENT, EVENT], "writeKey": tracked.key}
    answer, kept = call("POST", path, json=body)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert json.loads(kept[0].body) == body
    assert (kept[0].source, kept[0].kind, kept[0].call) == (
        "web", "browser", "import" if "import" in path else "batch",
    )  # fmt: skip


@pytest.mark.parametrize(("short", "name"), SHORT.items())
def test_a_single_call_has_a_long_and_a_short_path(call, tracked, short, name):
    for path in (f"/v1/{name}", f"/v1/{short}"):
        answer, kept = call("POST", path, json=EVENT | {"writeKey": tracked.key})
        assert answer.status_code == 200
        assert kept[-1].call == name


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=x"]
)
@pytest.mark.parametrize("pack", [False, True])
def test_the_body_counts_and_not_what_its_header_calls_it(call, tracked, kind, pack):
    body = json.dumps(EVENT | {"writeKey": tracked.key}).encode()
    answer, kept = call(
        "POST", "/v1/track", content=gzip.compress(body) if pack else body,
        headers={"Content-Type": kind},
    )  # fmt: skip
    assert answer.status_code == 200
    assert kept[0].body == body


@pytest.mark.parametrize("form", ["basic", "basic without colon", "bearer", "body", "query"])
def test_every_way_to_bring_the_key(call, tracked, form):
    key, options = tracked.key, {"json": dict(EVENT)}
    if form == "body":
        options["json"]["writeKey"] = key
    elif form == "query":
        options["params"] = {"writeKey": key}
    else:
        headers = {"basic": basic(f"{key}:"), "basic without colon": basic(key)}
        options["headers"] = headers.get(form, {"Authorization": f"Bearer {key}"})
    answer, kept = call("POST", "/v1/track", **options)
    assert answer.status_code == 200
    assert len(kept) == 1


@pytest.mark.parametrize("key", ["", "wk_0", "zk_admin", "键"])
def test_an_unknown_key_writes_nothing(call, key):
    answer, kept = call("POST", "/v1/track", json=EVENT | {"writeKey": key})
    assert answer.status_code == 401
    assert kept == []


def test_a_revoked_key_writes_nothing(call, tracked):
    with tracked.shop.store.begin() as connection:
        revoke_write_key(connection, tracked.key, now=NOW)
    answer, kept = call("POST", "/v1/track", json=EVENT | {"writeKey": tracked.key})
    assert (answer.status_code, kept) == (401, [])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"\x1f\x8b\x08",
     gzip.compress(b"{}", mtime=0)[:-6], b'{"batch": {}}', b'{"batch": 1}', b"{}",
     b'{"batch":' + b"[" * 5_000],
)  # fmt: skip
def test_what_can_never_succeed_is_a_400(call, tracked, body):
    answer, kept = call("POST", "/v1/batch", content=body, headers=basic(tracked.key))
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert kept == []


@pytest.mark.parametrize("odd", [b"NaN", b"-Infinity", b'"\\ud83d"', b'"\xff"'])
def test_an_odd_value_does_not_cost_the_batch(call, tracked, odd):
    body = b'{"batch": [{"a": %s}, %s]}' % (odd, json.dumps(EVENT).encode())
    answer, kept = call("POST", "/v1/batch", content=body, headers=basic(tracked.key))
    assert answer.status_code == 200
    assert json.loads(kept[0].body)["batch"][1] == EVENT


def test_a_large_event_does_not_cost_its_neighbours(call, tracked):
    large = EVENT | {"properties": {"text": "x" * 33_000}}
    body = {"batch": [EVENT, large, EVENT], "writeKey": tracked.key}
    answer, kept = call("POST", "/v1/batch", json=body)
    assert answer.status_code == 200
    assert answer.json()["refused"] == [{"place": 1, "code": "too_large"}]
    assert kept[0].refused == (1,)


@pytest.mark.parametrize("pack", [False, True])
def test_too_large_is_a_400(call, tracked, pack):
    body = json.dumps({"batch": [EVENT], "pad": "x" * 512_000, "writeKey": tracked.key}).encode()
    answer, kept = call("POST", "/v1/batch", content=gzip.compress(body) if pack else body)
    assert (answer.status_code, answer.json()["code"], kept) == (400, "too_large", [])
    alone = {**EVENT, "properties": {"text": "x" * 33_000}, "writeKey": tracked.key}
    answer, kept = call("POST", "/v1/track", json=alone)
    assert (answer.status_code, answer.json()["code"], kept) == (400, "too_large", [])


def test_a_source_that_sends_too_fast_is_told_when_to_come_back(tracked):
    from starlette.testclient import TestClient

    body = {"batch": [EVENT] * 9, "writeKey": tracked.slow_key}
    with TestClient(create_app(tracked.folder)) as client:
        answers = [client.post("/v1/batch", json=body) for _ in range(2)]
    assert [a.status_code for a in answers] == [200, 429]
    assert 1 <= int(answers[1].headers["Retry-After"]) <= 10
    assert len(tracked.kept()) == 1


def test_a_journal_that_cannot_be_written_is_a_503(call, tracked):
    (tracked.folder / "journal").write_text("in the way")
    answer, _ = call("POST", "/v1/track", json=EVENT | {"writeKey": tracked.key})
    assert (answer.status_code, answer.json()["code"]) == (503, "journal")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Access-Control-Expose-Headers"] == "retry-after"


def test_a_browser_may_send_from_any_page(call):
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
    }
    answer, _ = call("OPTIONS", "/v1/t", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "x-retry-count" in answer.headers["Access-Control-Allow-Headers"]


def test_the_settings_name_the_key_and_an_unknown_one_gets_none(call, tracked):
    answer, _ = call("GET", f"/v1/projects/{tracked.key}/settings")
    assert answer.json()["integrations"]["Segment.io"]["apiKey"] == tracked.key
    assert call("GET", "/v1/projects/wk_0/settings")[0].status_code == 401


def test_a_pixel_takes_json_in_its_address_or_a_field_a_parameter(call, tracked):
    packed = base64.urlsafe_b64encode(json.dumps(EVENT | {"writeKey": tracked.key}).encode())
    answer, kept = call("GET", "/v1/pixel/track", params={"data": packed.decode().rstrip("=")})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.headers["Cache-Control"] == "no-store"
    assert json.loads(kept[0].body)["event"] == "Signed Up"
    fields = {"writeKey": tracked.key, "event": "email_opened", "properties": '{"a": 1}'}
    _, kept = call("GET", "/pixel/v1/track", params=fields)
    assert json.loads(kept[-1].body)["properties"] == {"a": 1}


def test_the_address_of_a_server_is_nobodys(call, tracked):
    for key, known in ((tracked.key, True), (tracked.server_key, False)):
        _, kept = call("POST", "/v1/track", json=EVENT | {"writeKey": key})
        assert bool(kept[-1].ip) is known
        assert bool(kept[-1].user_agent) is known


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(["/v1/batch", "/v1/t", "/v1/i", "/v1/import"]),
    body=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(gzip.compress),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
        ).map(lambda value: json.dumps({"batch": [value, EVENT], "sentAt": value}).encode()),
    ),
)
def test_no_body_brings_it_down_or_loses_a_neighbour(fuzzed, path, body):
    client, key = fuzzed
    answer = client.post(path, content=body, headers=basic(key))
    assert answer.status_code in (200, 400)
    if body.startswith(b'{"batch": [') and path in ("/v1/batch", "/v1/import"):
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    from starlette.testclient import TestClient

    made = Tracked(tmp_path_factory.mktemp("fuzzed") / "shop")
    with TestClient(create_app(made.folder), raise_server_exceptions=False) as client:
        yield client, made.server_key
    made.shop.close()

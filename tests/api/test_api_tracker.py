"""The tracker as it is served: small, cacheable, for every site, and of this version."""

import gzip
import re
from pathlib import Path

from zhiyin import __version__
from zhiyin.api.tracker import load_tracker, shrink

LIMIT = 4000
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tracker.md").read_text(encoding="utf-8")


def test_the_tracker_is_under_four_kilobytes_gzipped(client):
    with client.stream("GET", "/zhiyin.js", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < LIMIT
    assert gzip.decompress(raw) == load_tracker().text


def test_a_client_without_gzip_gets_plain_text(client):
    answer = client.get("/zhiyin.js", headers={"Accept-Encoding": "identity"})
    assert answer.content == load_tracker().text
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"].startswith("text/javascript")


def test_every_site_may_load_the_tracker(client):
    headers = client.get("/zhiyin.js").headers
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cache-control"] == "public, max-age=3600"


def test_an_unchanged_tracker_is_not_sent_again(client):
    tag = client.get("/zhiyin.js").headers["etag"]
    again = client.get("/zhiyin.js", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/zhiyin.js", headers={"If-None-Match": '"old"'}).status_code == 200


def test_the_tracker_says_the_version_of_the_package():
    assert re.search(rb"VERSION = '(.+?)'", load_tracker().text)[1].decode() == __version__


def test_shrinking_keeps_code_and_drops_comments():
    source = (
        "//! kept\n\n  // dropped\n  const a = {\n    b: 'x // y',\n  };\n\n  call(a)\n  next();\n"
    )
    assert shrink(source) == "//! kept\nconst a = {b: 'x // y',};call(a)\nnext();\n"


def test_the_source_keeps_to_what_shrinking_can_read():
    for line in load_tracker().text.decode().splitlines():
        assert line.count("`") == 0, "a template could run over lines"
        assert "/*" not in line, "a block comment is not dropped"


def test_every_option_is_described_with_its_default():
    source = (ROOT / "src" / "zhiyin" / "api" / "static" / "zhiyin.js").read_text(encoding="utf-8")
    options = re.search(r"const options = \{\n(.*?)\n  \};", source, re.S)[1]
    names = re.findall(r"^    (\w+):", options, re.M)
    described = re.search(r"## Options of `init`\n(.*?)\n## ", PAGE, re.S)[1]
    rows = [line.split("|")[1:3] for line in described.splitlines() if line.startswith("| `")]
    told = {name: default for names_, defaults in rows for name, default in pair(names_, defaults)}
    assert set(told) == set(names)
    for name, value in re.findall(r"^    (\w+): (\d+|true|false|'\w+'|\{\}),$", options, re.M):
        assert told[name] == value, name


def pair(names, defaults):
    names, defaults = (re.findall(r"`([^`]*)`", one) for one in (names, defaults))
    return zip(names, defaults or [""] * len(names), strict=True)


def test_the_snippet_of_the_docs_is_the_one_that_is_tested():
    tried = (ROOT / "tests" / "clients" / "conftest.py").read_text(encoding="utf-8")
    stub = re.search(r"  window\.zhiyin = window\.zhiyin \|\| function.*?\n  \};\n", PAGE, re.S)[0]
    assert stub in tried

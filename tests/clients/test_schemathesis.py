"""schemathesis calls every route of the OpenAPI document with odd values: no server error.

Every run tries each border of each parameter; `make torture` also draws values, and calls without
a key (`test_api_access` has the answer of every route to that).
"""

import subprocess
import sys
from pathlib import Path

import pytest
from client_collector import Collector

from tests.examples import TIMES, examples
from zhiyin.api.keys import make_key
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import make_write_key
from zhiyin.core.clock import naive_utc

PYTHON = Path(sys.prefix) / "peers" / "bin" / "schemathesis"


# what sources send to: a short name is the same handler, and without a key of a source all is 401
TRACKED = "^/v1/(track|identify|page|screen|group|alias|batch|import|[tipsgab])$|^/beacon|/pixel/"
SOURCE = "^/v1/(track|identify|batch|import)$|^/v1/pixel/track$"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Collector(tmp_path_factory.mktemp("schemathesis") / "shop")
    with Workspace.open(made.folder, write=True) as shop:
        key = make_key(shop.store, "tester", "admin", clock=shop.clock)
        with shop.store.begin() as connection:
            now = naive_utc(shop.clock.now())
            source = make_write_key(connection, "odd", kind="server", now=now, events_per_s=0)
    yield made.url, {"admin": key, "source": source.write_key}
    made.stop()


# each border of each parameter is for the one who may call: others are turned away before it
CALLS = [
    ("admin", "coverage", 1, ["--exclude-path-regex", TRACKED]),
    ("source", "coverage", 1, ["--include-path-regex", SOURCE]),
]
if TIMES > 1:
    CALLS += [
        ("admin", "fuzzing", 2, ["--exclude-path-regex", TRACKED]),
        ("source", "fuzzing", 2, ["--include-path-regex", SOURCE]),
        ("nobody", "fuzzing", 1, []),
    ]


@pytest.mark.parametrize(("who", "phases", "most", "paths"), CALLS)
def test_no_route_answers_with_a_server_error(served, who, phases, most, paths, tmp_path):
    assert PYTHON.exists(), f"there is no {PYTHON}: make test-clients installs it"
    url, keys = served
    command = [
        PYTHON, "run", f"{url}/openapi.json", "--url", url,
        "--checks", "not_a_server_error", "--max-examples", str(examples(most)), "--seed", "1",
        "--phases", phases, "--generation-database", "none", "--no-color",
        "--suppress-health-check", "all", "--warnings", "off", *paths,
    ]  # fmt: skip
    if who in keys:
        command += ["-H", f"Authorization: Bearer {keys[who]}"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300 * examples(1), env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

"""schemathesis calls every route of the OpenAPI document with odd values: no server error."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

from client_collector import Collector

from tests.examples import examples
from zhiyin.api.keys import make_key
from zhiyin.app import Workspace

PYTHON = Path(sys.prefix) / "peers" / "bin" / "schemathesis"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Collector(tmp_path_factory.mktemp("schemathesis") / "shop")
    with Workspace.open(made.folder, write=True) as shop:
        key = make_key(shop.store, "tester", "admin", clock=shop.clock)
    yield made, key
    made.stop()


# each border of each parameter is for the one who may call: others are turned away before it
@pytest.mark.parametrize(
    ("who", "phases", "most"), [("admin", "coverage,fuzzing", 3), ("nobody", "fuzzing", 1)], ids=str
)
def test_no_route_answers_with_a_server_error(served, who, phases, most, tmp_path):
    assert PYTHON.exists(), f"there is no {PYTHON}: make test installs it"
    collector, key = served
    command = [
        PYTHON, "run", f"{collector.url}/openapi.json", "--url", collector.url,
        "--checks", "not_a_server_error", "--max-examples", str(examples(most)), "--seed", "1",
        "--phases", phases, "--generation-database", "none", "--no-color",
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    if who == "admin":
        command += ["-H", f"Authorization: Bearer {key}"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300 * examples(1), env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

"""House rules that a reviewer would otherwise repeat (ARCHITECTURE and STYLE, as code)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from zhiyin.core import columns
from zhiyin.core.tables import TABLES

SRC = Path(__file__).parents[2] / "src" / "zhiyin"
MODULES = sorted(SRC.rglob("*.py"))
ROOMS = ("collect", "profile", "understand", "decide", "act", "measure")
STORE_DOORS = {"job.py", "live.py", "ledger.py"}
COLUMN_NAMES = {
    value
    for name, value in vars(columns).items()
    if name.isupper() and value.endswith(("_id", "_at", "_on", "_minor"))
}
"""Names that are columns beyond doubt; short words are also keys of JSON values."""


def _relative(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def find_violations(path: str, code: str) -> list[str]:
    """Sentences, one per broken rule, for the module at `path` (relative to the package)."""
    tree = ast.parse(code)
    found: list[str] = []
    room = path.split("/")[0] if path.split("/")[0] in ROOMS else None
    for call in _calls(tree):
        name = _dotted(call.func)
        last = name.rsplit(".", 1)[-1]
        clock = name.endswith(("datetime.now", "datetime.utcnow", "date.today", "time.time"))
        if clock and path != "core/clock.py":
            found.append(f"{path}:{call.lineno} asks the machine for the time: take a Clock")
        if "random." in name and last in {"default_rng", "seed", "RandomState", "random", "choice"}:
            if path != "core/rng.py" and not name.startswith("rng."):
                found.append(f"{path}:{call.lineno} makes its own chance: take a Generator")
        sql = last in {"raw_sql", "exec_driver_sql"} or name.endswith(("sa.text", "con.sql"))
        if sql and not path.startswith("store/"):
            found.append(f"{path}:{call.lineno} holds SQL text outside store")
        if name in {"os.getenv", "os.environ.get"} and path != "core/config.py":
            found.append(f"{path}:{call.lineno} reads the environment outside core/config.py")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            if {"pickle", "joblib", "dill", "cloudpickle"} & {*names, module.split(".")[0]}:
                found.append(f"{path}:{node.lineno} imports a pickle")
        if room and isinstance(node, ast.Attribute) and node.attr == "store":
            if isinstance(node.value, ast.Name) and node.value.id == "ctx":
                if Path(path).name not in STORE_DOORS and not Path(path).stem.endswith("job"):
                    found.append(f"{path}:{node.lineno} touches ctx.store outside job/live/ledger")
        if room and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            if node.slice.value in COLUMN_NAMES:
                found.append(
                    f"{path}:{node.lineno} names a column by a literal: {node.slice.value}"
                )
    return found


@pytest.mark.parametrize("module", MODULES, ids=_relative)
def test_module_keeps_the_house_rules(module):
    assert find_violations(_relative(module), module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("measure/x.py", "from datetime import datetime\ndatetime.now()"),
        ("act/x.py", "import numpy as np\nnp.random.default_rng()"),
        ("profile/x.py", "def f(con): con.raw_sql('select 1')"),
        ("decide/x.py", "def f(ctx): return ctx.store.read('orders')"),
        ("decide/x.py", "def f(t): return t['customer_id']"),
        ("understand/x.py", "import pickle"),
        ("govern/x.py", "import os\nos.environ.get('A')"),
    ],
)
def test_a_planted_violation_is_seen(path, code):
    assert find_violations(path, code)


def test_no_module_has_a_name_that_says_nothing():
    banned = {"utils.py", "helpers.py", "manager.py", "common.py", "misc.py"}
    assert [m for m in MODULES if m.name in banned] == []


def test_modules_stay_readable_in_one_sitting():
    long = {
        _relative(m): lines
        for m in MODULES
        if (lines := len(m.read_text(encoding="utf-8").splitlines())) > 450
    }
    assert long == {}


def test_every_table_names_its_writer_and_only_known_columns():
    for table in TABLES.values():
        assert table.writer
        assert len(set(table.names)) == len(table.names)
        assert set(table.key) <= set(table.names), table.name
        assert set(table.scope) <= set(table.names), table.name
        assert table.time is None or table.time in table.names
        assert all(column.meaning for column in table.columns)

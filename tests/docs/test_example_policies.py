"""The example of policies runs, and those that learn earn more than chance."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_prints_what_each_policy_earns(monkeypatch, capsys):
    script = ROOT / "examples" / "policies.py"
    monkeypatch.setattr(sys, "argv", [str(script), "2000"])
    runpy.run_path(str(script), run_name="__main__")
    lines = [line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines()]
    earned = {name.strip(): float(cents) for name, cents in lines}
    assert earned["linucb"] > earned["at random"]
    assert earned["who knows the truth"] >= max(earned.values())

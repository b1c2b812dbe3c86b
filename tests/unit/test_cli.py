"""The command line: the demonstration runs its own day, errors are two lines, help is complete."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date

import pytest
from typer.testing import CliRunner

from zhiyin import cli, demo


class SeenWorkspace:
    """Notes what it was asked for."""

    def __init__(self):
        self.run_for, self.reported_for = [], []

    def run(self, *, as_of=None, progress=None):
        self.run_for.append(as_of)

    def report(self, *, as_of=None, language="en"):
        self.reported_for.append(as_of)
        return {"as_of": str(as_of)}, "text", demo.Path("report.html")


def test_the_demonstration_runs_and_reports_the_day_its_campaign_starts(tmp_path, monkeypatch):
    seen = SeenWorkspace()

    @contextmanager
    def build(folder, *, progress):
        yield seen

    monkeypatch.setattr(demo, "build_demo", build)
    result = CliRunner().invoke(cli.app, ["demo", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert seen.run_for == seen.reported_for == [date(2017, 10, 30)]


def test_an_error_is_two_lines_and_exit_code_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["zhiyin", "run", "-w", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint:  ")

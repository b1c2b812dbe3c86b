"""The command line: the demonstration runs its own day, errors are two lines, help is complete."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date

import pytest
from typer.testing import CliRunner

from zhiyin import cli, demo
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings


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


def test_the_jeweller_is_reported_in_chinese_beside_what_was_planted(tmp_path, monkeypatch):
    seen = SeenWorkspace()

    @contextmanager
    def turn(folder, *, progress):
        yield seen

    monkeypatch.setattr(demo, "turn_jeweller", turn)
    monkeypatch.setattr(demo, "tell_effect", lambda _, *, language: f"effect {language}")
    result = CliRunner().invoke(cli.app, ["demo", str(tmp_path), "--preset", "jeweller"])
    assert result.exit_code == 0, result.output
    assert seen.reported_for == [date(2024, 10, 1)]
    assert "effect zh\neffect en" in result.output


def test_an_error_is_two_lines_and_exit_code_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["zhiyin", "run", "-w", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint:  ")


def call(monkeypatch, capsys, *words):
    """Exit code, output and errors of the command line in this process."""
    monkeypatch.setattr("sys.argv", ["zhiyin", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    return caught.value.code, said.out, said.err


@pytest.fixture
def folder(tmp_path):
    settings = validate_settings({"name": "shop", "currency": "CNY"}, where="test")
    Workspace.create(tmp_path / "shop", settings).close()
    return tmp_path / "shop"


@pytest.mark.parametrize(
    ("language", "said", "hint"),
    [
        ("en", "none of the 2 rows of lines.csv", "load rates or set the currency"),
        ("zh", "lines.csv 的 2 行全部被隔离", "请加载汇率"),
    ],
)
def test_a_load_of_which_no_row_is_taken_fails_with_a_hint(
    folder, tmp_path, monkeypatch, capsys, language, said, hint
):
    file = tmp_path / "lines.csv"
    file.write_text(
        "order_id,user_id,product_id,sold_at,quantity,amount,currency\n"
        "1,a,p,2026-01-05,1,1.00,EUR\n2,b,p,2026-01-05,1,1.00,EUR\n"
    )
    code, out, err = call(
        monkeypatch, capsys, "load", "order_lines", file, "-w", folder, "--lang", language
    )
    assert code == 1
    assert "no_rate" in out
    assert said in err
    assert "no_rate" in err
    assert hint in err
    assert "CNY" in err


def test_a_load_of_which_one_row_is_taken_succeeds(folder, tmp_path, monkeypatch, capsys):
    file = tmp_path / "lines.csv"
    file.write_text(
        "order_id,user_id,product_id,sold_at,quantity,amount,currency\n"
        "1,a,p,2026-01-05,1,1.00,EUR\n2,b,p,2026-01-05,1,1.00,CNY\n"
    )
    code, out, err = call(monkeypatch, capsys, "load", "order_lines", file, "-w", folder)
    assert (code, "error" in err) == (0, False)
    assert "no_rate 1" in out


@pytest.mark.parametrize(
    "words",
    [["load", "orders", "x.csv", "--lang", "fr"], ["run", "--lang", "fr"],
     ["serve", "--port", "99999"]],
)  # fmt: skip
def test_a_value_that_no_option_takes_is_refused_before_anything_is_done(
    words, monkeypatch, capsys
):
    code, _, err = call(monkeypatch, capsys, *words)
    assert code == 2
    assert words[-2] in err


def test_a_broken_ledger_is_two_lines_that_lead_to_the_doctor(folder, monkeypatch, capsys):
    for path in folder.glob("ledger.db*"):
        path.unlink()
    (folder / "ledger.db").write_text("junk")
    code, _, err = call(monkeypatch, capsys, "run", "-w", folder)
    assert code == 1
    assert err.splitlines() == [
        "error: the workspace cannot be read or written (DatabaseError)",
        "hint:  zhiyin doctor -w FOLDER names what is broken and what to do",
    ]


def test_a_missing_data_file_is_two_lines_that_lead_to_the_doctor(
    folder, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "lines.csv"
    file.write_text(
        "order_id,user_id,product_id,sold_at,quantity,amount\n1,a,p,2026-01-05,1,1.00\n"
    )
    assert call(monkeypatch, capsys, "load", "order_lines", file, "-w", folder)[0] == 0
    next((folder / "lake" / "order_lines").rglob("*.parquet")).unlink()
    code, _, err = call(monkeypatch, capsys, "run", "-w", folder)
    assert code == 1
    assert "zhiyin doctor" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [("--currency", "XXZ", "set currency"), ("--zone", "Nowhere/City", "give zone another value"),
     ("--language", "fr", "give languages")],
)  # fmt: skip
def test_init_refuses_what_is_no_currency_zone_or_language(
    tmp_path, monkeypatch, capsys, option, value, hint
):
    code, _, err = call(monkeypatch, capsys, "init", tmp_path / "new", option, value)
    assert code == 1
    assert hint in err
    assert not (tmp_path / "new" / "zhiyin.toml").exists()


def test_a_second_key_of_a_source_is_said_so(folder, monkeypatch, capsys):
    assert "keys in force" not in call(monkeypatch, capsys, "source", "add", "web", "-w", folder)[2]
    assert "2 keys in force" in call(monkeypatch, capsys, "source", "add", "web", "-w", folder)[2]


def test_compact_names_a_damaged_segment(folder, monkeypatch, capsys):
    assert "empty" in call(monkeypatch, capsys, "source", "compact", "-w", folder)[1]
    (folder / "journal").mkdir(exist_ok=True)
    (folder / "journal" / "0000000000001-abcdabcdabcdabcd.zyj").write_text("garbage")
    code, _, err = call(monkeypatch, capsys, "source", "compact", "-w", folder)
    assert code == 1
    assert "0000000000001-abcdabcdabcdabcd" in err
    assert "hint:" in err

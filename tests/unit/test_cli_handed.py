"""Calls and files from the command line, as a shop uses them: without any channel."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zhiyin.cli import app
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import add_consent

sys.path.insert(0, str(Path(__file__).parent / "person"))

import people

CALLS = """
key = "calls"
channel = "task"
task = { offer_zh = "九折" }
rule = { type = "trait", field = "language", op = "in", value = ["en", "zh"] }
[[variants]]
name = "a"
en = { subject = "Spring", text = "Hello {{ name }}." }
zh = { subject = "春季", text = "{{ name }}您好。" }
"""
LIST = """
key = "list"
channel = "file"
file = { columns = ["email", "country"] }
rule = { type = "trait", field = "language", op = "in", value = ["en", "zh"] }
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name, value in (("CALLING_CODE", "86"), ("QUIET_FROM_HOUR", "0"), ("QUIET_TO_HOUR", "0")):
        monkeypatch.setenv(f"ZHIYIN_ACT__{name}", value)
    with people.make_shop(tmp_path) as shop:
        with shop.store.begin() as connection:
            for channel in ("call", "email"):
                party = people.party_of(shop, people.ANA)
                line = Consent(party, "marketing", channel, True, people.NOW, "counter")
                add_consent(connection, line)
        folder = str(shop.folder)

    def call(*words):
        done = CliRunner().invoke(app, [*map(str, words), "-w", folder])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    for name, text in (("calls", CALLS), ("list", LIST)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        call("campaign", "create", tmp_path / f"{name}.toml", "--by", "Ana")
        call("campaign", "start", name, "--by", "Ana")
    return call


def test_a_call_is_listed_taken_and_answered_and_a_file_is_written(run, tmp_path):
    run("campaign", "deliver", "calls")
    (one,) = json.loads(run("tasks", "list", "--store", "", "--json"))
    assert (one["phone"], one["state"]) == ("", "open")
    assert "没有任务" in run("tasks", "list", "--store", "laden:s9", "--lang", "zh")
    taken = run("tasks", "take", one["task_id"], "--by", "Bo", "--lang", "zh")
    assert people.OF_ANA[2] in taken
    assert "优惠: 九折" in taken
    assert "您好。" in taken
    assert "已接通" in run("tasks", "done", one["task_id"], "--by", "Bo", "--lang", "zh")
    assert "Bo" in run("tasks", "list", "--done", "--json")
    file = tmp_path / "list.csv"
    said = run("campaign", "export", "list", file, "--by", "Ana", "--lang", "zh")
    assert f"{file}: 1 行" in said
    with file.open(encoding="utf-8", newline="") as opened:
        assert [row["email"] for row in csv.DictReader(opened)] == [people.OF_ANA[1]]

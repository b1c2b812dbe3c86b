"""`zhiyin decision try … stop` and `zhiyin review` as a person types them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core.config import validate_settings
from zhiyin.core.decisions import Decided, Place
from zhiyin.decide.candidates import ledger
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.point_policy import make_policy
from zhiyin.decide.reviews.ledger import put

POINT = {
    "key": "home",
    "default": "none",
    "context": {"cart": {}},
    "actions": [{"name": "none"}, {"name": "gift"}],
    "policy": {"name": "rules", "settings": {"rules": []}},
}
OTHER = parse(POINT | {"policy": {"name": "epsilon_greedy"}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("governed") / "shop"
    settings = validate_settings({"name": "shop"}, where="test")
    with Workspace.create(path, settings) as shop:
        us = int(shop.clock.now().timestamp()) * 1_000_000
        place = Place("none", ("none", "gift"), 1.0, explored=False)
        case = Decided(
            "d_1", us, "home", (place,), "sent_to_person", version=1, names=("cart",),
            numbers=(None,), sent="large", until_us=us + 10**11, proposed="gift", chance=0.6,
        )  # fmt: skip
        with shop.store.begin() as connection:
            put(connection, [case])
    (path / "home.json").write_text(json.dumps(POINT))
    run(path, "decision", "put", str(path / "home.json"))
    return path


def run(folder, *words, fails=False):
    done = CliRunner().invoke(app, [*words, "-w", str(folder)])
    assert (done.exit_code != 0) is fails, done.output
    return done.output if not fails else str(done.exception)


def test_a_candidate_is_tried_declined_and_taken_back(folder):
    rules = '--set=rules=[{"when": [["cart", ">", 9]], "then": "gift"}]'
    made = run(folder, "decision", "try", "home", "--policy", "rules", rules, "--by", "Ana")
    assert made.startswith("home: candidate 2, rules-")
    file = folder / "policy.npz"
    file.write_bytes(make_policy(OTHER, None).pack())
    words = ("--file", str(file), "--learned-until", "2026-03-01", "--by", "Ana")
    assert "candidate 3" in run(folder, "decision", "try", "home", *words)
    assert "settled" in run(folder, "decision", "judge", "home", "2", fails=True)
    with Workspace.open(folder, write=True) as shop, shop.store.begin() as connection:
        one = ledger.find_candidate(connection, "home", 2)
        told = {"promoted": False, "reasons": [{"code": "limit", "en": "broken", "zh": "超限"}]}
        ledger.keep_verdict(connection, one, told, by="t", now=one.made_at)
    found = run(folder, "decision", "policies", "home", "--lang", "zh")
    assert "home 1: current" in found
    assert "home 2: refused" in found
    assert "超限" in found
    assert "refused and cannot be declined" in run(
        folder, "decision", "decline", "home", "2", "--by", "Bo", fails=True
    )
    assert "withdrawn" in run(folder, "decision", "withdraw", "home", "3", "--by", "Bo")
    states = [one["state"] for one in json.loads(run(folder, "decision", "policies", "home",
                                                     "--json"))]  # fmt: skip
    assert states == ["current", "refused", "withdrawn"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("try", "home", "--by", "Ana"), "by name, or a file"),
        (("try", "home", "--policy", "rules", "--set", "x", "--by", "Ana"), "sets nothing"),
        (("stop",), "which point"),
        (("stop", "home", "--all"), "which point"),
    ],
)
def test_what_is_not_said_is_asked_for(folder, words, said):
    assert said in run(folder, "decision", *words, fails=True)


def test_the_kill_switch(folder):
    assert run(folder, "decision", "stop", "--all") == "home: version 1, paused\n"
    assert "active" in run(folder, "decision", "resume", "home")
    assert "paused" in run(folder, "decision", "stop", "home", "--by", "Ana")


def test_a_case_is_listed_taken_and_answered(folder):
    listed = run(folder, "review", "list", "--lang", "zh")
    assert "d_1  home" in listed
    assert "建议: gift (0.60)" in listed
    assert "[taken]" in run(folder, "review", "take", "d_1", "--by", "Ana")
    done = run(folder, "review", "answer", "d_1", "none", "--reason", "too_costly", "--by", "Ana")
    assert "decided: none" in done
    assert "it costs too much for her" in done
    assert "Nothing waits." in run(folder, "review", "list")
    (case,) = json.loads(run(folder, "review", "list", "--done", "--json"))
    assert case["answered_by"] == "Ana"

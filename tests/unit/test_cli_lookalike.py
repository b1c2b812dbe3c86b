"""`zhiyin audience look-alike`, from orders to an audience that a turn fills."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.audiences import Audiences
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.config import UnderstandSettings, validate_settings
from zhiyin.lookalikes import look_alike

MAPPING = """
source = "shop"
[columns]
order_id = "order"
user_id = "customer"
product_id = "product"
sold_at = "at"
quantity = "units"
price = "price"
"""
DAY = date(2024, 6, 1)
REGULARS = 160  # of 400: they order every fortnight; half of them are on the list


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """400 customers, 160 of whom come every fortnight; a list names 80 of these."""
    here = tmp_path_factory.mktemp("alike")
    rng = np.random.default_rng(8)
    rows = ["order,customer,product,at,units,price"]
    for k in range(400):
        times = 10 if k < REGULARS else int(rng.integers(1, 5))
        for one, back in enumerate(rng.choice(180, size=times, replace=False)):
            day = DAY - timedelta(days=int(back) + 1)
            price = round(float(rng.gamma(4, 5)) + 1, 2)
            rows.append(f"{k}-{one},u{k:03d},p{k % 7},{day} 10:00,1,{price}")
    (here / "orders.csv").write_text("\n".join(rows))
    (here / "mapping.toml").write_text(MAPPING)
    values = {"name": "shop", "currency": "EUR", "zone": "Europe/Berlin", "as_of": str(DAY)}
    values |= {"understand": {"tasks": []}}
    with Workspace.create(here / "shop", validate_settings(values, where="test")) as shop:
        shop.load("order_lines", here / "orders.csv", mapping=here / "mapping.toml")
        ids = shop.vault.party_ids("user_id", [f"u{k:03d}" for k in range(400)])
        shop.run(as_of=DAY, only="profile.features")
    lists = {
        "good": {"type": "upload", "customers": ids[:80]},
        "few": {"type": "upload", "customers": ids[:9]},
        "any": {"type": "upload", "customers": ids[::4]},
        "tagged": {"type": "or", "rules": [
            {"type": "tag", "tag": "dormant"}, {"type": "upload", "customers": ids[:80]}]},
    }  # fmt: skip
    for name, rule in lists.items():
        (here / f"{name}.json").write_text(json.dumps(rule))
        assert run(here / "shop", "add", here / f"{name}.json")[0] == 0
    return here / "shop", ids


def ask_models(shop, day):
    """Let a turn of the day make its models; the model cards of look-alikes by seed audience."""
    with Workspace.open(shop, write=True) as opened:
        opened.run(as_of=day, only="understand.models")
        insights = opened.table("insights")
        mine = insights.filter(insights[c.KEY].startswith("look_alike:"))
        rows = mine.filter(mine[c.AS_OF_ON] == day).to_pyarrow().to_pylist()
    return {row[c.KEY].partition(":")[2]: json.loads(row[c.BODY]) for row in rows}


def run(folder, *arguments):
    done = CliRunner().invoke(app, ["audience", *map(str, arguments), "-w", str(folder)])
    return done.exit_code, done.stdout, done


def test_more_people_like_those_of_a_list_are_found_and_kept(folder):
    shop, ids = folder
    code, said, done = run(
        shop, "look-alike", "good", "--size", 60, "--sample", 60, "--name", "more"
    )
    assert code == 0, done.output
    lines = said.splitlines()
    assert lines[0] == "80 on the list, 80 of them known on 2024-06-01; 320 other customers"
    assert lines[1].startswith("told apart with AUC 0.")
    assert any(line.startswith("  ") and "%" in line for line in lines[3:])
    assert lines[-1] == "more: version 1, scheduled"
    regulars = set(ids[80:REGULARS])
    sample = [line.strip() for line in lines if line.strip() in set(ids)]
    assert len(sample) == 60
    assert len(set(sample) & regulars) > 50
    assert run(shop, "look-alike", "good", "--size", 60, "--sample", 60)[1] in said


def test_a_turn_writes_the_scores_and_the_audience_counts_as_promised(folder):
    shop, ids = folder
    run(shop, "look-alike", "good", "--size", 60, "--name", "more")
    card = ask_models(shop, DAY)["good"]
    with Workspace.open(shop, write=True) as opened:
        figures = opened.run(as_of=DAY, only="audience").report("audience").figures
        scores = opened.table("scores")
        mine = scores.filter(scores[c.TASK] == "look_alike").to_pyarrow().to_pylist()
    assert figures["size of more"] == 60
    assert {row[c.SUBJECT] for row in mine} == {"good"}
    assert sorted(row[c.RANK] for row in mine) == list(range(1, 321))
    assert not {row[c.CUSTOMER_ID] for row in mine} & set(ids[:80])
    assert card["seeds"] == {"listed": 80, "known": 80, "snapshot_on": "2024-06-01"}
    assert card["quality"]["auc"]["low"] > 0.5
    first = next(row[c.CUSTOMER_ID] for row in mine if row[c.RANK] == 1)
    text = run(shop, "explain", "more", first)[1]
    assert "rank of look_alike:good is 1, asked: at most 60" in text
    assert "与受众 good 相似 的排名为 1" in run(shop, "explain", "more", first, "--lang", "zh")[1]


def test_a_list_made_of_tags_waits_for_them_and_a_turn_takes_those_of_a_day_before(
    folder, tmp_path
):
    copied = tmp_path / "shop"
    shutil.copytree(folder[0], copied)
    score = {"type": "score", "task": "look_alike", "op": "le", "value": 9, "column": "rank"}
    (tmp_path / "like.json").write_text(json.dumps(score | {"subject": "tagged"}))
    assert run(copied, "add", tmp_path / "like.json")[0] == 0
    assert ask_models(copied, DAY)["tagged"]["status"] == "no_snapshot"
    with Workspace.open(copied, write=True) as opened:
        opened.run(as_of=DAY, only="profile.tags")
    again = ask_models(copied, DAY)  # the tags of the day itself are not there when a turn asks
    assert again["tagged"]["status"] == "no_snapshot"
    later = DAY + timedelta(days=1)
    with Workspace.open(copied, write=True) as opened:
        opened.run(as_of=later, only="profile.features")
    card = ask_models(copied, later)["tagged"]
    assert card["seeds"]["snapshot_on"] == DAY.isoformat()
    assert card["seeds"]["known"] >= 80
    assert run(copied, "look-alike", "tagged", "--as-of", DAY)[0] == 0


def test_a_list_of_identifiers_becomes_an_audience_of_our_ids(folder, tmp_path):
    shop, ids = folder
    (tmp_path / "best.txt").write_text("u003\n\nnobody\nu001\n" + f"{ids[2]}\nu001\n")
    code, said, done = run(shop, "add", tmp_path / "best.txt")
    assert (code, said) == (0, "best: version 1, scheduled\n")
    assert "5 lines name 3 customers" in done.output
    kept = json.loads(run(shop, "show", "best")[1])["rule"]
    assert kept == {"type": "upload", "customers": sorted(ids[1:4])}
    (tmp_path / "strangers.txt").write_text("nobody\n")
    code, _, done = run(shop, "add", tmp_path / "strangers.txt")
    assert (code, done.exception.message) == (1, "the list names no customer")


def test_protected_features_are_not_learned_from(folder):
    with Workspace.open(folder[0]) as opened:
        asked = Audiences(opened.store, opened.vault, opened.clock, DAY)
        found = look_alike(asked, opened.settings, "good")
        first = found["apart"][0]["feature"]
        careful = UnderstandSettings(protected=(first,))
        settings = opened.settings.model_copy(update={"understand": careful})
        without = look_alike(asked, settings, "good")
    assert first not in {one["feature"] for one in without["apart"]}
    assert without["quality"] != found["quality"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("few",), "9 of the 9 people on the list are known on the day; 50 are needed"),
        (("few", "--lang", "zh"), "名单上的 9 人中当日已知 9 人；至少需要 50 人"),
        (("any",), "these people are no different from everyone in what is known"),
        (("tagged",), "the list asks for tags, scores or segments, and no day has them yet"),
        (("nobody",), "there is no audience 'nobody'"),
        (("good", "--size", "321"), "size must be from 1 to 320, not 321"),
        (("good", "--share", "1.5"), "share must be in (0, 1], not 1.5"),
        (("good", "--size", "9", "--share", "0.1"), "size and share say the same"),
        (("good", "--name", "good"), "audiences name each other in a circle: good → good"),
    ],
)
def test_what_cannot_be_answered_is_said(folder, arguments, said):
    code, _, done = run(folder[0], "look-alike", *arguments)
    assert code == 1
    assert said in str(done.exception)
    assert done.exception.hint


def test_an_audience_never_asks_for_look_alikes_of_itself_or_of_none(folder, tmp_path):
    shop, _ = folder
    run(shop, "look-alike", "good", "--size", 60, "--name", "more")
    score = {"type": "score", "task": "look_alike", "op": "le", "value": 9, "column": "rank"}
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps(score | {"subject": "more"}))
    code, _, done = run(shop, "add", rule, "--name", "good")
    assert code == 1
    assert "in a circle: good → more → good" in str(done.exception)
    rule.write_text(json.dumps(score | {"subject": "goood"}))
    code, _, done = run(shop, "add", rule, "--name", "other")
    assert code == 1
    assert done.exception.hint == "did you mean 'good'?"
    code, _, done = run(shop, "remove", "good")
    assert code == 1
    assert "is part of more" in str(done.exception)

"""`zhiyin persona`: a planted difference is said first, a random group has none."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core import columns as c
from zhiyin.core.config import validate_settings
from zhiyin.core.features import FEATURES

DAY = date(2024, 6, 1)
PEOPLE, SPECIAL = 600, 120
MAPPING = """
source = "shop"
[columns]
user_id = "customer"
city = "city"
valid_at = "since"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """600 customers; of the first 120, tagged *planted*, orders are 2.3 times as many and half are
    of Bonn; everything else is drawn alike. Tag *few* has nine people, *half* a random half."""
    here, rng = tmp_path_factory.mktemp("persona"), np.random.default_rng(8)
    values = {"name": "shop", "currency": "EUR", "zone": "Europe/Berlin"}
    special = np.arange(PEOPLE) < SPECIAL
    bonn = rng.random(PEOPLE) < np.where(special, 0.5, 0.1)
    rows = [f"c{k},{'Bonn' if bonn[k] else 'Berlin'},2024-01-02" for k in range(PEOPLE)]
    (here / "people.csv").write_text("customer,city,since\n" + "\n".join(rows) + "\n")
    (here / "people.toml").write_text(MAPPING)
    with Workspace.create(here / "shop", validate_settings(values, where="test")) as shop:
        shop.load("customers", here / "people.csv", mapping=here / "people.toml")
        ids = shop.vault.party_ids("user_id", [f"c{k}" for k in range(PEOPLE)])
        usual = np.exp(rng.normal(size=PEOPLE))
        features = {c.AS_OF_ON: [DAY] * PEOPLE, c.CUSTOMER_ID: ids}
        for one in FEATURES:
            drawn = 50 * np.exp(0.8 * rng.normal(size=PEOPLE)) * usual**0.3
            if one.name == "orders_count":
                drawn = drawn * np.where(special, 2.3, 1.0)
            features[one.name] = np.round(drawn) if one.type == "int64" else drawn
        shop.store.replace("features", _typed(features), scope={c.AS_OF_ON: DAY})
        tagged = [(ids[k], "planted") for k in range(SPECIAL)]
        tagged += [(ids[k], "few") for k in range(9)]
        tagged += [(ids[k], "half") for k in rng.permutation(PEOPLE)[:300]]
        shop.store.replace("tags", pa.table({
            c.AS_OF_ON: [DAY] * len(tagged), c.CUSTOMER_ID: [one for one, _ in tagged],
            c.TAG: [tag for _, tag in tagged], c.KIND: ["manual"] * len(tagged),
            c.VERSION: [1] * len(tagged)}), scope={c.AS_OF_ON: DAY})  # fmt: skip
        (here / "random.txt").write_text("\n".join(f"c{k}" for k in rng.permutation(PEOPLE)[:80]))
    return here / "shop"


def _typed(features):
    types = {one.name: pa.int64() if one.type == "int64" else pa.float64() for one in FEATURES}
    return pa.table({
        name: pa.array(values, types[name]) if name in types else values
        for name, values in features.items()
    })  # fmt: skip


def run(folder, *arguments):
    done = CliRunner().invoke(app, ["persona", *map(str, arguments), "-w", str(folder)])
    return done.exit_code, done.stdout, done


def test_what_was_planted_is_said_and_little_else(folder):
    code, said, done = run(folder, "--tag", "planted", "--json")
    assert code == 0, done.exception
    found = json.loads(said)
    assert (found["n"], found["n_base"]) == (SPECIAL, PEOPLE - SPECIAL)
    told = [(one["kind"], one["name"], one["value"]) for one in found["differences"] if one["told"]]
    planted = {("feature", "orders_count", ""), ("attribute", "city", "Bonn"),
               ("attribute", "city", "Berlin")}  # fmt: skip
    assert set(told[:3]) == planted
    assert len(told) <= 4, "one false one in twenty may be"
    ratio = next(one["ratio"] for one in found["differences"] if one["name"] == "orders_count")
    assert ratio["low"] < 2.3 < ratio["high"]
    assert not any(one["name"] == "planted" for one in found["differences"])


def test_the_sentences_are_in_both_languages(folder):
    english = run(folder, "--tag", "planted")[1]
    assert "Buys 2." in english
    assert "× as often as everyone else (" in english
    assert "city: Bonn: 5" in english
    chinese = run(folder, "--tag", "planted", "--lang", "zh")[1]
    assert "购买次数是其他客户的 2." in chinese
    assert "城市：Bonn：5" in chinese


def test_a_random_group_is_told_apart_by_nothing(folder):
    said = run(folder, "--file", folder.parent / "random.txt")[1].splitlines()
    assert said[1].strip() == "Nothing sets them apart beyond chance."
    half = json.loads(run(folder, "--tag", "half", "--json")[1])
    assert half["told"] == 0


def test_a_group_is_compared_with_another(folder):
    found = json.loads(run(folder, "--tag", "planted", "--against", "tag:half", "--json")[1])
    assert 200 < found["n_base"] < 300, "who is in both is of the group"
    assert found["against"] == "half"
    assert found["differences"][0]["name"] in ("orders_count", "city")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--tag", "few"], "fewer than 10 customers"),
        (["--tag", "nobody"], "nobody is in the tag 'nobody'"),
        (["--segment", "rfm:x"], "nobody is in the segment 'rfm:x'"),
        (["--audience", "x"], "there is no audience 'x'"),
        (["--tag", "few", "--segment", "rfm:x"], "several groups"),
        (["--tag", "few", "--customer", "c1"], "one group or of one customer"),
        (["--tag", "few", "--against", "all"], "'all' names no group"),
        ([], "one group or of one customer"),
    ],
)
def test_what_cannot_be_described_is_refused(folder, asked, said):
    code, _, done = run(folder, *asked)
    assert code == 1
    assert said in str(done.exception)


def test_an_audience_is_described_as_of_the_day(folder):
    rule = folder.parent / "bonn.json"
    rule.write_text(json.dumps({"type": "trait", "field": "city", "value": "Bonn"}))
    assert CliRunner().invoke(app, ["audience", "add", str(rule), "-w", str(folder)]).exit_code == 0
    found = json.loads(run(folder, "--audience", "bonn", "--json")[1])
    assert found["group"] == "bonn"
    planted = next(one for one in found["differences"] if one["name"] == "planted")
    assert planted["told"]
    assert planted["ratio"]["value"] > 2


def test_one_customer_is_described_by_where_she_stands(folder):
    found = json.loads(run(folder, "--customer", "c1", "--json")[1])
    assert {one["tag"] for one in found["tags"]} >= {"few", "planted"}
    assert all(min(one["place"], 1 - one["place"]) <= 0.1 for one in found["apart"])
    with Workspace.open(folder) as shop:
        rows = shop.table("features").to_pyarrow()
    for one in found["apart"]:
        values = np.asarray(rows[one["feature"]])
        below = (values < one["value"]).mean() + (values == one["value"]).mean() / 2
        assert one["place"] == pytest.approx(below)
    chinese = run(folder, "--customer", "c1", "--lang", "zh")[1]
    assert "突出特点" in chinese
    assert chinese.startswith("客户 p_")

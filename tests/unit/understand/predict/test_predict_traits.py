"""Attributes of customers: what tells people apart becomes features, what is protected never."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.unit.understand.predict.test_predict_response import DAY as CAMPAIGN_DAY
from tests.unit.understand.predict.test_predict_response import STARTS, run, world
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.testing.contract_store import LOADED, put
from zhiyin.testing.store import MemoryStore
from zhiyin.understand.predict.job import put_out
from zhiyin.understand.predict.registry import Incumbent
from zhiyin.understand.predict.training import Fitted
from zhiyin.understand.predict.traits import encode_traits, trait_feature
from zhiyin.understand.predict.traits_job import attribute_names, read_traits

DAY = date(2024, 3, 1)


@pytest.fixture
def ctx():
    store = MemoryStore(zone="UTC")
    values = {"name": "shop", "currency": "EUR", "zone": "UTC"}
    settings = validate_settings(values, where="test")
    yield Context(settings, store, None, FrozenClock(LOADED), Streams(1), DAY, "t")
    store.close()


def known(ctx, n, *, at=datetime(2024, 1, 1), **own):
    rows = [
        {
            "party_id": f"p_{i:02d}", "revision": at.month, "valid_at": at, "recorded_at": at,
            "op": "upsert", "undated": False, "source": "s", "load_id": "l", "loaded_at": at,
            "properties": json.dumps({k: v(i) for k, v in own.items()}), "city": None,
        }
        for i in range(n)
    ]  # fmt: skip
    put(ctx.store, "customers", *rows, app=f"{at}")


def test_what_tells_people_apart_is_read_and_free_text_is_not(ctx):
    known(
        ctx, 60, income=lambda i: "high" if i % 3 else "low", note=lambda i: f"called {i} times",
        children=lambda i: i % 5, shop=lambda i: "all the same", member=lambda i: i % 2 == 0,
        rare=lambda i: "x" if i == 1 else "",
    )  # fmt: skip
    customers = ctx.store.read("customers", as_of=DAY)
    assert attribute_names(customers) == ["children", "income", "member"]
    read = read_traits(ctx, [DAY], without={"income"})
    assert list(read.columns) == ["as_of_on", "customer_id", "trait.children", "trait.member"]
    assert read["trait.children"].astype(float).tolist() == [i % 5 for i in range(60)]
    assert set(read["trait.member"]) == {"true", "false"}


def test_no_key_that_a_source_invents_stops_a_turn(ctx):
    odd = ["it's", 'a"b', "a.b", "$", "$.a[", "/p", "*", "a[0]", "a\\b", "", " ", "x=y", "{}%s"]
    plain = ["收入", "card level", "size_2", "a-b"]
    known(ctx, 60, **dict.fromkeys([*odd, *plain], lambda i: "hl"[i % 2]))
    assert attribute_names(ctx.store.read("customers", as_of=DAY)) == sorted(plain)
    read = read_traits(ctx, [DAY], without=())
    assert all(set(read[f"trait.{name}"]) == {"h", "l"} for name in plain)


def test_a_day_sees_what_was_known_before_it(ctx):
    known(ctx, 40, tier=lambda i: "gold" if i % 2 else "none")
    known(ctx, 40, at=datetime(2024, 2, 15), tier=lambda i: "none" if i % 2 else "gold")
    days = [date(2023, 12, 1), date(2024, 2, 1), DAY]
    read = read_traits(ctx, days, without=())
    seen = read.pivot(index="customer_id", columns="as_of_on", values="trait.tier")
    assert days[0] not in seen.columns
    assert (seen[days[1]] != seen[days[2]]).all()


def test_values_become_columns_and_many_numbers_one():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({
        "day": np.repeat([0, 1], 200),
        "trait.level": rng.choice(["gold", "none", None], 400),
        "trait.years": rng.integers(0, 80, 400).astype(str),
        "trait.odd": np.where(np.arange(400) < 10, "few", "most"),
    })  # fmt: skip
    past = rows["day"] == 0
    asked = ["trait.gone=x", "trait.left", "trait.level=new"]
    made, features = encode_traits(rows, past, also=asked)
    assert {one.name for one in features} == {
        "trait.level=gold", "trait.level=none", "trait.years", "trait.odd=most",
    }  # fmt: skip
    assert made["trait.level=gold"].tolist() == (rows["trait.level"] == "gold").tolist()
    assert made["trait.years"].tolist() == rows["trait.years"].astype(float).tolist()
    assert (made["trait.gone=x"] == 0).all()
    assert made["trait.left"].isna().all()
    assert "trait.level" not in made
    assert trait_feature("trait.level=gold").meaning_zh == "level：gold"


def test_what_happens_after_the_day_decides_no_feature():
    rows = pd.DataFrame({"day": [0] * 50 + [1] * 50, "trait.x": ["a"] * 50 + ["b"] * 50})
    assert [one.name for one in encode_traits(rows, rows["day"] == 0)[1]] == ["trait.x=a"]


def with_trait(tables, values, name="trait.home"):
    """The traits of the recipients, one value a row of the labels."""
    labels = tables["labels"].to_pandas()
    days = dict(zip(tables["campaigns"]["campaign_id"].to_pylist(), STARTS, strict=True))
    return pd.DataFrame({
        "as_of_on": labels["campaign_id"].map(days), "customer_id": labels["customer_id"],
        name: values,
    })  # fmt: skip


def test_a_planted_trait_is_found_and_said():
    tables = world()
    labels = tables["labels"].to_pandas()
    rng = np.random.default_rng(4)
    home = np.where(rng.uniform(size=len(labels)) < 0.5, "own", "rent")
    rises = (home == "own") & (rng.uniform(size=len(labels)) < 0.5)
    labels["redeemed"] = np.where(rises, 1, labels["redeemed"])
    labels["spend_minor"] = np.where(labels["redeemed"] == 1, 1000.0, np.nan)
    traits = with_trait(tables, home)
    tables["labels"] = pa.Table.from_pandas(labels, preserve_index=False)
    one = {"compared": ("logistic",)}
    plain, better = run(tables, **one), run(tables, traits=traits, **one)
    strongest = [one["feature"] for one in better.card["top_effects"][:3]]
    assert {"trait.home=own", "trait.home=rent"} & set(strongest)
    aucs = [one.card["validation"]["last_fold"]["auc"] for one in (plain, better)]
    assert aucs[1] > aucs[0] + 0.03
    assert better.card["left_out"]["leaks"] == {}
    assert STARTS[-1] == CAMPAIGN_DAY


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        ("all", "alone knows the outcome"),
        ("one campaign", "alone knows"),
        ("some", "looks written"),
    ],
)
def test_an_attribute_written_after_a_campaign_is_named_and_not_learned_from(noted, words):
    tables = world()
    labels = tables["labels"].to_pandas()
    did = labels["redeemed"] == 1
    if noted == "one campaign":
        did &= labels["campaign_id"] == "c1"
    elif noted == "some":
        did &= np.random.default_rng(5).uniform(size=len(labels)) < 0.6
    traits = with_trait(tables, np.where(did, "used", None), "trait.coupon")
    found = run(tables, traits=traits, compared=("logistic",))
    assert list(found.card["left_out"]["leaks"]) == ["trait.coupon=used"]
    assert "trait.coupon=used" not in found.card["features"]
    assert (found.card["warnings"][0]["code"], found.status) == ("leak", "ok")
    assert words in found.card["warnings"][0]["message"]
    without = run(tables, compared=("logistic",))
    assert found.scores.drop_columns("model_version") == without.scores.drop_columns(
        "model_version"
    )


def test_a_champion_that_uses_a_leak_gives_its_place_up():
    tables = world()
    did = (tables["labels"].to_pandas()["redeemed"] == 1).to_numpy()
    traits = with_trait(tables, np.where(did, "used", None), "trait.coupon")
    honest = run(tables, compared=("logistic",))
    names = ("trait.coupon=used", *honest.artifact["names"][1:])
    leaky = Fitted.from_artifact(honest.artifact | {"names": list(names)})
    seated = Incumbent("before", STARTS[1], leaky)
    found = run(tables, traits=traits, compared=("logistic",), incumbent=seated)
    assert found.promoted
    assert found.card["registry"]["reason"] == "champion_leaks"
    asked = run(
        tables, traits=traits, compared=("logistic",), incumbent=seated, promotion="approve"
    )
    assert (asked.promoted, asked.card["registry"]["reason"]) == (False, "needs_approval")


def test_age_and_sex_are_put_out_unless_the_workspace_says_otherwise(ctx):
    known(ctx, 60, sex=lambda i: "f" if i % 2 else "m", income=lambda i: "hl"[i % 2])
    config = ctx.settings.understand
    assert {"age", "sex", "性别"} <= put_out(config)
    read = read_traits(ctx, [DAY - timedelta(days=3)], without=put_out(config))
    assert list(read.columns) == ["as_of_on", "customer_id", "trait.income"]
    let = config.model_copy(update={"protected_allowed": ("sex:ann:sizes of rings",)})
    assert "trait.sex" in read_traits(ctx, [DAY], without=put_out(let)).columns

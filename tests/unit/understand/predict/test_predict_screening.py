from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.understand.predict import screen_features
from zhiyin.understand.predict.screening import stability

N = 3000


def table(seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plan = rng.choice(["month", "year"], N)
    visits = rng.poisson(4, N)
    chance = 1 / (1 + np.exp(-(visits - 4) / 2 - (plan == "month")))
    bought = np.where(rng.uniform(size=N) < chance, "yes", "no")
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "plan": plan,
            "visits": visits,
            "shop": "one",
            "note": np.where(rng.uniform(size=N) < 0.02, "x", None),
            "dice": rng.integers(1, 7, N),
            "thanked": np.where(bought == "yes", "sent", None),
            "bought": bought,
        }
    )


def verdicts(made) -> dict:
    return {one.column: one.verdict for one in made}


def test_each_column_gets_the_reason_it_is_left_out_for():
    made = screen_features(table(), "bought")
    assert verdicts(made) == {
        "visits": "keep",
        "plan": "keep",
        "thanked": "leak",
        "id": "identifier",
        "note": "missing",
        "shop": "constant",
        "dice": "silent",
    }
    assert [one.column for one in made[:2]] == ["visits", "plan"]
    assert all(one.en and one.zh for one in made)
    assert "98%" in next(one.en for one in made if one.column == "note")


def test_information_is_that_of_the_joint_distribution():
    rows = table()[["plan", "bought"]]
    joint = pd.crosstab(rows["plan"], rows["bought"], normalize=True).to_numpy()
    plain = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint.ravel())
    found = screen_features(rows, "bought")[0].information
    assert found == pytest.approx(plain - 1 / (2 * N), abs=1e-12)


def test_a_column_that_moved_since_is_unstable():
    rows = table()
    earlier = table(seed=4).drop(columns="bought")
    assert verdicts(screen_features(rows, "bought", earlier=earlier))["visits"] == "keep"
    earlier["visits"] += 3
    made = screen_features(rows, "bought", earlier=earlier)
    assert verdicts(made)["visits"] == "unstable"
    assert stability(rows["plan"], rows["plan"]) == 0


def test_a_stability_index_is_the_textbook_sum():
    before = pd.Series(["a"] * 60 + ["b"] * 40)
    after = pd.Series(["a"] * 30 + ["b"] * 70)
    wanted = (0.3 - 0.6) * np.log(0.3 / 0.6) + (0.7 - 0.4) * np.log(0.7 / 0.4)
    assert stability(before, after) == pytest.approx(wanted)


def test_chance_alone_is_not_kept():
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.normal(size=(500, 40))).rename(columns="n{}".format)
    noise["y"] = rng.integers(0, 2, 500)
    assert sum(one.verdict == "keep" for one in screen_features(noise, "y")) <= 1


def test_wrong_input_is_named():
    rows = table()
    with pytest.raises(NotFound, match="bougth"):
        screen_features(rows, "bougth")
    with pytest.raises(InvalidParameter, match="most_missing is 2"):
        screen_features(rows, "bought", most_missing=2)
    with pytest.raises(InvalidParameter, match="'visits'"):
        screen_features(rows, "bought", earlier=rows.drop(columns="visits"))

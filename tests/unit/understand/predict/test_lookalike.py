"""Look-alikes of a list whose truth is known: two of twelve features set good customers apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from zhiyin.core.rng import Streams
from zhiyin.understand.predict.lookalike import HINTS, find_alike

N, D = 2000, 12
NAMES = [f"f{j:02d}" for j in range(D)]
IDS = np.array([f"c{k:05d}" for k in range(N)], dtype=object)


def customers(rng, *, strength=4.0):
    """Features, and who is good: (n, d) with missing values, (n,) booleans."""
    x = rng.normal(size=(N, D))
    good = rng.uniform(size=N) < 1 / (1 + np.exp(-strength * (x[:, 0] + x[:, 1] - 1.8)))
    x[rng.uniform(size=x.shape) < 0.03] = np.nan
    return x, good


def ask(x, seeds, ids=IDS, *, seed=7, **more):
    return find_alike(
        x, seeds, ids, names=NAMES, whole=[False] * x.shape[1], streams=Streams(seed), **more
    )


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(3)
    x, good = customers(rng)
    seeds = good & (rng.uniform(size=N) < 0.5)
    return x, good, seeds, ask(x, seeds)


def test_the_rest_of_the_planted_customers_stands_first(planted):
    _, good, seeds, found = planted
    rest = set(IDS[good & ~seeds])
    assert found.status == "ok"
    assert found.quality.auc.low > 0.85
    first = found.ids[: len(rest)]
    assert np.mean([who in rest for who in first]) > 0.6
    assert {one.feature for one in found.apart} == {"f00", "f01"}
    assert all(one.chance.low > 0.5 and one.seeds > one.others for one in found.apart)


def test_everybody_but_the_seeds_has_one_rank_with_reasons(planted):
    _, _, seeds, found = planted
    assert sorted(found.ids) == sorted(IDS[~seeds])
    assert (np.diff(found.score) <= 0).all()
    strongest = {json.loads(one)[0]["feature"] for one in found.reasons[:20]}
    assert strongest <= {"f00", "f01"}


def test_scores_are_on_the_scale_of_the_day(planted):
    _, _, seeds, found = planted
    assert found.score.mean() * len(found.ids) == pytest.approx(seeds.sum(), rel=0.35)


def test_held_out_seeds_are_found_far_more_often_than_by_chance(planted):
    quality = planted[3].quality
    assert quality.recall[0.01] <= quality.recall[0.05] <= quality.recall[0.1]
    assert quality.lift[0.1] == pytest.approx(quality.recall[0.1] / 0.1)
    assert quality.lift[0.1] > 4


def test_the_order_of_the_rows_does_not_matter(planted):
    x, _, seeds, found = planted
    turned = np.random.default_rng(1).permutation(N)
    again = ask(x[turned], seeds[turned], IDS[turned])
    assert again.ids.tolist() == found.ids.tolist()
    assert again.score.tolist() == found.score.tolist()
    assert again.apart == found.apart


def test_equal_customers_are_ordered_by_id():
    rng = np.random.default_rng(5)
    x = np.repeat(rng.integers(0, 2, size=(N // 4, D)), 4, axis=0).astype(float)
    seeds = (x[:, 0] == 1) & (x[:, 1] == 1) & (rng.uniform(size=N) < 0.4)
    found = ask(x, seeds)
    assert found.status == "ok"
    for score in np.unique(found.score):
        same = found.ids[found.score == score].tolist()
        assert same == sorted(same)
    assert len(np.unique(found.score)) < len(found.ids)


def test_random_lists_are_refused():
    rng = np.random.default_rng(11)
    x, _ = customers(rng)
    for seed in range(4):
        seeds = np.isin(np.arange(N), rng.choice(N, 120, replace=False))
        found = ask(x, seeds, seed=seed)
        assert found.status == "not_apart"
        assert len(found.ids) == 0
        assert "no different from everyone" in found.missing.en
        assert "没有区别" in found.missing.zh


@pytest.mark.parametrize(
    ("known", "listed", "code", "said"),
    [
        (49, 60, "too_few_seeds", "49 of the 60 people on the list are known on the day"),
        (N, N, "too_few_others", "2000 of 2000 customers are on the list"),
    ],
)
def test_too_short_and_too_long_lists_are_refused(known, listed, code, said):
    x, _ = customers(np.random.default_rng(2))
    found = ask(x, np.arange(N) < known, listed=listed)
    assert found.status == code
    assert said in found.missing.en
    assert found.fitted is None
    assert all(HINTS[code])


def test_what_the_list_was_made_by_is_shown_but_not_learned():
    x, _ = customers(np.random.default_rng(9))
    value = np.nan_to_num(x[:, 0])
    x[:, 0] = value
    x[:, 2] = value + np.random.default_rng(1).normal(size=N)  # a further trait of such people
    seeds = value > np.quantile(value, 0.9)
    found = ask(x, seeds)
    assert found.status == "ok"
    assert found.defining == ("f00",)
    assert "f00" not in found.fitted.names
    assert found.apart[0].feature == "f00"
    assert found.apart[0].defines
    by_hand = IDS[~seeds][np.argsort(-np.nan_to_num(x[~seeds, 2]), kind="stable")][:100]
    assert len(set(by_hand) & set(found.ids[:100])) > 60


def test_a_list_made_by_the_only_thing_known_is_refused():
    value = np.random.default_rng(4).normal(size=(N, 1))
    found = find_alike(
        value, value[:, 0] > 1, IDS, names=["f00"], whole=[False], streams=Streams(1)
    )
    assert found.status == "nothing_else_known"
    assert [one.feature for one in found.apart] == ["f00"]

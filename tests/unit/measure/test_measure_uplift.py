"""Planted effects are found again, figures are those of the definitions, intervals cover."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.measure import uplift
from zhiyin.measure.uplift.bases import Linear, fit_linear, fit_trees
from zhiyin.measure.uplift.encoding import Encoding, fit_encoding

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("ZHIYIN_SHARED") or ROOT.parent / "shared")
HILLSTROM = SHARED / "data" / "hillstrom" / "hillstrom.csv.gz"


class Shop:
    """Half get an e-mail; what it changes rises with `away` and is planted as `effect`."""

    def __init__(self, n: int, seed: int, *, share: float = 0.5) -> None:
        rng = np.random.default_rng(seed)
        away, city = rng.normal(size=n), rng.choice(["north", "south", "west"], n)
        z = -1.0 + 0.5 * (city == "south") + 0.3 * away
        gain = 0.5 * away + 0.3
        held, got = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z - gain))
        self.t = (rng.random(n) < share).astype(int)
        self.y = (rng.random(n) < np.where(self.t == 1, got, held)).astype(int)
        self.effect, self.held = got - held, held
        spent = np.exp(rng.normal(size=n))
        spent[rng.random(n) < 0.1] = np.nan
        self.x = pd.DataFrame({"away": away, "city": city, "spent": spent})
        self.x.loc[rng.random(n) < 0.05, "city"] = None


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(8_000, 1)


@pytest.fixture(scope="module")
def later() -> Shop:
    return Shop(8_000, 2)


@pytest.fixture(scope="module")
def model(shop) -> uplift.UpliftModel:
    return uplift.fit(shop.x, shop.t, shop.y, learner="s")


def likeness(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.corrcoef(found, truth)[0, 1])


@pytest.mark.parametrize("learner", uplift.LEARNERS)
def test_every_learner_finds_the_planted_effect(shop, later, learner):
    found = uplift.fit(shop.x, shop.t, shop.y, learner=learner).predict(later.x)
    assert likeness(found, later.effect) > 0.9
    assert found.mean() == pytest.approx(later.effect.mean(), abs=0.03)
    assert np.polyfit(found, later.effect, 1)[0] == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("learner", ["s", "x", "dr"])  # all the ways in which trees are used
def test_trees_find_it_too(shop, later, learner):
    rows = slice(0, 4_000)
    found = uplift.fit(shop.x[rows], shop.t[rows], shop.y[rows], learner=learner, base="trees")
    assert likeness(found.predict(later.x[rows]), later.effect[rows]) > 0.6


@pytest.mark.parametrize("learner", uplift.LEARNERS)
def test_money_is_predicted_in_its_own_unit(shop, learner):
    rng = np.random.default_rng(5)
    money = 5_000.0 + 900 * shop.t * shop.x["away"] + rng.normal(size=len(shop.y)) * 1_000
    found = uplift.fit(shop.x, shop.t, money, learner=learner).predict(shop.x)
    assert likeness(found, shop.x["away"]) > 0.9
    assert found.std() == pytest.approx(900, rel=0.35)


def test_what_nobody_gets_is_predicted_beside_it(model, later):
    assert likeness(model.predict_baseline(later.x), later.held) > 0.9


def test_auto_leaves_the_first_where_effects_need_trees():
    rng = np.random.default_rng(3)
    x = pd.DataFrame(rng.normal(size=(1_200, 2)), columns=["a", "b"])
    t = rng.integers(2, size=1_200)
    crossed = (x["a"] * x["b"] > 0).to_numpy()  # no line tells these apart
    y = (rng.random(1_200) < 0.2 + 0.5 * t * crossed).astype(int)
    fitted = uplift.fit(x, t, y)
    assert fitted.base == "trees"
    best = next(e for e in fitted.evidence if (e.learner, e.base) == (fitted.learner, "trees"))
    assert best.low > 0
    assert best.qini == max(e.qini for e in fitted.evidence if e.low > 0)


def test_auto_keeps_the_first_where_nothing_is_to_be_found():
    rng = np.random.default_rng(4)
    x = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    t, y = rng.integers(2, size=600), rng.integers(2, size=600)
    fitted = uplift.fit(x, t, y)
    assert (fitted.learner, fitted.base) == ("s", "linear")
    assert len(fitted.evidence) == 5


def test_the_same_seed_gives_the_same_model(shop):
    one, other = (uplift.fit(shop.x, shop.t, shop.y, learner="dr", seed=3) for _ in range(2))
    assert (one.predict(shop.x) == other.predict(shop.x)).all()


@pytest.mark.parametrize("base", ["linear", "trees"])
@pytest.mark.parametrize("learner", ["s", "x", "class"])
def test_an_artifact_predicts_the_same(shop, learner, base):
    fitted = uplift.fit(shop.x[:1_000], shop.t[:1_000], shop.y[:1_000], learner=learner, base=base)
    kept = io.BytesIO()
    kept.write(json.dumps(fitted.to_artifact(), default=lambda array: array.tolist()).encode())
    back = uplift.UpliftModel.from_artifact(json.loads(kept.getvalue()))
    assert back.predict(shop.x) == pytest.approx(fitted.predict(shop.x), abs=1e-12)
    assert back.learner == learner


def test_an_artifact_of_another_kind_is_refused():
    with pytest.raises(InvalidParameter):
        uplift.UpliftModel.from_artifact({"model": "logistic"})


def test_trees_are_walked_as_scikit_learn_walks_them(shop):
    x = fit_encoding(shop.x).encode(shop.x)
    ours = fit_trees(x, shop.y, logit=True, trees=30).predict(x)
    theirs = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=30, max_leaf_nodes=4, min_samples_leaf=80,
        early_stopping=False, random_state=0,
    ).fit(x, shop.y)  # fmt: skip
    assert ours == pytest.approx(theirs.predict_proba(x)[:, 1], abs=1e-12)


def test_the_ridge_is_at_its_minimum(shop):
    x = fit_encoding(shop.x).encode(shop.x)
    found = fit_linear(x, shop.y, penalty=3.0, logit=True)
    design = np.column_stack([np.ones(len(x)), x])
    ridge = np.where(np.arange(design.shape[1]) > 0, 3.0, 0.0)
    slope = design.T @ (shop.y - found.predict(x)) - ridge * found.coefficients
    assert np.abs(slope).max() < 1e-6
    assert isinstance(found, Linear)


def test_an_outcome_that_nobody_had_changes_nothing():
    x = pd.DataFrame({"a": np.arange(40.0)})
    for base in ("linear", "trees"):
        for learner in ("s", "t", "dr"):
            fitted = uplift.fit(x, np.arange(40) % 2, np.zeros(40), learner=learner, base=base)
            assert fitted.predict(x) == pytest.approx(np.zeros(40), abs=1e-6)
    assert uplift.fit(x, np.arange(40) % 2, np.zeros(40)).evidence == ()


class TestEncoding:
    def test_what_was_never_seen_is_none_of_the_known(self, model, later):
        odd = later.x.assign(city="sea")
        assert np.isfinite(model.predict(odd)).all()

    def test_a_missing_number_is_a_column_of_its_own(self):
        made = fit_encoding(pd.DataFrame({"a": [1.0, 2.0, np.nan, 3.0] * 10, "b": [5] * 40}))
        assert made.names == ("a", "a")
        assert Encoding.from_artifact(json.loads(json.dumps(made.to_artifact()))) == made

    def test_money_does_not_pull_by_its_largest(self):
        made = fit_encoding(pd.DataFrame({"a": [*range(1, 60), 1e9]}))
        assert made.columns[0].log
        assert np.abs(made.encode(pd.DataFrame({"a": [1e30, -1e30]}))).max() < 9

    def test_times_and_truth_values_are_numbers(self):
        at = pd.date_range("2024-01-01", periods=40, tz="UTC")
        made = fit_encoding(pd.DataFrame({"at": at, "b": [True, False] * 20}))
        assert made.width == 2

    def test_a_column_that_is_gone_is_said(self, model, later):
        with pytest.raises(InvalidParameter, match="spent"):
            model.predict(later.x.drop(columns="spent"))

    def test_an_array_is_no_table(self, shop):
        with pytest.raises(InvalidParameter, match="DataFrame"):
            uplift.fit(shop.x.to_numpy(), shop.t, shop.y)


class TestQini:
    def test_it_is_that_of_scikit_uplift(self):
        i = np.arange(60)
        t, y = (i * 7 % 5 < 2) * 1, ((i * i * 3 + i) % 7 < 2) * 1
        u = np.round(np.sin(i * 1.7) + 0.8 * (t == y), 1)  # with ties
        # scikit-uplift 0.5.1: qini_auc_score(y, u, t, negative_effect=True)
        assert uplift.qini(u, t, y).value == pytest.approx(0.4499418635399064, abs=1e-12)

    def test_four_customers_by_hand(self):
        found = uplift.qini([0.4, 0.3, 0.2, 0.1], [1, 0, 1, 0], [1, 0, 0, 1])
        # g = 0, 1, 1, 1, 0: area 3, random 0; the perfect order is this one
        assert found.value == pytest.approx(1)
        # uplift curve at 1/4 .. 4/4: 1 (nobody held out yet), 1, 1/2, 0, times the share
        assert found.auuc.value == pytest.approx((1 / 4 + 2 / 4 + 3 / 8) / 4)
        assert found.status == "too_few_units"

    def test_the_truth_ranks_better_than_its_reverse(self, later):
        right, wrong = (uplift.qini(k * later.effect, later.t, later.y) for k in (1, -1))
        assert right.low > 0 > wrong.high
        assert right.auuc.value > right.curve.gain[-1] / 2 > wrong.auuc.value

    def test_equal_predictions_say_nothing(self, later):
        found = uplift.qini(np.ones(len(later.y)), later.t, later.y)
        assert (found.value, found.status) == (0.0, "zero_variance")
        assert np.isnan(found.low)

    def test_the_error_is_that_of_a_bootstrap(self, later):
        rows = slice(0, 1_500)
        score, t, y = later.effect[rows], later.t[rows], later.y[rows]
        rng, drawn = np.random.default_rng(6), []
        for _ in range(300):
            pick = rng.integers(1_500, size=1_500)
            drawn.append(uplift.qini(score[pick], t[pick], y[pick]))
        found = uplift.qini(score, t, y)
        assert found.standard_error == pytest.approx(np.std([d.value for d in drawn]), rel=0.15)
        width = (found.auuc.high - found.auuc.low) / 2 / 1.959964
        assert width == pytest.approx(np.std([d.auuc.value for d in drawn]), rel=0.15)

    def test_intervals_cover_the_figure_of_many_customers(self):
        many = Shop(200_000, 7)
        truth = uplift.qini(many.effect, many.t, many.y).value
        within = 0
        for k in range(200):
            part = slice(k * 1_000, k * 1_000 + 1_000)
            found = uplift.qini(many.effect[part], many.t[part], many.y[part])
            within += found.low <= truth <= found.high
        assert 180 <= within <= 198

    def test_propensities_undo_who_was_chosen(self):
        shop = Shop(40_000, 8)
        e = np.where(shop.x["away"] > 0, 0.8, 0.2)
        rng = np.random.default_rng(9)
        t = (rng.random(len(e)) < e).astype(int)
        y = (rng.random(len(e)) < shop.held + t * shop.effect).astype(int)
        order = np.sort(shop.effect)[::-1]
        truth = float(np.cumsum(order).mean()) / len(order)
        mended = uplift.qini(shop.effect, t, y, propensity=e)
        assert mended.auuc.low < truth < mended.auuc.high
        blind = uplift.qini(shop.effect, t, y)
        assert truth < blind.auuc.low  # those who come anyway got more e-mails
        found = uplift.fit(shop.x, t, y, learner="dr", propensity=e).predict(shop.x)
        assert found.mean() == pytest.approx(shop.effect.mean(), abs=0.02)

    @pytest.mark.parametrize(
        ("t", "y", "status"),
        [
            ([1, 1, 1], [0, 1, 0], "no_units"),
            ([1, 0, 1], [0, 0, 0], "no_positives"),
            ([1, 0, 1], [1, 1, 1], "zero_variance"),
            ([], [], "no_units"),
        ],
    )
    def test_what_cannot_be_measured_has_a_status(self, t, y, status):
        found = uplift.qini(np.arange(len(t)), t, y)
        assert found.status == found.auuc.status == status
        assert np.isnan(found.value)

    @pytest.mark.parametrize(
        ("u", "t", "y", "more"),
        [
            ([1, 2], [0, 1, 1], [0, 1, 1], {}),
            ([1, 2, 3], [0, 1, 2], [0, 1, 1], {}),
            ([1, 2, 3], [0, 1, 1], [0, np.nan, 1], {}),
            ([1, np.nan, 3], [0, 1, 1], [0, 1, 1], {}),
            ([1, 2, 3], [0, 1, 1], [0, 1, 1], {"propensity": 1.0}),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, u, t, y, more):
        with pytest.raises(InvalidParameter):
            uplift.qini(u, t, y, **more)


class TestGroups:
    def test_tenths_hold_everybody_and_fall(self, model, later):
        tenths = uplift.split_tenths(model.predict(later.x), later.t, later.y)
        assert [one.n for one in tenths] == [800] * 10
        assert tenths[0].measured.low > tenths[-1].measured.high
        assert sum(one.measured.low <= one.predicted <= one.measured.high for one in tenths) >= 8

    def test_the_four_kinds(self, later):
        kinds = uplift.name_kinds([0.2, 0.0, 0.01, -0.1], [0.5, 0.9, 0.1, 0.5], worth=0.05)
        assert kinds.tolist() == ["persuadable", "sure_thing", "lost_cause", "sleeping_dog"]
        named = uplift.name_kinds(later.effect, later.held, worth=0.05)
        found = uplift.measure_kinds(named, later.effect, later.t, later.y)
        by_name = {one.name: one for one in found}
        assert sum(one.share for one in found) == pytest.approx(1)
        assert by_name["persuadable"].measured.low > 0.05
        for one in found:
            assert abs(one.measured.value - one.predicted) < 1.6 * (
                one.measured.high - one.measured.value
            )

    def test_a_kind_of_nobody_has_a_status(self):
        found = uplift.measure_kinds(["persuadable"] * 4, [1, 2, 3, 4], [1, 0, 1, 0], [1, 0, 1, 0])
        assert [one.measured.status for one in found] == ["zero_variance", *["no_units"] * 3]

    def test_treating_the_best_share_is_worth_what_it_brings(self, later):
        best = later.effect >= np.quantile(later.effect, 0.7)
        worth = uplift.value_policy(later.effect, later.t, later.y, share=0.3, cost=0.02)
        truth = float((later.effect[best] - 0.02).sum() / len(best))
        assert worth.gain.low < truth < worth.gain.high
        assert worth.over_random.low > 0
        everyone = uplift.value_policy(later.effect, later.t, later.y, share=1, cost=0.02)
        assert everyone.over_everyone.value == pytest.approx(0, abs=1e-12)
        assert everyone.gain.value == pytest.approx(
            later.y[later.t == 1].mean() - later.y[later.t == 0].mean() - 0.02
        )

    def test_out_of_range_is_refused(self, later):
        for call in (
            lambda: uplift.value_policy(later.effect, later.t, later.y, share=0),
            lambda: uplift.split_tenths(later.effect, later.t, later.y, groups=1),
            lambda: uplift.name_kinds([0.1], [0.1], worth=-1),
        ):
            with pytest.raises(InvalidParameter):
                call()


def test_an_arm_of_few_is_not_enough(shop):
    with pytest.raises(NotEnoughData):
        uplift.fit(shop.x[:30], np.arange(30) < 5, shop.y[:30])


@pytest.mark.parametrize("more", [{"learner": "forest"}, {"base": "kernel"}])
def test_an_unknown_learner_is_refused(shop, more):
    with pytest.raises(InvalidParameter, match="there is no learner"):
        uplift.fit(shop.x, shop.t, shop.y, **more)


def test_rows_are_judged_by_models_that_did_not_see_them():
    seen, honest = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = pd.DataFrame(rng.normal(size=(400, 12)))
        t, y = rng.integers(2, size=400), rng.integers(2, size=400)  # nothing is there …
        seen.append(uplift.qini(uplift.fit(x, t, y, learner="t").predict(x), t, y).value)
        honest.append(uplift.qini(uplift.crossfit(x, t, y, learner="t"), t, y).value)
    assert min(seen) > 0.05  # … but to be learned by heart
    assert abs(np.mean(honest)) < 3 * np.std(honest) / 6**0.5


@pytest.mark.shared_data
@pytest.mark.skipif(not HILLSTROM.is_file(), reason="the data are not there (ZHIYIN_SHARED)")
def test_hillstrom_customers_differ_in_what_an_e_mail_changes():
    rows = pd.read_csv(HILLSTROM)
    rows = rows[rows["segment"] != "Mens E-Mail"].reset_index(drop=True)
    t = (rows["segment"] == "Womens E-Mail").to_numpy()
    x = rows[["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]]
    y, learn = rows["visit"].to_numpy(), np.random.default_rng(0).permutation(len(t)) < len(t) // 2
    model = uplift.fit(x[learn], t[learn], y[learn], learner="s")
    assert uplift.qini(model.predict(x[~learn]), t[~learn], y[~learn]).low > 0.03

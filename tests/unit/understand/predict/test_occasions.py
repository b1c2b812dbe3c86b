from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.rng import Streams
from zhiyin.understand.predict import contest, quality
from zhiyin.understand.predict.linear import Logistic
from zhiyin.understand.predict.occasions import OccasionColumns, find_shared
from zhiyin.understand.predict.scaling import logit, sigmoid
from zhiyin.understand.predict.table import Parsed, fit_reader

DAYS = 150


def calls(n: int = 4500) -> pd.DataFrame:
    """Calls on days of very different length; whoever was called on a long day said no."""
    rng = np.random.default_rng(3)
    day = rng.choice(DAYS, size=n, p=rng.dirichlet(np.full(DAYS, 0.7)))
    calls_of_day = np.bincount(day, minlength=DAYS)[day]
    return pd.DataFrame({
        "age": rng.integers(20, 60, n),
        "rate": rng.permutation(DAYS)[day] / 10,
        "month": [f"m{d // 25}" for d in day],
        "weather": rng.choice(["sun", "rain", "snow"], DAYS)[day],
        "job": rng.choice(["clerk", "cook", "nurse"], n),
        "yes": rng.uniform(size=n) < sigmoid(1 - calls_of_day / 20),
    })  # fmt: skip


def parse(frame: pd.DataFrame) -> Parsed:
    return fit_reader(frame).read(frame)


def shared(frame: pd.DataFrame) -> tuple[int, ...]:
    return find_shared(parse(frame), rng=np.random.default_rng(0))


def test_columns_of_the_day_are_found_among_those_of_customers():
    assert shared(calls().drop(columns="yes")) == (1, 2, 3)


def test_columns_that_know_nothing_of_each_other_share_nothing():
    rng = np.random.default_rng(5)
    mixed = calls().drop(columns="yes").apply(lambda one: rng.permutation(one.to_numpy()))
    assert shared(mixed) == ()
    assert shared(mixed[[]]) == ()


def test_the_same_thing_said_twice_or_by_everyone_alone_is_no_occasion():
    frame = calls()
    assert shared(frame[["age", "rate", "month"]]) == ()
    few = frame[["age"]].assign(a=frame["weather"], b=frame["weather"], c=frame["weather"])
    assert shared(few) == ()


def test_a_training_row_is_told_of_other_rows_alone():
    codes = np.array([[0], [0], [0], [1]])
    numbers = np.array([[1.0], [2.0], [np.nan], [9.0]])
    parsed, labels = Parsed(numbers, codes, (2,), (False,)), np.array([1, 0, 1, 0])
    columns = OccasionColumns((0,)).fit(parsed, labels, rng=np.random.default_rng(0))
    rows, _, means = columns.transform_training(parsed).T
    assert rows.tolist() == [2, 2, 2, 0]
    # missing counts as the mean of all, 4; five rows of that mean are added
    assert means == pytest.approx([(2 + 4 + 20.25 - 0.25) / 7, 25 / 7, 23 / 7, 4], abs=0.04)
    later = columns.transform(parsed.rows(np.array([0])))
    assert later[0, 0] == 3


def test_an_occasion_never_seen_has_no_rows_and_the_means_of_all():
    frame = calls()
    parsed, labels = parse(frame.drop(columns="yes")), frame["yes"].to_numpy(int)
    columns = OccasionColumns((1, 2, 3)).fit(parsed, labels, rng=np.random.default_rng(0))
    odd = Parsed(parsed.numbers[:1], np.full((1, 4), -1), parsed.levels, parsed.of_numbers)
    made = columns.transform(odd)
    assert made[0, 0] == 0
    assert made[0, 1] == pytest.approx(logit(np.array([labels.mean()]))[0])
    np.testing.assert_allclose(made[0, 2:], columns.mean_)
    assert np.abs(columns.scale(made)).max() <= 4


def test_what_a_day_was_like_makes_predictions_better(monkeypatch):
    only = {"logistic": contest.Contender(partial(Logistic, strength=0.3, prepared=True), True)}
    monkeypatch.setattr(contest, "contenders", lambda: only)
    frame = calls()
    parsed, labels = parse(frame.drop(columns="yes")), frame["yes"].to_numpy(int)
    train, test = np.arange(3500), np.arange(3500, 4500)

    def judged() -> float:
        blend = contest.compete(parsed.rows(train), labels[train], streams=Streams(1))
        return quality.auc(labels[test], blend.predict(parsed.rows(test)))

    with_days = judged()
    monkeypatch.setattr(contest, "find_shared", lambda parsed, *, rng: ())
    assert with_days > judged() + 0.01


def test_columns_of_the_day_are_left_out_where_they_do_not_help():
    frame = calls()
    parsed, rng = parse(frame.drop(columns="yes")), np.random.default_rng(8)
    labels = (rng.uniform(size=len(frame)) < sigmoid((frame["age"].to_numpy() - 40) / 5)).astype(
        int
    )
    streams = Streams(1)
    fold = contest.inner_folds(labels, streams=streams)
    assert contest._useful_shared(parsed, labels, fold, streams=streams) == ()

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.predict.encoding import Rates, SmoothColumns, SplitColumns
from zhiyin.understand.predict.scaling import sigmoid
from zhiyin.understand.predict.table import fit_reader
from zhiyin.understand.predict.target import check_folds, read_target

N = 120
RNG = np.random.default_rng(0)


def reading(values: object):
    return fit_reader(pd.DataFrame({"x": values})).readings[0]


@pytest.mark.parametrize(
    ("values", "kind", "distinct"),
    [
        (RNG.normal(size=N), "number", N),
        ([f" {i % 40}.5 " for i in range(N)], "number", 40),
        (["$1,250.00", "12", " ", "?"] * 30, "number", 2),
        ([True, False] * 60, "number", 2),
        ([True, False, None, True] * 30, "category", 2),
        (pd.array([1, 2, None, 4] * 30, dtype="Int64"), "number", 3),
        ([Decimal("1.5"), Decimal("2.5"), Decimal("3.5")] * 40, "number", 3),
        (["a", "b ", None, "b"] * 30, "category", 2),
        (pd.Categorical(["a", "b", "c", None] * 30), "category", 3),
        ([["a"], ["b"], ["a", "b"], None] * 30, "category", 3),
        (["x", 1, "y", 2.0] * 30, "category", 4),
        (["2024-01-01", "2024-02-03T10:00:00"] * 60, "date", 2),
        (["31/01/2024", "28/02/2024", ""] * 40, "date", 2),
        ([dt.date(2024, 1, 1), dt.date(2024, 5, 1)] * 60, "date", 2),
        (pd.date_range("2024-01-01", periods=N, tz="Asia/Shanghai"), "date", N),
        (pd.period_range("2024-01", periods=N, freq="M"), "date", N),
        (1_600_000_000 + 86_400 * np.arange(N), "date", N),
        (pd.to_timedelta(np.arange(N) % 7, unit="D"), "number", 7),
        (np.arange(N) + 1000, "identifier", N),
        ([f"{i:04d}-ABC" for i in range(N)], "identifier", N),
        ((RNG.lognormal(3, 1, N) * 1e6).astype(int), "number", N),
        (["DE"] * N, "constant", 1),
        ([7.0] * N, "constant", 1),
        ([None] * N, "constant", 0),
        ([7.0, np.inf] * 60, "number", 1),
    ],
    ids=range(25),
)  # fmt: skip
def test_a_column_is_read_by_what_it_holds(values, kind, distinct):
    found = reading(values)
    assert (found.kind, found.distinct) == (kind, distinct)


def test_text_becomes_the_numbers_it_holds_and_blank_is_missing():
    frame = pd.DataFrame({"x": [" 1,250.50 ", "-3", " ", "12%", "1e3", "NA"] * 20})
    numbers = fit_reader(frame).read(frame).numbers[:6, 0]
    np.testing.assert_array_equal(numbers, [1250.5, -3, np.nan, 12, 1000, np.nan])


def test_rows_that_were_not_learned_from_may_hold_anything():
    reader = fit_reader(pd.DataFrame({"x": ["a", "b"] * 30, "y": [1.0, 2.0] * 30}))
    parsed = reader.read(pd.DataFrame({"x": ["c", None, "a"], "y": ["?", "two", "1"]}))
    assert parsed.codes[:, 0].tolist() == [-1, -1, 0]
    np.testing.assert_array_equal(parsed.numbers[:, 0], [np.nan, np.nan, 1])


def test_a_day_above_twelve_says_how_days_are_written():
    frame = pd.DataFrame({"x": ["03/04/2024", "31/01/2024", "2024-03-04"] * 20})
    days = fit_reader(frame).read(frame).numbers[:3, 0]
    assert days.tolist() == [19816, 19753, 19786]
    other = fit_reader(frame).read(frame.iloc[:1])  # alone it would be the fourth of March
    assert other.numbers[0, 0] == 19816


def test_a_column_that_is_empty_in_other_rows_is_missing_there():
    frame = pd.DataFrame({
        "a": pd.array([1_600_000_000, 1_700_000_000] * 20, dtype="Int64"),
        "b": pd.to_datetime(["2024-01-01", "2024-01-02"] * 20),
        "c": ["2024-01-01", "2024-01-02"] * 20,
    })  # fmt: skip
    empty = frame.iloc[:2].copy()
    empty.loc[:, :] = None
    assert np.isnan(fit_reader(frame).read(empty).numbers).all()


def test_a_date_gives_its_day_week_and_month():
    frame = pd.DataFrame({"x": ["2024-03-01", "2024-03-04"] * 30})
    assert fit_reader(frame).read(frame).numbers[1].tolist() == [19786, 63, 3, 0]


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        ([0, 1, 1], "1"),
        ([1, 2, 2], "2"),
        ([-1, 1], "1"),
        ([0.0, 1.0, np.nan], "1.0"),
        ([True, False], "True"),
        (["no", "yes"], "yes"),
        (["N", " Y"], "Y"),
        (["是", "否"], "是"),
        (["not churned", "churned"], "churned"),
        (["stayed", "stayed", "left"], "left"),
        (pd.Categorical(["b", "b", "a"]), "a"),
        (["<=50K", "<=50K", ">50K"], ">50K"),
    ],
    ids=str,
)
def test_the_value_to_predict_is_the_one_a_person_would_name(values, positive):
    read = read_target(pd.DataFrame({"t": values}), "t")
    assert read.positive == positive
    assert read.labels.sum() == sum(str(v).strip() == positive for v in values)


def test_the_value_to_predict_can_be_chosen():
    read = read_target(pd.DataFrame({"t": ["no", "yes", "no"]}), "t", positive="no")
    assert read.labels.tolist() == [1, 0, 1]
    with pytest.raises(InvalidParameter, match="never 'maybe'"):
        read_target(pd.DataFrame({"t": ["no", "yes"]}), "t", positive="maybe")


@pytest.mark.parametrize("folds", [1, 51, 2.5, True, "5"])
def test_folds_out_of_range_are_refused(folds):
    with pytest.raises(InvalidParameter):
        check_folds(np.array([0, 1] * 100), folds)


def test_fewer_positives_than_folds_are_too_few():
    with pytest.raises(NotEnoughData, match="rarer class has 6 rows"):
        check_folds(np.array([1] * 6 + [0] * 94), 10)


def test_a_training_row_is_encoded_without_its_own_label():
    rng = np.random.default_rng(1)
    codes, labels, part = np.arange(100), rng.integers(0, 2, 100), np.arange(100) % 5
    encoded = Rates.encode_training(codes, labels, levels=100, part=part)
    for k in range(5):  # each level occurs once: only the mean of the other parts is left
        others = labels[part != k].mean()
        np.testing.assert_allclose(sigmoid(encoded[part == k]), others)


def test_a_level_never_seen_has_the_mean_rate():
    rates = Rates.fit(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1]), levels=2)
    assert sigmoid(rates.encode(np.array([-1])))[0] == pytest.approx(0.75)
    assert rates.encode(np.array([0]))[0] > rates.encode(np.array([1]))[0]


@pytest.mark.parametrize("maker", [SmoothColumns, SplitColumns])
def test_columns_stay_finite_and_of_one_width_for_odd_rows(maker):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({
        "a": rng.normal(size=200), "b": rng.choice(["x", "y", None], 200),
        "c": rng.choice([f"c{i}" for i in range(60)], 200), "d": rng.integers(0, 3, 200),
    })  # fmt: skip
    reader, labels = fit_reader(frame), rng.integers(0, 2, 200)
    parsed = reader.read(frame)
    columns = maker().fit(parsed, labels, rng=np.random.default_rng(0))
    odd = reader.read(pd.DataFrame({"a": [1e12, None], "b": ["?", "z"], "c": [None, "q"], "d": 9}))
    made = columns.transform(odd)
    assert made.shape[1] == columns.transform_training(parsed).shape[1]
    if maker is SmoothColumns:
        assert np.isfinite(made).all()
        assert np.abs(made).max() < 10

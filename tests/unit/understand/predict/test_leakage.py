from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.understand.predict import check_leakage


def clean(n: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Honest columns, two of them strong, and a target that they explain in part."""
    rng = np.random.default_rng(seed)
    tenure = rng.gamma(2, 15, n).round()
    plan = np.where(rng.uniform(size=n) < 1 / (1 + np.exp(tenure / 20 - 1)), "month", "year")
    spend, visits = rng.normal(60, 20, n).round(2), rng.poisson(4, n)
    margin = 2.0 * (plan == "month") - 0.05 * tenure + 0.03 * (spend - 60) - 0.3 * (visits - 4) - 1
    left = rng.uniform(size=n) < 1 / (1 + np.exp(-margin))
    return pd.DataFrame({
        "customer": [f"C{i:06d}" for i in rng.permutation(n)],
        "tenure": tenure,
        "plan": plan,
        "spend": pd.Series(spend).where(rng.uniform(size=n) > 0.05),
        "visits": visits,
        "since": pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D"),
        "country": "DE",
        "left": np.where(left, "yes", "no"),
    })  # fmt: skip


def planted(name: str) -> pd.Series:
    """A column that knows the outcome of `clean()`."""
    rng = np.random.default_rng(7)
    table = clean()
    left, n = (table["left"] == "yes").to_numpy(), len(table)
    days = pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    return {
        "copy": pd.Series(np.where(left, "gone", "here")),
        "flipped": pd.Series(left ^ (rng.uniform(size=n) < 0.05)),
        "noisy": pd.Series(left + rng.normal(0, 0.4, n)),
        "cancelled_on": pd.Series(days).where(left),
        "why": pd.Series(np.where(left & (rng.uniform(size=n) < 0.5), "price", "none")),
        "survey": pd.Series(rng.normal(size=n)).where(~left),
        "refund": pd.Series(np.where(left, rng.gamma(2, 10, n), 0)),
        "number": pd.Series(np.argsort(np.argsort(left + rng.uniform(size=n)))),
        "ticket": pd.Series([f"{'X' if one else 'A'}-{i:05d}" for i, one in enumerate(left)]),
    }[name]


@pytest.mark.parametrize("seed", range(4))
def test_honest_strong_columns_are_left_alone(seed):
    assert check_leakage(clean(seed=seed), "left") == ()


@pytest.mark.parametrize(
    ("name", "reason", "severity"),
    [
        ("copy", "filled_after", "critical"),
        ("flipped", "dominant", "high"),
        ("noisy", "dominant", "critical"),
        ("cancelled_on", "filled_after", "critical"),
        ("why", "filled_after", "high"),
        ("survey", "filled_after", "critical"),
        ("refund", "filled_after", "critical"),
        ("number", "identifier_order", "critical"),
        ("ticket", "identifier_order", "critical"),
    ],
)
def test_a_planted_leak_is_found_and_nothing_else(name, reason, severity):
    found = check_leakage(clean().assign(**{name: planted(name)}), "left")
    assert [(one.column, one.reason, one.severity) for one in found] == [(name, reason, severity)]
    assert name in found[0].en
    assert name in found[0].zh
    assert found[0].evidence["auc"] > 0.7


def test_several_leaks_do_not_hide_each_other():
    names = ["flipped", "noisy", "cancelled_on", "refund"]
    table = clean().assign(**{name: planted(name) for name in names})
    assert {one.column for one in check_leakage(table, "left")} == set(names)


def call_table(n: int = 4000) -> pd.DataFrame:
    """Calls: those who buy talk longer, which nobody knows before."""
    rng = np.random.default_rng(3)
    age, balance = rng.integers(18, 90, n), rng.lognormal(7, 1, n).round()
    contacted = rng.poisson(1, n)
    margin = 0.9 * contacted + 0.8 * (np.log(balance) - 7) + 0.03 * (age - 50) - 3
    bought = rng.uniform(size=n) < 1 / (1 + np.exp(-margin))
    seconds = rng.lognormal(np.where(bought, 6.3, 5.0), 0.8).round()
    return pd.DataFrame({
        "age": age, "balance": balance, "contacted": contacted, "seconds": seconds, "bought": bought
    })  # fmt: skip


def test_the_length_of_a_call_is_found_by_its_name_or_without():
    found = check_leakage(call_table().rename(columns={"seconds": "duration"}), "bought")
    assert [(one.column, one.reason) for one in found] == [("duration", "dominant")]
    assert "'duration'" in found[0].en
    assert found[0].evidence["auc_together"] > found[0].evidence["auc_others"]
    assert [one.column for one in check_leakage(call_table(), "bought")] == ["seconds"]


def test_the_distance_of_two_dates_is_looked_at():
    rng, table = np.random.default_rng(5), clean()
    left = (table["left"] == "yes").to_numpy()
    gap = np.where(left, rng.integers(1, 40, len(left)), rng.integers(35, 400, len(left)))
    table["last_seen"] = table["since"] + pd.to_timedelta(gap, unit="D")
    assert [(one.column, one.reason) for one in check_leakage(table, "left")] == [
        ("last_seen", "date_after")
    ]


def test_the_order_of_rows_and_columns_does_not_matter_for_what_is_found():
    table = clean().assign(refund=planted("refund"))
    mixed = table.sample(frac=1, random_state=1)[table.columns[::-1]]
    assert [one.column for one in check_leakage(mixed, "left")] == ["refund"]


@pytest.mark.parametrize(
    ("table", "target", "error"),
    [
        (clean(40), "churn", NotFound),
        (clean(40).assign(left="no"), "left", InvalidParameter),
        (clean(4).assign(left=[1, 0, 1, 0]), "left", NotEnoughData),
        (clean(40).iloc[:0], "left", NotEnoughData),
    ],
)
def test_bad_input_gets_a_hint(table, target, error):
    with pytest.raises(error) as caught:
        check_leakage(table, target)
    assert caught.value.hint

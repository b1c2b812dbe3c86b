"""Bought together: numbers of Fisher and of Benjamini and Hochberg, and no finds in noise."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import false_discovery_control, fisher_exact

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.recommend import bought_together
from zhiyin.understand.recommend.together import adjust


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def _lines(rng: np.random.Generator, orders: int, items: int, *, planted: bool) -> pd.DataFrame:
    """Every item in a fifth of the orders by chance; i00 mostly comes with i01, if planted."""
    held = rng.random((orders, items)) < 0.2
    if planted:
        held[:, 1] = np.where(held[:, 0], rng.random(orders) < 0.8, held[:, 1])
    order, item = np.nonzero(held)
    return pd.DataFrame(
        {"order_id": [f"o{n:04}" for n in order], "product_id": [f"i{n:02}" for n in item]}
    )


def test_a_pair_has_the_lift_and_fishers_p_of_its_four_numbers(rng: np.random.Generator) -> None:
    lines = _lines(rng, 400, 6, planted=True)
    orders = lines["order_id"].nunique()
    found = bought_together(lines).to_pandas().set_index(["product_id", "other_id"])
    row = found.loc[("i00", "i01")]
    one, other = (
        set(lines.loc[lines["product_id"] == item, "order_id"]) for item in ("i00", "i01")
    )
    both = len(one & other)
    table = [[both, len(one) - both], [len(other) - both, orders - len(one | other)]]
    assert row["orders_together"] == both
    assert row["support"] == pytest.approx(both / orders)
    assert row["confidence"] == pytest.approx(both / len(one))
    assert row["lift"] == pytest.approx(both * orders / len(one) / len(other))
    assert row["p_value"] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert 1 < row["lift_low"] < row["lift"]
    assert found.loc[("i01", "i00"), "confidence"] == pytest.approx(both / len(other))


def test_only_the_planted_pair_is_found_among_hundreds(rng: np.random.Generator) -> None:
    found = bought_together(_lines(rng, 1500, 30, planted=True), max_q=0.001).to_pylist()
    assert [(row["product_id"], row["other_id"]) for row in found] == [
        ("i00", "i01"),
        ("i01", "i00"),
    ]
    assert bought_together(_lines(rng, 1500, 30, planted=False), max_q=0.001).num_rows == 0


def test_lift_falls_within_its_interval_as_often_as_said(rng: np.random.Generator) -> None:
    above = 0
    for _ in range(200):  # two independent items: the true lift is 1
        held = rng.random((600, 3)) < [0.4, 0.4, 1.1]  # and one that is in every order
        order, item = np.nonzero(held)
        lines = pa.table({"order_id": order.astype(str), "product_id": item.astype(str)})
        found = bought_together(lines, max_q=1.0)
        above += any(low > 1 for low in found["lift_low"].to_pylist())
    assert 0 < above <= 14  # a one-sided 2.5 % of 200 is 5


def test_q_values_are_those_of_scipy_and_untested_pairs_count(rng: np.random.Generator) -> None:
    p = rng.random(50) ** 3
    padded = np.r_[p, np.ones(150)]
    assert adjust(p, tested=200) == pytest.approx(false_discovery_control(padded)[:50])


def test_repeats_in_an_order_count_once_and_gaps_are_left_out(rng: np.random.Generator) -> None:
    lines = _lines(rng, 400, 6, planted=True)
    gaps = pd.DataFrame({"order_id": [None, "o1"], "product_id": ["i00", None]})
    more = pd.concat([lines, lines.sample(frac=0.5, random_state=1), gaps])
    assert bought_together(more).equals(bought_together(lines))


def test_lists_are_short_and_best_first(rng: np.random.Generator) -> None:
    found = bought_together(_lines(rng, 400, 8, planted=True), max_q=1.0, k=2).to_pandas()
    assert found.groupby("product_id")["rank"].max().max() == 2
    for _, mine in found.groupby("product_id"):
        assert mine["lift_low"].is_monotonic_decreasing


def test_nothing_bought_gives_an_empty_table() -> None:
    empty = pa.table({"order_id": pa.array([], pa.string()), "product_id": pa.array([], "string")})
    assert bought_together(empty).num_rows == 0
    single = pa.table({"order_id": ["o1"] * 3, "product_id": ["a", "a", "a"]})
    assert bought_together(single, min_orders=1, min_together=1).num_rows == 0


@pytest.mark.parametrize("wrong", [{"k": 0}, {"min_orders": 0}, {"max_q": 0.0}, {"max_q": 1.5}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    lines = pa.table({"order_id": ["o1"], "product_id": ["a"]})
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        bought_together(lines, **wrong)  # pyright: ignore[reportArgumentType]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidParameter, match="order_id"):
        bought_together(pa.table({"product_id": ["a"]}))

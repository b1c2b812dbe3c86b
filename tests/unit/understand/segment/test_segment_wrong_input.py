"""What a newcomer hands in by mistake is named, with what to do; never an error of a library."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.segment import (
    choose_k,
    find_density,
    fit_kmeans,
    grow_ward,
    measure_movement,
    measure_orders,
    prepare,
    score_quantiles,
    score_thresholds,
    segment,
)

ROWS = np.random.default_rng(3).normal(size=(60, 2))
TABLE = pd.DataFrame(ROWS, columns=["spend", "visits"])
MEASURED = pd.DataFrame({"recency_days": [1, 9], "frequency": [2, 1], "monetary": [5, 3]})
ORDERS = pd.DataFrame({
    "customer_id": ["a"], "ordered_at": ["2024-01-01"], "amount_base_minor": [100]
})  # fmt: skip
NAMES = pd.Series({"ann": "loyal"})
START, END = date(2024, 1, 1), date(2024, 2, 1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: segment(TABLE, k="3"), "k is '3', a text, it must be a whole number .*k=3"),
        (lambda: segment(TABLE, k=2.5), "k is 2.5"),
        (lambda: segment(TABLE, k_max=None), "k_max is None"),
        (lambda: segment(TABLE, seed="x", k=2, method="kmeans"), "seed is 'x', a text"),
        (lambda: segment(TABLE, columns="spend"), "columns is 'spend', a text, not a list"),
        (lambda: segment(TABLE, meanings="spend"), "meanings is 'spend', a text"),
        (lambda: fit_kmeans(ROWS, "3"), "k is '3', a text"),
        (lambda: fit_kmeans(ROWS, 3, tolerance=-1), "tolerance is -1"),
        (lambda: fit_kmeans(ROWS, 3, sample_rows=2.5), "sample_rows is 2.5"),
        (lambda: fit_kmeans([["a", "b"]] * 9, 3), "values holds 'a', a text"),
        (lambda: choose_k(ROWS, k_max="9"), "k_max is '9', a text"),
        (lambda: choose_k(ROWS, resamples=None), "resamples is None"),
        (lambda: find_density(ROWS, eps="1"), "eps is '1', a text"),
        (lambda: find_density(ROWS, min_samples=float("nan")), "min_samples is nan"),
        (lambda: grow_ward(ROWS, sample_rows="all"), "sample_rows is 'all', a text"),
        (lambda: prepare(TABLE, winsorise="1 %"), "winsorise is '1 %', a text"),
        (lambda: prepare(TABLE, columns=3), "columns is 3, not a list"),
        (lambda: score_quantiles(MEASURED, bins="5"), "bins is '5', a text"),
        (lambda: score_thresholds(MEASURED, "auto"), "thresholds is 'auto'.*propose_thresholds"),
        (lambda: measure_orders(ORDERS, as_of="someday"), "as_of is 'someday', a text"),
        (lambda: measure_orders(ORDERS, as_of=END, amount=["a"]), "a column is of type list"),
        (lambda: measure_movement(NAMES, NAMES, start="January", end=END), "start is 'January'"),
        (lambda: measure_movement({"ann": "loyal"}, NAMES, start=START, end=END), "pandas Series"),
        (lambda: measure_movement(NAMES, NAMES, start=START, end=END, names="x"), "names is 'x'"),
    ],
)  # fmt: skip
def test_it_is_named_with_what_to_do(call, match):
    with pytest.raises(InvalidParameter, match=match):
        call()

"""What a newcomer hands in by mistake is named, with what to do; never an error of a library."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.predict import (
    check_data,
    fit_reduction,
    propose_horizon,
    screen_features,
)
from zhiyin.understand.predict.contracts import contract_features, known_contracts

DAY = date(2026, 6, 1)
SHOP = pd.DataFrame({"spend": np.arange(40.0), "left": [0, 1] * 20})
CONTRACTS = pd.DataFrame({
    "customer_id": ["ann", "ben"], "start_on": [date(2026, 1, 1)] * 2,
    "end_on": [None, date(2026, 3, 1)], "cancelled_on": [None, None],
})  # fmt: skip
COUNTS = {"positives": 1, "negatives": 1, "samples": 1, "to_score": 1}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: propose_horizon([1.0] * 60, share="0.9"), "share is '0.9', a text"),
        (lambda: propose_horizon(["a"] * 60), "gaps holds 'a', a text"),
        (lambda: propose_horizon([float("nan")] * 60), "gaps are days between orders"),
        (lambda: propose_horizon(7), "one number a customer"),
        (lambda: check_data(**(COUNTS | {"positives": "37"})), "positives is '37', a text"),
        (lambda: check_data(**COUNTS, min_positives=None), "min_positives is None"),
        (lambda: fit_reduction(SHOP, components="2"), "components is '2', a text"),
        (lambda: fit_reduction(SHOP, variance=None), "variance is None"),
        (lambda: fit_reduction(SHOP.to_dict("list")), "dict, not a pandas DataFrame"),
        (lambda: fit_reduction(SHOP[["spend", "spend"]]), "called 'spend'"),
        (lambda: screen_features(SHOP, "left", most_missing="x"), "most_missing is 'x', a text"),
        (lambda: screen_features(SHOP, "left", earlier=[1]), "list, not a pandas DataFrame"),
        (lambda: known_contracts("contracts.csv", as_of=DAY), "'contracts.csv', a text"),
        (lambda: known_contracts(CONTRACTS[["customer_id"]], as_of=DAY), "no column 'start_on'"),
        (lambda: known_contracts(CONTRACTS.assign(start_on="soon"), as_of=DAY), "start_on .*no d"),
        (lambda: contract_features(CONTRACTS, days=["soon"]), "'soon', is no day"),
    ],
)  # fmt: skip
def test_it_is_named_with_what_to_do(call, match):
    with pytest.raises(InvalidParameter, match=match) as error:
        call()
    assert error.value.hint or "between 0 and 1" in error.value.message


def test_contracts_may_be_of_pandas():
    assert known_contracts(CONTRACTS, as_of=DAY)["end_on"].to_pylist() == [None, date(2026, 3, 1)]
    assert contract_features(CONTRACTS, days=[DAY])["customer_id"].tolist() == ["ann"]

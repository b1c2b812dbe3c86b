"""What is no number is refused in words, whatever the caller's mistake was."""

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.arguments import check_number, check_numbers, check_whole
from zhiyin.core.errors import InvalidParameter

NAN = float("nan")


def refused(check, *args, **more):
    with pytest.raises(InvalidParameter) as error:
        check("k", *args, **more)
    return str(error.value)


@pytest.mark.parametrize("value", ["3", None, 2.5, True, [], NAN, np.True_, np.float64(3)])
def test_a_whole_number_is_one(value):
    assert "must be a whole number" in refused(check_whole, value)


def test_a_whole_number_is_taken_from_numpy_too_and_is_within_bounds():
    assert check_whole("k", np.int16(3), least=1, most=3) == 3
    assert "at least 1" in refused(check_whole, 0, least=1)
    assert "at most 3" in refused(check_whole, 4, most=3)
    assert "say k=3" in refused(check_whole, "3", least=1), "the hint shows what to write"


@pytest.mark.parametrize("value", ["3", None, True, [], NAN, float("inf"), 1j])
def test_a_number_is_one(value):
    assert "must be a number" in refused(check_number, value)


@pytest.mark.parametrize(
    "values", ["3", None, ["a"], [1, None], [1, "2"], [[1], [2, 3]], {"a": 1}, [pd.Timestamp(0)]]
)
def test_numbers_are_numbers(values):
    assert "pandas.to_numeric" in refused(check_numbers, values)


@pytest.mark.parametrize(
    "values", [[1, 2], pd.Series([1, 2], dtype=object), np.array([1, 2], np.int8), (1.0, 2)]
)
def test_numbers_of_any_kind_become_floats(values):
    made = check_numbers("k", values)
    assert (made.dtype, made.tolist()) == (np.float64, [1.0, 2.0])

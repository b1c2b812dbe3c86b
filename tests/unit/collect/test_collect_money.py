from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.collect import money


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("12.34", "point", "12.34"),
        ("1,234.50", "point", "1234.50"),
        ("1.234,50", "comma", "1234.50"),
        ("0,5", "comma", "0.5"),
        ("¥1,234", "point", "1234"),
        ("-$5.00", "point", "-5.00"),
        ("(12.00)", "point", "-12.00"),
        ("99元", "point", "99"),
        ("1e3", "point", "1000"),
    ],
)
def test_numbers_are_read_as_people_write_them(text, mark, value):
    assert money.parse_decimal(text, mark=mark) == Decimal(value)


@pytest.mark.parametrize("text", ["abc", "1,23", "12,34.5", "NaN", "inf", "1.2.3", "--1", "1e30"])
def test_what_is_no_number_is_none(text):
    assert money.parse_decimal(text) is None


@pytest.mark.parametrize(
    ("value", "exponent", "minor"),
    [("0.005", 2, 0), ("0.015", 2, 2), ("-0.025", 2, -2), ("1.5", 0, 2), ("2.5", 0, 2),
     ("1.2345", 3, 1234), ("1.2355", 3, 1236)],
)  # fmt: skip
def test_halves_go_to_the_even_neighbour(value, exponent, minor):
    assert money.to_minor(Decimal(value), exponent) == minor


def test_floats_mean_their_shortest_decimal():
    read = money.numbers(column([1.005, 0.1, float("nan"), None]))
    minor, right = money.minor_units(read, np.full(4, 2))
    assert minor.tolist() == [100, 10, 0, 0]  # 1.005 is a tie in decimals, not below one
    assert right.tolist() == [True, True, False, False]
    assert read.empty.tolist() == [False, False, True, True]


def test_yen_has_no_minor_unit_and_dinar_three_digits():
    read = money.numbers(column(["100", "100", "100"]))
    minor, _ = money.minor_units(read, np.array([0, 2, 3]))
    assert minor.tolist() == [100, 10_000, 100_000]


def test_products_are_rounded_once_after_multiplying():
    made = money.multiply(money.numbers(column([3, 100])), money.numbers(column([0.335, 0.001])))
    assert money.minor_units(made, np.full(2, 2))[0].tolist() == [100, 10]


def test_too_large_amounts_are_not_right():
    minor, right = money.minor_units(money.numbers(column(["99999999999999"])), np.array([2]))
    assert (minor.tolist(), right.tolist()) == ([0], [False])


def test_the_last_rate_on_or_before_the_day_holds():
    rates = money.make_rates(
        "USD", [("EUR", date(2026, 1, 10), "1.20"), ("EUR", date(2026, 1, 1), "1.10")]
    )
    assert rates.on("EUR", date(2025, 12, 31)) is None
    assert rates.on("EUR", date(2026, 1, 9)) == Decimal("1.10")
    assert rates.on("EUR", date(2026, 1, 10)) == Decimal("1.20")
    assert rates.on("USD", date(1999, 1, 1)) == 1


def test_conversion_minds_both_exponents():
    assert money.convert(1000, Decimal("0.0067"), exponent=0, base_exponent=2) == 670  # ¥1000
    assert money.convert(12345, Decimal("3.25"), exponent=3, base_exponent=2) == 4012  # tie: even

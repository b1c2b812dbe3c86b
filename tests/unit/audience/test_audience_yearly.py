"""Yearly dates: 29 February, the lunar calendar, and whose calendar counts."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from zhiyin.audience import lunar
from zhiyin.audience.moment import moment_of
from zhiyin.audience.rule import Yearly
from zhiyin.audience.yearly import celebrated, own_day, zones_by_day


@pytest.mark.parametrize(
    ("day", "leap_day", "held"),
    [
        (date(2023, 2, 28), "02-28", True),
        (date(2023, 3, 1), "02-28", False),
        (date(2023, 3, 1), "03-01", True),
        (date(2023, 2, 28), "03-01", False),
        (date(2024, 2, 29), "02-28", True),
        (date(2024, 2, 28), "02-28", False),
        (date(2024, 3, 1), "03-01", False),
        (date(1900, 2, 28), "02-28", True),
    ],
)
def test_29_february_is_celebrated_by_the_rule_in_other_years(day, leap_day, held):
    rule = Yearly("birthday", leap_day=leap_day)
    assert celebrated(rule, day).holds("1988-02-29") is held
    assert celebrated(rule, day).holds("02-29") is held


def test_in_n_days_looks_over_the_end_of_the_year():
    rule = Yearly("birthday", from_days=2, to_days=4)
    texts = ("12-31", "01-01", "01-02", "01-03", "01-04")
    held = celebrated(rule, date(2023, 12, 30))
    assert [held.holds(text) for text in texts] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(1900, 1, 31), lunar.LunarDay(1900, 1, 1)),
        (date(2024, 2, 10), lunar.LunarDay(2024, 1, 1)),
        (date(2024, 9, 17), lunar.LunarDay(2024, 8, 15)),
        (date(2023, 3, 22), lunar.LunarDay(2023, 2, 1, leap=True)),
        (date(2033, 12, 22), lunar.LunarDay(2033, 11, 1, leap=True)),
        (date(2034, 2, 19), lunar.LunarDay(2034, 1, 1)),
        (date(2101, 1, 28), lunar.LunarDay(2100, 12, 29)),
        (date(1900, 1, 30), None),
        (date(2101, 1, 29), None),
    ],
)
def test_lunar_days_are_those_of_the_almanac(day, found):
    """Days of the Hong Kong Observatory's tables, the odd leap month of 2033 among them."""
    assert lunar.to_lunar(day) == found


def test_lunar_dates_are_celebrated_by_month_and_day():
    rule = Yearly("birthday", calendar="lunar")
    moon = celebrated(rule, date(2024, 9, 17))  # 15th of the 8th month
    assert moon.holds("1990-10-03")  # the same lunar day
    assert moon.holds("08-15")
    assert not moon.holds("1990-09-17")


def test_born_in_a_leap_month_celebrates_in_the_month_of_that_number():
    rule = Yearly("birthday", calendar="lunar")
    born = "2023-03-22"  # 1st of the leap 2nd month
    assert celebrated(rule, date(2024, 3, 10)).holds(born)
    assert not celebrated(rule, date(2023, 3, 22)).holds("02-01")


def test_the_30th_is_celebrated_on_the_29th_of_a_short_month():
    rule = Yearly("birthday", calendar="lunar")
    eve = date(2025, 1, 28)  # the 12th month of 2024 has 29 days
    assert lunar.to_lunar(eve) == lunar.LunarDay(2024, 12, 29)
    assert celebrated(rule, eve).holds("12-30")
    assert celebrated(rule, eve).holds("12-29")
    assert celebrated(rule, date(2024, 2, 9)).holds("12-30")  # the year before has a 30th
    assert not celebrated(rule, date(2024, 2, 8)).holds("12-30")


def test_the_customers_own_calendar_counts():
    run = moment_of(date(2024, 5, 10), zone="Asia/Shanghai")  # 09:00 there
    assert own_day(run, "America/New_York") == date(2024, 5, 9)
    assert own_day(run, "Pacific/Kiritimati") == date(2024, 5, 10)
    assert own_day(run, "No/Where") == own_day(run, None) == date(2024, 5, 10)
    assert "America/New_York" in zones_by_day(run)[date(2024, 5, 9)]
    late = moment_of(datetime(2024, 5, 10, 14, tzinfo=UTC), zone="Asia/Shanghai")
    assert own_day(late, "Pacific/Kiritimati") == date(2024, 5, 11)

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.collect.fakes import naive
from zhiyin.collect.times import local_days, months, parse_days, parse_times


def read(values, *, zone="Europe/London", formats=(), kind=None):
    moments, given = parse_times(
        pa.chunked_array([pa.array(values, kind)]), zone=zone, formats=formats
    )
    return [None if np.isnat(m) else m.item() for m in moments], given.tolist()


def test_local_times_become_utc_in_summer_and_winter():
    made, _ = read(["7/1/11 9:30", "12/1/10 8:26"], formats=("%m/%d/%y %H:%M",))
    assert made == [naive(2011, 7, 1, 8, 30), naive(2010, 12, 1, 8, 26)]


def test_iso_with_and_without_offset_may_be_mixed():
    made, _ = read(["2026-01-05T10:00:00+08:00", "2026-07-05 10:00", "2026-07-05", "2026-01-05Z"])
    assert made[:3] == [
        naive(2026, 1, 5, 2), naive(2026, 7, 5, 9), naive(2026, 7, 4, 23),
    ]  # fmt: skip


def test_wrong_texts_are_given_but_have_no_time():
    made, given = read(["31/31/2020", "", None, "  "])
    assert (made, given) == ([None] * 4, [True, False, False, False])


def test_the_hour_that_comes_twice_is_its_first_and_the_gap_moves_forward():
    made, _ = read(["2026-10-25 01:30", "2026-03-29 01:30"])
    assert made == [naive(2026, 10, 25, 0, 30), naive(2026, 3, 29, 1, 0)]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("s")])
def test_typed_times_are_local_too(kind):
    made, _ = read([naive(2026, 7, 1, 9)], kind=kind)
    assert made == [naive(2026, 7, 1, 8)]


def test_typed_times_with_a_zone_keep_their_moment():
    made, _ = read([naive(2026, 7, 1, 9)], kind=pa.timestamp("us", "UTC"), zone="Asia/Shanghai")
    assert made == [naive(2026, 7, 1, 9)]


def test_days_are_taken_as_written():
    days, _ = parse_days(
        pa.chunked_array([["2026-07-05", "20260705"]]), formats=("%Y-%m-%d", "%Y%m%d")
    )
    assert days.tolist() == [date(2026, 7, 5)] * 2


def test_local_day_and_month():
    moments = np.array(["2018-01-01T04:01:20"], "datetime64[us]")
    assert local_days(moments, "America/New_York").tolist() == [date(2017, 12, 31)]
    assert months(moments).to_pylist() == ["2018-01"]


def test_numbers_are_no_times():
    assert read([5], kind=pa.int64()) == ([None], [True])

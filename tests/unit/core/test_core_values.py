"""Clock, chance, registry and extras."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime

import pytest

from zhiyin.core.clock import naive_utc, run_moment, start_of_day
from zhiyin.core.errors import InvalidParameter, MissingExtra, NotFound
from zhiyin.core.extras import lightgbm_or_none, load_extra
from zhiyin.core.registry import Registry
from zhiyin.core.rng import Streams


@pytest.mark.parametrize(
    ("day", "zone", "said"),
    [("2025-03-01", "UTC", "no date"), (date(2025, 3, 1), "Mars", "no time zone 'Mars'")],
)
def test_a_day_as_text_and_an_unknown_zone_are_refused(day, zone, said):
    with pytest.raises(InvalidParameter, match=said):
        start_of_day(day, zone)


def test_a_local_day_starts_at_local_midnight_also_in_summer():
    assert start_of_day(date(2017, 10, 30), "America/New_York") == datetime(
        2017, 10, 30, 4, tzinfo=UTC
    )
    assert start_of_day(date(2017, 12, 1), "America/New_York") == datetime(
        2017, 12, 1, 5, tzinfo=UTC
    )


def test_a_run_happens_at_nine_local():
    assert run_moment(date(2026, 1, 1), "Asia/Shanghai") == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_naive_utc_drops_the_zone_not_the_moment():
    shanghai = datetime.fromisoformat("2026-01-01T09:00:00+08:00")
    assert naive_utc(shanghai) == datetime(2026, 1, 1, 1)


def test_streams_do_not_depend_on_what_was_drawn_before():
    one, other = Streams(7), Streams(7)
    one.generator("a").random(5)
    assert one.generator("b").random() == other.generator("b").random()
    assert one.generator("a").random() != one.generator("b").random()
    assert Streams(8).generator("a").random() != one.generator("a").random()


def test_an_unknown_part_lists_the_known_ones():
    registry = Registry("policy", {"rules": "zhiyin.core.rng:Streams"})
    assert registry.load("rules") is Streams
    with pytest.raises(NotFound, match="no policy is called 'rule'") as caught:
        registry.load("rule")
    assert "rules" in caught.value.hint


def test_lightgbm_is_no_candidate_where_the_system_lacks_its_library(tmp_path, monkeypatch):
    code = "raise OSError('libgomp.so.1: cannot open shared object file')"
    (tmp_path / "lightgbm.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    assert lightgbm_or_none() is None


def test_a_missing_extra_says_what_to_install():
    with pytest.raises(MissingExtra) as caught:
        load_extra("no_such_module_here", "spark")
    assert 'pip install "zhiyin[spark]"' in caught.value.hint

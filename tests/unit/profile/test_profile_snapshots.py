from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from zhiyin.core.errors import NotFound
from zhiyin.profile.local_time import offset_changes
from zhiyin.profile.snapshots import plan_snapshots

FIRST = date(2017, 1, 1)
DAY = date(2017, 10, 30)


def row(name: str, start: date, days: int = 20) -> dict[str, object]:
    return {"campaign_id": name, "start_on": start, "end_on": start + timedelta(days=days)}


def plan(campaigns, **changes):
    arguments = {
        "as_of": DAY, "first_day": FIRST, "chosen": "", "history_campaigns": 40,
        "purchase_snapshots": 3, "horizon_days": 90,
    }  # fmt: skip
    return plan_snapshots(campaigns, **(arguments | changes))


def test_a_campaign_without_enough_history_before_it_is_dropped_and_named():
    made = plan([row("early", date(2017, 1, 21)), row("late", date(2017, 1, 22)), row("now", DAY)])
    assert made.dropped == ("early",)
    assert made.campaigns == {date(2017, 1, 22): ("late",), DAY: ("now",)}


def test_a_campaign_that_still_runs_is_not_learned_from():
    made = plan([row("running", DAY - timedelta(days=20)), row("now", DAY)])
    assert set(made.days) == made.whole


def test_only_the_latest_campaigns_are_kept():
    past = [row(f"c{k}", date(2017, 3, 1) + timedelta(days=k)) for k in range(5)]
    made = plan([*past, row("now", DAY)], history_campaigns=2)
    assert sorted(set(made.days) - made.whole) == [date(2017, 3, 4), date(2017, 3, 5)]


def test_the_smallest_campaigns_up_to_a_twentieth_of_all_recipients_get_no_day():
    past = [row(f"c{k}", date(2017, 3, 1) + timedelta(days=k)) for k in range(4)]
    made = plan([*past, row("now", DAY)], recipients={"c0": 500, "c1": 40, "c2": 20, "c3": 460})
    assert made.small == ("c2",)
    assert date(2017, 3, 3) not in made.days


@pytest.mark.parametrize("campaigns", [[], [row("now", DAY)]])
def test_past_days_are_a_horizon_apart_and_hold_everyone(campaigns):
    made = plan(campaigns)
    assert made.days == (date(2017, 2, 2), date(2017, 5, 3), date(2017, 8, 1), DAY)
    assert made.whole == frozenset(made.days)


def test_past_days_before_the_shops_history_are_left_out():
    assert plan([], first_day=date(2017, 6, 1)).days == (date(2017, 8, 1), DAY)
    assert plan([], first_day=None).days == (DAY,)


def test_an_unknown_campaign_is_an_error_with_its_name():
    with pytest.raises(NotFound, match="c9"):
        plan([], chosen="c9")


def test_offset_changes_are_found_to_the_second():
    changes = offset_changes("America/New_York", first=date(2017, 1, 1), last=date(2017, 12, 31))
    assert changes[1:] == [
        (datetime(2017, 3, 12, 7), -4 * 3600),
        (datetime(2017, 11, 5, 6), -5 * 3600),
    ]
    assert offset_changes("Asia/Shanghai", first=FIRST, last=DAY)[0][1] == 8 * 3600

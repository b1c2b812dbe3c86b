"""What the last turns caused starts the next: redeemed money counts as far as it was caused."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta

import pytest

from zhiyin.core import columns as c
from zhiyin.decide import job, reasons
from zhiyin.decide.caused import MeasuredShare, find_share

EARLIER = date(2026, 3, 2)


def share(campaign: str, value: float, error: float, redeemed: float = 1000.0) -> MeasuredShare:
    return MeasuredShare(campaign, value * redeemed, error * redeemed, redeemed)


def test_without_results_all_counts():
    assert find_share("s:k", []).value == 1.0
    assert find_share("s:k", [share("s:1", 0.2, 0.1, redeemed=0.0)]).value == 1.0


def test_the_share_moves_from_one_as_far_as_it_is_precise():
    values = [find_share("s:k", [share("s:1", 0.2, one)]).value for one in (0.01, 0.5, 5.0, 1e9)]
    assert values[0] == pytest.approx(0.2, abs=0.001)
    assert values[1] == pytest.approx(0.6)  # as much doubt before as after
    assert values == sorted(values)
    assert values[3] == pytest.approx(1.0)
    assert find_share("s:k", [share("s:1", -3.0, 0.01)]).value == 0.0


def test_a_campaigns_own_share_counts_before_that_of_others():
    seen = [share("s:1", 0.2, 0.02), share("s:2", 0.3, 0.02)]
    shop = find_share("s:k", seen)
    assert (shop.measured, shop.campaigns) == (pytest.approx(0.25), 2)
    own = find_share("s:k", [*seen, share("s:k", 0.9, 0.02)])
    assert own.value == pytest.approx(0.9, abs=0.01)
    assert 0.25 < find_share("s:k", [*seen, share("s:k", 0.9, 0.25)]).value < 0.9


@pytest.fixture
def campaign(shop):
    """Ten recipients p_0 … p_9 with probability 0.05 … 0.95: from p_1 on a contact pays."""
    people = [f"p_{n}" for n in range(10)]
    for one in people:
        shop.add_customer(one)
    shop.add_campaign()
    shop.plan(*people)
    shop.score({one: 0.05 + n / 10 for n, one in enumerate(people)})
    return shop


def _measured(shop, value: float | None, error: float, **changes) -> None:
    """What a turn of March wrote of the campaign s:1, over on 1 April."""
    shop.add("results", {
        c.AS_OF_ON: EARLIER, c.MEASURED_UNTIL_ON: date(2026, 4, 1), c.KIND: "increment",
        c.SUBJECT: "s:1", c.METRIC: "caused_share", c.VALUE: value, c.N: 900, c.STATUS: "ok",
        c.LOW: None if value is None else value - 1.959963984540054 * error,
        c.HIGH: None if value is None else value + 1.959963984540054 * error,
        c.BODY: json.dumps({"redeemed_minor": 50_000}), **changes,
    })  # fmt: skip


def _run(shop, **decide) -> dict:
    context = shop.context(**decide)
    return job.run(context, context.settings.decide).figures["campaigns"]["s:k"]


def test_after_a_campaign_that_caused_little_fewer_are_contacted_and_are_told_why(campaign):
    before = _run(campaign)
    _measured(campaign, 0.1, 0.01)
    after, rows = _run(campaign), campaign.decisions()
    assert before["caused"] == {"value": 1.0, "measured": None, "campaigns": 0}
    assert (before["treat"], after["treat"]) == (9, 5)
    counted = after["caused"]["value"]
    assert counted == pytest.approx(0.1, abs=0.005)
    assert rows["p_9"][c.EXPECTED_PROFIT_MINOR] == pytest.approx(0.95 * 1000 * counted - 50)
    assert rows["p_3"][c.REASON] == reasons.NO_CAUSED
    assert rows["p_0"][c.REASON] == reasons.NO_PROFIT  # she would not pay if all were caused
    assert after["steps"][-1]["left"] == 5


def test_a_campaign_that_caused_nothing_leaves_only_those_drawn_to_learn(campaign):
    _measured(campaign, 0.0, 0.01)
    figures = _run(campaign, explore_share=0.2)
    assert (figures["treat"], figures["explored"]) == (2, 2)


def test_a_setting_counts_all_as_before(campaign):
    plain = _run(campaign)
    _measured(campaign, 0.1, 0.01)
    assert _run(campaign, count_caused=False) == plain


@pytest.mark.parametrize(
    "changes",
    [
        {c.MEASURED_UNTIL_ON: date(2026, 5, 5)},  # later than the day of the turn
        {c.AS_OF_ON: date(2026, 5, 4)},
        {c.STATUS: "holdout_not_kept"},
        {c.STATUS: "window_open"},
        {c.KIND: "observed"},
        {c.LOW: None, c.HIGH: None},
    ],
    ids=["future", "same_turn", "not_kept", "open", "no_lot", "no_interval"],
)
def test_what_is_not_known_by_then_or_not_by_lot_changes_nothing(campaign, changes):
    plain = _run(campaign)
    _measured(campaign, 0.1, 0.01, **changes)
    assert _run(campaign) == plain


def test_the_newest_measurement_of_a_campaign_counts(campaign):
    _measured(campaign, 0.1, 0.01)
    _measured(campaign, 0.8, 0.01, **{c.AS_OF_ON: EARLIER + timedelta(days=7)})
    caused = _run(campaign)["caused"]
    assert caused["campaigns"] == 1
    assert math.isclose(caused["value"], 0.8, abs_tol=0.01)

"""The sentences: they say what the numbers say, and take back what they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_samples as samples

from zhiyin.measure.report import takeaways
from zhiyin.measure.report.data import Count, Curve, Load, MessagesPart
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.summary import LABEL, WIDTH, _wrap, summary_text
from zhiyin.measure.report.words import Words

T, F = Words("en"), Format("en", "USD")


def test_gains_prefer_the_measured_number_to_the_curve():
    said, more = takeaways.gains(samples.make_measured(), 0.3, T, F)
    assert said == "Writing to the best 30% reaches 78% of those who redeem."
    assert more == "Ranking by RFM would reach 53%."


def test_gains_admit_that_rfm_is_better():
    better = (samples.gains_curve("model", 2.0), samples.gains_curve("rfm", 9.0))
    _, more = takeaways.gains(replace(samples.make_measured(), gains=better), 0.3, T, F)
    assert "the model adds nothing here" in more


def test_purchases_are_not_called_redemptions():
    said, _ = takeaways.gains(replace(samples.make_measured(), task="next_purchase"), 0.3, T, F)
    assert said.endswith("of those who buy.")


def test_running_month_is_never_the_best():
    data = samples.full_report()
    months = (*data.data.months[:-1], replace(data.data.months[-1], net_minor=10**12))
    said, more = takeaways.months(replace(data, data=replace(data.data, months=months)), T, F)
    assert said.startswith("Jul 2017")
    assert "pale column" in more


def test_rows_that_do_not_add_up_are_called_out():
    part = replace(samples.full_report().data, loads=(Load("orders", 100, 90, 7),))
    assert "differ by 3" in takeaways.reconciled(part, T, F)


@pytest.mark.parametrize(("floor", "said"), [(0.03, "means what it says"), (0.01, "off by 2.4%")])
def test_calibration_is_judged_by_its_noise_floor(floor, said):
    measured = samples.make_measured()
    metrics = tuple(
        replace(m, high=floor) if m.metric == "ece_floor" else m for m in measured.metrics
    )
    assert said in takeaways.calibration(replace(measured, metrics=metrics), T, F)


def test_depth_names_the_best_share_or_says_there_is_none():
    loss = (Curve("model", (0.0, 0.5, 1.0), (0.0, -5.0, -9.0)),)
    rise = (Curve("model", (0.0, 0.5, 1.0), (0.0, 5.0, 9.0)),)
    measured = samples.make_measured()
    assert "Contacting" in takeaways.depth(measured, T, F)
    assert "At no depth" in takeaways.depth(replace(measured, profit_by_depth=loss), T, F)
    assert "all the way" in takeaways.depth(replace(measured, profit_by_depth=rise), T, F)


def test_cost_finds_where_choosing_begins_to_pay():
    said = takeaways.cost(samples.make_measured(), T, F)  # 206000 - 339 x = 260000 - 1133 x
    assert "above $0.68 each" in said


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"sent": 3}, "All 3 messages were sent"),
        ({"planned": 3}, "needs a configured channel and a person's approval"),
        ({"sent": 2, "unknown": 1}, "1 are in doubt"),
        ({"skipped": 2, "failed": 1}, "0 sent, 1 failed, 2 skipped"),
    ],
)
def test_messages_say_what_became_of_them(states, said):
    part = MessagesPart(tuple(Count(state, n) for state, n in states.items()))
    assert said in takeaways.messages(part, T, F)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "make",
    [samples.full_report, samples.empty_report, samples.orders_report, samples.unmeasured_report],
)
def test_text_report_fits_a_terminal(make, language):
    text = summary_text(make(), language)
    lines = text.splitlines()
    assert 8 <= len(lines) <= 55
    for line in lines:
        cells = sum(1 + (ord(char) > 0x2E7F) for char in line)
        assert cells <= WIDTH + 2
    assert all(line.startswith(" " * LABEL) or line[0] != " " for line in lines)


def test_a_ranking_is_not_read_where_all_are_contacted():
    text = summary_text(replace(samples.full_report(), max_share=1.0), "en")
    assert "Writing to the best 30% reaches" in text


@pytest.mark.parametrize("before", range(30, 45))
def test_a_number_is_not_broken_between_lines(before):
    lines = _wrap("客" * before + " 1,268 · 12.5%，流失")
    assert any("1,268" in line for line in lines)
    assert any("12.5%" in line for line in lines)
    assert not any(line.startswith((" ", "，")) for line in lines)


def test_text_report_calls_profit_an_upper_bound():
    text = summary_text(samples.full_report(), "en")
    assert "profit if every redemption were caused (upper bound)" in text
    assert "$1,889" in text

"""Media mix: planted truth is found again, and what cannot be told is said."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.values import Estimate
from zhiyin.measure import mix
from zhiyin.measure.mix.holidays import share_of_days
from zhiyin.measure.mix.shapes import adstock, make_grid, respond, saturate

WEEKS = 130
CHANNELS = ["search", "video", "radio"]


def make_table(*, weeks: int = WEEKS, noise: float = 1.5) -> tuple[pd.DataFrame, np.ndarray, dict]:
    """Spend and revenue of 100 a week without media; what each channel brought."""
    rng = np.random.default_rng(5)
    index = pd.date_range("2022-01-03", periods=weeks, freq="7D")
    spend = pd.DataFrame(rng.gamma(2, 5, (weeks, 3)), columns=CHANNELS, index=index)
    spend["radio"] *= rng.random(weeks) < 0.4
    worth = {"search": (0.0, 20.0), "video": (0.6, 30.0), "radio": (0.3, 10.0)}
    brought = {}
    for name, (kept, most) in worth.items():
        level = adstock(spend[name].to_numpy(), kept)
        brought[name] = most * saturate(level, np.float64(10), np.float64(1.2))
    year = 8 * np.sin(2 * np.pi * np.arange(weeks) / 52.18)
    revenue = 100 + year + sum(brought.values()) + noise * rng.standard_normal(weeks)
    return spend, revenue, brought


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def found(table):
    spend, revenue, _ = table
    return mix.fit(spend, revenue, holidays={})


def test_planted_contributions_lie_within_their_intervals(table, found):
    _, _, brought = table
    assert found.status == "ok"
    assert found.mixing < 1.1
    for name in CHANNELS:
        told, true = found.total(name), float(brought[name].sum())
        assert told.low < true < told.high, name
        assert told.value == pytest.approx(true, rel=0.35), name
        assert told.high - told.low < 1.5 * true, name  # an interval that says something
    together = sum(float(one.sum()) for one in brought.values())
    assert found.total().value == pytest.approx(together, rel=0.15)


def test_contributions_by_week_follow_the_spend_of_the_week(table, found):
    _, _, brought = table
    rows = found.contributions()
    assert len(rows) == WEEKS * 3
    assert (rows["low"] <= rows["value"]).all()
    video = rows[rows["channel"] == "video"]["value"].to_numpy()
    assert np.corrcoef(video, brought["video"])[0, 1] > 0.95


def test_curves_rise_ever_less_and_start_at_nothing(table, found):
    spend, _, _ = table
    curve = found.curve("search", [0, 5, 10, 20, 40])
    assert curve["value"][0] == 0
    assert (np.diff(curve["value"]) > 0).all()
    roi = found.roi("search")
    assert roi.value == pytest.approx(found.total("search").value / spend["search"].sum())
    assert 0 < found.marginal_roi("search", spend=40).value < found.marginal_roi("search").value


def test_same_seed_gives_the_same_fit_and_money_may_be_in_cents(table, found):
    spend, revenue, _ = table
    cents = mix.fit(spend * 100, revenue * 100, holidays={})
    assert cents.total("video").value == pytest.approx(100 * found.total("video").value)
    assert cents.roi("video").value == pytest.approx(found.roi("video").value)


def test_an_experiment_narrows_its_channel(table, found):
    spend, revenue, brought = table
    weeks = spend.index[20:28]
    true = float(brought["search"][20:28].sum())  # nothing of it is carried over
    effect = Estimate(true, true * 0.9, true * 1.1, 1000)
    known = mix.Experiment("search", weeks[0].date(), weeks[-1].date(), effect)
    told = mix.fit(spend, revenue, holidays={}, experiments=[known]).total("search")
    before = found.total("search")
    assert told.high - told.low < 0.7 * (before.high - before.low)
    assert told.low < float(brought["search"].sum()) < told.high


def test_channels_that_cannot_be_told_are_named_and_what_can_be_is_told(table):
    spend, revenue, brought = table
    spend = spend.assign(twin=spend["search"] * 1.01, flat=7.0)
    told = mix.fit(spend, revenue, holidays={})
    assert told.notes == {
        "flat": "channel_constant", "search": "collinear:twin", "twin": "collinear:search",
    }  # fmt: skip
    assert told.total("flat").status == "channel_constant"
    assert np.isnan(told.roi("flat").value)
    both, alone = told.total("search", "twin"), told.total("twin")
    assert both.value == pytest.approx(float(brought["search"].sum()), rel=0.5)
    assert (both.high - both.low) / both.value < 0.7 * (alone.high - alone.low) / alone.value


@pytest.mark.parametrize(
    ("weeks", "flat", "status"), [(40, False, "too_few_periods"), (60, True, "zero_variance")]
)
def test_too_little_is_a_status(weeks, flat, status):
    spend, revenue, _ = make_table(weeks=weeks)
    revenue = np.ones(weeks) if flat else revenue
    told = mix.fit(spend, revenue)
    assert told.status == status
    assert told.total("search").status == status
    assert told.contributions().empty
    assert mix.budget(told, 10).status == status
    assert mix.backtest(spend, revenue, periods=4).status == status


def test_the_budget_goes_where_the_next_money_brings_most(table, found):
    spend, _, _ = table
    total = 20.0
    best = mix.budget(found, total)
    assert sum(best.spend.values()) == pytest.approx(total)
    for name, money in best.spend.items():
        assert 0.5 <= money / spend[name].mean() <= 1.5000001
    assert best.gain.value > 0
    kept = mix.budget(found, total, {"video": (1.0, 2.0)})
    assert kept.spend["video"] <= 2.0
    assert kept.expected.value < best.expected.value


def test_no_share_of_the_budget_on_a_lattice_brings_more(found):
    limits = {"search": (0.0, 20.0), "video": (0.0, 20.0), "radio": (0.0, 0.0)}
    best = mix.budget(found, 20, limits)
    means = [
        found.returns("search", np.array([money])).mean()
        + found.returns("video", np.array([20 - money])).mean()
        for money in np.linspace(0, 20, 41)
    ]
    got = sum(found.returns(name, np.array([m])).mean() for name, m in best.spend.items())
    assert got >= max(means) * 0.995


def test_weeks_that_were_not_seen_are_foretold(table):
    spend, revenue, _ = table
    told = mix.backtest(spend, revenue, periods=10, holidays={})
    assert told.error < 0.05
    assert told.error < told.naive_error
    assert told.covered >= 0.7
    assert len(told.table) == 10


def test_days_are_read_as_days():
    rng = np.random.default_rng(1)
    index = pd.date_range("2023-01-02", periods=380, freq="D")
    spend = pd.DataFrame({"search": rng.gamma(2, 5, 380)}, index=index)
    brought = 3 * adstock(spend["search"].to_numpy(), 0.5)
    week = 10 * (np.arange(380) % 7 == 5)
    told = mix.fit(spend, 100 + week + brought + rng.standard_normal(380), holidays={})
    assert told.total("search").value == pytest.approx(float(brought.sum()), rel=0.25)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, y: (s.iloc[[0, 2, 3]], y[:3]), "without gaps"),
        (lambda s, y: (s.reset_index(drop=True), y), "without gaps"),
        (lambda s, y: (s, y[:-1]), "the outcome is not"),
        (lambda s, y: (s.assign(search=-1.0), y), "spend on search has -1"),
        (lambda s, y: (s.assign(search="x"), y), "spend on search is not"),
        (lambda s, y: ([1, 2], y), "no table"),
    ],
)
def test_a_wrong_table_is_refused_in_words(table, change, says):
    spend, revenue, _ = table
    with pytest.raises(InvalidParameter, match=says):
        mix.fit(*change(spend, revenue))


def test_wrong_names_and_totals_are_refused_in_words(table, found):
    spend, revenue, _ = table
    with pytest.raises(NotFound, match="print"):
        found.total("print")
    with pytest.raises(InvalidParameter, match="does not lie within the bounds"):
        mix.budget(found, 1e9)
    with pytest.raises(InvalidParameter, match="print"):
        mix.budget(found, 10, {"print": (0, 1)})
    with pytest.raises(InvalidParameter, match="calendar"):
        mix.fit(spend, revenue, holidays="mars")
    with pytest.raises(InvalidParameter, match="periods"):
        mix.backtest(spend, revenue, periods=0)
    early = mix.Experiment("search", date(2000, 1, 1), date(2000, 2, 1), Estimate(1, 0, 2, 9))
    with pytest.raises(InvalidParameter, match="no period begins"):
        mix.fit(spend, revenue, experiments=[early])


def test_spring_festival_moves_with_the_moon():
    days = mix.list_holidays("cn", [2023, 2024])
    assert days["spring_festival"] == [
        (date(2023, 1, 21), date(2023, 1, 29)), (date(2024, 2, 9), date(2024, 2, 17)),
    ]  # fmt: skip
    assert mix.list_holidays("west", [2024])["easter"][0][1] == date(2024, 3, 31)
    share = share_of_days([date(2024, 2, 5), date(2024, 2, 12)], 7, days["spring_festival"])
    assert share.tolist() == pytest.approx([3 / 7, 6 / 7])


def test_responses_have_the_mean_one_under_every_shape():
    rows = respond(np.random.default_rng(0).gamma(2, 5, 60), make_grid(), days=7)
    assert rows.values.mean(axis=1) == pytest.approx(np.ones(len(make_grid())))

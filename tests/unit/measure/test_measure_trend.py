"""What was planted is found again, and on quiet series alarms are as rare as stated."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.measure import trend
from zhiyin.measure.status import NO_UNITS, TOO_FEW_UNITS, ZERO_VARIANCE

START = date(2024, 1, 3)
WEEK = np.array([0.0, 5, -10, 0, 10, 30, 20])  # Wednesday first
N = 365


def quiet(rng: np.random.Generator, n: int = N, *, memory: float = 0.0) -> np.ndarray:
    """A level of 200, a week, noise of 10 whose days hang together by `memory`."""
    noise = rng.normal(size=n) * 10 * np.sqrt(1 - memory**2)
    for day in range(1, n):
        noise[day] += memory * noise[day - 1]
    return 200 + np.resize(WEEK, n) + noise


# --- calendar


def test_spring_festival_moves_with_the_moon():
    names, marks = trend.mark_holidays(date(2024, 1, 1), 800, calendars=["china"])
    days = np.flatnonzero(marks[:, names.index("spring_festival")])
    found = [date(2024, 1, 1) + timedelta(int(day)) for day in days]
    assert date(2024, 2, 10) in found  # 2024 and 2025: days of the new year
    assert date(2025, 1, 29) in found
    assert date(2025, 2, 10) not in found


def test_easter_and_black_friday_are_on_their_days():
    names, marks = trend.mark_holidays(date(2024, 1, 1), 366, calendars=["west"])
    assert marks[(date(2024, 3, 31) - date(2024, 1, 1)).days, names.index("easter")] == 1
    assert marks[(date(2024, 11, 29) - date(2024, 1, 1)).days, names.index("black_friday")] == 1


def test_an_unknown_calendar_is_refused():
    with pytest.raises(InvalidParameter, match="mars"):
        trend.mark_holidays(START, 10, calendars=["mars"])


# --- parts


@pytest.fixture(scope="module")
def parted():
    """Three years: a rise, a week, a year, Spring Festival at -80 a day, five odd days."""
    n, rng = 1_095, np.random.default_rng(3)
    t = np.arange(n)
    names, marks = trend.mark_holidays(START, n, calendars=["china"])
    year = 25 * np.sin(2 * np.pi * (t + START.timetuple().tm_yday) / 365.25)
    festival = -80 * marks[:, names.index("spring_festival")]
    values = 200 + 0.1 * t + np.resize(WEEK, n) + year + festival + rng.normal(size=n) * 10
    values[[100, 300, 500, 700, 900]] += 500
    return trend.decompose(values, START, calendars=["china"]), year


def test_the_parts_add_up(parted):
    found = parted[0]
    assert found.status == "ok"
    np.testing.assert_allclose(found.expected + found.rest, found.values, atol=1e-9)


def test_planted_parts_are_found_in_spite_of_odd_days(parted):
    found, year = parted
    planted = WEEK - WEEK.mean()
    assert np.abs(found.week[:7] - planted).max() < 4
    assert np.sqrt(np.mean((found.year - year) ** 2)) < 6
    assert found.effects["spring_festival"] == pytest.approx(-80, abs=12)
    assert found.scale == pytest.approx(10, rel=0.1)
    assert (found.weight[[100, 300, 500, 700, 900]] == 0).all()


def test_gaps_are_left_out_and_said():
    values = quiet(np.random.default_rng(0))
    values[50:60] = np.nan
    found = trend.decompose(values, START)
    assert found.status == "ok"
    assert np.isfinite(found.expected).all()
    values[20:300] = np.nan
    assert trend.decompose(values, START).status == "too_many_gaps"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (np.ones(10), "too_short"), (np.zeros(100), "all_zero"), (np.full(100, 7.0), "constant"),
        (np.full(100, np.nan), "too_many_gaps"), (np.array([]), "too_short"),
    ],
)  # fmt: skip
def test_what_cannot_be_parted_is_a_status(values, status):
    if len(values) == 0:
        with pytest.raises(InvalidParameter):
            trend.decompose(values, START)
        return
    found = trend.decompose(values, START)
    assert found.status == status
    assert trend.find_anomalies(values, START).status == status
    assert trend.find_changes(values, START).status == status


def test_a_series_without_noise_has_no_alarm():
    values = 100 + np.resize(WEEK, 140)
    assert trend.find_anomalies(values, START, calendars=[]).found == ()
    assert trend.find_changes(values, START, calendars=[]).found == ()


# --- odd days and changes of level


@pytest.mark.parametrize(
    "draw",
    [
        quiet,
        lambda rng: rng.poisson(quiet(rng) / 20).astype(float),
        lambda rng: quiet(rng, memory=0.5),
        lambda rng: 200 + 10 * rng.standard_t(5, size=N),
    ],
    ids=["normal", "counts", "memory", "heavy_tails"],
)
def test_quiet_series_alarm_as_rarely_as_stated(draw):
    rng, runs = np.random.default_rng(11), 60
    odd = moved = 0
    for _ in range(runs):
        values = draw(rng)
        parts = trend.decompose(values, START)
        odd += bool(trend.find_anomalies(values, START, parts=parts).found)
        moved += bool(trend.find_changes(values, START, parts=parts).found)
    assert odd <= 8  # of 60 at 5 %: more than 8 in one of a thousand
    assert moved <= 8


def test_planted_odd_days_are_found():
    values = quiet(np.random.default_rng(5))
    values[[40, 200]] += [90, -90]
    found = trend.find_anomalies(values, START).found
    assert [one.day for one in found] == [START + timedelta(40), START + timedelta(200)]
    assert found[0].low < found[0].expected < found[0].high < found[0].value
    assert found[1].share == pytest.approx(-0.45, abs=0.1)


def test_only_the_last_days_are_watched_if_asked():
    values = quiet(np.random.default_rng(5))
    values[[40, 362]] += [90, 60]
    found = trend.find_anomalies(values, START, last_days=7)
    assert [one.day for one in found.found] == [START + timedelta(362)]
    assert found.watched == 7


def test_a_planted_step_is_found_on_its_day_with_its_size():
    covered = 0
    for seed in range(20):
        values = quiet(np.random.default_rng(seed), memory=0.3)
        values[220:] += 25
        found = trend.find_changes(values, START).found
        assert len(found) >= 1
        nearest = min(found, key=lambda one: abs((one.day - START).days - 220))
        assert abs((nearest.day - START).days - 220) <= 5
        covered += len(found) == 1 and nearest.low <= 25 <= nearest.high
    assert covered >= 15


def test_two_steps_are_found_and_one_odd_day_is_none():
    values = quiet(np.random.default_rng(1))
    values[120:240] += 40
    values[300] += 300
    days = [(one.day - START).days for one in trend.find_changes(values, START).found]
    assert days == pytest.approx([120, 240], abs=3)


def test_a_steady_rise_is_no_change():
    values = quiet(np.random.default_rng(2)) + np.arange(N) * 0.5
    assert trend.find_changes(values, START).found == ()


@pytest.mark.parametrize("rate", [0, 1, -1])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(InvalidParameter):
        trend.find_anomalies(np.ones(50), START, rate=rate)
    with pytest.raises(InvalidParameter):
        trend.find_changes(np.ones(50), START, rate=rate)


# --- forecasts


@pytest.fixture(scope="module")
def ahead():
    """40 series of a year and their true next four weeks."""
    rng = np.random.default_rng(9)
    values = np.array([quiet(rng, N + 28) * rng.uniform(0.5, 2) for _ in range(40)])
    return values, trend.forecast(values[:, :N], 28, start=START, level=0.9)


def test_intervals_cover_as_stated(ahead):
    values, found = ahead
    truth = values[:, N:]
    covered = (truth >= found.low) & (truth <= found.high)
    assert 0.85 <= covered.mean() <= 0.97
    total = truth.sum(axis=1)
    assert ((total >= found.total_low) & (total <= found.total_high)).mean() >= 0.8
    assert found.start == START + timedelta(N)


def test_the_mix_is_better_than_the_seasonal_naive_forecast(ahead):
    values, found = ahead
    truth = values[:, N:]
    naive = values[:, N - 7 : N][:, np.arange(28) % 7]
    assert np.abs(found.values - truth).mean() < 0.85 * np.abs(naive - truth).mean()
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)


def test_a_holiday_seen_before_is_foreseen():
    n, rng = 760, np.random.default_rng(4)
    start = date(2024, 1, 1)
    names, marks = trend.mark_holidays(start, n + 28, calendars=["china"])
    values = 200 + 20 * rng.normal(size=n + 28) - 100 * marks[:, names.index("spring_festival")]
    days = marks[n:, names.index("spring_festival")] == 1
    found = trend.forecast(values[:n], 28, start=start, calendars=["china"], methods=["regression"])
    assert days.sum() >= 8
    assert found.values[0, days].mean() == pytest.approx(100, abs=25)


def test_what_was_loaded_moves_the_forecast():
    rng, n = np.random.default_rng(6), 200
    gold = np.cumsum(rng.normal(size=n + 14))
    sales = 300 + 20 * np.roll(gold, 14)[: n + 14] + 5 * rng.normal(size=n + 14)
    days = [START + timedelta(day) for day in range(n)]
    names, external = trend.align_external(
        {"day": days, "gold": gold[:n].tolist()}, START, n + 14, lags={"gold": [14]}
    )
    assert names == ("gold_14_days_before",)
    options = {"start": START, "calendars": [], "methods": ["regression"]}
    with_gold = trend.forecast(sales[:n], 14, external=external, **options)
    without = trend.forecast(sales[:n], 14, **options)
    off = [np.abs(one.values[0] - sales[n:]).mean() for one in (with_gold, without)]
    assert off[0] < 0.6 * off[1]


def test_a_loaded_series_holds_its_last_number(tmp_path):
    file = tmp_path / "gold.csv"
    file.write_text("day,gold\n2024-01-02,7\n2024-01-04,9\n", encoding="utf-8")
    table = trend.read_external(file)
    names, found = trend.align_external(table, date(2024, 1, 1), 5)
    assert names == ("gold",)
    assert found[:, 0].tolist() == [7, 7, 7, 9, 9]
    file.write_text("when,gold\n2024-01-02,7\n", encoding="utf-8")
    with pytest.raises(InputError, match="day"):
        trend.read_external(file)


def test_short_constant_and_zero_series_are_statuses():
    values = np.array([np.zeros(40), np.full(40, 3.0), np.arange(40.0) % 9, [np.nan] * 40])
    found = trend.forecast(values, 7, start=START)
    assert found.status[:2] == ("all_zero", "constant")
    assert found.values[0].tolist() == [0] * 7
    assert found.values[1].tolist() == [3] * 7
    assert np.isnan(found.values[3]).all()
    assert trend.forecast(np.ones(5), 7, start=START).status == ("too_short",)


def test_sales_are_not_forecast_below_zero():
    values = np.maximum(0, 20 - 0.1 * np.arange(200) + np.random.default_rng(0).normal(size=200))
    found = trend.forecast(values, 60, start=START)
    assert found.values.min() >= 0
    assert found.low.min() >= 0


def test_totals_equal_the_sums_of_their_parts():
    rng = np.random.default_rng(8)
    leaves = {
        (kind, place): rng.poisson(level, size=200).astype(float)
        for kind, place, level in [("a", "n", 30), ("a", "s", 5), ("b", "n", 80), ("b", "s", 0)]
    }
    found = trend.forecast_tree(leaves, 14, start=START, dimensions=["category", "region"])
    of = dict(zip(found.names, found.values, strict=True))
    np.testing.assert_allclose(of["total"], of["category=a"] + of["category=b"], atol=1e-9)
    np.testing.assert_allclose(of["total"], of["region=n"] + of["region=s"], atol=1e-9)
    np.testing.assert_allclose(
        of["category=a"], of["category=a, region=n"] + of["category=a, region=s"], atol=1e-9
    )
    assert of["total"].mean() == pytest.approx(115, rel=0.05)
    assert of["category=b, region=s"] == pytest.approx(0, abs=0.5)


def test_wrong_arguments_of_a_forecast_are_refused():
    for wrong in ({"horizon": 0}, {"horizon": 3, "level": 1}, {"horizon": 3, "methods": ["tea"]}):
        with pytest.raises(InvalidParameter):
            trend.forecast(np.ones(50), start=START, **wrong)


# --- rising items, prices


def test_planted_risers_are_found_and_few_others():
    rng, false, hits = np.random.default_rng(12), 0, 0
    for _ in range(20):
        level = rng.gamma(2, 20, size=300)
        wobble = rng.gamma(40, 0.025, size=300)  # items vary more than by chance
        growth = np.where(np.arange(300) < 10, 3.0, 1.2) * wobble
        before, now = rng.poisson(level), rng.poisson(level * growth)
        found = trend.find_rising([f"i{n}" for n in range(300)], now, before, rate=0.1)
        true = [one for one in found.found if int(one.item[1:]) < 10]
        false += len(found.found) - len(true)
        hits += len(true)
    assert hits >= 100  # of 200
    assert false <= 0.2 * (hits + false)


def test_growth_of_the_shop_is_not_growth_of_its_items():
    rng = np.random.default_rng(13)
    before = rng.poisson(50, size=200)
    found = trend.find_rising([str(n) for n in range(200)], rng.poisson(150, size=200), before)
    assert found.found == ()
    assert found.status == "ok"


def test_few_items_or_none_are_a_status():
    assert trend.find_rising(["a"], [20], [10]).status == TOO_FEW_UNITS
    assert trend.find_rising([], [], []).status == NO_UNITS


@pytest.fixture(scope="module")
def prices():
    """50 products, 60 weeks, elasticity -2; prices fall in December, when people buy anyway."""
    rng = np.random.default_rng(14)
    product, week = np.repeat(np.arange(50), 60), np.tile(np.arange(60), 50)
    december = (week % 52 >= 48).astype(float)
    price = np.exp(rng.normal(2, 1, 50)[product] + rng.normal(0, 0.1, 3_000) - 0.2 * december)
    units = rng.poisson(
        np.exp(4 + rng.normal(0, 1, 50)[product]) * price**-2.0 * np.exp(1.5 * december) * 200
    )
    return product, week, price, units


def test_the_planted_elasticity_is_found_with_the_season_apart(prices):
    product, week, price, units = prices
    groups = np.where(product < 45, "many", "few")
    found = trend.price_effects(product, week, price, units, groups=groups)
    assert found[""].low <= -2 <= found[""].high
    assert found[""].high - found[""].low < 0.4
    assert found[""].n == 50
    assert found["few"].status == TOO_FEW_UNITS


def test_prices_that_never_move_are_a_status():
    found = trend.price_effects([1, 1, 2, 2], [1, 2, 1, 2], [3, 3, 5, 5], [1, 2, 3, 4])
    assert found[""].status == ZERO_VARIANCE
    assert trend.price_effects([], [], [], [])[""].status == NO_UNITS


# --- why


def cells(*, fall: dict[tuple[str, str], float]) -> tuple[dict, np.ndarray, np.ndarray]:
    """New and returning by three categories and two regions; some fall."""
    rows = [
        (kind, category, region)
        for kind in ("new", "returning") for category in "xyz" for region in "ns"
    ]  # fmt: skip
    before = np.array([100.0 if kind == "new" else 200.0 for kind, _, _ in rows])
    after = np.array(
        [
            b * (1 + fall.get((kind, category), 0.0))
            for b, (kind, category, _) in zip(before, rows, strict=True)
        ]
    )
    names = ("customer_kind", "category", "region")
    return dict(zip(names, zip(*rows, strict=True), strict=True)), before, after


def test_the_cell_that_fell_is_named_in_words():
    named, before, after = cells(fall={("new", "x"): -0.8, ("returning", "y"): -0.1})
    found = trend.explain_change(named, before, after)
    first = found.parts[0]
    assert dict(first.where) == {"customer_kind": "new", "category": "x"}
    assert first.share == pytest.approx(0.8)
    assert found.words()["en"] == "Revenue −11.1 %: 80% from new customers in category x."
    assert found.words()["zh"] == "销售额 −11.1%：80% 来自品类“x”的新客。"


def test_parts_and_the_rest_add_up():
    named, before, after = cells(fall={("new", "x"): -0.5, ("returning", "z"): 0.3})
    found = trend.explain_change(named, before, after)
    total = sum(one.change for one in found.parts) + found.rest.change
    assert total == pytest.approx(after.sum() - before.sum())
    assert sum(one.share for one in found.parts) + found.rest.share == pytest.approx(1)


def test_the_widest_group_is_named_where_all_of_it_fell():
    fall = {("new", category): -0.5 for category in "xyz"}
    found = trend.explain_change(*cells(fall=fall))
    assert [one.where for one in found.parts] == [(("customer_kind", "new"),)]


def test_nobody_is_named_where_all_moved_alike():
    fall = {(kind, category): -0.2 for kind in ("new", "returning") for category in "xyz"}
    found = trend.explain_change(*cells(fall=fall))
    assert found.status == "alike"
    assert "alike" in found.words()["en"]


def test_a_usual_change_says_so():
    named, before, after = cells(fall={("new", "x"): -0.2})
    past = [0.05, -0.04, 0.06, -0.05, 0.04, -0.06]
    assert trend.explain_change(named, before, after, past_changes=past).status == "within_noise"
    assert trend.explain_change(named, before, after, past_changes=[0.001] * 6).status == "ok"


def test_nothing_to_compare_is_a_status():
    assert trend.explain_change({"a": []}, [], []).status == NO_UNITS
    assert trend.explain_change({"a": ["x"]}, [0], [5]).status == "zero_baseline"
    assert trend.explain_change({"a": ["x"]}, [5], [5]).status == "no_change"
    with pytest.raises(InvalidParameter):
        trend.explain_change({"a": ["x"]}, [np.nan], [5])


def test_volume_price_mix_and_range_add_up():
    found = trend.split_effects(
        [10, 10, 5, 0], [100, 200, 50, 0], [20, 10, 0, 3], [220, 190, 0, 90]
    )
    assert found.total == pytest.approx(500 - 350)
    assert found.range_ == pytest.approx(40)
    assert found.price == pytest.approx(20 - 10)
    only_price = trend.split_effects([10, 10], [100, 100], [10, 10], [110, 110])
    assert (only_price.volume, only_price.mix) == (0, 0)
    assert only_price.price == pytest.approx(20)


# --- sums of order lines


def sold(at: str, customer: str | None, product: str, amount: int, kind: str = "item") -> dict:
    return {
        c.ORDER_ID: f"{customer}-{at}", c.CUSTOMER_ID: customer, c.PRODUCT_ID: product,
        c.SOLD_AT: datetime.fromisoformat(at), c.KIND: kind,
        c.QUANTITY: -1.0 if kind == "return" else 1.0, c.AMOUNT_BASE_MINOR: amount,
        c.STORE_ID: "s1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def lines() -> ibis.Table:
    """A shop in Berlin: clocks go forward on 31 March 2024."""
    rows = [
        sold("2024-01-10T12:00", "p", "shoe", 100), sold("2024-03-30T22:30", "p", "shoe", 200),
        sold("2024-03-30T23:30", "p", "hat", 50), sold("2024-03-31T22:30", "q", "hat", 70),
        sold("2024-03-31T21:30", "q", "shoe", -20, "return"),
        sold("2024-04-01T10:00", None, "x", 5),
        sold("2024-04-01T10:00", "q", "hat", 900, "shipping"),
    ]  # fmt: skip
    return ibis.memtable(pa.Table.from_pylist(rows))


def test_days_are_local_across_a_change_of_clocks(lines):
    products = ibis.memtable(
        pa.table({c.PRODUCT_ID: ["shoe", "hat"], c.DEPARTMENT: ["feet", "head"]})
    )
    places = ibis.memtable(pa.table({c.STORE_ID: ["s1"], c.REGION: ["north"]}))
    first, last = date(2024, 3, 30), date(2024, 4, 1)
    table = trend.sum_days(
        lines, first=first, last=last, zone="Europe/Berlin", products=products, places=places
    ).to_pyarrow()
    cube = trend.read_cube(table, first=first, last=last)
    assert cube.revenue.sum(axis=0).tolist() == [200, 30, 75]
    assert cube.units.sum(axis=0).tolist() == [1, 0, 2]
    of = dict(zip(cube.cells, cube.revenue.sum(axis=1), strict=True))
    assert of[("returning", "feet", "north")] == 200
    assert of[("new", "head", "north")] == 70
    assert of[("nobody", "(unknown)", "north")] == 5
    names, by = cube.by(c.CATEGORY)
    assert names[0] == "feet"
    assert by.sum() == cube.revenue.sum()


def test_small_groups_are_put_together(lines):
    first, last = date(2024, 3, 30), date(2024, 4, 1)
    products = ibis.memtable(
        pa.table({c.PRODUCT_ID: ["shoe", "hat"], c.DEPARTMENT: ["feet", "head"]})
    )
    table = trend.sum_days(
        lines, first=first, last=last, zone="Europe/Berlin", products=products
    ).to_pyarrow()
    cube = trend.read_cube(table, first=first, last=last, most=1)
    assert set(cube.column(c.CATEGORY)) == {"feet", "(others)"}
    assert cube.revenue.sum() == 305


def test_orders_of_items_in_two_spans(lines):
    spans = {"recent": (date(2024, 3, 31), date(2024, 4, 2)),
             "before": (date(2024, 1, 1), date(2024, 3, 31))}  # fmt: skip
    found = trend.sum_items(lines, zone="Europe/Berlin", **spans).to_pyarrow().to_pylist()
    of = {row[c.PRODUCT_ID]: (row[c.RECENT], row[c.BEFORE]) for row in found}
    assert of == {"shoe": (0, 2), "hat": (2, 0), "x": (1, 0)}

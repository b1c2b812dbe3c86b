"""Customer value on CDNOW: the published models to their digits, and the holdout of 39 weeks.

The 2,357 customers of the papers' 1/10 sample, first bought in the first 12 weeks of 1997; models
learn from the 39 weeks to 30 September 1997 and are judged on the 39 weeks after them. Everything
about the trees (features, size, how far they are followed) was chosen within the first 39 weeks, of
these customers and of those outside the sample; the holdout was only looked at to report. The
master file (23,570 customers) is printed beside it.

A peer in the same run: Lifetimes 0.11.3, where `ZHIYIN_LIFETIMES` names a Python that has it
(lifetimes==0.11.3, numpy<2, pandas<2.2, scipy<1.13, in an environment of its own).
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from bench.harness import at_least, at_most, emit
from zhiyin.core.rng import Streams
from zhiyin.understand.value import (
    compare_conditional,
    compare_frequencies,
    fit_bgnbd,
    fit_gamma_gamma,
    fit_pareto_nbd,
    forecast_value,
    read_purchases,
    summarise,
    track_purchases,
)

SHARED = Path(os.environ.get("ZHIYIN_SHARED") or Path(__file__).parents[2] / "shared")
FOLDER = SHARED / "data" / "cdnow"
BEGIN, CUT, END = date(1997, 1, 1), date(1997, 10, 1), date(1998, 7, 1)
COLUMNS = {"customer": "customer", "ordered": "day", "amount": "amount"}
PUBLISHED = {
    "bgnbd": {"r": 0.2426, "alpha": 4.4136, "a": 0.7929, "b": 2.4259},  # CLVTools, 4 digits
    "pareto": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
    "gamma_gamma": {"p": 6.25, "q": 3.74, "v": 15.44},
}
DIGITS = {"bgnbd": 4, "pareto": 3, "gamma_gamma": 2}


def read(handle, names: list[str], skip: int) -> pd.DataFrame:
    """One row per order: `customer`, `day`, `amount`."""
    orders = pd.read_csv(
        handle, sep=r"\s+", header=None, names=names, skiprows=skip, dtype={"day": str}
    )
    return orders.assign(day=pd.to_datetime(orders["day"], format="%Y%m%d"))


def judge(told: np.ndarray, real: np.ndarray, name: str) -> dict[str, float]:
    """Figures of one forecast of the holdout."""
    return {
        f"{name}_corr": round(float(np.corrcoef(told, real)[0, 1]), 4),
        f"{name}_mae": round(float(np.abs(told - real).mean()), 4),
        f"{name}_rmse": round(float(np.sqrt(((told - real) ** 2).mean())), 4),
        f"{name}_total": round(float(told.sum())),
    }


def fit_all(orders: pd.DataFrame, prefix: str = "") -> dict[str, object]:
    """Log-likelihoods, parameters and seconds of each model on the calibration weeks."""
    seen = summarise(orders, CUT, "week", **COLUMNS)
    history, paying = (seen.frequency, seen.recency, seen.age), seen.monetary > 0
    figures: dict[str, object] = {}
    for name, fit, data in (
        ("bgnbd", fit_bgnbd, history),
        ("pareto", fit_pareto_nbd, history),
        ("gamma_gamma", fit_gamma_gamma, (seen.frequency[paying], seen.monetary[paying])),
    ):
        started = time.process_time()
        model = fit(*data)
        figures[f"{prefix}{name}_fit_cpu_s"] = round(time.process_time() - started, 3)
        figures[f"{prefix}{name}_log_likelihood"] = round(model.log_likelihood, 4)
        figures[f"{prefix}{name}_status"] = model.status
        for key, value in model.parameters.items():
            error = model.standard_errors[key]
            figures[f"{prefix}{name}_{key}"] = round(value, 6)
            figures[f"{prefix}{name}_{key}_se"] = round(error, 6)
    return figures


def judge_holdout(orders: pd.DataFrame, prefix: str = "") -> dict[str, object]:
    """Forecasts of the holdout weeks by every model, against what was bought."""
    started = time.process_time()
    before = read_purchases(orders, CUT, **COLUMNS)
    horizon = (END - CUT).days
    made = forecast_value(before, horizon_days=horizon, rng=Streams(0).generator("value"))
    seconds = time.process_time() - started
    later = orders[(orders["day"] >= pd.Timestamp(CUT)) & (orders["day"] < pd.Timestamp(END))]
    days = later.drop_duplicates(["customer", "day"]).groupby("customer").size()
    real = days.reindex(made.customer_ids, fill_value=0).to_numpy(float)
    spent = later.groupby("customer")["amount"].sum()
    spent = spent.reindex(made.customer_ids, fill_value=0.0).to_numpy(float)
    seen = summarise(orders, CUT, "week", **COLUMNS)
    naive = seen.frequency / np.maximum(seen.age, 1 / 7) * horizon / 7
    figures: dict[str, object] = {"holdout_total": round(float(real.sum()))}
    figures |= judge(naive, real, "naive_rate")
    figures |= judge(made.bgnbd_purchases, real, "bgnbd")
    figures |= judge(made.pareto_purchases, real, "pareto")
    figures |= judge(made.base_purchases, real, "mean_of_both")
    figures |= judge(made.purchases, real, "boosted")
    figures |= judge(made.base_spend, spent, "spend_base") | judge(made.spend, spent, "spend")
    figures["spend_holdout_total"] = round(float(spent.sum()))
    figures["boosted_weight"] = made.purchases_weight
    figures["spend_weight"] = made.spend_weight
    figures["forecast_cpu_s"] = round(seconds, 2)
    best = max(("bgnbd", "pareto", "boosted"), key=lambda name: figures[f"{name}_corr"])
    figures["best_model"], figures["holdout_corr"] = best, figures[f"{best}_corr"]
    by = compare_conditional(seen.frequency, made.purchases, real)
    figures["boosted_by_frequency"] = by.expected.round(2).tolist()
    figures["actual_by_frequency"] = by.actual.round(2).tolist()
    return {f"{prefix}{key}": value for key, value in figures.items()}


def judge_sample_by_master(master: pd.DataFrame, sample: pd.DataFrame) -> dict[str, object]:
    """The sample's holdout, told by models and trees that learned from all 23,570 customers."""
    before = read_purchases(master, CUT, **COLUMNS)
    horizon = (END - CUT).days
    made = forecast_value(before, horizon_days=horizon, rng=Streams(0).generator("value"))
    here = np.isin(made.customer_ids, sample["master"].unique())
    later = master[(master["day"] >= pd.Timestamp(CUT)) & (master["day"] < pd.Timestamp(END))]
    days = later.drop_duplicates(["customer", "day"]).groupby("customer").size()
    real = days.reindex(made.customer_ids[here], fill_value=0).to_numpy(float)
    return judge(made.pareto_purchases[here], real, "learned_on_master_pareto") | judge(
        made.purchases[here], real, "learned_on_master_boosted"
    )


def follow(orders: pd.DataFrame) -> dict[str, object]:
    """Cumulative repeat purchases at week 78 and the fit by frequency: what the plots show."""
    seen = summarise(orders, CUT, "week", **COLUMNS)
    days = orders.drop_duplicates(["customer", "day"])
    week = (days["day"] - pd.Timestamp(BEGIN)).dt.days / 7
    first = week.groupby(days["customer"]).transform("min")
    born, repeats = week[week == first].to_numpy(), week[week > first].to_numpy()
    figures: dict[str, object] = {}
    history = (seen.frequency, seen.recency, seen.age)
    for name, model in (("bgnbd", fit_bgnbd(*history)), ("pareto", fit_pareto_nbd(*history))):
        track = track_purchases(model, born, repeats, until=78)
        error = float(track.expected[-1] / track.actual[-1] - 1)
        figures[f"{name}_cumulative_error_week_78"] = round(error, 4)
        groups = compare_frequencies(model, seen.frequency, seen.age)
        figures[f"{name}_by_frequency"] = groups.expected.round(1).tolist()
        figures["customers_by_frequency"] = groups.customers.tolist()
    return figures


PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter
x, tx, age, z, real = map(np.array, json.load(sys.stdin))
made = {}
for name, kind in (("bgnbd", BetaGeoFitter), ("pareto", ParetoNBDFitter)):
    started = time.process_time()
    model = kind().fit(x, tx, age)
    made[f"lifetimes_{name}_fit_cpu_s"] = round(time.process_time() - started, 3)
    told = model.conditional_expected_number_of_purchases_up_to_time(39, x, tx, age)
    made[f"lifetimes_{name}_corr"] = round(float(np.corrcoef(told, real)[0, 1]), 4)
    made |= {f"lifetimes_{name}_{key}": round(float(v), 6) for key, v in model.params_.items()}
started = time.process_time()
model = GammaGammaFitter().fit(x[z > 0], z[z > 0])
made["lifetimes_gamma_gamma_fit_cpu_s"] = round(time.process_time() - started, 3)
made |= {f"lifetimes_gamma_gamma_{key}": round(float(v), 6) for key, v in model.params_.items()}
print(json.dumps(made))
"""


def ask_peer(orders: pd.DataFrame) -> dict[str, object]:
    """The same fits by Lifetimes in its own environment; nothing where there is none."""
    python = os.environ.get("ZHIYIN_LIFETIMES")
    if not python:
        return {}
    seen = summarise(orders, CUT, "week", **COLUMNS)
    later = orders[(orders["day"] >= pd.Timestamp(CUT)) & (orders["day"] < pd.Timestamp(END))]
    days = later.drop_duplicates(["customer", "day"]).groupby("customer").size()
    real = days.reindex(seen.customer_ids, fill_value=0)
    columns = (seen.frequency, seen.recency, seen.age, seen.monetary, real)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", PEER], input=json.dumps([one.tolist() for one in columns]),
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    return json.loads(done.stdout)


def digits_off(figures: dict[str, object], name: str) -> int:
    """How many parameters differ from the published ones in the digits that were printed."""
    return sum(
        round(float(str(figures[f"{name}_{key}"])), DIGITS[name]) != value
        for key, value in PUBLISHED[name].items()
    )


def main() -> None:
    """Fit, forecast, compare, print."""
    sample = read(
        FOLDER / "CDNOW_sample.txt", ["master", "customer", "day", "discs", "amount"], skip=0
    )
    with gzip.open(FOLDER / "CDNOW_master.txt.gz", "rt") as handle:
        master = read(handle, ["customer", "day", "discs", "amount"], skip=1)
    figures = fit_all(sample) | judge_holdout(sample) | follow(sample)
    figures |= ask_peer(sample)
    for name in PUBLISHED:
        figures[f"{name}_parameters_off"] = digits_off(figures, name)
    figures["bgnbd_log_likelihood_off"] = abs(float(str(figures["bgnbd_log_likelihood"])) + 9582.43)
    figures["pareto_log_likelihood_off"] = abs(
        float(str(figures["pareto_log_likelihood"])) + 9594.97
    )
    figures |= judge_sample_by_master(master, sample)
    figures |= fit_all(master, "master_") | judge_holdout(master, "master_")
    emit(
        "value",
        data="CDNOW, 1/10 sample of 2,357 customers (master_: 23,570), 39 weeks + 39 weeks",
        rows={"orders": len(sample), "master_orders": len(master)},
        figures=figures,
        goals={
            "bgnbd_log_likelihood_off": at_most(0.01),
            "pareto_log_likelihood_off": at_most(0.01),
            "bgnbd_parameters_off": at_most(0),
            "pareto_parameters_off": at_most(0),
            "gamma_gamma_parameters_off": at_most(0),
            "holdout_corr": at_least(0.630),
            "bgnbd_fit_cpu_s": at_most(0.38),
            "pareto_fit_cpu_s": at_most(1.6),
        },
    )


if __name__ == "__main__":
    main()

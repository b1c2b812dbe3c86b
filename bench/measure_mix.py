"""What does a media mix know? Simulated businesses whose truth is known (`zhiyin.simulate.mix`).

`--seeds` businesses of each size (3, 5, 10 channels; 104, 156, 208 weeks), seeds 0 onwards; nothing
was chosen by them (`--first 100` are those that methods were chosen by).

error       mean over the channels of all businesses of a size of |told / true - 1|, totals over
            all weeks, channels weighted alike, those that bring >= 2 % of revenue
weighted    sum over channels of |told - true| over sum of true, mean over businesses, all channels
covered     share of these channels (>= 2 %) whose 90 % interval holds the truth

`tested` gives each channel the answer of one experiment: eight weeks, those with most of its
spend, standard error 20 % of the truth. `knows_shapes` is least squares by somebody who knows every
channel's true response, with the same columns for the base: what the data can bear without priors.

The peer, PyMC-Marketing 0.19.2, gets the same tables (`--peers` businesses of each size; its
defaults with Hill saturation, three waves a year, festivals as controls; 2 x 500 draws by nutpie)
where `ZHIYIN_PYMC_MARKETING` names a Python that has it:

    python -m venv mmm && mmm/bin/pip install pymc-marketing==0.19.2 nutpie
    ZHIYIN_PYMC_MARKETING=mmm/bin/python python -m bench.measure_mix
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.measure import mix
from zhiyin.measure.mix.base import build_base
from zhiyin.simulate.mix import Business, Size, make_business

Floats = NDArray[np.float64]
CONTROLS = ["price", "promotion"]
LEAST_SHARE = 0.02
WEEKS = 8  # of an experiment
PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import logging
logging.disable(logging.WARNING)
import numpy as np, pandas as pd
from pymc_marketing.mmm import MMM, GeometricAdstock, HillSaturation
made = []
for asked in json.load(open(sys.argv[1])):
    x = pd.DataFrame(asked["table"])
    x["week"] = pd.to_datetime(x["week"])
    y = x.pop("revenue")
    cpu = time.process_time()
    model = MMM(date_column="week", channel_columns=asked["channels"],
                control_columns=[c for c in x if c not in (*asked["channels"], "week")],
                adstock=GeometricAdstock(l_max=8), saturation=HillSaturation(),
                yearly_seasonality=3)
    model.fit(x, y, chains=2, cores=1, draws=500, tune=500, nuts_sampler="nutpie",
              progressbar=False, random_seed=0)
    total = model.compute_channel_contribution_original_scale(prior=False).sum("date")
    total = total.transpose("chain", "draw", "channel").to_numpy()
    total = total.reshape(-1, total.shape[2])
    low, value, high = np.quantile(total, [.05, .5, .95], axis=0)
    made.append({"low": low.tolist(), "value": value.tolist(), "high": high.tolist(),
                 "cpu": time.process_time() - cpu})
json.dump(made, open(sys.argv[2], "w"))
"""


def lay_tables(business: Business) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Spend, revenue and controls by week."""
    table = business.table.set_index("week")
    return table[business.names], table["revenue"], table[CONTROLS]


def run_experiments(business: Business) -> list[mix.Experiment]:
    """One of eight weeks for each channel, where it spends most."""
    made = []
    weeks = business.table["week"]
    for name in business.names:
        sums = np.convolve(business.table[name], np.ones(WEEKS), "valid")
        first = int(np.argmax(sums))
        last = first + WEEKS - 1
        effect = business.experiment(name, first, last, error=0.2)
        made.append(mix.Experiment(name, weeks[first].date(), weeks[last].date(), effect))
    return made


def know_shapes(business: Business) -> Floats:
    """Totals by least squares on the true responses and the columns of the base."""
    _, revenue, controls = lay_tables(business)
    starts = [one.date() for one in revenue.index]
    holidays = mix.list_holidays(business.calendar, range(starts[0].year, starts[-1].year + 2))
    base = build_base(
        starts, 7, (revenue / revenue.mean()).to_numpy(),
        {name: controls[name].to_numpy() for name in CONTROLS}, holidays,
    )  # fmt: skip
    true = business.contributions.to_numpy()
    columns = np.column_stack([true, base.columns])
    found = np.linalg.lstsq(columns, revenue.to_numpy(), rcond=None)[0][: true.shape[1]]
    return found * true.sum(axis=0)


def judge(businesses: list[Business], told: list[Floats], bounds: list[Floats]) -> dict[str, float]:
    """The errors of totals, and how many intervals hold the truth where there are any."""
    errors, weighted, held, widths = [], [], [], []
    for place, business in enumerate(businesses):
        true = business.contributions.sum().to_numpy()
        kept = true >= LEAST_SHARE * business.table["revenue"].sum()
        errors.extend(np.abs(told[place] / true - 1)[kept])
        weighted.append(np.abs(told[place] - true).sum() / true.sum())
        if bounds:
            low, high = bounds[place]
            held.extend(((low <= true) & (true <= high))[kept])
            widths.extend(((high - low) / true)[kept])
    made = {
        "error": round(float(np.mean(errors)), 3),
        "error_median": round(float(np.median(errors)), 3),
        "weighted": round(float(np.mean(weighted)), 3),
    }
    if bounds:
        made |= {"covered": round(float(np.mean(held)), 3)}
        made |= {"width": round(float(np.median(widths)), 2)}
    return made


def measure(businesses: list[Business], *, tested: bool) -> dict[str, float]:
    """Our mixes of some businesses."""
    told, bounds, cpu = [], [], []
    for business in businesses:
        spend, revenue, controls = lay_tables(business)
        known = run_experiments(business) if tested else []
        start = time.process_time()
        found = mix.fit(
            spend, revenue, controls=controls, holidays=business.calendar, experiments=known
        )
        cpu.append(time.process_time() - start)
        totals = [found.total(name) for name in business.names]
        told.append(np.array([one.value for one in totals]))
        bounds.append(np.array([[one.low for one in totals], [one.high for one in totals]]))
    return judge(businesses, told, bounds) | {"fit_cpu_s": round(max(cpu), 1)}


def ask_peer(businesses: list[Business]) -> dict[str, float]:
    """The same tables in the peer's own environment; nothing where there is none."""
    python = os.environ.get("ZHIYIN_PYMC_MARKETING")
    if not python or not businesses:
        return {}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asked = []
    for business in businesses:
        table = business.table.copy()
        starts = [one.date() for one in table["week"]]
        years = range(starts[0].year, starts[-1].year + 2)
        for name, days in mix.list_holidays(business.calendar, years).items():
            table[f"day_{name}"] = mix.share_of_days(starts, 7, days)
        table["week"] = [one.isoformat() for one in starts]
        asked.append({"table": table.to_dict("list"), "channels": business.names})
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "asked.json", Path(folder) / "answer.json"
        given.write_text(json.dumps(asked), encoding="utf-8")
        subprocess.run(
            [python, "-c", PEER, str(given), str(answer)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip
        made = json.loads(answer.read_text("utf-8"))
    found = judge(
        businesses,
        [np.array(one["value"]) for one in made],
        [np.array([one["low"], one["high"]]) for one in made],
    )
    return found | {"fit_cpu_s": round(max(one["cpu"] for one in made), 1)}


def main() -> None:
    """All sizes, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--peers", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(get_args(Size)))
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {}
    goals: dict[str, Goal] = {}
    for size in asked.sizes.split(","):
        made = [make_business(size, asked.first + one) for one in range(asked.seeds)]
        found = {
            "": measure(made, tested=False),
            "tested_": measure(made, tested=True),
            "knows_shapes_": judge(made, [know_shapes(one) for one in made], []),
        }
        for name, value in ask_peer(made[: asked.peers]).items():
            figures[f"{size}_pymc_marketing_{name}"] = value
        if asked.peers and os.environ.get("ZHIYIN_PYMC_MARKETING"):
            found["same_"] = measure(made[: asked.peers], tested=False)
        figures |= {f"{size}_{kind}{name}": value for kind, one in found.items()
                    for name, value in one.items()}  # fmt: skip
        figures[f"{size}_explained"] = round(float(np.mean([one.explained for one in made])), 3)
        for kind in ("", "tested_"):
            goals[f"{size}_{kind}error"] = at_most(0.15)
            goals[f"{size}_{kind}covered"] = at_least(0.9)
        goals[f"{size}_fit_cpu_s"] = at_most(10)
    emit(
        "measure_mix",
        data="simulated businesses, zhiyin.simulate.mix",
        rows={"businesses": asked.seeds * len(asked.sizes.split(","))},
        figures=figures,
        goals=goals,
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()

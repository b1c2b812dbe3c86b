"""Do experiments say what is true, and how long does a read-out over 100 million rows take?

**A/A** (`--runs`, 10,000 unless asked otherwise; two arms of the same skewed money, 2,000 units
each): how often a test finds an effect, and how often an interval covers one that was planted (a
tenth more for everybody). `peeked`: the same units looked at every 100 of 10,000, found if any
look finds. The share's two arms have the same chance. Standard error of a share of .05 in 10,000
runs: .0022.

**CUPED**: variance of the adjusted effect over that of the plain one, over as many runs, against
1 - rho² for three correlations; `cuped_error` is the largest distance, relative.

**Holdout** (`--shops`, 1,000): one simulated shop a run lives a campaign with a third of its list
held out; the interval of extra orders per customer against what the shop's own truth says the
contact caused those who got it, on average over the chances of many worlds (`--worlds`).

**Read-out** (`--rows`, 100 million): exposures of `rows / 10` units with ids as in the lake, 28
days, orders until two months later, Parquet written by the engine; then units, windows, sums by
stratum and the verdict. A unit is shown ten times, within a week of a day that is hers; a lift of
2 % is planted; who is shown it first in the last days is left out, as her window is not over.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.harness import at_least, at_most, emit
from zhiyin.core import columns as c
from zhiyin.measure.experiment import (
    Adjusted,
    ArmStatistics,
    Moments,
    Prior,
    Ratio,
    Result,
    Share,
    compare,
    summarize_arm,
    summarize_quantile,
)
from zhiyin.measure.experiment import exposures as x
from zhiyin.measure.experiment.arms import Summed
from zhiyin.measure.experiment.definition import Experiment, Metric, Plan, freeze
from zhiyin.measure.experiment.readout import read_out, tell
from zhiyin.simulate.config import ShopConfig
from zhiyin.simulate.retailer import Shop
from zhiyin.store.engines.duckdb import DuckDBEngine

UNITS = 2000  # of an arm
LIFT = 0.1
PLANNED, LOOK = 10_000, 100
CHUNK = 500  # runs that are drawn together
RHOS = (0.3, 0.6, 0.9)
PLANTED = 0.02
WINDOW = 14
UNTIL = datetime(2026, 4, 8)  # windows of the last day end on 12 April
EXPOSURES = 10  # of a unit, in the mean
MEMORY_BYTES = 4 * 2**30  # before the engine spills; Python comes on top
MEASURES = ["revenue_minor", "margin_minor", "orders"]
GROUPS = {
    "revenue": ("revenue_minor", "revenue_minor_before"),
    "margin": ("margin_minor", "orders"),
    "orders": ("orders",),
}
KINDS: dict[str, Callable[[Moments], Summed]] = {
    "revenue": Adjusted,
    "margin": Ratio,
    "orders": lambda one: ArmStatistics(one.n, one.totals[0], one.products[0][0]),
}
Floats = np.ndarray


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Money: a fifth buy, lognormally."""
    return np.where(rng.random(shape) < 0.2, np.exp(rng.normal(4, 0.8, shape)), 0.0)


def money(values: Floats) -> list[ArmStatistics]:
    """One arm a run, of (runs, units)."""
    sums, squares = values.sum(axis=1), (values**2).sum(axis=1)
    n = values.shape[1]
    return [ArmStatistics(n, float(a), float(b)) for a, b in zip(sums, squares, strict=True)]


def vectors(*columns: Floats) -> list[Moments]:
    """Moments of one arm a run, of columns (runs, units)."""
    rows = np.stack(columns, axis=2)
    totals, products = rows.sum(axis=1), np.einsum("rui,ruj->rij", rows, rows)
    return [
        Moments(rows.shape[1], tuple(a.tolist()), tuple(map(tuple, b.tolist())))
        for a, b in zip(totals, products, strict=True)
    ]


def kinds(rng: np.random.Generator, runs: int, lift: float) -> dict[str, list]:
    """Kind of metric → an arm a run, whose units have `lift` more than nothing was planted."""
    shape = (runs, UNITS)
    habit = rng.normal(size=shape)
    value = draw(rng, shape) * np.exp(0.5 * habit)
    before = draw(rng, shape) * np.exp(0.5 * habit)
    orders = rng.poisson(np.exp(0.5 * habit)).astype(np.float64)
    margin = orders * 30 + np.sqrt(orders) * rng.normal(0, 20, shape)
    exact = rng.exponential(50, shape) * (1 + lift)
    return {
        "mean": money(value * (1 + lift)),
        "share": [Share(UNITS, int(n)) for n in rng.binomial(UNITS, 0.1 * (1 + lift), runs)],
        "ratio": [Ratio(one) for one in vectors(margin * (1 + lift), orders)],
        "cuped": [Adjusted(one) for one in vectors(value * (1 + lift), before)],
        "quantile": [summarize_quantile(row, 0.5) for row in exact],
    }


def judge(runs: int) -> dict[str, object]:
    """False positives of pairs that are alike, coverage of pairs that are not."""
    found: dict[str, list[int]] = {}
    held: dict[str, list[int]] = {}
    for number in range(-(-runs // CHUNK)):
        rng = np.random.default_rng([31, number])
        of = min(CHUNK, runs - number * CHUNK)
        one, other, better = kinds(rng, of, 0), kinds(rng, of, 0), kinds(rng, of, LIFT)
        for kind in one:
            for a, b, more in zip(one[kind], other[kind], better[kind], strict=True):
                alike = compare(a, b)
                found.setdefault(kind, []).append(int(alike.p_value < 0.05))
                held.setdefault(kind, []).append(covers(compare(a, more, relative=True), LIFT))
        for a, more in zip(one["mean"], better["mean"], strict=True):
            flat = compare(a, more, "bayes", relative=True)
            held.setdefault("bayes", []).append(covers(flat, LIFT))
    figures: dict[str, object] = {}
    figures |= {f"aa_{kind}": round(float(np.mean(hits)), 4) for kind, hits in found.items()}
    figures |= {f"covered_{kind}": round(float(np.mean(hits)), 4) for kind, hits in held.items()}
    rates = [float(np.mean(hits)) for hits in found.values()]
    covered = [float(np.mean(hits)) for hits in held.values()]
    return figures | {
        "aa_least": round(min(rates), 4), "aa_most": round(max(rates), 4),
        "covered_least": round(min(covered), 4), "covered_most": round(max(covered), 4),
        "covered_believed": round(believe(runs), 4),
    }  # fmt: skip


def covers(result: Result, truth: float) -> int:
    """1 if the interval holds the truth."""
    return int(result.low <= truth <= result.high)


def believe(runs: int) -> float:
    """Coverage where truths are drawn from the prior that is told: what a prior promises."""
    rng = np.random.default_rng(33)
    prior, held = Prior(0, 0.1, relative=False), 0
    for _ in range(runs):
        truth = rng.normal(0, prior.deviation)
        a, b = rng.normal(0, 1, 200), rng.normal(truth, 1, 200)
        arms = [ArmStatistics(200, float(v.sum()), float((v**2).sum())) for v in (a, b)]
        held += covers(compare(*arms, "bayes", prior=prior), truth)
    return held / runs


def peek(runs: int) -> dict[str, object]:
    """How often any of 100 looks finds something where nothing is."""
    fixed = sequential = 0
    ends = np.arange(LOOK // 2, PLANNED // 2 + 1, LOOK // 2)
    for number in range(-(-runs // CHUNK)):
        rng = np.random.default_rng([32, number])
        of = min(CHUNK, runs - number * CHUNK)
        sums = []
        for _ in range(2):
            values = draw(rng, (of, PLANNED // 2))
            sums.append((values.cumsum(axis=1), (values**2).cumsum(axis=1)))
        for run in range(of):
            by_t = by_sequence = False
            for end in ends:
                n = int(end)
                a, b = (
                    ArmStatistics(n, float(one[run, n - 1]), float(two[run, n - 1]))
                    for one, two in sums
                )
                by_t = by_t or compare(a, b).p_value < 0.05
                by_sequence = by_sequence or (
                    compare(a, b, "sequential", tuning=PLANNED).p_value < 0.05
                )
            fixed, sequential = fixed + by_t, sequential + by_sequence
    return {"peeked_t": round(fixed / runs, 4), "peeked_sequential": round(sequential / runs, 4)}


def adjust(runs: int) -> dict[str, object]:
    """What CUPED leaves of the variance of the effect, by the correlation with what was before."""
    figures: dict[str, object] = {}
    farthest = 0.0
    for rho in RHOS:
        plain, adjusted = [], []
        for number in range(-(-runs // CHUNK)):
            rng = np.random.default_rng([34, int(10 * rho), number])
            of = min(CHUNK, runs - number * CHUNK)
            sides = []
            for _ in range(2):
                before = rng.normal(size=(of, UNITS))
                now = rho * before + (1 - rho**2) ** 0.5 * rng.normal(size=before.shape)
                sides.append([Adjusted(one) for one in vectors(now, before)])
            for a, b in zip(*sides, strict=True):
                plain.append(compare(a.plain, b.plain).effect)
                adjusted.append(compare(a, b).effect)
        left, theory = float(np.var(adjusted) / np.var(plain)), 1 - rho**2
        figures[f"cuped_left_{rho}"] = round(left, 4)
        farthest = max(farthest, abs(left / theory - 1))
    return figures | {"cuped_error": round(farthest, 4)}


def hold_out(shops: int, worlds: int) -> dict[str, object]:
    """How often the interval of a campaign's effect covers what its shop knows it causes."""
    config = ShopConfig(customers=1500, campaigns=1, products=40, first_campaign_day=30)
    held, errors, truths = 0, [], []
    cpu = time.process_time()
    for number in range(shops):
        shop = Shop(config, seed=1_000_000 + number)
        (campaign,) = shop.campaigns
        start, end = campaign.start_on(config), campaign.end_on(config) + timedelta(days=1)
        names = np.unique(shop.history(start)["touches"][c.CUSTOMER_ID].to_numpy(dtype=str))
        out = np.random.default_rng([35, number]).random(len(names)) < 1 / 3
        lines = shop.step(start, end, {campaign.campaign_id: names[~out]})["order_lines"]
        buyers = lines.drop_duplicates(c.ORDER_ID)[c.CUSTOMER_ID].value_counts()
        orders = buyers.reindex(names, fill_value=0).to_numpy(dtype=np.int64)
        effect = compare(summarize_arm(orders[out]), summarize_arm(orders[~out]))
        truth = shop.truth.effect(campaign.campaign_id, names, worlds=worlds).orders
        held += covers(effect, truth)
        errors.append(effect.effect - truth)
        truths.append(truth)
    return {
        "holdout_covered": round(held / shops, 4),
        "holdout_mean_effect": round(float(np.mean(truths)), 4),
        "holdout_bias": round(float(np.mean(errors)), 4),
        "holdout_bias_error": round(float(np.std(errors, ddof=1) / shops**0.5), 4),
        "holdout_cpu_s": round(time.process_time() - cpu, 1),
    }


def write(engine: DuckDBEngine, folder: Path, rows: int) -> None:
    """Parquet of exposures and orders; every value is a hash, so the same rows each time."""
    units = rows // EXPOSURES
    who = "'p_' || md5(u::VARCHAR)[:26]"
    arm = "CASE WHEN hash(u, 1) % 2 = 0 THEN 'plain' ELSE 'offer' END"
    tier = "['new', 'silver', 'gold'][(hash(u, 2) % 3 + 1)::BIGINT]"
    second = "to_seconds((hash(i, {salt}) % {span})::BIGINT)"
    begin = "TIMESTAMP '2026-03-01'"
    shown = f"""SELECT {who} AS customer_id, {arm} AS arm, {tier} AS tier,
        {begin} + to_days((hash(u, 8) % 28)::INTEGER) + {second.format(salt=3, span=86_400 * 7)}
            AS occurred_at
        FROM (SELECT i, hash(i, 4) % {units} AS u FROM range({rows}) r(i))"""  # noqa: S608 - no input
    bought = f"""SELECT {who} AS customer_id,
        {begin} - INTERVAL 14 DAY + {second.format(salt=5, span=70 * 86_400)} AS occurred_at,
        amount AS revenue_minor, amount * 3 // 10 AS margin_minor, 1 AS orders
        FROM (SELECT i, u, CASE WHEN hash(u, 1) % 2 = 0 THEN paid ELSE {1 + PLANTED} * paid END
            ::BIGINT AS amount FROM (SELECT i, hash(i, 6) % {units} AS u,
            1000 + (hash(i, 7) % 9000)::BIGINT AS paid FROM range({units}) r(i)))"""  # noqa: S608 - no input
    for name, query in (("exposures", shown), ("orders", bought)):
        engine.backend.con.execute(
            f"COPY ({query}) TO '{folder / name}.parquet' (COMPRESSION zstd)"
        )


def plan_readout(units: int) -> Plan:
    """What is compared, and how."""
    return freeze(
        Experiment(
            "offer", "Does the offer bring more revenue than plain mail?",
            {"plain": 1.0, "offer": 1.0}, "plain", date(2026, 3, 1), date(2026, 3, 28),
            (
                Metric("revenue", adjusted=True),
                Metric("margin", kind="ratio", role="other"),
                Metric("orders", role="guard", margin=0.02),
            ),
            planned=units, window_days=WINDOW,
            method="sequential",
        )
    )  # fmt: skip


def measure(engine: DuckDBEngine, folder: Path, rows: int) -> dict[str, object]:
    """From the files to the verdict, timed."""
    cpu, begun = time.process_time(), time.perf_counter()
    shown = engine.backend.read_parquet(str(folder / "exposures.parquet"))
    bought = engine.backend.read_parquet(str(folder / "orders.parquet"))
    grouped = x.group_units(shown, by=["tier"]).cache()
    seen = grouped.count().to_pyarrow().as_py()
    counted = x.count_units(grouped).to_pyarrow().to_pylist()
    at_units = time.perf_counter() - begun
    units = x.close_windows(x.keep_single(grouped), until=UNTIL, window_days=WINDOW)
    values = x.sum_outcomes(units, bought, MEASURES, window_days=WINDOW, before_days=WINDOW)
    sums = x.sum_arms(values, list(GROUPS.values()), by=["tier"]).to_pyarrow().to_pylist()
    arms: dict[str, dict[str, dict[str, Summed]]] = {}
    for row in sums:
        for metric, group in GROUPS.items():
            made = KINDS[metric](x.read_moments(row, group))
            arms.setdefault(metric, {}).setdefault(row["arm"], {})[row["tier"]] = made
    told = read_out(
        plan_readout(seen), arms, {row["arm"]: row["units"] for row in counted},
        as_of=UNTIL.date(), mixed=sum(row["mixed"] for row in counted),
    )  # fmt: skip
    reading = told.find("offer")
    wall, used = time.perf_counter() - begun, time.process_time() - cpu
    print(*tell(told), sep="\n")
    return {
        "units_seen": seen,
        "units_counted": sum(row["units"] for row in sums),
        "units_wall_s": round(at_units, 1),
        "readout_wall_s": round(wall, 1),
        "readout_cpu_s": round(used, 1),
        "readout_peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "readout_lift": round(reading.result.effect, 4),
        "readout_holds_planted": covers(reading.result, PLANTED),
        "readout_verdict": reading.verdict,
    }


def main() -> None:
    """Truth first, then the read-out, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--shops", type=int, default=1000)
    parser.add_argument("--worlds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000_000)
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:  # first: memory is that of the read-out
        engine = DuckDBEngine(threads=2, memory_bytes=MEMORY_BYTES)
        begun = time.perf_counter()
        write(engine, Path(name), asked.rows)
        figures["generate_s"] = round(time.perf_counter() - begun, 1)
        figures |= measure(engine, Path(name), asked.rows)
    for part in (judge, peek, adjust):
        cpu = time.process_time()
        figures |= part(asked.runs)
        figures[f"{part.__name__}_cpu_s"] = round(time.process_time() - cpu, 1)
    figures |= hold_out(asked.shops, asked.worlds)
    emit(
        "measure_experiment",
        data="made up: skewed money, exposures by hash; simulated shops of 1,500 customers",
        rows={"runs": asked.runs, "shops": asked.shops, "exposures": asked.rows},
        figures=figures,
        goals={
            "aa_least": at_least(0.045),
            "aa_most": at_most(0.055),
            "covered_least": at_least(0.94),
            "covered_most": at_most(0.96),
            "peeked_sequential": at_most(0.05),
            "cuped_error": at_most(0.05),
            "holdout_covered": at_least(0.94),
            "readout_wall_s": at_most(60),
            "readout_peak_gib": at_most(6),
            "readout_holds_planted": at_least(1),
        },
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # of numpy; the engine has two
        main()

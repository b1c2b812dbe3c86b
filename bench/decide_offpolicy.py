"""Off-policy evaluation: whether intervals cover, whom the gate and the ramp let through.

Five logs are of one shop. Coverage: 1,000 logs of 2,000 to 20,000 decisions, half with
rewards of yes or no (5 %), half with money (one in ten buys, for a lognormal amount); `harsh` ones
explore half as much and are judged for a sharper policy. Gate: candidates follow the truth, but
are worth a given ratio of the current policy; an equal one passes 5 times in 100 by the bound.
Seeds differ from those that the interval was chosen on. Open Bandit: the value of the random policy
from the log of the other one, in three campaigns of 10,000 decisions, against what it had itself;
the relative errors are those that obp finds.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import numpy as np

from bench.decide_logs import MANY, D, make_shop, read_open_bandit
from bench.harness import at_least, at_most, emit
from zhiyin.core.errors import WrongPropensities
from zhiyin.decide import offpolicy
from zhiyin.decide.offpolicy import propensities
from zhiyin.decide.offpolicy.estimators import find_parts
from zhiyin.decide.offpolicy.evaluation import evaluate_target
from zhiyin.decide.ramp import Metric, Sums, observe, start, step

SEED = 20_261_130
LOGS, HARSH, WORSE, OTHERS, RAMPS = 1_000, 100, 1_000, 200, 1_000
PER_SHOP = 5
SIZES = (2_000, 5_000, 10_000, 20_000)
METHODS = ("dr", "switch-dr", "snips", "ips")
N_BETTER, N_WORSE = 50_000, 20_000


def cover(logs: int, *, harsh: bool) -> dict[str, object]:
    """How often each interval has the truth, over logs of different shops."""
    rng = np.random.default_rng([SEED, harsh])
    inside: dict[str, list[bool]] = defaultdict(list)
    off: dict[str, list[float]] = defaultdict(list)
    keen, refused = (4.0 if harsh else 2.0), 0
    for i in range(logs):
        money = bool(i // PER_SHOP % 2)
        if i % PER_SHOP == 0:
            sharp = 2 if harsh else 1
            shop = make_shop(rng, money=money, explore=0.1 if harsh else 0.2, sharp=sharp)
            x = rng.normal(size=(MANY, D))
            truth = shop.value(shop.target(x, keen), x)
        log = shop.draw(SIZES[i % len(SIZES)], rng)
        if offpolicy.calibrate(log).p_value < propensities.ALARM:
            refused += 1
            continue
        target, expected = shop.target(log.contexts, keen), offpolicy.predict_rewards(log)
        for method in METHODS:
            found = evaluate_target(log, target, method, expected=expected)
            hit = found.low <= truth <= found.high
            inside[method].append(hit)
            off[method].append((found.value / truth - 1) ** 2)
            if method == "dr":
                inside["dr_money" if money else "dr_yes_no"].append(hit)
                inside["dr_ok"].extend([hit] if found.status == "ok" else [])
        parts = find_parts(log, target, "dr", expected).values
        error = parts.std(ddof=1) / np.sqrt(log.n)
        inside["dr_student"].append(abs(parts.mean() - truth) <= 1.96 * error)
    kind = "harsh_" if harsh else ""
    made: dict[str, object] = {f"{kind}coverage_{k}": float(np.mean(v)) for k, v in inside.items()}
    made |= {f"{kind}share_ok": len(inside["dr_ok"]) / logs, f"{kind}refused": refused}
    errors = {m: round(float(np.sqrt(np.mean(each))), 4) for m, each in off.items()}
    return made | {f"{kind}relative_error": errors}


def passed(ratio: float, trials: int, n: int, *, seed: int) -> tuple[float, int]:
    """Share of candidates worth `ratio` of the current policy that the gate lets through."""
    rng = np.random.default_rng([SEED, seed])
    through = unknown = 0
    for i in range(trials):
        if i % PER_SHOP == 0:
            shop = make_shop(rng, money=bool(i // PER_SHOP % 2))
            keen = shop.keen_for(ratio, rng.normal(size=(MANY, D)))
        log = shop.draw(n, rng)
        candidate, current = shop.target(log.contexts, keen), shop.current(log.contexts)
        try:
            verdict = offpolicy.gate(log, candidate, current)
        except WrongPropensities:  # one true log in a thousand at most: see propensities.ALARM
            unknown += 1
            continue
        through += verdict.promoted
        unknown += verdict.difference.status != "ok"
    return through / trials, unknown


def ramp_up(gain: float, trials: int, *, seed: int) -> dict[str, float]:
    """How ramps of a yes-or-no reward of 5 % end, looked at every 1,000 decisions."""
    rng = np.random.default_rng([SEED, seed])
    deviation = float(np.sqrt(0.05 * 0.95))
    ends: dict[str, int] = defaultdict(int)
    met, made = [], []
    for _ in range(trials):
        ramp = start(Metric(deviation), planned=250_000)
        while ramp.status == "running":
            n = int(rng.binomial(1_000, ramp.share))
            won, other = rng.binomial(n, 0.05 * (1 + gain)), rng.binomial(1_000 - n, 0.05)
            ramp = observe(
                ramp,
                {"reward": Sums(n, float(won), float(won))},
                {"reward": Sums(1_000 - n, float(other), float(other))},
            )
            ramp = step(ramp)
        ends[ramp.reason] += 1
        seen = [each for each in ramp.stages if each.candidate]
        met.append(sum(each.candidate["reward"].n for each in seen))
        made.append(met[-1] + sum(each.current["reward"].n for each in seen))
    return {
        "better": ends["better"] / trials, "worse": ends["worse"] / trials,
        "decisions": float(np.median(made)), "by_candidate": float(np.median(met)),
    }  # fmt: skip


def open_bandit() -> dict[str, object]:
    """Relative errors of the random policy's value from the other log, and whether inside."""
    errors: dict[str, object] = {}
    inside = exact = known = 0
    for campaign in ("all", "men", "women"):
        own, other = read_open_bandit("random", campaign), read_open_bandit("bts", campaign)
        if own is None or other is None:
            return {}
        truth = float(own.rewards.mean())
        even = np.full((other.n, other.n_actions), 1 / other.n_actions)
        exact += abs(offpolicy.evaluate(own, even, "ips").value - truth) < 1e-12
        for method in ("ips", "snips"):
            found = offpolicy.evaluate(other, even, method)
            errors[f"{method}_{campaign}"] = round(abs(found.value / truth - 1), 3)
            inside += found.low <= truth <= found.high
            known += 1
    return {
        "open_bandit_relative_error": errors, "open_bandit_inside": inside / known,
        "open_bandit_exact_on_own_log": exact / 3,
    }  # fmt: skip


def main() -> None:
    """Print the figures; a number as first argument divides all trials."""
    by = next((int(each) for each in sys.argv[1:] if each.isdigit()), 1)
    began = time.process_time()
    figures = cover(LOGS // by, harsh=False) | cover(HARSH // by, harsh=True)
    for name, ratio, trials, n in (
        ("worse_by_2", 0.98, WORSE, N_WORSE), ("equal", 1.0, OTHERS, N_WORSE),
        ("worse_by_10", 0.9, OTHERS, N_WORSE), ("better_by_10", 1.1, OTHERS, N_BETTER),
    ):  # fmt: skip
        share, unknown = passed(ratio, trials // by, n, seed=len(figures))
        figures |= {f"gate_passes_{name}": share, f"gate_unknown_{name}": unknown}
    ramps = {"equal": 0.0, "worse_by_10": -0.1, "better_by_10": 0.1}
    for name, gain in ramps.items():
        ends = ramp_up(gain, RAMPS // by // (1 if not gain else 4), seed=len(figures))
        figures |= {f"ramp_{name}_{key}": value for key, value in ends.items()}
    figures |= open_bandit() | {"cpu_s": round(time.process_time() - began, 1)}
    log = make_shop(np.random.default_rng(1), money=False).draw(50_000, np.random.default_rng(2))
    began = time.process_time()
    offpolicy.evaluate(log, np.full((log.n, log.n_actions), 1 / log.n_actions))
    figures["evaluate_50000_cpu_s"] = round(time.process_time() - began, 3)
    emit(
        "decide_offpolicy",
        data="simulated shops of six actions; Open Bandit, small (data/obd_small)",
        rows={"logs": LOGS // by, "decisions_better": N_BETTER, "decisions_worse": N_WORSE},
        figures=figures,
        goals={
            "coverage_dr": at_least(0.93),
            "coverage_snips": at_least(0.93),
            "gate_passes_worse_by_2": at_most(0.05),
            "gate_passes_better_by_10": at_least(0.8),
            "ramp_equal_better": at_most(0.05),
            "ramp_better_by_10_better": at_least(0.8),
        },
    )


if __name__ == "__main__":
    main()

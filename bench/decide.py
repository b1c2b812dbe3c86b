"""How fast do policies decide and learn, and how little do they lose while they learn?

Speed: contexts of 10 numbers and 10 actions for LinUCB, as the peer's figures were taken; then one
whole decision: features by name of 19 columns, scaled, 50 actions, Thompson sampling with its
propensity. CPU time of one thread, of single decisions; `wall` is what a clock says, which other
programs on the machine lengthen.

Regret: 10 actions with linear rewards of contexts of 10 numbers, normal noise, `--rounds` decisions
one after the other, each learned at once; every policy and the peer, MABWiser 2.7.4, meet the same
contexts and noises, and the same alpha and ridge; `scaled` are ours as they come, which learn the
scale of rewards and are given the constant 1. The regret of a round is what the best action
would have been expected to bring more. Sublinear: the regret of the last quarter against that of
the first. The peer runs where `ZHIYIN_MABWISER` names a Python that has it:

    python -m venv mab && mab/bin/pip install mabwiser==2.7.4
    ZHIYIN_MABWISER=mab/bin/python python -m bench.decide

Tabular shop (`simulate.tabular`): 20,000 decisions of 2,000 customers over 10 periods, more than
half of them nothing and the others at random; what the learned policy is worth, computed exactly,
as a share of the best one. Over 20 logs; `least` is the worst of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.core.protocols import Policy
from zhiyin.decide.mdp.learning import fit_q, learn_q
from zhiyin.decide.mdp.model import iterate_policy, walk
from zhiyin.decide.policy import Scaling, make
from zhiyin.simulate.tabular import tabular_shop, usual_chances

ACTIONS, WIDTH, NOISE, ALPHA = 10, 10, 0.5, 0.5
NAMES = tuple(f"a{place}" for place in range(ACTIONS))
PEER = """
import json, sys, time
import numpy as np
from mabwiser.mab import MAB, LearningPolicy
asked = json.load(sys.stdin)
made = {}
for name, kind in (("linucb", LearningPolicy.LinUCB), ("lints", LearningPolicy.LinTS)):
    regrets, decide, learn = [], 0.0, 0.0
    for seed, (seen, values, paid) in enumerate(asked["worlds"]):
        seen, values, paid = map(np.array, (seen, values, paid))
        arms = list(range(values.shape[1]))
        mab = MAB(arms, kind(alpha=asked["alpha"], l2_lambda=1.0), seed=seed)
        lost = np.empty(len(seen))
        for i in range(len(seen)):
            x = seen[i : i + 1]
            if i == 0:
                arm = 0
                mab.fit([arm], [paid[i, arm]], x)
            else:
                t = time.process_time()
                arm = mab.predict(x)
                decide += time.process_time() - t
                t = time.process_time()
                mab.partial_fit([arm], [paid[i, arm]], x)
                learn += time.process_time() - t
            lost[i] = values[i].max() - values[i, arm]
        regrets.append(lost.sum())
    number = sum(len(world[0]) for world in asked["worlds"])
    made[f"mabwiser_{name}_regret"] = round(float(np.mean(regrets)), 1)
    made[f"mabwiser_{name}_regrets"] = [round(float(one), 1) for one in regrets]
    made[f"mabwiser_{name}_decisions_per_s"] = round(number / decide)
    made[f"mabwiser_{name}_updates_per_s"] = round(number / learn)
print(json.dumps(made))
"""
World = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_world(seed: int, rounds: int) -> World:
    """Contexts (rounds, d), what each action is expected to bring, and what it would bring."""
    rng = np.random.default_rng([11, seed])
    weights = rng.normal(size=(ACTIONS, WIDTH)) / np.sqrt(WIDTH)
    seen = rng.normal(size=(rounds, WIDTH))
    values = seen @ weights.T
    return seen, values, values + NOISE * rng.normal(size=values.shape)


def lose(policy: Policy, world: World, seed: int) -> np.ndarray:
    """The regret of every round."""
    seen, values, paid = world
    rng, lost = np.random.default_rng([12, seed]), np.empty(len(seen))
    places = {name: place for place, name in enumerate(policy.actions)}
    best = values.max(axis=1)
    for i, x in enumerate(seen):
        action = policy.choose(x, rng=rng).action
        assert action is not None
        place = places[action]
        policy.update(x, action, paid[i, place])
        lost[i] = best[i] - values[i, place]
    return lost


def judge_regret(rounds: int, seeds: int) -> tuple[dict[str, object], dict[str, Goal]]:
    """Regrets of ours and of the peer, and the goals on them."""
    worlds = [make_world(seed, rounds) for seed in range(seeds)]
    textbook = {"width": WIDTH, "alpha": ALPHA, "noise": 1.0}
    more = [(np.column_stack([one[0], np.ones(rounds)]), *one[1:]) for one in worlds]
    settings = {
        "linucb": ("linucb", textbook, worlds),
        "lints": ("linear_thompson", textbook, worlds),
        "scaled_linucb": ("linucb", {"width": WIDTH + 1}, more),
        "scaled_lints": ("linear_thompson", {"width": WIDTH + 1}, more),
        "epsilon_greedy": ("epsilon_greedy", {"width": WIDTH + 1}, more),
    }
    figures: dict[str, object] = {}
    goals: dict[str, Goal] = {}
    regret: dict[str, float] = {}
    for name, (kind, given, met) in settings.items():
        lost = [lose(make(kind, NAMES, **given), one, seed) for seed, one in enumerate(met)]
        quarters = np.array(lost).reshape(seeds, 4, -1).sum(axis=2).mean(axis=0)
        regret[name] = float(quarters.sum())
        figures[f"{name}_regret"] = round(regret[name], 1)
        figures[f"{name}_regrets"] = [round(float(one.sum()), 1) for one in lost]
        figures[f"{name}_last_quarter_to_first"] = round(float(quarters[3] / quarters[0]), 3)
    for name in ("linucb", "lints"):
        goals[f"{name}_last_quarter_to_first"] = at_most(0.5)
    figures |= ask_peer(worlds)
    for name in ("linucb", "lints"):
        if peer := figures.get(f"mabwiser_{name}_regret"):
            figures[f"{name}_regret_to_mabwiser"] = round(regret[name] / float(str(peer)), 3)
            goals[f"{name}_regret_to_mabwiser"] = at_most(1.1)
    return figures, goals


def ask_peer(worlds: list[World]) -> dict[str, object]:
    """The same worlds met by MABWiser in its own environment; nothing where there is none."""
    python = os.environ.get("ZHIYIN_MABWISER")
    if not python:
        return {}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    asked = {"alpha": ALPHA, "worlds": [[part.tolist() for part in one] for one in worlds]}
    done = subprocess.run(
        [python, "-c", PEER], input=json.dumps(asked),
        check=True, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def per_second(call: Callable[[int], object], times: int, runs: int = 7) -> int:
    """Calls per CPU second, the best of several runs."""
    least = np.inf
    for _ in range(runs):
        cpu = time.process_time()
        for number in range(times):
            call(number)
        least = min(least, time.process_time() - cpu)
    return round(times / least)


def measure_linucb(prefix: str, kind: str, times: int) -> dict[str, object]:
    """Single decisions and updates, and decisions of many at once, per CPU second."""
    rng = np.random.default_rng(5)
    seen, paid = rng.normal(size=(times, WIDTH)), rng.normal(size=times)
    names = [NAMES[place] for place in rng.integers(ACTIONS, size=times)]
    policy = make(kind, NAMES, width=WIDTH)
    policy.update(seen, names, paid)
    many = np.tile(seen, (10, 1))
    return {
        f"{prefix}_decisions_per_s": per_second(lambda i: policy.choose(seen[i], rng=rng), times),
        f"{prefix}_updates_per_s": per_second(
            lambda i: policy.update(seen[i], names[i], paid[i]), times
        ),
        f"{prefix}_many_per_s": per_second(lambda _: policy.choose_many(many, rng=rng), 1)
        * len(many),
    }


def measure_decision(times: int) -> dict[str, object]:
    """One whole decision: features by name → context → 50 actions → Thompson → choice, in us.

    Of five rounds the quietest: what else runs on the machine can double them all.
    """
    rng = np.random.default_rng(6)
    columns = [f"feature_{number}" for number in range(19)]
    features = rng.lognormal(size=(times, len(columns)))
    scaling = Scaling.fit(features, columns)
    names = tuple(f"a{place}" for place in range(50))
    policy = make("linear_thompson", names, width=scaling.width, explore=0.02)
    taught = scaling.encode_many(features)
    chosen = [names[place] for place in rng.integers(50, size=times)]
    policy.update(taught, chosen, rng.normal(size=times) + taught[:, 0])
    people = [dict(zip(columns, row, strict=True)) for row in features.tolist()]
    figures: dict[str, object] = {}
    for name, clock in (("", time.process_time_ns), ("wall_", time.perf_counter_ns)):
        rounds: list[tuple[float, float]] = []
        for _ in range(5):
            took = np.empty(times)
            for number, person in enumerate(people):
                start = clock()
                policy.choose(scaling.encode(person), rng=rng)
                took[number] = clock() - start
            rounds.append((float(np.quantile(took, 0.5)), float(np.quantile(took, 0.99))))
        middle, slow = min(rounds)
        figures[f"decision_{name}p50_us"] = round(middle / 1e3, 1)
        figures[f"decision_{name}p99_us"] = round(slow / 1e3, 1)
    return figures | {
        "decisions_of_50_per_s": per_second(
            lambda i: policy.choose(scaling.encode(people[i]), rng=rng), times, 3
        ),
    }


def judge_tabular(logs: int) -> dict[str, object]:
    """Worth of learned policies as a share of the best, over so many logs."""
    shop = tabular_shop()
    mdp, sizes = shop.mdp, {"states": len(shop.states), "actions": len(shop.actions)}
    best, usual = mdp.worth(iterate_policy(mdp).policy), usual_chances(shop)
    shares: dict[str, list[float]] = {
        "fitted_q": [],
        "fitted_q_without_kinds": [],
        "q_learning": [],
    }
    for seed in range(logs):
        rng = np.random.default_rng([17, seed])
        steps = walk(mdp, usual, customers=2_000, periods=10, rng=rng)
        given = {**sizes, "discount": mdp.discount}
        found = {
            "fitted_q": fit_q(steps, kinds=shop.states, **given),
            "fitted_q_without_kinds": fit_q(steps, **given),
            "q_learning": learn_q(steps, rng=rng, **given),
        }
        for name, learned in found.items():
            shares[name].append(mdp.worth(learned.policy) / best)
    figures: dict[str, object] = {}
    for name, got in shares.items():
        figures[f"tabular_{name}"] = round(float(np.mean(got)), 4)
        figures[f"tabular_{name}_least"] = round(min(got), 4)
    figures["tabular_usual"] = round(mdp.worth(usual) / best, 4)
    figures["tabular_myopic"] = round(mdp.worth(mdp.rewards.argmax(axis=1)) / best, 4)
    return figures


def main() -> None:
    """Speed, then regret, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--times", type=int, default=5_000)
    parser.add_argument("--logs", type=int, default=20)
    asked = parser.parse_known_args()[0]
    figures = measure_linucb("linucb", "linucb", asked.times)
    figures |= measure_linucb("lints", "linear_thompson", asked.times)
    figures |= measure_decision(asked.times)
    figures |= judge_tabular(asked.logs)
    regret, goals = judge_regret(asked.rounds, asked.seeds)
    emit(
        "decide",
        data="made up: linear rewards, normal contexts and noise",
        rows={"rounds": asked.rounds, "seeds": asked.seeds},
        figures=figures | regret,
        goals={
            "linucb_decisions_per_s": at_least(40_000),
            "linucb_updates_per_s": at_least(20_000),
            "decision_p50_us": at_most(150),
            "decision_p99_us": at_most(1_500),
            "tabular_fitted_q": at_least(0.95),
        }
        | goals,
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()

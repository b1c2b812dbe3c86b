"""What is a policy worth where contacts have consequences, and the truth is known?

Rich shops (`simulate.shop`), `--seeds` of each preset. Each shop tries things for `--log` periods:
nothing mostly, the rest at random. Then a policy takes over, for as many periods as it takes until
a reward counts 5 %; every policy begins with the same people in the same state and meets the same
luck. Its value is the discounted margin less cost of a customer; `share` is how far it gets from
doing nothing (0) to the oracle (1), which knows each customer and plans. The interval is of the
mean over the seeds, 95 % by Student's t.

| policy | knows | learns |
|---|---|---|
| `random`, `rules` | nothing; what a marketer would write down | no |
| `linucb`, `thompson` | the log and all that comes, one reward at a time | after every period |
| `fitted_q_now` | the log; today's reward | no |
| `fitted_q` | the log; what comes later as well | no |
| `gradient` | other shops of the preset, simulated: `--lives` of 1,000 customers | no |
| `myopic_truth` | everything; thinks of today | |
| `oracle` | everything; plans | |

`gradient` is as good as the simulator is true: here it is exactly true, in a real shop it is not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from bench.harness import emit
from zhiyin.core.protocols import Policy
from zhiyin.decide.mdp.fitted import fit_linear_q
from zhiyin.decide.mdp.gradient import train
from zhiyin.decide.mdp.model import Steps
from zhiyin.decide.policy import Scaling, make, warm_start
from zhiyin.decide.policy.weighted import Softmax
from zhiyin.simulate import shop
from zhiyin.simulate.oracle import plan
from zhiyin.simulate.presets import Preset, find_preset
from zhiyin.simulate.rich import Observation, RichShop, usual_chances

RULES = {
    "grocery": [
        {"when": [["contacts_lately", ">", 0.7]], "then": "none"},
        {"when": [["periods_since_order", ">", 8], ["periods_since_order", "<", 26],
                  ["coupon_share", ">", 0.15]], "then": "sms_coupon"},
        {"when": [["orders_in_year", ">", 8]], "then": "wechat_gift"},
        {"when": [["season_ahead", ">", 0.3]], "then": "sms_reminder"},
        {"when": [["taste_for_shown", ">", 1.2]], "then": "email_news"},
    ],
    "jeweller": [
        {"when": [["contacts_lately", ">", 0.5]], "then": "none"},
        {"when": [["periods_since_order", "<", 6]], "then": "none"},
        {"when": [["occasion", ">", 0.5]], "then": "wechat_greeting"},
        {"when": [["season", ">", 0.3], ["orders_in_year", ">", 0.5]], "then": "call"},
        {"when": [["season", ">", 0.3]], "then": "wechat_news"},
        {"when": [["taste_for_shown", ">", 1.2]], "then": "email_news"},
    ],
}  # fmt: skip
TRAINED_ON = (90_001, 90_002, 90_003, 90_004)  # seeds of shops that no figure is taken from
Choose = Callable[[RichShop, Observation], np.ndarray]


@dataclass(frozen=True, eq=False)
class Log:
    """What a shop tried: (decisions, …)."""

    seen: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    then: np.ndarray
    eligible: np.ndarray
    propensities: np.ndarray


def try_things(market: RichShop, periods: int, seed: int) -> Log:
    """Live so many periods as usual; the log of all decisions where there was a choice."""
    rng, chances = np.random.default_rng([21, seed]), usual_chances(market.preset)
    parts: list[tuple[np.ndarray, ...]] = []
    seen = market.observe()
    for _ in range(periods):
        drawn = rng.choice(len(chances), size=market.customers, p=chances)
        actions = np.where(seen.eligible.all(axis=1), drawn, 0)
        lived = market.step(actions)
        then, free = lived.observation, seen.eligible.all(axis=1)
        taken = np.where(free, chances[actions], 1.0)
        parts.append((seen.features, actions, lived.rewards, then.features, then.eligible, taken))
        seen = then
    return Log(*(np.concatenate(one) for one in zip(*parts, strict=True)))


def following(policy: Policy, encode: Callable, rng: np.random.Generator) -> Choose:
    """Choices of a policy that does not learn."""
    return lambda _, seen: policy.choose_many(
        encode(seen.features), seen.eligible, rng=rng
    ).places  # fmt: skip


def value_of(
    market: RichShop, choose: Choose, periods: int, learn: Callable | None = None
) -> float:
    """The discounted rewards of a customer from here on."""
    one, worth = market.fork(world=2), 0.0
    seen = one.observe()
    for period in range(periods):
        actions = choose(one, seen)
        lived = one.step(actions)
        worth += one.preset.discount**period * float(lived.rewards.mean())
        if learn is not None:
            learn(seen, actions, lived.rewards)
        seen = lived.observation
    return worth


def train_gradient(preset: Preset, lives: int) -> tuple[Softmax, Scaling]:
    """A policy trained in other shops of the preset."""
    shops = [shop(preset, seed, customers=1_000) for seed in TRAINED_ON]
    first = [one.fork(world=9) for one in shops]
    logs = np.concatenate([try_things(one, 30, 7).seen for one in first])
    scaling = Scaling.fit(logs, shops[0].observe().names)
    start = np.zeros((len(preset.actions), scaling.width))
    start[0, -1] = np.log(preset.usual / (1 - preset.usual) * (len(start) - 1))
    begun = Softmax(preset.actions, width=scaling.width).weighing(start)
    trained = train(
        begun, lambda life: shops[life % len(shops)].fork(world=life), scaling.encode_many,
        lives=lives, periods=30, discount=preset.discount, rng=np.random.default_rng(23),
    )  # fmt: skip
    return trained.policy, scaling


def judge(
    preset: Preset, seed: int, customers: int, log: int, gradient: tuple[Softmax, Scaling]
) -> dict[str, float]:
    """The value of every policy in one shop."""
    market = shop(preset, seed, customers=customers)
    told = try_things(market, log, seed)
    periods = int(np.ceil(np.log(0.05) / np.log(preset.discount)))
    names, actions = market.observe().names, preset.actions
    scaling = Scaling.fit(told.seen, names)
    steps = Steps(
        scaling.encode_many(told.seen), told.actions, told.rewards,
        scaling.encode_many(told.then), told.propensities,
    )  # fmt: skip
    rng = np.random.default_rng([22, seed])
    worth: dict[str, float] = {}
    for name, chosen in {
        "nothing": lambda one, _: np.zeros(one.customers, np.int64),
        "random": lambda one, _: rng.integers(len(actions), size=one.customers),
        "rules": following(
            make("rules", actions, features=names, rules=RULES[preset.name], default="none"),
            np.asarray, rng,
        ),
        "gradient": following(gradient[0], gradient[1].encode_many, rng),
        "myopic_truth": lambda one, _: one.truth().argmax(axis=1),
    }.items():  # fmt: skip
        worth[name] = value_of(market, chosen, periods)
    for name, discount in (("fitted_q_now", 0.0), ("fitted_q", preset.discount)):
        found = fit_linear_q(
            steps, actions=len(actions), discount=discount, next_eligible=told.eligible
        )
        policy = found.policy(actions)
        worth[name] = value_of(market, following(policy, scaling.encode_many, rng), periods)
    for name, kind in (("linucb", "linucb"), ("thompson", "linear_thompson")):
        policy = make(kind, actions, width=scaling.width)
        warm_start(policy, steps.states, [actions[one] for one in told.actions], told.rewards)

        def learn(seen, done, rewards, policy=policy) -> None:
            policy.update(
                scaling.encode_many(seen.features), [actions[one] for one in done], rewards
            )

        worth[name] = value_of(market, following(policy, scaling.encode_many, rng), periods, learn)
    found = plan(market, periods)
    worth["oracle"] = value_of(market, lambda one, _: found.choose(one), periods)
    return worth


def tell(name: str, values: list[float], unit: str, digits: int) -> dict[str, object]:
    """Mean over the seeds with its interval."""
    mean, n = float(np.mean(values)), len(values)
    error = float(np.std(values, ddof=1)) / n**0.5 if n > 1 else float("nan")
    half = float(stats.t.ppf(0.975, max(n - 1, 1))) * error
    low, high = round(mean - half, digits), round(mean + half, digits)
    return {f"{name}_{unit}": round(mean, digits), f"{name}_{unit}_interval": [low, high]}


def main() -> None:
    """All policies in all shops, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--log", type=int, default=40)
    parser.add_argument("--lives", type=int, default=200)
    parser.add_argument("--presets", nargs="+", default=["grocery", "jeweller"])
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {}
    for name in asked.presets:
        preset, cpu = find_preset(name), time.process_time()
        gradient = train_gradient(preset, asked.lives)
        figures[f"{name}_gradient_cpu_s"] = round(time.process_time() - cpu, 1)
        got = [
            judge(preset, seed, asked.customers, asked.log, gradient) for seed in range(asked.seeds)
        ]
        for policy in got[0]:
            values = [one[policy] for one in got]
            shares = [
                (one[policy] - one["nothing"]) / (one["oracle"] - one["nothing"]) for one in got
            ]
            figures |= tell(f"{name}_{policy}", values, "yuan", 1)
            if policy not in ("nothing", "oracle"):
                figures |= tell(f"{name}_{policy}", shares, "share", 2)
    emit(
        "decide_shop",
        data="simulated: rich shops whose truth is known",
        rows={"seeds": asked.seeds, "customers": asked.customers, "log": asked.log},
        figures=figures,
        goals={},
    )


if __name__ == "__main__":
    with threadpool_limits(1):  # one core
        main()

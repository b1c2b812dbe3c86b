"""Which policy earns most while it learns? Six of them meet the same simulated customers.

python examples/policies.py 30000

A coupon brings back those who were away for long, a gift those who are loyal; both cost something,
doing nothing costs nothing. Rewards are
margins in cents. The first thousand customers are decided on at random: their log is what every
policy that learns begins with.
"""

from __future__ import annotations

import sys

import numpy as np

from zhiyin.decide.policy import Scaling, make, warm_start

ACTIONS = ("none", "coupon", "gift")
COST = np.array([0.0, 100.0, 300.0])
FEATURES = ("days_since_order", "orders")
DAY = 100  # customers who are decided on before anything is learned
LEARNING = {
    "epsilon_greedy": {},
    "linucb": {},
    "linear_thompson": {},
}


def draw_customers(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Days since the last order and number of orders, (rows, 2)."""
    return np.column_stack([rng.exponential(40, rows), rng.poisson(3, rows)])


def expect(customers: np.ndarray) -> np.ndarray:
    """The margin less the cost that each action is expected to bring, (rows, 3): the truth."""
    away, loyal = np.minimum(customers.T, [[100], [6]]) / [[100], [6]]
    chance = 0.1 + np.column_stack([np.zeros(len(away)), 0.2 * away, 0.4 * loyal**2])
    return 2_000 * chance - COST


def draw_rewards(customers: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the chosen actions bring."""
    told = expect(customers)[np.arange(len(places)), places] + COST[places]
    return 2_000.0 * (rng.random(len(places)) < told / 2_000) - COST[places]


def play(name: str, customers: np.ndarray, past: np.ndarray, *, seed: int) -> float:
    """Mean expected reward of the customers under a policy that learns day by day."""
    rng, scaling = np.random.default_rng(seed), Scaling.fit(past, FEATURES)
    policy = make(name, ACTIONS, width=scaling.width, **LEARNING[name])
    places = rng.integers(len(ACTIONS), size=len(past))
    told = draw_rewards(past, places, rng)
    warm_start(policy, scaling.encode_many(past), [ACTIONS[place] for place in places], told)
    earned = 0.0
    for today in np.array_split(customers, max(1, len(customers) // DAY)):
        contexts = scaling.encode_many(today)
        made = policy.choose_many(contexts, rng=rng)
        policy.update(contexts, [*map(str, made.names())], draw_rewards(today, made.places, rng))
        earned += expect(today)[np.arange(len(today)), made.places].sum()
    return earned / len(customers)


def main(rows: int) -> None:
    """Print what each earns a customer, in cents."""
    rng = np.random.default_rng(1)
    past, customers = draw_customers(1_000, rng), draw_customers(rows, rng)
    told = expect(customers)
    rules = make(
        "rules", ACTIONS, features=FEATURES, default="none",
        rules=[{"when": [["days_since_order", ">", 40]], "then": "coupon"}],
    )  # fmt: skip
    by_hand = rules.choose_many(customers, rng=rng).places
    earned = {
        "at random": told.mean(),
        "always nothing": told[:, 0].mean(),
        "rules": told[np.arange(rows), by_hand].mean(),
        **{name: play(name, customers, past, seed=2) for name in LEARNING},
        "who knows the truth": told.max(axis=1).mean(),
    }
    for name, cents in earned.items():
        print(f"{name:<20} {cents:6.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Logs of decisions whose truth is known, and the small Open Bandit data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from zhiyin.decide.offpolicy import DecisionLog, make_log

K, D, RATE = 6, 4, 0.05
MANY = 100_000  # contexts that the truth is computed on
OPEN_BANDIT = Path(os.environ.get("ZHIYIN_SHARED", "../shared")) / "data/obd_small"


@dataclass(frozen=True)
class Shop:
    """Six actions whose reward depends on four numbers; rewards are yes or no, or money.

    `money`: one in ten buys, for a lognormal amount. `base`, `slopes`: of the reward's log odds (of
    the amount's logarithm); `habit`: of the policy at work, which explores in `explore`.
    """

    money: bool
    explore: float
    sharp: float
    base: np.ndarray
    slopes: np.ndarray
    habit: np.ndarray

    def worth(self, x: np.ndarray) -> np.ndarray:
        """(n, k) expected reward."""
        logit = self.logit(x)
        if self.money:
            return 0.1 * np.exp(0.5 * logit + 0.5)
        return 1 / (1 + np.exp(-logit - np.log(RATE / (1 - RATE))))

    def logit(self, x: np.ndarray) -> np.ndarray:
        return x @ self.slopes.T + self.base

    def current(self, x: np.ndarray) -> np.ndarray:
        """What the policy at work would do without exploring."""
        return softmax(self.sharp * x @ self.habit.T + 0.3 * self.logit(x))

    def logged(self, x: np.ndarray) -> np.ndarray:
        return (1 - self.explore) * self.current(x) + self.explore / K

    def target(self, x: np.ndarray, keen: float) -> np.ndarray:
        """A policy of its own that follows the truth more or less keenly."""
        return softmax(keen * self.logit(x) + 0.5 * x @ self.habit[::-1].T)

    def value(self, chances: np.ndarray, x: np.ndarray) -> float:
        return float((chances * self.worth(x)).sum(axis=1).mean())

    def keen_for(self, ratio: float, x: np.ndarray) -> float:
        """How keen a target is that is worth `ratio` of the current policy."""
        wanted = ratio * self.value(self.current(x), x)
        return float(brentq(lambda keen: self.value(self.target(x, keen), x) - wanted, -6, 12))

    def draw(self, n: int, rng: np.random.Generator, *, whole: bool = False) -> DecisionLog:
        """A log of `n` decisions; `whole`: with the probabilities of all actions."""
        x = rng.normal(size=(n, D))
        p = self.logged(x)
        a = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        mean = self.worth(x)[np.arange(n), a]
        if self.money:
            amount = np.exp(rng.normal(size=n) - 0.5) * mean / 0.1
            r = np.where(rng.random(n) < 0.1, amount, 0.0)
        else:
            r = (rng.random(n) < mean).astype(float)
        return make_log(
            x, a, r, p[np.arange(n), a], n_actions=K, probabilities=p if whole else None
        )


def softmax(z: np.ndarray) -> np.ndarray:
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def make_shop(
    rng: np.random.Generator, *, money: bool, explore: float = 0.2, sharp: float = 1.0
) -> Shop:
    return Shop(
        money, explore, sharp, rng.normal(size=K) * 0.4, rng.normal(size=(K, D)) * 0.5,
        rng.normal(size=(K, D)) * 0.7,
    )  # fmt: skip


def read_open_bandit(policy: str, campaign: str) -> DecisionLog | None:
    """The 10,000 decisions of `random` or `bts`; the context is the position. None: not there."""
    path = OPEN_BANDIT / f"{policy}_{campaign}.csv.gz"
    if not path.is_file():
        return None
    items = len(pd.read_csv(OPEN_BANDIT / f"{policy}_{campaign}_item_context.csv"))
    rows = pd.read_csv(path, usecols=["item_id", "position", "click", "propensity_score"])
    return make_log(
        rows["position"], rows["item_id"], rows["click"], rows["propensity_score"], n_actions=items
    )

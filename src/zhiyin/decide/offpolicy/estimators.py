"""The estimators, as the parts of a mean: what each decision adds to a policy's value.

With w = P(action taken | target) / P(action taken | log), r the reward, q(x, a) the reward model
and v = sum over a of P(a | target) q(x, a):

    dm         v
    ips        w r                          Horvitz and Thompson 1952
    snips      V + w (r - V) / mean(w), V = mean(w r) / mean(w)   Swaminathan and Joachims 2015
    dr         v + w (r - q)                Dudík, Langford and Li 2011
    switch-dr  v + w 1(w <= t) (r - q)      Wang, Agarwal and Dudík 2017

The second part of SNIPS has mean 0: it is the linearised ratio, whose spread is its error.
Switch-DR trades a bias for variance that cannot be seen below the error of DR, so its interval is
that of DR: it is the better guess, and no better proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.offpolicy.log import DecisionLog, Floats
from zhiyin.decide.offpolicy.overlap import weights_of

METHODS = ("dr", "switch-dr", "snips", "ips", "dm")
MODELLED = ("dr", "switch-dr", "dm")
"""Those that need a reward model."""
THRESHOLDS = 20


@dataclass(frozen=True)
class Parts:
    """(n,) parts whose mean has the interval; `shift`: the estimate less that mean."""

    values: Floats
    shift: float = 0.0


def find_parts(
    log: DecisionLog, target: Floats, method: str, expected: Floats | None = None
) -> Parts:
    """What each decision adds to the value of a target (n, k).

    `expected`: (n, k) rewards that a model expects, for the methods in `MODELLED`.

    Raises
    ------
    InvalidParameter
        If the method is unknown.
    """
    if method not in METHODS:
        raise InvalidParameter(f"the method is one of {', '.join(METHODS)}, not {method!r}")
    weights, rewards = weights_of(log, target), log.rewards
    if method == "ips":
        return Parts(weights * rewards)
    if method == "snips":
        mean = float(weights.mean())
        value = float((weights * rewards).mean()) / mean if mean > 0 else float("nan")
        return Parts(value + weights * (rewards - value) / (mean or 1.0))
    if expected is None:
        raise InvalidParameter(f"{method} needs expected rewards: see predict_rewards")
    model = (target * expected).sum(axis=1)
    if method == "dm":
        return Parts(model)
    correction = weights * (rewards - expected[np.arange(log.n), log.actions])
    if method == "dr":
        return Parts(model + correction)
    threshold = choose_threshold(model, correction, weights)
    out = np.where(weights <= threshold, 0.0, correction)
    return Parts(model + correction, -float(out.mean()))


def choose_threshold(model: Floats, correction: Floats, weights: Floats) -> float:
    """The weight above which only the model is believed: least estimated squared error.

    Tried are quantiles of the weights from the middle on, and no limit, which wins ties. The
    error is the variance of the mean plus the square of the mean correction left out.
    """
    n = weights.size
    tried = np.unique(np.quantile(weights, np.linspace(0.5, 1, THRESHOLDS)))[::-1]
    best, chosen = np.inf, float("inf")
    for threshold in tried:
        kept = np.where(weights <= threshold, correction, 0.0)
        out = correction - kept
        error = float((model + kept).var()) / n + float(out.mean()) ** 2
        if error < best * (1 - 1e-9):
            best, chosen = error, float(threshold)
    return chosen

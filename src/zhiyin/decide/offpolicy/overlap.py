"""How much of a policy a log can speak for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.decide.offpolicy.log import DecisionLog, Floats

MOST_UNSUPPORTED = 0.01
"""A policy that puts more of its mass where the log has none cannot be judged by it."""
LEAST_ESS = 100.0
"""With fewer effective decisions the number stands and its interval is rough."""
MOST_SHARE = 0.1
"""One decision with more of all weight than this speaks for itself alone."""


@dataclass(frozen=True)
class Overlap:
    """What the importance weights w = P(action | target) / P(action | log) say.

    `ess`: effective decisions, (sum of w)² / sum of w² (Kish 1965); `ess_share` of all decisions;
    `largest_weight`; `largest_share` of all weight that is one decision's (one customer's, where
    they are known); `mean_weight`, which is 1 but for chance where the log supports the policy;
    `unsupported`: the share of the policy's mass on actions that the log could not take, exact
    where the log has the probabilities of all actions, otherwise what the mean weight lacks to 1
    beyond its error.
    """

    ess: float
    ess_share: float
    largest_weight: float
    largest_share: float
    mean_weight: float
    unsupported: float

    @property
    def enough(self) -> bool:
        """Whether the log can speak for the policy at all."""
        return self.unsupported <= MOST_UNSUPPORTED and self.ess > 0


def weights_of(log: DecisionLog, target: Floats) -> Floats:
    """(n,) importance weight of each decision."""
    return target[np.arange(log.n), log.actions] / log.propensities


def find_overlap(log: DecisionLog, target: Floats) -> Overlap:
    """The overlap of a target (n, k) with the log."""
    weights = weights_of(log, target)
    total, squares = float(weights.sum()), float((weights**2).sum())
    ess = total**2 / squares if squares > 0 else 0.0
    shares = weights if log.customers is None else np.bincount(log.customers, weights)
    mean = total / log.n
    if log.probabilities is not None:
        unsupported = float(target[log.probabilities <= 0].sum() / log.n)
    else:
        error = float(weights.std()) / np.sqrt(log.n)
        unsupported = max(0.0, 1 - mean - 3 * error)
    return Overlap(
        ess, ess / log.n, float(weights.max()), float(shares.max() / total) if total else 1.0,
        mean, unsupported,
    )  # fmt: skip

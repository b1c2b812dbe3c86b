"""Whether a policy may meet customers, from the decisions of others alone.

It may where the lower bound of its gain over the current policy is above what is asked, the log
can speak for both, and every limit holds. What cannot be known counts as not held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.offpolicy import propensities
from zhiyin.decide.offpolicy.estimators import MODELLED
from zhiyin.decide.offpolicy.evaluation import (
    NO_OVERLAP,
    OK,
    ZERO_VARIANCE,
    Estimate,
    compare_targets,
    evaluate_target,
)
from zhiyin.decide.offpolicy.intervals import LEVEL
from zhiyin.decide.offpolicy.log import DecisionLog, Floats, Policy, target_of
from zhiyin.decide.offpolicy.reward import RewardModel, predict_rewards

NOT_BETTER: Final = "not_better"
LIMIT: Final = "limit"
WORDS: Final = {
    NOT_BETTER: (
        "the log does not show that it earns more than the current policy",
        "日志不足以证明它优于现行策略",
    ),
    NO_OVERLAP: (
        "it does what the log never tried, so nothing is known of it",
        "它会采取日志中从未尝试过的行动，无法评估",
    ),
    "too_few_units": (
        "too few decisions of the log resemble its own",
        "日志中与其相近的决策太少",
    ),
    LIMIT: ("a limit would not hold, or nothing shows that it would", "有约束无法保证满足"),
}
"""Reasons why a policy is not promoted, in English and Chinese."""
NEVER_SEEN: Final = 3.0
"""What was not seen in m decisions has a rate of at most 3 / m (95 %; Hanley 1983, JAMA)."""


@dataclass(frozen=True)
class Limit:
    """What a policy may have of something per decision, on the mean: `at_most`.

    Give either `by_action`, (k,) or (n, k) amounts that an action has for certain (contacts,
    cost), or `seen`, (n,) amounts that came after each decision (unsubscribed, complained).
    `rows`, (n,) booleans: only these decisions, as for a group that fairness protects.
    """

    name: str
    at_most: float
    by_action: ArrayLike | None = None
    seen: ArrayLike | None = None
    rows: ArrayLike | None = None


@dataclass(frozen=True)
class LimitFound:
    """The amount under a policy, the bound on it that had to hold, and whether it does."""

    name: str
    value: float
    high: float
    at_most: float
    held: bool


@dataclass(frozen=True)
class Verdict:
    """`promoted`, or the `reasons` (keys of `WORDS`) why not, with what they rest on."""

    promoted: bool
    reasons: tuple[str, ...]
    difference: Estimate
    limits: tuple[LimitFound, ...]


def gate(
    log: DecisionLog,
    candidate: Policy,
    current: Policy,
    *,
    limits: Sequence[Limit] = (),
    method: str = "dr",
    model: RewardModel = "linear",
    above: float = 0.0,
    level: float = LEVEL,
) -> Verdict:
    """Whether `candidate` may begin to take over from `current`.

    Parameters
    ----------
    limits
        All must hold: certain amounts by their mean over the log's contexts, seen ones by the
        upper bound of what they would be under the candidate.
    above
        The gain per decision that must be exceeded, in the unit of the rewards.
    level
        Of the lower bound that must be above, and of each limit's upper bound: at .95, a policy
        that is no better passes in about one log of 20. The interval of the verdict's difference
        has these bounds on both sides, so it covers 90 times in 100.

    Raises
    ------
    WrongPropensities, InvalidParameter
        As `evaluate`; `dm` judges nobody.
    """
    if method == "dm":
        raise InvalidParameter("the model alone judges no policy", hint="use dr, snips or ips")
    propensities.check(log)
    target, now = target_of(candidate, log), target_of(current, log)
    if not 0.5 < level < 1:
        raise InvalidParameter(f"level is a chance above .5 and below 1, not {level}")
    expected = predict_rewards(log, model) if method in MODELLED else None
    both = 2 * level - 1  # of the interval whose ends are these bounds
    found = compare_targets(log, target, now, method, expected=expected, level=both)
    reasons: list[str] = []
    if found.status not in (OK, ZERO_VARIANCE):
        reasons.append(found.status)
    elif not found.low > above:  # NaN is not above
        reasons.append(NOT_BETTER)
    held = tuple(_find_limit(log, target, limit, method, model, both) for limit in limits)
    if not all(each.held for each in held):
        reasons.append(LIMIT)
    return Verdict(not reasons, tuple(reasons), found, held)


def _find_limit(
    log: DecisionLog, target: Floats, limit: Limit, method: str, model: RewardModel, level: float
) -> LimitFound:
    if (limit.by_action is None) == (limit.seen is None):
        raise InvalidParameter(f"limit {limit.name!r} has either by_action or seen")
    rows = np.ones(log.n, np.bool_) if limit.rows is None else np.asarray(limit.rows, np.bool_)
    if rows.shape != (log.n,) or not rows.any():
        raise InvalidParameter(f"limit {limit.name!r} is about no decision of the log")
    if limit.by_action is not None:
        amounts = np.asarray(limit.by_action, np.float64)
        if amounts.shape not in ((log.n_actions,), (log.n, log.n_actions)):
            raise InvalidParameter(f"limit {limit.name!r} has one amount per action")
        value = float((target * amounts).sum(axis=1)[rows].mean())
        return LimitFound(limit.name, value, value, limit.at_most, value <= limit.at_most)
    seen = np.asarray(limit.seen, np.float64)
    some = log.with_rewards(seen).take(rows)
    expectations = model if isinstance(model, str) or callable(model) else "linear"
    expected = predict_rewards(some, expectations) if method in MODELLED else None
    found = evaluate_target(some, target[rows], method, expected=expected, level=level)
    high = found.high
    if not some.rewards.any() and found.status == ZERO_VARIANCE:
        high = NEVER_SEEN / found.ess
    return LimitFound(limit.name, found.value, high, limit.at_most, bool(high <= limit.at_most))

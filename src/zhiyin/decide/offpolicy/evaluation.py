"""What a policy would have earned, from the decisions of another: value, interval, and whether to
believe it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.offpolicy import propensities
from zhiyin.decide.offpolicy.estimators import MODELLED, Parts, find_parts
from zhiyin.decide.offpolicy.intervals import LEVEL, ROUGH, Mean, estimate_mean
from zhiyin.decide.offpolicy.log import DecisionLog, Floats, Policy, target_of
from zhiyin.decide.offpolicy.overlap import LEAST_ESS, MOST_SHARE, Overlap, find_overlap
from zhiyin.decide.offpolicy.reward import RewardModel, predict_rewards

OK = "ok"
MODEL_ONLY = "model_only"  # the reward model's word: nothing says how wrong it is
NO_OVERLAP = "no_overlap"  # the policy does what the log never did
TOO_FEW_UNITS = "too_few_units"  # the number stands, its interval is rough
ZERO_VARIANCE = "zero_variance"  # the number stands, it has no interval


@dataclass(frozen=True)
class Estimate:
    """Mean reward per decision of a policy (or a difference of two), with its interval.

    `ess`: effective decisions behind it; of a difference the smaller of both. `status`: `ok`,
    `too_few_units` (the interval is rough), `zero_variance`, `no_overlap` and `model_only`, the
    last three without an interval.
    """

    value: float
    low: float
    high: float
    ess: float
    status: str
    n: int
    method: str
    overlap: Overlap


def evaluate(
    log: DecisionLog,
    policy: Policy,
    method: str = "dr",
    *,
    model: RewardModel = "linear",
    level: float = LEVEL,
) -> Estimate:
    """The mean reward that `policy` would have had over the contexts of the log.

    Parameters
    ----------
    log
        From `make_log`.
    policy
        An object with `probabilities(contexts, eligible)`, as `decide.policy` makes them, a
        function of these, or (n, k) numbers.
    method
        `dr` (double robust, the default), `switch-dr`, `snips`, `ips`, or `dm` (the model alone).
    model
        Expected rewards, see `predict_rewards`; for `dr`, `switch-dr` and `dm`.

    Returns
    -------
    An estimate per decision, in the unit of the rewards.

    Raises
    ------
    WrongPropensities
        If propensities are missing, impossible, or do not agree with what was done.
    InvalidParameter
        If a shape, the method or the level is wrong.

    Examples
    --------
    >>> log = make_log([[0], [0], [1], [1]] * 50, [0, 1, 0, 1] * 50, [1, 0, 0, 2] * 50, [0.5] * 200)
    >>> evaluate(log, lambda contexts, eligible: [[0, 1]] * 200, "ips").value
    1.0
    """
    _check(log, level)
    target = target_of(policy, log)
    expected = predict_rewards(log, model) if method in MODELLED else None
    return evaluate_target(log, target, method, expected=expected, level=level)


def evaluate_target(
    log: DecisionLog, target: Floats, method: str, *, expected: Floats | None, level: float = LEVEL
) -> Estimate:
    """`evaluate` for a target (n, k) over a log that was looked at."""
    parts = find_parts(log, target, method, expected)
    return _estimate(log, parts, method, find_overlap(log, target), level)


def compare(
    log: DecisionLog,
    candidate: Policy,
    current: Policy,
    method: str = "dr",
    *,
    model: RewardModel = "linear",
    level: float = LEVEL,
) -> Estimate:
    """The value of `candidate` less that of `current`, decision by decision.

    Its interval is narrower than those of both would suggest: where they agree, nothing differs.
    The rest is as for `evaluate`; `overlap` is the candidate's, or the current policy's where that
    has fewer effective decisions.
    """
    _check(log, level)
    targets = [target_of(policy, log) for policy in (candidate, current)]
    expected = predict_rewards(log, model) if method in MODELLED else None
    return compare_targets(log, targets[0], targets[1], method, expected=expected, level=level)


def compare_targets(
    log: DecisionLog,
    candidate: Floats,
    current: Floats,
    method: str,
    *,
    expected: Floats | None,
    level: float = LEVEL,
) -> Estimate:
    """`compare` for targets (n, k) over a log that was looked at, with rewards expected (n, k)."""
    one, other = (find_parts(log, each, method, expected) for each in (candidate, current))
    overlaps = [find_overlap(log, each) for each in (candidate, current)]
    worst = min(overlaps, key=lambda each: (each.enough, each.ess))
    parts = Parts(one.values - other.values, one.shift - other.shift)
    return _estimate(log, parts, method, worst, level)


def _check(log: DecisionLog, level: float) -> None:
    if not 0 < level < 1:
        raise InvalidParameter(f"the level must be in (0, 1), not {level}")
    propensities.check(log)


def _estimate(
    log: DecisionLog, parts: Parts, method: str, overlap: Overlap, level: float
) -> Estimate:
    mean = estimate_mean(parts.values, groups=log.customers, level=level)
    return conclude(mean, parts.shift, method, overlap, log.n)


def conclude(mean: Mean, shift: float, method: str, overlap: Overlap, n: int) -> Estimate:
    """The estimate of a mean, with the status that says how far it can be believed."""
    low, high = mean.low, mean.high
    status = OK
    if method == "dm":
        status = MODEL_ONLY
    elif not overlap.enough:
        status = NO_OVERLAP
    elif low != low:  # NaN
        status = ZERO_VARIANCE
    elif overlap.ess < LEAST_ESS or overlap.largest_share > MOST_SHARE or abs(mean.skew) > ROUGH:
        status = TOO_FEW_UNITS
    if status in (MODEL_ONLY, NO_OVERLAP):
        low = high = float("nan")
    return Estimate(mean.value + shift, low, high, overlap.ess, status, n, method, overlap)

"""Letting a policy that passed the gate take over step by step, and taking it back by itself.

Decisions are drawn at random between the candidate and the current policy: 1 %, 5 %, 25 %, and then
all but a permanent holdout. After each batch `step` looks at what came of them and says what is
next. It may look as often as it likes: the interval of the difference is a confidence sequence,
which holds at all looks together.

Within each stage (shares and seasons differ between stages, so only decisions of one stage are
compared) with n1, n0 decisions, h = n1 n0 / (n1 + n0) and difference of means d:

    S = sum of h d,   V = sum of h² (v1 / n1 + v0 / n0),   W = sum of h
    |S - W difference| <= sqrt((V + rho) (log((V + rho) / rho) + 2 log(1 / alpha)))   at all times

with chance 1 - alpha: Robbins' normal mixture (1970, *Annals of Mathematical Statistics* 41:1397),
which is the mSPRT of Johari et al. (2017, KDD); asymptotic for rewards that are not normal
(Waudby-Smith et al. 2024, *Annals of Statistics* 52:2613). rho is fixed at the start so that the
bound is tightest at the planned number of decisions (Howard et al. 2021, *Annals of Statistics*
49:1055). Variances of few decisions are drawn to the one that was expected.

All is plain data: a `Ramp` can be kept as JSON (`msgspec.json.encode`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from zhiyin.core.errors import InvalidParameter

RUNNING: Final = "running"
FULL: Final = "full"  # the candidate decides, but for the holdout; it is still watched
ROLLED_BACK: Final = "rolled_back"
STARTED: Final = "started"
WAITING: Final = "waiting"  # for more decisions in this stage
NOT_WORSE: Final = "not_worse"  # enough decisions, none the worse: the next stage
BETTER: Final = "better"  # shown to be better: all decisions
WORSE: Final = "worse"  # shown to be worse
NOT_SHOWN: Final = "not_shown"  # all planned decisions made, and not shown to be better
GUARD: Final = "guard"  # a guard is broken for sure
WORDS: Final = {
    STARTED: ("the first decisions of the candidate", "候选策略开始灰度"),
    WAITING: ("more decisions are needed", "等待更多决策"),
    NOT_WORSE: ("not worse so far: the next stage", "目前未见变差，进入下一阶段"),
    BETTER: ("shown to be better: it takes over", "已证实更优，全面启用"),
    WORSE: ("shown to be worse: rolled back", "已证实更差，自动回滚"),
    NOT_SHOWN: ("not shown to be better in time: rolled back", "期限内未能证实更优，回滚"),
    GUARD: ("a guard was broken: rolled back", "护栏指标恶化，自动回滚"),
}
"""What a step says, in English and Chinese."""
PRIOR: Final = 100
"""Decisions' worth of the expected variance that is added to the seen one."""


@dataclass(frozen=True)
class Sums:
    """Of one policy and one metric: decisions whose window has ended, total, total of squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)


@dataclass(frozen=True)
class Metric:
    """What is compared: its standard deviation per decision, known from the log.

    `most` (of a guard): how much more of it per decision the candidate may have.
    """

    deviation: float
    most: float = 0.0


@dataclass(frozen=True)
class Stage:
    """What came of the candidate's and of the current policy's decisions, by metric."""

    candidate: Mapping[str, Sums] = field(default_factory=dict[str, Sums])
    current: Mapping[str, Sums] = field(default_factory=dict[str, Sums])


REWARD: Final = "reward"


@dataclass(frozen=True)
class Ramp:
    """Where a candidate stands: plan, results by stage, place, and what the last step said.

    `metrics` has `reward` and the guards, which are worse the higher; `planned`: decisions of both
    policies in the last stage but one, after which a candidate that is not shown to be better goes
    back; `least`: decisions of the candidate in a stage before the next one.
    """

    metrics: Mapping[str, Metric]
    planned: int
    least: int
    shares: tuple[float, ...]
    level: float
    stages: tuple[Stage, ...]
    status: str = RUNNING
    reason: str = STARTED

    @property
    def stage(self) -> int:
        """The number of the stage, from 0."""
        return len(self.stages) - 1

    @property
    def share(self) -> float:
        """The share of decisions that the candidate makes now."""
        return 0.0 if self.status == ROLLED_BACK else self.shares[self.stage]


@dataclass(frozen=True)
class Gain:
    """Candidate less current policy per decision, with an interval that holds at all looks."""

    value: float
    low: float
    high: float


def start(
    reward: Metric,
    *,
    planned: int,
    guards: Mapping[str, Metric] | None = None,
    least: int = 200,
    shares: tuple[float, ...] = (0.01, 0.05, 0.25),
    holdout: float = 0.05,
    level: float = 0.95,
) -> Ramp:
    """A ramp before its first decision.

    Parameters
    ----------
    reward
        Its standard deviation per decision, from the log.
    planned
        Decisions of both policies that there is time for in the stage that decides, the last but
        one (25 %).
    guards
        Metrics that may not rise, by name: how much of a rise is borne is `most`.
    shares
        The candidate's share of the decisions in each stage, rising; the last stage is all but
        `holdout`.

    Raises
    ------
    InvalidParameter
        If shares do not rise within (0, 1), or a number is outside its range.
    """
    stages = (*shares, 1 - holdout)
    if not all(0 < a < b < 1 for a, b in pairwise(stages)) or not shares:
        raise InvalidParameter(f"shares rise within (0, 1), and the holdout is left out: {stages}")
    metrics = {REWARD: reward} | dict(guards or {})
    if min(metric.deviation for metric in metrics.values()) <= 0:
        raise InvalidParameter("a metric has a deviation above 0", hint="take it from the log")
    if planned < 1 or least < 1 or not 0 < level < 1:
        raise InvalidParameter(f"planned {planned}, least {least} or level {level} is out of range")
    return Ramp(metrics, planned, least, stages, level, (Stage(),))


def observe(ramp: Ramp, candidate: Mapping[str, Sums], current: Mapping[str, Sums]) -> Ramp:
    """The ramp with what came of more decisions of this stage, by metric.

    Only of decisions that were drawn between both policies, and whose window has ended: one that
    is counted before its reward can come looks like one without.
    """
    for each in (candidate, current):
        if set(each) != set(ramp.metrics):
            raise InvalidParameter(f"sums are of {sorted(ramp.metrics)}, not {sorted(each)}")
    last = ramp.stages[-1]
    added = Stage(_added(last.candidate, candidate), _added(last.current, current))
    return replace(ramp, stages=(*ramp.stages[:-1], added))


def recount(ramp: Ramp, stages: Sequence[Stage]) -> Ramp:
    """The ramp with what came of the decisions of every stage until now, counted anew.

    For who counts from the log: decisions of an earlier stage settle later, outcomes arrive late.
    """
    if len(stages) != len(ramp.stages):
        raise InvalidParameter(f"the ramp has {len(ramp.stages)} stages, not {len(stages)}")
    fresh = replace(ramp, stages=())
    for each in stages:
        fresh = replace(fresh, stages=(*fresh.stages, Stage()))
        fresh = observe(fresh, each.candidate, each.current)
    return fresh


def step(ramp: Ramp) -> Ramp:
    """The ramp after a look: the same stage, the next one, all, or back. `reason` says why.

    A guard that is surely broken, or a reward that is surely lower, takes the candidate back at
    once. It rises through the first stages while nothing of this is shown, and takes all decisions
    only where it is shown to be better.
    """
    if ramp.status == ROLLED_BACK:
        return ramp
    for name, metric in ramp.metrics.items():
        if name != REWARD and find_gain(ramp, name).low > metric.most:
            return replace(ramp, status=ROLLED_BACK, reason=f"{GUARD}:{name}")
    gain = find_gain(ramp)
    if gain.high < 0:
        return replace(ramp, status=ROLLED_BACK, reason=WORSE)
    if ramp.status == FULL:
        return replace(ramp, reason=WAITING)
    better = gain.low > 0
    here = ramp.stages[-1]
    done, others = (side.get(REWARD, Sums()).n for side in (here.candidate, here.current))
    last = ramp.stage == len(ramp.shares) - 2
    if last and not better and done + others >= ramp.planned:
        return replace(ramp, status=ROLLED_BACK, reason=NOT_SHOWN)
    if done < ramp.least or (last and not better):
        return replace(ramp, reason=WAITING)
    stages = (*ramp.stages, Stage())
    if last:
        return replace(ramp, stages=stages, status=FULL, reason=BETTER)
    return replace(ramp, stages=stages, reason=NOT_WORSE)


def find_gain(ramp: Ramp, metric: str = REWARD) -> Gain:
    """What the candidate has more of per decision; NaN and no bounds before both decided twice."""
    deviation = ramp.metrics[metric].deviation
    score = weight = variance = 0.0
    for each in ramp.stages:
        one, other = each.candidate.get(metric, Sums()), each.current.get(metric, Sums())
        if min(one.n, other.n) < 2:
            continue
        h = one.n * other.n / (one.n + other.n)
        score += h * (one.total / one.n - other.total / other.n)
        spread = _variance(one, deviation) / one.n + _variance(other, deviation) / other.n
        variance += h * h * spread
        weight += h
    if not weight:
        return Gain(math.nan, -math.inf, math.inf)
    half = _bound(variance, _mixture(ramp, deviation), 1 - ramp.level) / weight
    return Gain(score / weight, score / weight - half, score / weight + half)


def _mixture(ramp: Ramp, deviation: float) -> float:
    """The rho for which the bound is tightest when the planned decisions are made."""
    share = ramp.shares[-2]  # of the stage with most of the decisions
    planned = ramp.planned * share * (1 - share) * deviation**2
    twice = 2 * math.log(1 / (1 - ramp.level))
    return planned / (twice + math.log1p(twice))


def _bound(variance: float, rho: float, alpha: float) -> float:
    whole = variance + rho
    return math.sqrt(whole * (math.log(whole / rho) + 2 * math.log(1 / alpha)))


def _variance(sums: Sums, expected: float) -> float:
    off = max(0.0, sums.squares - sums.total**2 / sums.n)
    return (off + PRIOR * expected**2) / (sums.n - 1 + PRIOR)


def _added(before: Mapping[str, Sums], more: Mapping[str, Sums]) -> dict[str, Sums]:
    return {name: before.get(name, Sums()) + sums for name, sums in more.items()}

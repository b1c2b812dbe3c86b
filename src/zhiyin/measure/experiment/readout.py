"""The answer to a plan: one verdict in words, and what it rests on.

Sample ratio first: where something else than the lot chose who is in which arm, no figure means
what it says and none gets a verdict. Then, for a test that is made for one look, the day of that
look. Then the goals, corrected for how many there are; then the guards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment import words
from zhiyin.measure.experiment.arms import Arm, Strata
from zhiyin.measure.experiment.correction import adjust_holm
from zhiyin.measure.experiment.definition import GOAL, GUARD, Experiment, Metric, Plan
from zhiyin.measure.experiment.effect import Effect
from zhiyin.measure.experiment.guards import Guard, check_guard
from zhiyin.measure.experiment.means import SampleRatio, check_sample_ratio
from zhiyin.measure.experiment.result import Prior, Result, compare
from zhiyin.measure.experiment.sizes import Aim, find_smallest_effect
from zhiyin.measure.status import (
    BROUGHT_LESS,
    BROUGHT_MORE,
    CANNOT_TELL_YET,
    OK,
    SAMPLE_RATIO_MISMATCH,
    Verdict,
)

MIXED_ALARM = 0.001
"""A larger share of units in two arms than this is a fault of the assignment."""


@dataclass(frozen=True)
class Reading:
    """One metric of one treatment against the control.

    `p_value` is adjusted for all goals and treatments (Holm), NaN of `bayes`; `detectable` is the
    smallest effect that would have been seen with the plan's power; `reason` says why the verdict
    is `cannot_tell_yet`. Of guards, `guard` holds what is said instead.
    """

    arm: str
    metric: Metric
    result: Result
    p_value: float
    detectable: float
    verdict: Verdict
    reason: str
    guard: Guard | None = None

    @property
    def good(self) -> bool | None:
        """Whether what it brought is what was wanted; None: cannot tell yet."""
        if self.verdict == CANNOT_TELL_YET:
            return None
        return (self.verdict == BROUGHT_MORE) == (self.metric.better == "higher")


@dataclass(frozen=True)
class ReadOut:
    """All readings of a plan as of a day: goals first, in the plan's order, then by treatment."""

    plan: Plan
    as_of: date
    sample_ratio: SampleRatio
    mixed: int
    readings: tuple[Reading, ...]

    def find(self, arm: str, metric: str | None = None) -> Reading:
        """The reading of a treatment; without a metric that of the first goal, which decides."""
        name = metric or self.plan.experiment.goals[0].name
        for reading in self.readings:
            if (reading.arm, reading.metric.name) == (arm, name):
                return reading
        raise InvalidParameter(f"no reading of {name!r} for arm {arm!r}")

    @property
    def broken(self) -> tuple[Reading, ...]:
        """Guards that are surely broken."""
        return tuple(one for one in self.readings if one.guard and one.guard.verdict == "worse")


@dataclass(frozen=True)
class Decision:
    """What was decided on a read-out, by whom and why: for whoever asks in a year.

    `plan_hash` names the plan, `verdict` what the evidence said then.
    """

    experiment_id: str
    plan_hash: str
    decided: Literal["take_treatment", "keep_control", "run_on", "stop"]
    arm: str
    verdict: Verdict
    reason: str
    by: str
    at: datetime


def read_out(
    plan: Plan,
    sums: Mapping[str, Mapping[str, Arm | Strata]],
    counts: Mapping[str, int],
    *,
    as_of: date,
    mixed: int = 0,
) -> ReadOut:
    """What each treatment brought, by the plan.

    Parameters
    ----------
    sums
        Metric → arm → its sums over the units whose window is over; by stratum, if wanted.
    counts
        Arm → units that were assigned (or triggered): checked against the plan's weights.
    as_of
        The day before which everything is counted.
    mixed
        Units that were seen in two arms and left out.

    Raises
    ------
    InvalidParameter
        If an arm or a metric of the plan is missing.
    """
    experiment = plan.experiment
    _check_complete(experiment, sums, counts)
    ratio = check_sample_ratio(counts, experiment.arms)
    gate = _find_gate(experiment, ratio, mixed, sum(counts.values()), as_of)
    goals = _read_goals(experiment, sums, gate)
    others = [
        _read_other(experiment, metric, arm, sums[metric.name], gate)
        for metric in experiment.metrics
        if metric.role != GOAL
        for arm in experiment.treatments
    ]
    return ReadOut(plan, as_of, ratio, mixed, (*goals, *others))


def tell(readout: ReadOut, language: words.Language = "en") -> tuple[str, ...]:
    """The read-out in sentences: what decides first, one per treatment; then goals and guards."""
    experiment = readout.plan.experiment
    gate = {SAMPLE_RATIO_MISMATCH, words.MIXED_ARMS, words.NOT_OVER}
    said: list[str] = []
    for reading in readout.readings:
        if reading.guard and reading.reason not in gate:
            margin = words.format_effect(
                reading.guard.margin, relative=reading.metric.relative
            ).lstrip("+")
            pair = words.GUARDS[reading.guard.verdict]
            said.append(words.say(pair, language, metric=reading.metric.name, margin=margin))
        elif reading.metric.role == GOAL:
            said.append(_tell_goal(readout, experiment, reading, language))
    return tuple(dict.fromkeys(said))  # one gate holds all back: it is said once


def decide(
    readout: ReadOut,
    decided: Literal["take_treatment", "keep_control", "run_on", "stop"],
    *,
    arm: str,
    by: str,
    at: datetime,
    reason: str = "",
) -> Decision:
    """The record of a decision; one that goes against the evidence, or without it, has a reason.

    Raises
    ------
    InvalidParameter
        If a treatment is taken without a good verdict, or kept back against one, without a reason.
    """
    reading = readout.find(arm)
    backed = {"take_treatment": reading.good is True and not readout.broken,
              "keep_control": reading.good is not True}.get(decided, True)  # fmt: skip
    if not backed and not reason.strip():
        raise InvalidParameter(
            f"{decided} of {arm} is not what was found ({reading.verdict})", hint="give a reason"
        )
    experiment = readout.plan.experiment
    return Decision(experiment.id, readout.plan.hash, decided, arm, reading.verdict, reason, by, at)


def _check_complete(
    experiment: Experiment,
    sums: Mapping[str, Mapping[str, Arm | Strata]],
    counts: Mapping[str, int],
) -> None:
    for metric in experiment.metrics:
        if set(sums.get(metric.name, ())) != set(experiment.arms):
            raise InvalidParameter(
                f"{metric.name} needs sums of each arm: {', '.join(sorted(experiment.arms))}"
            )
    if set(counts) != set(experiment.arms):
        raise InvalidParameter(f"counts are of {sorted(counts)}, not {sorted(experiment.arms)}")


def _find_gate(
    experiment: Experiment, ratio: SampleRatio, mixed: int, units: int, as_of: date
) -> str:
    """What holds all verdicts back, or nothing."""
    if ratio.status == SAMPLE_RATIO_MISMATCH:
        return SAMPLE_RATIO_MISMATCH
    if mixed > MIXED_ALARM * max(units, 1):
        return words.MIXED_ARMS
    if experiment.method != "sequential" and as_of < experiment.over_on:
        return words.NOT_OVER
    return ""


def _read_goals(
    experiment: Experiment, sums: Mapping[str, Mapping[str, Arm | Strata]], gate: str
) -> list[Reading]:
    pairs = [(metric, arm) for metric in experiment.goals for arm in experiment.treatments]
    level = 1 - (1 - experiment.level) / len(pairs)
    results = [_compare(experiment, metric, arm, sums[metric.name], level) for metric, arm in pairs]
    adjusted = adjust_holm([result.p_value for result in results])
    return [
        _judge(experiment, metric, arm, result, float(p), gate, tests=len(pairs))
        for (metric, arm), result, p in zip(pairs, results, adjusted, strict=True)
    ]


def _read_other(
    experiment: Experiment,
    metric: Metric,
    arm: str,
    arms: Mapping[str, Arm | Strata],
    gate: str,
) -> Reading:
    result = _compare(experiment, metric, arm, arms, experiment.level)
    reading = _judge(experiment, metric, arm, result, result.p_value, gate, tests=1)
    if metric.role != GUARD:
        return reading
    guard = check_guard(
        arms[experiment.control], arms[arm], experiment.method, margin=metric.margin,
        relative=metric.relative, better=metric.better, level=experiment.level,
        prior=_prior(experiment), tuning=experiment.planned,
    )  # fmt: skip
    if gate in (SAMPLE_RATIO_MISMATCH, words.MIXED_ARMS, words.NOT_OVER):
        guard = Guard(guard.result, guard.margin, "cannot_tell_yet")
    return Reading(
        arm, metric, result, result.p_value, reading.detectable, reading.verdict, reading.reason,
        guard,
    )  # fmt: skip


def _compare(
    experiment: Experiment,
    metric: Metric,
    arm: str,
    arms: Mapping[str, Arm | Strata],
    level: float,
) -> Result:
    return compare(
        arms[experiment.control], arms[arm], experiment.method, relative=metric.relative,
        level=level, better=metric.better, prior=_prior(experiment), tuning=experiment.planned,
    )  # fmt: skip


def _judge(
    experiment: Experiment,
    metric: Metric,
    arm: str,
    result: Result,
    p_value: float,
    gate: str,
    *,
    tests: int,
) -> Reading:
    aim = Aim(
        experiment.method, experiment.level, experiment.power, tests, _prior(experiment),
        experiment.planned,
    )  # fmt: skip
    effect = Effect(
        result.effect, result.standard_error, result.n - 2.0, result.base, result.n, result.status
    )
    detectable = find_smallest_effect(effect, aim, relative=metric.relative)
    verdict, reason = CANNOT_TELL_YET, gate
    if not gate:
        if result.status != OK:
            reason = result.status
        elif _is_shown(result, p_value, 1 - experiment.level):
            verdict = BROUGHT_MORE if result.effect > 0 else BROUGHT_LESS
        else:
            reason = words.NOT_SHOWN
    return Reading(arm, metric, result, p_value, detectable, verdict, reason)


def _is_shown(result: Result, p_value: float, alpha: float) -> bool:
    if result.method == "bayes":
        return result.low > 0 or result.high < 0
    return p_value <= alpha


def _prior(experiment: Experiment) -> Prior | None:
    return experiment.belief.to_prior() if experiment.belief else None


def _tell_goal(
    readout: ReadOut, experiment: Experiment, reading: Reading, language: words.Language
) -> str:
    pair = words.VERDICTS.get(reading.verdict) or words.REASONS[reading.reason]
    relative, result = reading.metric.relative, reading.result
    shown = {
        "effect": words.format_effect(result.effect, relative=relative),
        "low": words.format_effect(result.low, relative=relative),
        "high": words.format_effect(result.high, relative=relative),
        "detectable": words.format_effect(reading.detectable, relative=relative),
        "power": f"{100 * experiment.power:.0f}",
        "p": f"{readout.sample_ratio.p_value:.2g}",
        "day": experiment.over_on.isoformat(),
        "mixed": str(readout.mixed),
    }
    return words.say(pair, language, arm=reading.arm, metric=reading.metric.name, **shown)

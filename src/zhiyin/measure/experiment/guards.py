"""Guardrails: what must not get worse, said with a margin (non-inferiority)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.experiment.arms import Arm, Strata
from zhiyin.measure.experiment.result import Better, Method, Prior, Result, compare
from zhiyin.measure.experiment.sequential import TUNING
from zhiyin.measure.intervals import LEVEL
from zhiyin.measure.status import OK

Guarded = Literal["not_worse", "worse", "cannot_tell_yet"]
NOT_WORSE: Guarded = "not_worse"
WORSE: Guarded = "worse"
CANNOT_TELL_YET: Guarded = "cannot_tell_yet"


@dataclass(frozen=True)
class Guard:
    """Whether a metric got worse by more than `margin`.

    `not_worse`: a loss of the margin is excluded; `worse`: a loss of at least the margin is shown;
    otherwise `cannot_tell_yet`. `result` has the one-sided bound against the loss.
    """

    result: Result
    margin: float
    verdict: Guarded


def check_guard(
    control: Arm | Strata,
    treatment: Arm | Strata,
    method: Method = "t",
    *,
    margin: float,
    relative: bool = True,
    better: Better = "higher",
    level: float = LEVEL,
    prior: Prior | None = None,
    tuning: float = TUNING,
) -> Guard:
    """Two one-sided tests of the loss against the margin, each at `level`.

    Parameters
    ----------
    margin
        The loss that is borne, above or at 0; a lift (ratio) unless `relative` is false. To be
        set before the experiment, by what the business can bear.
    better
        `lower` where less is better (unsubscribes, complaints, returns).
    """
    if not 0 <= margin < float("inf"):
        raise InvalidParameter(f"a margin is a loss of 0 or more, not {margin}")
    sides = [
        compare(
            control, treatment, method, relative=relative, level=level, alternative=side,
            better=better, prior=prior, tuning=tuning,
        )
        for side in ("greater", "less")
    ]  # fmt: skip
    least, most = sides[0].low, sides[1].high
    if better == "lower":
        least, most = -most, -least
    verdict = CANNOT_TELL_YET
    if sides[0].status == OK:
        if least > -margin:
            verdict = NOT_WORSE
        elif most < -margin:
            verdict = WORSE
    return Guard(sides[1] if better == "lower" else sides[0], margin, verdict)

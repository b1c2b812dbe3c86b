"""The job `decide.ramp`: what came of choices moves policies that are taking over, or takes them
back.

Reads the `decisions` of points that were drawn between two policies, `outcomes` and `orders`, and
the ledger's `policies`; writes there. The turn looks as of its day; the worker in between at what
is settled by now (`look`). Each look counts all stages anew from the log, so that a look that was
cut off, or made twice, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.config import DecideSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import BY_CANDIDATE, BY_CURRENT
from zhiyin.core.errors import ConcurrentWrite
from zhiyin.core.protocols import Store
from zhiyin.core.values import JobReport
from zhiyin.decide.candidates.judge_job import reader_of, rows_of, seen_of
from zhiyin.decide.candidates.ledger import (
    Candidate,
    candidates_of,
    crown,
    keep_step,
)
from zhiyin.decide.log_job import LogReader, numbers_of
from zhiyin.decide.points.ledger import RAMPING, find
from zhiyin.decide.ramp import FULL, REWARD, Ramp, Stage, Sums, recount, step
from zhiyin.decide.rewards import SETTLED

JOB = "decide.ramp"
KEPT_NEWER, CHANGED, DONE = "kept_newer", "changed_meanwhile", "done"


@dataclass(frozen=True)
class Looked:
    """What a look at one ramp came to."""

    point: str
    number: int
    status: str
    reason: str
    share: float

    def said(self) -> dict[str, Any]:
        """As figures of the job."""
        return {
            "number": self.number, "status": self.status, "reason": self.reason,
            "share": self.share,
        }  # fmt: skip


def run(ctx: Context, _: DecideSettings) -> JobReport:
    """Look at every policy that is taking over, as of the day.

    Figures: `points`: by key `number`, `status` (`running`, `full`, `rolled_back`; `done`: it is
    the current policy now; `kept_newer`: a later moment was looked at already), `reason`, `share`.
    """
    known_at = start_of_day(ctx.as_of, ctx.settings.zone)
    made = look(ctx.store, known_at=known_at, as_of=ctx.as_of, now=ctx.clock.now())
    return JobReport(JOB, figures={"points": {one.point: one.said() for one in made}})


def look(
    store: Store, *, known_at: datetime, now: datetime, as_of: date | None = None
) -> list[Looked]:
    """Take the next step of every ramp, from what was settled until `known_at`."""
    with store.begin() as connection:
        held = candidates_of(connection, states=[RAMPING])
    return [_look(store, one, known_at, now, as_of) for one in held]


def _look(
    store: Store, one: Candidate, known_at: datetime, now: datetime, as_of: date | None
) -> Looked:
    stand = one.stand()
    if stand is None:
        raise AssertionError("one that is taking over has a ramp")
    until = naive_utc(known_at)
    if one.looked_at is not None and until <= one.looked_at:
        return Looked(one.point, one.number, KEPT_NEWER, stand.reason, stand.share)
    with store.begin() as connection:
        point = find(connection, one.point)
    reader = reader_of(store, point, known_at=known_at, as_of=as_of)
    stepped = step(recount(stand, count_stages(reader, one.number, stand)))
    try:
        with store.begin() as connection:
            kept = keep_step(connection, one, stepped, until=until, now=naive_utc(now))
            if _is_over(stepped):
                crown(connection, kept, now=naive_utc(now))
                return Looked(one.point, one.number, DONE, stepped.reason, 1.0)
    except ConcurrentWrite:
        return Looked(one.point, one.number, CHANGED, stand.reason, stand.share)
    return Looked(one.point, one.number, stepped.status, stepped.reason, stepped.share)


def count_stages(reader: LogReader, number: int, stand: Ramp) -> list[Stage]:
    """What came of the choices of each stage, by arm and metric, as far as it is settled."""
    labels = [f"{number}.{place}" for place in range(len(stand.stages))]
    rows = reader.choices(more=(c.ARM, c.RAMP), ramp=f"{number}.")
    if rows.empty:
        return [Stage(*(dict.fromkeys(stand.metrics, Sums()) for _ in range(2))) for _ in labels]
    found = reader.rewards(rows)
    counted = {
        REWARD: (
            found[c.REWARD].fillna(0.0).to_numpy(np.float64),
            (found[c.STATUS] == SETTLED).to_numpy(np.bool_),
        )
    }
    point = reader.point.definition
    numbers = numbers_of(rows[c.CONTEXT].tolist(), point.numbers)
    for one in point.limits:
        if one.name in stand.metrics:
            values, known = seen_of(reader, rows, one)
            counted[one.name] = values, known & rows_of(one, point, numbers)
    nothing = np.zeros(len(rows)), np.zeros(len(rows), np.bool_)
    made: list[Stage] = []
    for label in labels:
        sides: list[dict[str, Sums]] = []
        for arm in (BY_CANDIDATE, BY_CURRENT):
            mine = _are(rows[c.RAMP], label) & _are(rows[c.ARM], arm)
            sides.append({
                name: _sum(*counted.get(name, nothing), mine) for name in stand.metrics
            })  # fmt: skip
        made.append(Stage(*sides))
    return made


def _are(values: pd.Series, wanted: str) -> np.ndarray:
    return (values == wanted).to_numpy(np.bool_)


def _sum(values: np.ndarray, known: np.ndarray, mine: np.ndarray) -> Sums:
    chosen = values[known & mine]
    return Sums(chosen.size, float(chosen.sum()), float((chosen**2).sum()))


def _is_over(stand: Ramp) -> bool:
    """Whether a policy that has taken over was watched for long enough."""
    if stand.status != FULL:
        return False
    here = stand.stages[-1]
    sides = (here.candidate, here.current)
    return sum(side.get(REWARD, Sums()).n for side in sides) >= stand.planned

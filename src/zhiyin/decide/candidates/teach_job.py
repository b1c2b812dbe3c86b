"""What a candidate learns before it is judged: the older choices, never those that judge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.decisions import DEFAULT_POLICY
from zhiyin.decide.log_job import LogReader, numbers_of
from zhiyin.decide.points.point_policy import PointPolicy, learns, point_policy
from zhiyin.decide.rewards import SETTLED


@dataclass(frozen=True)
class Taught:
    """A policy that learned `choices` that were settled `until` a moment; None: it learns none."""

    policy: PointPolicy
    choices: int = 0
    until: datetime | None = None


def teach(reader: LogReader, policy: PointPolicy, *, share: float) -> Taught:
    """A policy that knows nothing, with the older `share` of the settled choices of its point."""
    if not learns(policy.policy) or share <= 0:
        return Taught(policy)
    rows = reader.choices()
    if rows.empty:
        return Taught(policy)
    found = reader.rewards(rows)
    settles = found[c.SETTLES_AT]
    kept = (found[c.STATUS] == SETTLED) & (rows[c.POLICY] != DEFAULT_POLICY)
    kept &= rows[c.ACTION].isin(policy.policy.actions)
    if not kept.any():
        return Taught(policy)
    until = settles[kept].sort_values().iloc[max(0, int(share * kept.sum()) - 1)]
    kept &= settles <= until
    numbers = numbers_of(rows.loc[kept, c.CONTEXT].tolist(), policy.numbers)
    rewards = found.loc[kept, c.REWARD].to_numpy(np.float64)
    policy.policy.update(policy.contexts(numbers), rows.loc[kept, c.ACTION].tolist(), rewards)
    made = point_policy(policy.policy, policy.numbers, policy.scaling, policy.picks)
    return Taught(made, int(kept.sum()), naive_utc(until.to_pydatetime()))

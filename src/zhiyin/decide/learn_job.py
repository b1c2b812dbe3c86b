"""The job `decide.learn`: what came of choices goes into the policies that make the next ones.

Reads, as of the day, the `decisions` of points, `outcomes` and `orders`, and the newest policy of
each point. Writes the ledger's `policies`: a new number where anything was learned, which servers
take within seconds.

A choice is learned once, when it is settled: its window, and the days in which outcomes may still
arrive, are over by 00:00 of the day. A policy that knows nothing yet learns the whole log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.config import DecideSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import DEFAULT_POLICY
from zhiyin.core.errors import ConcurrentWrite
from zhiyin.core.values import JobReport
from zhiyin.decide.candidates.teach_job import teach
from zhiyin.decide.log_job import LogReader, numbers_of
from zhiyin.decide.numbers_job import first_policy
from zhiyin.decide.points import ledger
from zhiyin.decide.points.ledger import Made, Stored
from zhiyin.decide.points.point_policy import (
    PointPolicy,
    carry_over,
    fits,
    learns,
    point_policy,
    unpack_policy,
)
from zhiyin.decide.rewards import OPEN, SETTLED
from zhiyin.govern.live import read_kinship
from zhiyin.govern.people import Kinship

JOB = "decide.learn"
LEARNED, NOTHING_NEW, FIXED, KEPT_NEWER = "learned", "nothing_new", "fixed", "kept_newer"
NO_FEATURES, CHANGED = "no_features", "changed_meanwhile"
PROPOSED = "proposed_for"
HALF = 0.5


@dataclass(frozen=True)
class _Log:
    """Choices that are newly settled, in the order in which they were."""

    names: list[str]  # of their actions
    numbers: np.ndarray  # (rows, d), in the order of the policy's names
    rewards: np.ndarray
    unknown: int  # settled choices whose reward cannot be known


def run(ctx: Context, _: DecideSettings) -> JobReport:
    """Let every point's policy learn what was settled since it last did.

    Figures: `points`: by key `status`, and where anything was learned `choices`, `unknown` (their
    reward cannot be known), `mean_reward`, `number` and `policy_version`; `candidate`: the number
    of a policy that was made because the definition asks for another one.
    """
    with ctx.store.begin() as connection:
        held = ledger.in_force(connection)
    kinship = read_kinship(ctx.store, as_of=ctx.as_of) if held else Kinship(())
    figures: dict[str, dict[str, Any]] = {}
    for one in held:
        proposed = _propose(ctx, one, kinship)
        more = {} if proposed is None else {"candidate": proposed}
        figures[one.key] = _learn(ctx, one, kinship) | more
    return JobReport(JOB, figures={"points": figures})


def _learn(ctx: Context, point: Stored, kinship: Kinship) -> dict[str, Any]:
    with ctx.store.begin() as connection:
        spoken = ledger.current(connection, point.key)
        content = spoken and ledger.artifact_of(connection, point.key, spoken.number)
    until = start_of_day(ctx.as_of, ctx.settings.zone)
    policy, since = _held(ctx, point, spoken, unpack_policy(content) if content else None)
    if policy is None:
        return {"status": NO_FEATURES}
    if since is not None and since >= until:
        return {"status": KEPT_NEWER}
    if spoken is not None and not learns(policy.policy):
        return {"status": FIXED}
    log = _read_log(ctx, point, policy, kinship, since, until)
    if log.names:
        policy.policy.update(policy.contexts(log.numbers), log.names, log.rewards)
    elif spoken is not None and spoken.point_version == point.version:
        return {"status": NOTHING_NEW, "unknown": log.unknown}
    made = point_policy(policy.policy, policy.numbers, policy.scaling, policy.picks)
    figures = {
        "choices": len(log.names), "unknown": log.unknown,
        "mean_reward": float(np.mean(log.rewards)) if log.names else None,
    }  # fmt: skip
    try:
        with ctx.store.begin() as connection:
            kept = ledger.add_policy(
                connection, point, made, parent=spoken and spoken.number,
                learned_until=naive_utc(until), figures=figures, by="turn",
                words=f"learned {len(log.names)} choices that were settled by {ctx.as_of}",
                now=naive_utc(ctx.clock.now()),
            )  # fmt: skip
    except ConcurrentWrite:
        return {"status": CHANGED}
    status = LEARNED if log.names else NOTHING_NEW
    return {"status": status, **figures, "number": kept.number, "policy_version": made.version}


def _propose(ctx: Context, point: Stored, kinship: Kinship) -> int | None:
    """The number of the candidate that is made, once a version, where the definition asks for
    another policy than the one that chooses and that one can go on: it learned the older choices,
    so that the gate can judge it by the others.
    """
    with ctx.store.begin() as connection:
        spoken = ledger.current(connection, point.key)
        if spoken is None or spoken.point_version == point.version:
            return None
        made = ledger.listed(connection, point.key)
        content = ledger.artifact_of(connection, point.key, spoken.number)
        before = ledger.find(connection, point.key, version=spoken.point_version).definition
    if any(one.figures.get(PROPOSED) == point.version for one in made):
        return None
    held, asked = unpack_policy(content), point.definition.policy
    if asked == before.policy and asked.name != held.policy.name:
        return None  # another kind has taken over since it was asked for
    fresh = first_policy(ctx.store, point.definition, on=ctx.as_of)
    if fresh is None or not fits(held, point.definition) or carry_over(held, fresh) is not None:
        return None
    until = start_of_day(ctx.as_of, ctx.settings.zone)
    taught = teach(LogReader(ctx.store, point, kinship, until, ctx.as_of), fresh, share=HALF)
    with ctx.store.begin() as connection:
        kept = ledger.add_policy(
            connection, point, taught.policy, parent=spoken.number, learned_until=taught.until,
            figures={"choices": taught.choices, PROPOSED: point.version}, by=point.created_by,
            words=f"version {point.version} of the point asks for it", state=ledger.CANDIDATE,
            now=naive_utc(ctx.clock.now()),
        )  # fmt: skip
    return kept.number


def _held(
    ctx: Context, point: Stored, spoken: Made | None, held: PointPolicy | None
) -> tuple[PointPolicy | None, datetime | None]:
    """The policy that is to learn, and until when it has: the current one, or where that sees
    something else than the point now says, a fresh one with what can be kept of it.
    """
    since = None
    if spoken is not None and spoken.learned_until is not None:
        since = spoken.learned_until.replace(tzinfo=UTC)
    definition = point.definition
    if held is not None and fits(held, definition):
        return held, since
    fresh = first_policy(ctx.store, definition, on=ctx.as_of)
    old = carry_over(held, fresh) if held is not None and fresh is not None else None
    return old or fresh, since if old else None


def _read_log(
    ctx: Context,
    point: Stored,
    policy: PointPolicy,
    kinship: Kinship,
    since: datetime | None,
    until: datetime,
) -> _Log:
    reader = LogReader(ctx.store, point, kinship, until, ctx.as_of)
    rows = reader.choices(since=since)
    blank = np.empty((0, len(policy.numbers)))
    if rows.empty:
        return _Log([], blank, np.empty(0), 0)
    found = reader.rewards(rows)
    new = found[c.STATUS] != OPEN
    if since is not None:
        new &= found[c.SETTLES_AT] > since
    new &= (rows[c.POLICY] != DEFAULT_POLICY) & rows[c.ACTION].isin(policy.policy.actions)
    known = new & (found[c.STATUS] == SETTLED)
    order = found[known].sort_values([c.SETTLES_AT, c.DECISION_ID]).index
    mine = rows.loc[order]
    numbers = numbers_of(mine[c.CONTEXT].tolist(), policy.numbers)
    rewards = found.loc[order, c.REWARD].to_numpy(np.float64)
    return _Log(mine[c.ACTION].tolist(), numbers, rewards, int((new & ~known).sum()))

# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""The job `decide.learn`: what came of choices goes into the policies that make the next ones.

Reads, as of the day, the `decisions` of points, `outcomes` and `orders`, and the newest policy of
each point. Writes the ledger's `policies`: a new number where anything was learned, which servers
take within seconds.

A choice is learned once, when it is settled: its window, and the days in which outcomes may still
arrive, are over by 00:00 of the day. A policy that knows nothing yet learns the whole log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.config import DecideSettings
from zhiyin.core.context import Context
from zhiyin.core.decisions import BY_POINT, DEFAULT_POLICY
from zhiyin.core.errors import ConcurrentWrite
from zhiyin.core.values import JobReport
from zhiyin.decide.numbers_job import first_policy
from zhiyin.decide.points import ledger
from zhiyin.decide.points.definition import Counts, Definition
from zhiyin.decide.points.ledger import Made, Stored
from zhiyin.decide.points.point_policy import (
    PointPolicy,
    carry_over,
    point_policy,
    unpack_policy,
)
from zhiyin.decide.policy.chooser import Chooser
from zhiyin.decide.rewards import SETTLED, Reward, join_rewards
from zhiyin.govern.live import read_kinship
from zhiyin.govern.people import Kinship

JOB = "decide.learn"
LEARNED, NOTHING_NEW, FIXED, KEPT_NEWER = "learned", "nothing_new", "fixed", "kept_newer"
NO_FEATURES, CHANGED = "no_features", "changed_meanwhile"
_COMPLETED = "completed"


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
    reward cannot be known), `mean_reward`, `number` and `policy_version`.
    """
    with ctx.store.begin() as connection:
        held = ledger.in_force(connection)
    kinship = read_kinship(ctx.store, as_of=ctx.as_of) if held else Kinship(())
    figures = {one.key: _learn(ctx, one, kinship) for one in held}
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
    if spoken is not None and isinstance(policy.policy, Chooser) and not _learns(policy.policy):
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


def _learns(policy: Chooser) -> bool:
    return type(policy).update is not Chooser.update


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
    fits = held is not None and (
        held.numbers == definition.numbers
        and held.policy.actions == tuple(one.name for one in definition.actions)
        and held.policy.name == definition.policy.name
    )
    if fits:
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
    counts = point.definition.reward
    reach = timedelta(days=counts.window_days + counts.settle_days + counts.fatigue_days)
    rows = _decisions(ctx, point, kinship, None if since is None else since - reach)
    blank = np.empty((0, len(policy.numbers)))
    if rows.empty:
        return _Log([], blank, np.empty(0), 0)
    outcomes = _outcomes(ctx, counts, rows, kinship)
    found = join_rewards(
        rows, outcomes, reward=_reward(point.definition), known_at=until
    )  # fmt: skip
    new = found[c.STATUS] != "open"
    if since is not None:
        new &= found[c.SETTLES_AT] > since
    new &= (rows[c.POLICY] != DEFAULT_POLICY) & rows[c.ACTION].isin(policy.policy.actions)
    known = new & (found[c.STATUS] == SETTLED)
    order = found[known].sort_values([c.SETTLES_AT, c.DECISION_ID]).index
    mine = rows.loc[order]
    numbers = np.array(
        [_numbers(one, policy.numbers) for one in mine[c.CONTEXT]], np.float64
    ).reshape(len(mine), len(policy.numbers))
    rewards = found.loc[order, c.REWARD].to_numpy(np.float64)
    return _Log(mine[c.ACTION].tolist(), numbers, rewards, int((new & ~known).sum()))


def _numbers(text: str | None, names: tuple[str, ...]) -> list[float]:
    held: Mapping[str, float | None] = json.loads(text) if text else {}
    return [np.nan if (x := held.get(name)) is None else x for name in names]


def _reward(point: Definition) -> Reward:
    counts = point.reward
    return Reward(
        counts.kind, window_days=counts.window_days, settle_days=counts.settle_days,
        fatigue_minor=counts.fatigue_minor, fatigue_days=counts.fatigue_days,
        nothing=point.default, credit=counts.credit,
    )  # fmt: skip


def _decisions(
    ctx: Context, point: Stored, kinship: Kinship, since: datetime | None
) -> pd.DataFrame:
    """Choices of the point made before the day, since a moment (None: all), with their costs."""
    rows = ctx.store.read("decisions", as_of=ctx.as_of)
    rows = rows.filter(
        rows[c.DECIDED_BY] == BY_POINT, rows[c.CAMPAIGN_ID] == f"{BY_POINT}:{point.key}",
        rows[c.VERSION] > 0,
    )  # fmt: skip
    if since is not None:
        rows = rows.filter(rows[c.DECIDED_AT] >= ibis.literal(naive_utc(since)))
    columns = (c.DECISION_ID, c.PARTY_ID, c.DECIDED_AT, c.ACTION, c.POLICY, c.CONTEXT, c.VERSION)
    table = rows.select(*columns).order_by([c.DECIDED_AT, c.DECISION_ID]).to_pyarrow()
    made = pd.DataFrame({name: table[name].to_pylist() for name in columns}, dtype=object)
    made[c.DECIDED_AT] = table[c.DECIDED_AT].to_pandas()
    pairs = zip(made[c.PARTY_ID], made[c.DECISION_ID], strict=True)
    chiefs = [kinship.chief(one) or own for one, own in pairs]
    made[c.CUSTOMER_ID] = np.array(chiefs, dtype=object)
    made[c.COST_MINOR] = _costs(ctx, point, made)
    return made


def _costs(ctx: Context, point: Stored, rows: pd.DataFrame) -> np.ndarray:
    """What the chosen action cost, by the version under which it was chosen."""
    known: dict[tuple[int, str], float] = {}
    with ctx.store.begin() as connection:
        for version in sorted(set(rows[c.VERSION].tolist())):
            held = ledger.find(connection, point.key, version=int(version)).definition
            known |= {(version, one.name): float(one.cost_minor) for one in held.actions}
    pairs = zip(rows[c.VERSION], rows[c.ACTION], strict=True)
    return np.array([known.get(pair, 0.0) for pair in pairs], np.float64)


def _outcomes(
    ctx: Context, counts: Counts, rows: pd.DataFrame, kinship: Kinship
) -> pd.DataFrame:  # fmt: skip
    """What was reported, and ordered where orders count, from the first of the choices on."""
    first = ibis.literal(rows[c.DECIDED_AT].min().to_pydatetime())
    told = ctx.store.read("outcomes", as_of=ctx.as_of)
    told = told.filter(told[c.OCCURRED_AT] >= first)
    told = told.filter(told[c.KIND].isin(counts.outcomes)) if counts.outcomes else told
    names = (c.PARTY_ID, c.OCCURRED_AT, c.RECEIVED_AT, c.DECISION_ID, c.ACTION)
    parts = [told.select(*names, **{c.MARGIN_MINOR: told[c.VALUE_BASE_MINOR]}).to_pyarrow()]
    if counts.orders:
        orders = ctx.store.read("orders", as_of=ctx.as_of)
        orders = orders.filter(orders[c.ORDERED_AT] >= first, orders[c.STATUS] == _COMPLETED)
        renamed = {
            c.OCCURRED_AT: orders[c.ORDERED_AT], c.MARGIN_MINOR: orders[c.AMOUNT_BASE_MINOR]
        }  # fmt: skip
        parts.append(orders.select(c.PARTY_ID, **renamed).to_pyarrow())
    made = pa.concat_tables(parts, promote_options="default")
    named = made[c.DECISION_ID].to_pylist()
    found = _named(named, made[c.ACTION].to_pylist(), rows)
    parties = made[c.PARTY_ID].to_pylist()
    share = counts.margin_share
    amounts = [np.nan if one is None else one * share for one in made[c.MARGIN_MINOR].to_pylist()]
    values = pd.DataFrame({
        c.CUSTOMER_ID: np.array([one and kinship.chief(one) for one in parties], object),
        c.OCCURRED_AT: made[c.OCCURRED_AT].to_pandas(),
        c.RECEIVED_AT: made[c.RECEIVED_AT].to_pandas(),
        c.MARGIN_MINOR: np.array(amounts, np.float64), c.DECISION_ID: np.array(found, object),
    })  # fmt: skip
    elsewhere = [bool(of) and to is None for of, to in zip(named, found, strict=True)]
    nobodys = [not who and not of for who, of in zip(parties, named, strict=True)]
    return values[~(np.array(elsewhere, bool) | np.array(nobodys, bool))]


def _named(
    named: list[str | None], actions: list[str | None], rows: pd.DataFrame
) -> list[str | None]:  # fmt: skip
    """The row of the choice that each outcome names: of several actions the one that it is of, the
    first where that is not told. None: it names no choice of this point.
    """
    ids = rows[c.DECISION_ID].tolist()
    own, of_action = set(ids), dict[tuple[str, str | None], str]()
    for one, action in zip(ids, rows[c.ACTION].tolist(), strict=True):
        of_action[one.partition(".")[0], action] = one
    return [
        of_action.get((of, action), of if of in own else None) if of else None
        for of, action in zip(named, actions, strict=True)
    ]

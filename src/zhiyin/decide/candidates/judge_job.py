"""Judging a candidate by the settled choices of its point: the log, the gate, what it found.

Only choices that were drawn, with what the policies mixed at the time: those of the default action
for want of time, numbers or a policy are none, and those that a person decided have no propensity.
Of several places each is a choice by itself. A choice belongs to the log if all that was eligible
then is an action now, and all numbers that the point now sees were noted: both were known before
the lot was drawn, so that leaving others out changes no chance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zhiyin.core import columns as c
from zhiyin.core.errors import NotEnoughData, WrongPropensities
from zhiyin.core.protocols import Store
from zhiyin.decide.conditions import all_hold
from zhiyin.decide.log_job import LogReader, numbers_of
from zhiyin.decide.offpolicy import DecisionLog, Limit, Verdict, gate, make_log
from zhiyin.decide.offpolicy.verdict import LIMIT, WORDS
from zhiyin.decide.points.definition import Bound, Definition
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.points.point_policy import PointPolicy
from zhiyin.decide.ramp import REWARD
from zhiyin.decide.reasons import DRAWN
from zhiyin.decide.rewards import SETTLED
from zhiyin.govern.live import read_kinship

CONTACTS, COST = "contacts", "cost"
FIRST_ALARM = 0.05
"""Of the two-sided interval at the first look; half as much at each later one."""
WRONG = "wrong_propensities"
WRONG_WORDS = {
    "missing": ("choices have no propensity", "部分决策没有记录倾向概率"),
    "out_of_range": ("propensities are outside (0, 1]", "倾向概率超出 (0, 1]"),
    "not_a_distribution": ("probabilities do not sum to 1", "各动作概率之和不为 1"),
    "differ": ("propensities are of another action", "倾向概率与所选动作不符"),
    "ineligible": ("an action was taken that was not eligible", "采取了不可选的动作"),
    "miscalibrated": (
        "actions came more or less often than their propensities say",
        "动作出现的频率与记录的倾向概率不符",
    ),
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PointLog:
    """Settled choices of a point: `rows` of the lake, what was seen and eligible, the rewards."""

    rows: pd.DataFrame
    numbers: Floats
    eligible: NDArray[np.bool_]
    rewards: Floats
    settles: pd.Series
    log: DecisionLog | None  # None: there is no choice

    @property
    def n(self) -> int:
        """Choices."""
        return len(self.rows)


@dataclass(frozen=True)
class Judged:
    """What the gate found, as JSON values for the ledger."""

    verdict: dict[str, Any]

    @property
    def promoted(self) -> bool:
        """Whether it passed."""
        return bool(self.verdict["promoted"])


def reader_of(
    store: Store, point: Stored, *, known_at: datetime, as_of: date | None = None
) -> LogReader:
    """A reader of the point's log, under the merges known then."""
    return LogReader(store, point, read_kinship(store, as_of=as_of), known_at, as_of)


def read_log(reader: LogReader, *, after: datetime | None) -> PointLog:
    """Choices that were settled after a moment (None: ever) and are part of the log."""
    point = reader.point.definition
    names = [one.name for one in point.actions]
    rows = reader.choices(since=after, more=(c.ELIGIBLE, c.PROPENSITY))
    if rows.empty:
        return _log_of(point, names, rows, pd.DataFrame({c.REWARD: [], c.SETTLES_AT: []}))
    found = reader.rewards(rows)
    kept = (found[c.STATUS] == SETTLED) & rows[c.REASON].isin(DRAWN)
    if after is not None:
        kept &= found[c.SETTLES_AT] > pd.Timestamp(after)
    kept &= _belong(rows[c.ELIGIBLE], frozenset(names).issuperset)
    kept &= _belong(rows[c.CONTEXT], lambda held: frozenset(held).issuperset(point.numbers))
    return _log_of(point, names, rows[kept], found[kept])


def judge(
    reader: LogReader,
    candidate: PointPolicy,
    current: PointPolicy,
    *,
    after: datetime | None,
    looks: int = 0,
) -> Judged:
    """Whether `candidate` may begin, by choices that were settled after it learned.

    Parameters
    ----------
    looks
        How often it was judged before: each look halves what may go wrong at it, so that all looks
        together let a policy that is no better through once in 20 times at most.

    Raises
    ------
    NotEnoughData
        If no choice of the log is settled.
    """
    held = read_log(reader, after=after)
    if held.log is None:
        raise NotEnoughData(
            f"no choice at {reader.point.key!r} is settled since the policy learned",
            hint="wait until windows of rewards have ended",
        )
    level = 1 - FIRST_ALARM / 2**looks
    told = {
        "judged_until": reader.known_at.astimezone(UTC).isoformat(), "looks": looks + 1,
        "level": level, "n": held.n,
    }  # fmt: skip
    limits, empty = _limits(reader, held)
    try:
        found = gate(
            held.log, _chances(candidate, held), _chances(current, held), limits=limits,
            level=level,
        )  # fmt: skip
    except WrongPropensities as error:
        reason = _reason(f"{WRONG}.{error.reason}") | {"detail": str(error)}
        return Judged({"promoted": False, "reasons": [reason], **told})
    return Judged(told | _verdict(found, empty) | {"deviations": _deviations(held, limits)})


def _reason(code: str) -> dict[str, str]:
    """A reason of a verdict, with its words."""
    head, _, rest = code.partition(".")
    en, zh = WRONG_WORDS[rest] if head == WRONG else WORDS[head]
    return {"code": code, "en": en, "zh": zh}


def _verdict(found: Verdict, empty: Sequence[str]) -> dict[str, Any]:
    reasons = [*found.reasons]
    if empty and LIMIT not in reasons:
        reasons.append(LIMIT)
    gain = found.difference
    limits = [
        {"name": one.name, "value": _number(one.value), "high": _number(one.high),
         "at_most": one.at_most, "held": one.held}
        for one in found.limits
    ]  # fmt: skip
    limits += [{"name": name, "value": None, "high": None, "held": False} for name in empty]
    return {
        "promoted": not reasons, "reasons": [_reason(one) for one in reasons],
        "gain": {"value": _number(gain.value), "low": _number(gain.low),
                 "high": _number(gain.high), "ess": gain.ess, "status": gain.status},
        "limits": limits,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _log_of(
    point: Definition, names: list[str], rows: pd.DataFrame, found: pd.DataFrame
) -> PointLog:
    places = {name: place for place, name in enumerate(names)}
    numbers = numbers_of(rows[c.CONTEXT].tolist() if len(rows) else [], point.numbers)
    eligible = np.zeros((len(rows), len(names)), np.bool_)
    rewards = found[c.REWARD].to_numpy(np.float64)
    if rows.empty:
        return PointLog(rows, numbers, eligible, rewards, found[c.SETTLES_AT], None)
    known: dict[str, NDArray[np.bool_]] = {}
    for row, text in enumerate(rows[c.ELIGIBLE]):
        if text not in known:
            held = set(json.loads(text))
            known[text] = np.array([name in held for name in names])
        eligible[row] = known[text]
    log = make_log(
        _filled(numbers), rows[c.ACTION].map(places).to_numpy(np.int64), rewards,
        rows[c.PROPENSITY].to_numpy(np.float64), n_actions=len(names), eligible=eligible,
        customers=rows[c.CUSTOMER_ID].to_numpy(str),
    )  # fmt: skip
    return PointLog(rows, numbers, eligible, rewards, found[c.SETTLES_AT], log)


def _belong(texts: pd.Series, keep: Any) -> np.ndarray:  # Any: a set in JSON → whether to keep it
    known = {one: bool(keep(json.loads(one) if one else {})) for one in set(texts)}
    return texts.map(known).to_numpy(np.bool_)


def _filled(numbers: Floats) -> Floats:
    """Numbers on one scale, 0 where one is not known, and a column that says so."""
    unknown = np.isnan(numbers)
    safe = np.where(unknown, 0.0, numbers)
    count = np.maximum((~unknown).sum(axis=0), 1)
    middle = safe.sum(axis=0) / count
    off = np.where(unknown, 0.0, numbers - middle)
    width = np.sqrt((off**2).sum(axis=0) / count)
    scaled = off / np.where(width > 0, width, 1.0)
    told = unknown[:, unknown.any(axis=0) & ~unknown.all(axis=0)]
    return np.hstack([scaled, told]) if numbers.shape[1] else np.zeros((len(numbers), 1))


def _chances(policy: PointPolicy, held: PointLog) -> Floats:
    return np.asarray(policy.policy.probabilities(policy.contexts(held.numbers), held.eligible))


def _limits(reader: LogReader, held: PointLog) -> tuple[list[Limit], list[str]]:
    """The point's limits over the log, and the names of those that are about none of its rows."""
    made: list[Limit] = []
    empty: list[str] = []
    point = reader.point.definition
    for one in point.limits:
        rows = rows_of(one, point, held.numbers)
        if not rows.any():
            empty.append(one.name)
            continue
        amounts = _certain(one, point)
        seen = None if amounts is not None else seen_of(reader, held.rows, one)[0]
        made.append(Limit(one.name, one.at_most, by_action=amounts, seen=seen, rows=rows))
    return made, empty


def rows_of(one: Bound, point: Definition, numbers: Floats) -> NDArray[np.bool_]:
    """Which choices a limit is about, (rows,) flags."""
    columns = {name: numbers[:, place] for place, name in enumerate(point.numbers)}
    return all_hold(one.when, columns, len(numbers))


def seen_of(
    reader: LogReader, rows: pd.DataFrame, one: Bound
) -> tuple[Floats, NDArray[np.bool_]]:  # fmt: skip
    """What a limit counts after each choice (0 where it is not known yet), and whether it is."""
    days = one.window_days or reader.point.definition.reward.window_days
    found = reader.seen(rows, one.of, window_days=days)
    known = (found[c.STATUS] == SETTLED).to_numpy(np.bool_)
    return np.where(known, found[c.REWARD].to_numpy(np.float64), 0.0), known


def _certain(one: Bound, point: Definition) -> Floats | None:
    if one.of == CONTACTS:
        return np.array([float(bool(action.channel)) for action in point.actions])
    if one.of == COST:
        return np.array([float(action.cost_minor) for action in point.actions])
    return None


def _deviations(held: PointLog, limits: Sequence[Limit]) -> Mapping[str, float]:
    """Standard deviations per choice, of the reward and of what limits count after it."""
    made = {REWARD: held.rewards}
    for one in limits:
        if one.seen is not None:
            made[one.name] = np.asarray(one.seen)[np.asarray(one.rows)]
    return {name: _deviation(values) for name, values in made.items()}


def _deviation(values: Floats) -> float:
    """Of what was never seen, or always: as if it had come once more, or once less."""
    found = float(values.std())
    if found > 0:
        return found
    scale = abs(float(values.mean())) or 1.0
    return scale / math.sqrt(values.size + 1)

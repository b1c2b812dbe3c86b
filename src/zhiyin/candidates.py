"""Policies that want to choose at a point: ask for one, approve, decline, take back.

Teaching and judging them reads the log: that is `judging`'s, which servers leave to a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.candidates import ledger
from zhiyin.decide.candidates.ledger import Candidate
from zhiyin.decide.points import ledger as points
from zhiyin.decide.points.check import check
from zhiyin.decide.points.definition import Chosen, Definition
from zhiyin.decide.points.point_policy import PointPolicy, fits, unpack_policy
from zhiyin.decide.ramp import REWARD, WORDS, Metric, Ramp, find_gain, start
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.queue import queue_job
from zhiyin.store.workspace import WorkspaceStore

CANDIDATE, JUDGE = "candidate", "judge"
"""Kinds of jobs that a worker takes."""
LEARNED_SHARE = 0.5
"""Of the settled choices, the older part that a candidate learns; the newer part judges it."""


@dataclass(frozen=True)
class Wish:
    """A policy that is to be a candidate: its name and what differs from what the point says.

    `explore` None: as the point says; `learn`: the share of the settled choices that it learns, the
    older ones, for the gate judges it by the others.
    """

    name: str
    explore: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    learn: float = LEARNED_SHARE

    def at(self, point: Definition) -> Definition:
        """The point as it would be with this policy.

        Raises
        ------
        InvalidRule, InvalidParameter
            If there is no such policy, a setting is wrong or the share is none.
        """
        if not 0 <= self.learn < 1:
            raise InvalidParameter(f"learn is a share in [0, 1), not {self.learn}")
        explore = point.policy.explore if self.explore is None else self.explore
        chosen = Chosen(self.name, explore, dict(self.settings))
        wanted = msgspec.structs.replace(point, policy=chosen)
        check(wanted)
        return wanted


class Candidates:
    """The candidates of a workspace's decision points."""

    def __init__(self, store: WorkspaceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def ask_for(self, key: str, wish: Wish, *, by: str) -> str:
        """Let a worker make a candidate; the job's id.

        Raises
        ------
        NotFound, InvalidRule, InvalidParameter
            If there is no such point, or the policy cannot be meant.
        """
        with transaction(self._store.ledger) as connection:
            wish.at(points.find(connection, key).definition)
            arguments = {"point": key, "by": by, **asdict(wish)}
            return queue_job(connection, CANDIDATE, arguments, by=by, clock=self._clock)

    def ask_to_judge(self, key: str, number: int, *, by: str) -> str:
        """Let a worker ask the gate about a candidate; the job's id.

        Raises
        ------
        NotFound, InvalidParameter
            If there is no such candidate, or it cannot be judged in its state.
        """
        with transaction(self._store.ledger) as connection:
            ledger.require_judged(ledger.find_candidate(connection, key, number))
            arguments = {"point": key, "number": number, "by": by}
            return queue_job(connection, JUDGE, arguments, by=by, clock=self._clock)

    def approve(self, key: str, number: int, *, by: str) -> dict[str, Any]:
        """Let one that passed take over step by step: never one's own."""
        now = naive_utc(self._clock.now())
        with transaction(self._store.ledger) as connection:
            point = points.find(connection, key)
            one = ledger.find_candidate(connection, key, number)
            policy = unpack_policy(points.artifact_of(connection, key, number))
            require_fit(policy, point.definition)
            ramp = ramp_of(point.definition, one.verdict or {})
            return said(ledger.begin(connection, one, ramp, approved=True, by=by, now=now))

    def decline(self, key: str, number: int, *, by: str, why: str = "") -> dict[str, Any]:
        """Decline one that passed."""
        with transaction(self._store.ledger) as connection:
            one = ledger.find_candidate(connection, key, number)
            return said(ledger.decline(connection, one, why=why, by=by, now=self._now()))

    def withdraw(self, key: str, number: int, *, by: str, why: str = "") -> dict[str, Any]:
        """Take one back, also while it takes over."""
        with transaction(self._store.ledger) as connection:
            one = ledger.find_candidate(connection, key, number)
            return said(ledger.withdraw(connection, one, why=why, by=by, now=self._now()))

    def listed(self, key: str) -> list[dict[str, Any]]:
        """All policies of a point with verdicts and ramps, by number."""
        with reading(self._store.ledger) as connection:
            points.find(connection, key)
            return [said(one) for one in ledger.candidates_of(connection, key)]

    def _now(self) -> datetime:
        return naive_utc(self._clock.now())


def said(one: Candidate) -> dict[str, Any]:
    """A candidate as JSON values, its ramp in words."""
    stand = one.stand()
    values = {
        name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(one).items()
    }
    return values | {"ramp": None if stand is None else _said_ramp(stand)}


def _said_ramp(stand: Ramp) -> dict[str, Any]:
    gain = find_gain(stand)
    known = gain.value == gain.value  # NaN before both have decided
    en, zh = WORDS[stand.reason.partition(":")[0]]
    return {
        "status": stand.status, "reason": stand.reason, "en": en, "zh": zh,
        "stage": stand.stage, "share": stand.share,
        "gain": {"value": gain.value, "low": gain.low, "high": gain.high} if known else None,
        "choices": [
            {
                side: held[REWARD].n if (held := getattr(each, side)) else 0
                for side in ("candidate", "current")
            }
            for each in stand.stages
        ],
    }  # fmt: skip


def ramp_of(point: Definition, verdict: Mapping[str, Any]) -> Ramp:
    """A ramp before its first choice, with what the gate saw vary."""
    deviations = verdict.get("deviations", {REWARD: 1.0})
    rises = {one.name: one.rise for one in point.limits}
    guards = {
        name: Metric(deviation, most=rises[name])
        for name, deviation in deviations.items()
        if name in rises
    }
    plan = point.ramp
    return start(
        Metric(deviations[REWARD]), planned=plan.planned, guards=guards, least=plan.least,
        shares=plan.shares, holdout=plan.kept,
    )  # fmt: skip


def require_fit(policy: PointPolicy, point: Definition) -> None:
    if not fits(policy, point):
        raise InvalidParameter(
            f"the policy {policy.version} sees other numbers than {point.key!r} now has, or other "
            "actions",
            hint=f"numbers: {', '.join(point.numbers) or 'none'}; "
            f"actions: {', '.join(one.name for one in point.actions)}",
        )

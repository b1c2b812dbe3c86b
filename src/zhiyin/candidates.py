"""Policies that want to choose at a point: try, judge, approve, decline, take back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.candidates import ledger
from zhiyin.decide.candidates.judge_job import judge, reader_of, say_reason
from zhiyin.decide.candidates.ledger import Candidate
from zhiyin.decide.candidates.teach_job import teach
from zhiyin.decide.numbers_job import first_policy, newest_day
from zhiyin.decide.points import ledger as points
from zhiyin.decide.points.check import check
from zhiyin.decide.points.definition import Chosen, Definition
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.points.point_policy import PointPolicy, fits, unpack_policy
from zhiyin.decide.ramp import REWARD, WORDS, Metric, Ramp, find_gain, start
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

LEARNED_SHARE = 0.5
"""Of the settled choices, the older part that a candidate learns; the newer part judges it."""


class Candidates:
    """The candidates of a workspace's decision points."""

    def __init__(self, store: WorkspaceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def try_policy(
        self, key: str, name: str, *, by: str, explore: float | None = None,
        settings: Mapping[str, Any] | None = None, learn: float = LEARNED_SHARE,
    ) -> Candidate:  # fmt: skip
        """A policy by name as a candidate; one that learns has learned the older choices.

        Parameters
        ----------
        learn
            The share of the settled choices that it learns; the gate judges it by the others.

        Raises
        ------
        InvalidRule
            If there is no such policy, or a setting is wrong.
        NotEnoughData
            If no turn has computed what is usual of the numbers of the point.
        """
        if not 0 <= learn < 1:
            raise InvalidParameter(f"learn is a share in [0, 1), not {learn}")
        point = self._point(key)
        chosen = Chosen(
            name, point.definition.policy.explore if explore is None else explore,
            dict(settings or {}),
        )  # fmt: skip
        wanted = msgspec.structs.replace(point.definition, policy=chosen)
        check(wanted)
        fresh = first_policy(self._store, wanted, on=newest_day(self._store))
        if fresh is None:
            raise NotEnoughData(
                "nothing is known yet of the numbers that the point sees",
                hint="after the next turn: zhiyin run",
            )
        reader = reader_of(self._store, point, known_at=self._clock.now())
        taught = teach(reader, fresh, share=learn)
        return self._add(
            point, taught.policy, until=taught.until, by=by,
            figures={"choices": taught.choices}, words=f"{name}, tried by a person",
        )  # fmt: skip

    def try_file(
        self, key: str, content: bytes, *, by: str, learned_until: datetime | None = None
    ) -> Candidate:
        """A policy from an artifact (`PointPolicy.pack`) as a candidate.

        Parameters
        ----------
        learned_until
            It learned nothing that was settled later; None: it is judged by what is settled from
            now on, for a policy is not judged by what it has learned.

        Raises
        ------
        InputError
            If the content is no policy.
        InvalidParameter
            If it sees other numbers than the point, or has other actions.
        """
        point, policy = self._point(key), unpack_policy(content)
        _require_fit(policy, point.definition)
        until = naive_utc(learned_until or self._clock.now())
        return self._add(
            point, policy, until=until, by=by, figures={}, words="from a file of a person"
        )  # fmt: skip

    def judge(self, key: str, number: int, *, by: str) -> dict[str, Any]:
        """Ask the gate about a candidate; one that passes waits for a person, or begins.

        Raises
        ------
        InvalidParameter
            If it cannot be judged in its state, does not fit the point any more, or was refused
            and nothing was settled since.
        NotEnoughData
            If no choice is settled that it has not learned.
        """
        with reading(self._store.ledger) as connection:
            point = points.find(connection, key)
            one = ledger.find_candidate(connection, key, number)
            spoken = points.current(connection, key)
            if spoken is None or one.state not in ledger.JUDGED_STATES:
                raise InvalidParameter(
                    f"policy {number} of {key!r} is {one.state} and cannot be judged"
                )
            ours, theirs = (
                unpack_policy(points.artifact_of(connection, key, each))
                for each in (number, spoken.number)
            )
        for policy in (ours, theirs):
            _require_fit(policy, point.definition)
        now = self._clock.now()
        before = one.verdict or {}
        found = judge(
            reader_of(self._store, point, known_at=now), ours, theirs, after=_aware(one),
            looks=int(before.get("looks", 0)),
        )  # fmt: skip
        if found.verdict["n"] <= before.get("n", 0):
            raise InvalidParameter(
                f"policy {number} of {key!r} was refused, and nothing was settled since",
                hint="judge it again when more windows of rewards have ended",
            )
        verdict = found.verdict | {"against": spoken.number}
        with transaction(self._store.ledger) as connection:
            kept = ledger.keep_verdict(connection, one, verdict, by=by, now=naive_utc(now))
            if found.promoted and not point.definition.approval:
                ramp = _ramp(point.definition, verdict)
                kept = ledger.begin(
                    connection, kept, ramp, approved=False, by=by, now=naive_utc(now)
                )
        return said(kept)

    def approve(self, key: str, number: int, *, by: str) -> dict[str, Any]:
        """Let one that passed take over step by step: never one's own."""
        now = naive_utc(self._clock.now())
        with transaction(self._store.ledger) as connection:
            point = points.find(connection, key)
            one = ledger.find_candidate(connection, key, number)
            policy = unpack_policy(points.artifact_of(connection, key, number))
            _require_fit(policy, point.definition)
            ramp = _ramp(point.definition, one.verdict or {})
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

    def _add(
        self, point: Stored, policy: PointPolicy, *, until: datetime | None, by: str,
        figures: Mapping[str, Any], words: str,
    ) -> Candidate:  # fmt: skip
        with transaction(self._store.ledger) as connection:
            spoken = points.current(connection, point.key)
            made = points.add_policy(
                connection, point, policy, parent=spoken and spoken.number, learned_until=until,
                figures=figures, words=words, by=by, now=self._now(), state=points.CANDIDATE,
            )  # fmt: skip
            return ledger.find_candidate(connection, point.key, made.number)

    def _point(self, key: str) -> Stored:
        with reading(self._store.ledger) as connection:
            return points.find(connection, key)

    def _now(self) -> datetime:
        return naive_utc(self._clock.now())


def said(one: Candidate) -> dict[str, Any]:
    """A candidate as JSON values, with its verdict and its ramp in words."""
    verdict, stand = one.verdict, one.stand()
    if verdict is not None:
        reasons = [
            {**reason, **dict(zip(("en", "zh"), say_reason(reason["code"]), strict=True))}
            for reason in verdict["reasons"]
        ]
        verdict = {**verdict, "reasons": reasons}
    values = {
        name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(one).items()
    }
    return values | {"verdict": verdict, "ramp": None if stand is None else _said_ramp(stand)}


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


def _ramp(point: Definition, verdict: Mapping[str, Any]) -> Ramp:
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


def _require_fit(policy: PointPolicy, point: Definition) -> None:
    if not fits(policy, point):
        raise InvalidParameter(
            f"the policy {policy.version} sees other numbers than {point.key!r} now has, or other "
            "actions",
            hint=f"numbers: {', '.join(point.numbers) or 'none'}; "
            f"actions: {', '.join(one.name for one in point.actions)}",
        )


def _aware(one: Candidate) -> datetime | None:
    return one.learned_until and one.learned_until.replace(tzinfo=UTC)

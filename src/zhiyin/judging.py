"""Teaching candidates, and judging them by the log: for the command line and the worker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zhiyin.candidates import CANDIDATE, Wish, ramp_of, require_fit, said
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.decide.candidates import ledger
from zhiyin.decide.candidates.judge_job import judge, reader_of
from zhiyin.decide.candidates.ledger import Candidate
from zhiyin.decide.candidates.teach_job import teach
from zhiyin.decide.numbers_job import first_policy, newest_day
from zhiyin.decide.points import ledger as points
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.points.point_policy import PointPolicy, unpack_policy
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore


class Judging:
    """Makes candidates of a workspace's decision points, and asks the gate about them."""

    def __init__(self, store: WorkspaceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def try_policy(self, key: str, wish: Wish, *, by: str) -> Candidate:
        """A policy by name as a candidate; one that learns has learned the older choices.

        Raises
        ------
        InvalidRule, InvalidParameter
            As `Wish.at`.
        NotEnoughData
            If no turn has computed what is usual of the numbers of the point.
        """
        point = self._point(key)
        wanted = wish.at(point.definition)
        fresh = first_policy(self._store, wanted, on=newest_day(self._store))
        if fresh is None:
            raise NotEnoughData(
                "nothing is known yet of the numbers that the point sees",
                hint="after the next turn: zhiyin run",
            )
        reader = reader_of(self._store, point, known_at=self._clock.now())
        taught = teach(reader, fresh, share=wish.learn)
        return self._add(
            point, taught.policy, until=taught.until, by=by,
            figures={"choices": taught.choices}, words=f"{wish.name}, tried by a person",
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
        require_fit(policy, point.definition)
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
            ledger.require_judged(one)
            if spoken is None:
                raise InvalidParameter(f"no policy chooses at {key!r} yet", hint="zhiyin run")
            ours, theirs = (
                unpack_policy(points.artifact_of(connection, key, each))
                for each in (number, spoken.number)
            )
        for policy in (ours, theirs):
            require_fit(policy, point.definition)
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
                ramp = ramp_of(point.definition, verdict)
                kept = ledger.begin(
                    connection, kept, ramp, approved=False, by=by, now=naive_utc(now)
                )
        return said(kept)

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


def run_asked(
    store: WorkspaceStore, clock: Clock, kind: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What somebody asked of a worker over HTTP; the result of the job.

    Raises
    ------
    ZhiyinError
        As `Judging.try_policy` and `Judging.judge`.
    """
    own, given = Judging(store, clock), dict(arguments)
    key, by = given.pop("point"), given.pop("by")
    if kind == CANDIDATE:
        made = own.try_policy(key, Wish(**given), by=by)
        return {"point": key, "number": made.number, "state": made.state}
    found = own.judge(key, given["number"], by=by)
    reasons = [one["code"] for one in found["verdict"]["reasons"]]
    return {"point": key, "number": given["number"], "state": found["state"], "reasons": reasons}


def _aware(one: Candidate) -> datetime | None:
    return one.learned_until and one.learned_until.replace(tzinfo=UTC)

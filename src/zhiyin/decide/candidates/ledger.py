"""Statements on the ledger's `policies` that are not, or not yet, the current one of their point.

    candidate ⇄ refused
        └→ passed → ramping → current → retired
              └→ declined  └→ rolled_back
    each of candidate, refused, passed, ramping → withdrawn

`refused` is by the gate, `declined` by a person; `passed` waits for a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from zhiyin.core.errors import (
    ConcurrentWrite,
    InvalidParameter,
    NotFound,
    PermissionDenied,
)
from zhiyin.core.ledger import policies
from zhiyin.decide.points.ledger import CANDIDATE, CURRENT, RAMPING, RETIRED, Made, note
from zhiyin.decide.ramp import FULL, ROLLED_BACK, Ramp

REFUSED, PASSED, DECLINED, WITHDRAWN = "refused", "passed", "declined", "withdrawn"
JUDGED_STATES = (CANDIDATE, REFUSED)
OPEN_STATES = (CANDIDATE, REFUSED, PASSED, RAMPING)
p = policies.c


@dataclass(frozen=True)
class Candidate(Made):
    """A policy with what came of it on its way. `against`, in its ramp: the current one then."""

    verdict: Mapping[str, Any] | None
    judged_at: datetime | None
    answered_by: str | None
    answered_at: datetime | None
    ramp: Mapping[str, Any] | None
    share: float | None
    looked_at: datetime | None

    def stand(self) -> Ramp | None:
        """Where its ramp is."""
        return None if self.ramp is None else msgspec.convert(self.ramp, type=Ramp)


def find_candidate(connection: sa.Connection, key: str, number: int) -> Candidate:
    """A policy of a point by its number.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = candidates_of(connection, key, number=number)
    if not found:
        raise NotFound(
            f"the decision point {key[:60]!r} has no policy {number}",
            hint=f"zhiyin decision show {key[:60]}",
        )
    return found[0]


def candidates_of(
    connection: sa.Connection,
    key: str | None = None,
    *,
    number: int | None = None,
    states: Sequence[str] = (),
) -> list[Candidate]:
    """Policies of a point (None: of all) in some of the states (none: in all), by number."""
    query = sa.select(*(p[one.name] for one in fields(Candidate)))
    query = query if key is None else query.where(p.point == key)
    query = query if number is None else query.where(p.number == number)
    query = query.where(p.state.in_(states)) if states else query
    rows = connection.execute(query.order_by(p.point, p.number)).mappings()
    return [Candidate(**row) for row in rows]


def ramping(connection: sa.Connection, key: str) -> Candidate | None:
    """The policy that is taking over at a point; None: none is."""
    held = candidates_of(connection, key, states=[RAMPING])
    return held[0] if held else None


def require_judged(one: Candidate) -> None:
    """Raise `InvalidParameter` unless the gate may be asked about it."""
    _require(one, JUDGED_STATES, "judged")


def keep_verdict(
    connection: sa.Connection, one: Candidate, verdict: Mapping[str, Any], *, by: str, now: datetime
) -> Candidate:
    """Keep what the gate found: it passed, or it is refused.

    Raises
    ------
    InvalidParameter
        If it cannot be judged in its state.
    """
    require_judged(one)
    promoted = bool(verdict["promoted"])
    state = PASSED if promoted else REFUSED
    _change(connection, one, state=state, verdict=dict(verdict), judged_at=now)
    detail = {"promoted": promoted, "reasons": [item["code"] for item in verdict["reasons"]]}
    _note(connection, one, "policy.judge", by=by, now=now, **detail)
    return find_candidate(connection, one.point, one.number)


def begin(
    connection: sa.Connection, one: Candidate, ramp: Ramp, *, approved: bool, by: str, now: datetime
) -> Candidate:
    """Let one that passed begin to take over.

    Raises
    ------
    PermissionDenied
        If somebody approves what is her own.
    InvalidParameter
        If it did not pass, or another one of the point is taking over.
    """
    _require(one, (PASSED,), "approved" if approved else "begun")
    if approved and by == one.made_by:
        raise PermissionDenied(
            f"{by} made policy {one.number} and cannot approve it",
            hint="a second person approves it",
        )
    other = ramping(connection, one.point)
    if other is not None:
        raise InvalidParameter(
            f"policy {other.number} is taking over at {one.point!r}",
            hint="wait for its end, or take it back: zhiyin decision withdraw",
        )
    answer = {"answered_by": by[:80], "answered_at": now} if approved else {}
    _change(
        connection, one, state=RAMPING, ramp=_plain(ramp), share=ramp.share, looked_at=now, **answer
    )
    if approved:
        _note(connection, one, "policy.approve", by=by, now=now)
    _note(connection, one, "ramp.start", by=by, now=now, share=ramp.share)
    return find_candidate(connection, one.point, one.number)


def decline(
    connection: sa.Connection, one: Candidate, *, why: str, by: str, now: datetime
) -> Candidate:
    """Decline one that passed the gate."""
    _require(one, (PASSED,), "declined")
    _change(connection, one, state=DECLINED, answered_by=by[:80], answered_at=now)
    _note(connection, one, "policy.decline", by=by, now=now, why=why[:200])
    return find_candidate(connection, one.point, one.number)


def withdraw(
    connection: sa.Connection, one: Candidate, *, why: str, by: str, now: datetime
) -> Candidate:
    """Take back one that is on its way, also while it takes over: it chooses no more."""
    _require(one, OPEN_STATES, "withdrawn")
    _change(connection, one, state=WITHDRAWN, share=None)
    _note(connection, one, "policy.withdraw", by=by, now=now, why=why[:200])
    return find_candidate(connection, one.point, one.number)


def withdraw_all(
    connection: sa.Connection, key: str, *, why: str, by: str, now: datetime
) -> list[int]:
    """Take back all of a point that are on their way; their numbers."""
    held = candidates_of(connection, key, states=OPEN_STATES)
    return [withdraw(connection, one, why=why, by=by, now=now).number for one in held]


def keep_step(
    connection: sa.Connection, one: Candidate, ramp: Ramp, *, until: datetime, now: datetime
) -> Candidate:
    """Keep where a ramp is after a look at what was settled until a moment.

    Raises
    ------
    ConcurrentWrite
        If somebody else has looked, or taken it back, since `one` was read.
    """
    before = one.stand()
    state = ROLLED_BACK if ramp.status == ROLLED_BACK else RAMPING
    share = None if state == ROLLED_BACK else ramp.share
    _change(connection, one, state=state, ramp=_plain(ramp), share=share, looked_at=until)
    if before is None or (before.status, before.stage) != (ramp.status, ramp.stage):
        _note(
            connection, one, "ramp.step", by=BY_JOB, now=now, status=ramp.status,
            reason=ramp.reason, stage=ramp.stage, share=ramp.share,
        )  # fmt: skip
    return find_candidate(connection, one.point, one.number)


def crown(connection: sa.Connection, one: Candidate, *, now: datetime) -> Candidate:
    """Make one that has taken over the current policy of its point.

    Raises
    ------
    ConcurrentWrite
        If it is not taking over any more.
    """
    stand = one.stand()
    if stand is None or stand.status != FULL:
        raise InvalidParameter(f"policy {one.number} has not taken over yet")
    others = (p.point == one.point) & (p.state == CURRENT)
    connection.execute(policies.update().where(others).values(state=RETIRED))
    _change(connection, one, state=CURRENT, share=None)
    _note(connection, one, "ramp.done", by=BY_JOB, now=now)
    return find_candidate(connection, one.point, one.number)


BY_JOB = "ramp"
"""Who takes steps of a ramp, in the audit log."""


def _require(one: Candidate, states: Sequence[str], what: str) -> None:
    if one.state not in states:
        raise InvalidParameter(
            f"policy {one.number} of {one.point!r} is {one.state} and cannot be {what}",
            hint=f"one that is {' or '.join(states)} can",
        )


def _change(connection: sa.Connection, one: Candidate, **values: Any) -> None:
    mine = (p.point == one.point) & (p.number == one.number) & (p.state == one.state)
    mine &= p.looked_at.is_(None) if one.looked_at is None else p.looked_at == one.looked_at
    if not connection.execute(policies.update().where(mine).values(**values)).rowcount:
        raise ConcurrentWrite(
            f"policy {one.number} of {one.point!r} was changed meanwhile", hint="look again"
        )


def _plain(ramp: Ramp) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(ramp))


def _note(
    connection: sa.Connection, one: Candidate, action: str, *, by: str, now: datetime, **more: Any
) -> None:
    detail = {"point": one.point, "number": one.number, **more}
    note(connection, action, detail, by=by, now=now)

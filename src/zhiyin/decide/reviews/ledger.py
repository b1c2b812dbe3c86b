"""Statements on the ledger's `reviews`: one for each choice that a rule sent to a person.

open → taken → answered
  └──────┴───→ expired (the default action stands)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.core.clock import naive_utc
from zhiyin.core.decisions import Decided
from zhiyin.core.errors import InvalidParameter, LeaseHeld, NotFound
from zhiyin.core.ledger import audit, reviews

OPEN, TAKEN, ANSWERED, EXPIRED = "open", "taken", "answered", "expired"
WAITING, CLOSED = (OPEN, TAKEN), (ANSWERED, EXPIRED)
CODES = {
    "agreed": ("the proposal is right", "同意建议"),
    "too_costly": ("it costs too much for her", "成本过高"),
    "not_suitable": ("it does not suit her", "不适合该客户"),
    "sensitive": ("it touches something sensitive", "涉及敏感信息"),
    "rule": ("a rule of the house forbids it", "违反内部规定"),
    "known_better": ("something is known that the policy does not see", "掌握策略未知的信息"),
    "other": ("another reason, see the note", "其他原因，见备注"),
}
"""Why a person decided as she did: code → (en, zh)."""
_CHUNK = 500  # ids in one statement
_R = reviews.c


@dataclass(frozen=True)
class Case:
    """A choice that waits for a person, or did; times are naive UTC. `note` is sealed."""

    decision_id: str
    point: str
    version: int
    party_id: str
    rule: str
    proposed: str
    chance: float
    fallback: str
    eligible: list[str]
    numbers: dict[str, float | None]
    asked_at: datetime
    until: datetime
    state: str
    taken_by: str | None
    taken_until: datetime | None
    action: str | None
    reason: str | None
    note: bytes | None
    answered_by: str | None
    answered_at: datetime | None

    def state_at(self, now: datetime) -> str:
        """Its state at a moment: who took it may have let it lie, its time may be over."""
        if self.state in WAITING and self.until <= now:
            return EXPIRED
        over = self.taken_until is None or self.taken_until <= now
        return OPEN if self.state == TAKEN and over else self.state


_COLUMNS = [_R[name] for name in Case.__dataclass_fields__]


def put(connection: sa.Connection, decided: Sequence[Decided]) -> int:
    """Put those that a rule sent to a person in the queue, each once; how many were new."""
    rows = {one.decision_id: _row(one) for one in decided if one.sent}
    if not rows:
        return 0
    known = sa.select(_R.decision_id).where(_R.decision_id.in_(sorted(rows)))
    for one in connection.execute(known).scalars():
        del rows[one]
    if rows:
        connection.execute(reviews.insert(), list(rows.values()))
    return len(rows)


def find(connection: sa.Connection, decision_id: str) -> Case:
    """One case.

    Raises
    ------
    NotFound
        If there is none, or its person was erased.
    """
    query = sa.select(*_COLUMNS).where(_R.decision_id == decision_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("no such decision is waiting for a person", hint="zhiyin review list")
    return Case(**row._mapping)


def of_ids(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Case]:
    """The cases of decisions, by id; one that there is none of is left out."""
    made: dict[str, Case] = {}
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(*_COLUMNS).where(_R.decision_id.in_(ids[start : start + _CHUNK]))
        made |= {row.decision_id: Case(**row._mapping) for row in connection.execute(query)}
    return made


def listed(
    connection: sa.Connection, *, now: datetime, point: str | None = None, closed: bool = False,
    limit: int = 200,
) -> list[Case]:  # fmt: skip
    """Cases that wait, those first whose time is over soonest; `closed`: the others."""
    waits = _R.state.in_(WAITING) & (_R.until > now)
    query = sa.select(*_COLUMNS).where(~waits if closed else waits)
    query = query if point is None else query.where(_R.point == point)
    order = (_R.asked_at.desc(), _R.decision_id) if closed else (_R.until, _R.decision_id)
    return [Case(**row._mapping) for row in connection.execute(query.order_by(*order).limit(limit))]


def take(
    connection: sa.Connection, case: Case, *, by: str, until: datetime, now: datetime
) -> Case:  # fmt: skip
    """Keep a case for a person for a while.

    Raises
    ------
    LeaseHeld
        If somebody else has it.
    InvalidParameter
        If it waits no more.
    """
    _require_waiting(case, now)
    free = (_R.state == OPEN) | (_R.taken_by == by) | (_R.taken_until <= now)
    mine = (_R.decision_id == case.decision_id) & _R.state.in_(WAITING) & free
    values = {"state": TAKEN, "taken_by": by[:80], "taken_until": until}
    if not connection.execute(reviews.update().where(mine).values(**values)).rowcount:
        raise LeaseHeld("somebody else has taken this decision", hint="take another one")
    _note(connection, case, "taken", by=by, now=now)
    return find(connection, case.decision_id)


def answer(
    connection: sa.Connection, case: Case, action: str, reason: str, *, note: bytes | None,
    by: str, now: datetime,
) -> Case:  # fmt: skip
    """Keep what a person decided; the same answer of the same person twice is one.

    Raises
    ------
    InvalidParameter
        If the action could not be given, there is no such reason, or the case waits no more.
    LeaseHeld
        If somebody else has it.
    """
    if case.state == ANSWERED and (case.action, case.answered_by) == (action, by):
        return case
    _require_waiting(case, now)
    if action not in case.eligible:
        raise InvalidParameter(
            f"the action {action[:48]!r} cannot be given",
            hint=f"one of: {', '.join(case.eligible)}",
        )
    if reason not in CODES:
        raise InvalidParameter(f"no reason is {reason[:48]!r}", hint=", ".join(CODES))
    free = (_R.state == OPEN) | (_R.taken_by == by) | (_R.taken_until <= now)
    mine = (_R.decision_id == case.decision_id) & _R.state.in_(WAITING) & free
    values: dict[str, Any] = {
        "state": ANSWERED, "action": action, "reason": reason, "note": note,
        "answered_by": by[:80], "answered_at": now, "taken_by": None, "taken_until": None,
    }  # fmt: skip
    if not connection.execute(reviews.update().where(mine).values(**values)).rowcount:
        raise LeaseHeld("somebody else has taken this decision", hint="she or he answers it")
    said = {"action": action, "reason": reason, "override": action != case.proposed}
    _note(connection, case, "answered", by=by, now=now, **said)
    return find(connection, case.decision_id)


def expire(connection: sa.Connection, *, now: datetime) -> int:
    """Close those whose time is over; how many."""
    over = _R.state.in_(WAITING) & (_R.until <= now)
    rows = connection.execute(sa.select(*_COLUMNS).where(over)).all()
    connection.execute(reviews.update().where(over).values(state=EXPIRED, taken_by=None))
    for row in rows:
        _note(connection, Case(**row._mapping), "expired", by="worker", now=now)
    return len(rows)


def _row(one: Decided) -> dict[str, Any]:
    place = one.places[0]
    return {
        "decision_id": one.decision_id, "point": one.point, "version": one.version,
        "party_id": one.party_id, "rule": one.sent, "proposed": one.proposed,
        "chance": one.chance, "fallback": place.action, "eligible": list(place.eligible),
        "numbers": dict(zip(one.names, one.numbers, strict=True)),
        "asked_at": _moment(one.at_us), "until": _moment(one.until_us), "state": OPEN,
    }  # fmt: skip


def _moment(us: int) -> datetime:
    return naive_utc(datetime.fromtimestamp(us / 1_000_000, UTC))


def _require_waiting(case: Case, now: datetime) -> None:
    state = case.state_at(now)
    if state not in WAITING:
        why = (
            "its time is over: the default action stands" if state == EXPIRED else "it is answered"
        )
        raise InvalidParameter(f"nothing can be decided here any more: {why}")


def _note(
    connection: sa.Connection, case: Case, what: str, *, by: str, now: datetime, **more: Any
) -> None:
    detail = {"point": case.point, "rule": case.rule, **more}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=f"review.{what}", detail=detail)
    )

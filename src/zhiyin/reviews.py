"""Choices that a person decides, as she sees them: whom about, what was seen, what is proposed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.points.ledger import count_given
from zhiyin.decide.reviews import ledger
from zhiyin.decide.reviews.ledger import Case
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

HOLD = timedelta(minutes=30)
"""So long a case is kept for who took it."""
MOST = 500
_NOTE = 2_000


class Reviews:
    """The choices of a workspace that wait for a person."""

    def __init__(self, store: WorkspaceStore, vault: LocalVault, clock: Clock) -> None:
        self._store, self._vault, self._clock = store, vault, clock

    def listed(
        self, *, point: str | None = None, closed: bool = False, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Those that wait, whose time is over soonest first; `closed`: what came of others."""
        now = self._now()
        with reading(self._store.ledger) as connection:
            found = ledger.listed(
                connection, now=now, point=point, closed=closed, limit=min(max(limit, 1), MOST)
            )
        return [self._view(one, now) for one in found]

    def shown(self, decision_id: str) -> dict[str, Any]:
        """One of them.

        Raises
        ------
        NotFound
            If there is none, or its person was erased.
        """
        with reading(self._store.ledger) as connection:
            return self._view(ledger.find(connection, decision_id), self._now())

    def told(self, decision_id: str) -> dict[str, Any]:
        """What who asked for the decision needs to know: `state`, and the `action` that stands."""
        with reading(self._store.ledger) as connection:
            case = ledger.find(connection, decision_id)
        return {
            "decision_id": case.decision_id, "state": case.state_at(self._now()),
            "pending": case.state_at(self._now()) in ledger.WAITING,
            "action": case.action or case.fallback, "until": _plain(case.until),
        }  # fmt: skip

    def take(self, decision_id: str, *, by: str) -> dict[str, Any]:
        """Keep one for half an hour.

        Raises
        ------
        LeaseHeld, InvalidParameter
            As `reviews.ledger.take`.
        """
        who, now = _named(by), self._now()
        with transaction(self._store.ledger) as connection:
            case = ledger.find(connection, decision_id)
            kept = ledger.take(connection, case, by=who, until=now + HOLD, now=now)
        return self._view(kept, now)

    def answer(
        self, decision_id: str, action: str, *, reason: str, by: str, note: str = ""
    ) -> dict[str, Any]:
        """Say what is to be done: one of the eligible actions, with a reason.

        Raises
        ------
        LeaseHeld, InvalidParameter
            As `reviews.ledger.answer`.
        """
        who, now = _named(by), self._now()
        if len(note) > _NOTE:
            raise InvalidParameter("the note is too long", hint=f"at most {_NOTE} letters")
        with reading(self._store.ledger) as connection:
            party = ledger.find(connection, decision_id).party_id
        text = {"text": note.strip()} if note.strip() else None
        if text is not None and not party:
            raise InvalidParameter("a note needs somebody whom it is about")
        sealed = self._vault.seal([party], [text])[0] if text is not None else None
        with transaction(self._store.ledger) as connection:
            case = ledger.find(connection, decision_id)
            done = ledger.answer(connection, case, action, reason, note=sealed, by=who, now=now)
            if case.state != ledger.ANSWERED:
                count_given(connection, {(case.point, case.version, action): 1})
        return self._view(done, now)

    def expire(self) -> int:
        """Close those whose time is over; how many."""
        now = self._now()
        with reading(self._store.ledger) as connection:
            if not _some_over(connection, now):
                return 0
        with transaction(self._store.ledger) as connection:
            return ledger.expire(connection, now=now)

    def _view(self, case: Case, now: datetime) -> dict[str, Any]:
        en, zh = ledger.CODES.get(case.reason or "", ("", ""))
        note = self._vault.unseal([case.party_id], [case.note])[0] if case.note else None
        return {
            "decision_id": case.decision_id, "point": case.point, "customer_id": case.party_id,
            "rule": case.rule, "proposed": case.proposed, "chance": case.chance,
            "default": case.fallback, "eligible": list(case.eligible),
            "numbers": dict(case.numbers), "state": case.state_at(now),
            "asked_at": _plain(case.asked_at), "until": _plain(case.until),
            "taken_by": case.taken_by if case.state_at(now) == ledger.TAKEN else None,
            "action": case.action, "reason": case.reason, "reason_words": {"en": en, "zh": zh},
            "note": (note or {}).get("text", ""),
            "answered_by": case.answered_by, "answered_at": _plain(case.answered_at),
        }  # fmt: skip

    def _now(self) -> datetime:
        return naive_utc(self._clock.now())


def _some_over(connection: sa.Connection, now: datetime) -> bool:
    r = ledger.reviews.c
    over = sa.select(r.decision_id).where(r.state.in_(ledger.WAITING), r.until <= now).limit(1)
    return connection.execute(over).first() is not None


def _plain(value: datetime | None) -> str | None:
    return value and value.replace(tzinfo=UTC).isoformat()


def _named(by: str) -> str:
    if not by.strip():
        raise InvalidParameter("who decides is not named", hint="say who you are: --by NAME")
    return by.strip()[:80]

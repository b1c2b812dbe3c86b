"""Decision points of a workspace: define, look, pause and resume them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.decide.candidates import ledger as candidates
from zhiyin.decide.numbers_job import first_policy, newest_day
from zhiyin.decide.points import ledger
from zhiyin.decide.points.definition import Definition, dump
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.points.point_policy import carry_over, fits, unpack_policy
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore


class Points:
    """The decision points of a workspace."""

    def __init__(self, store: WorkspaceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, point: Definition, *, by: str, at_once: bool = False) -> Stored:
        """Let a definition hold from now on: a new version, unless the newest one says the same.

        Its policy knows what the one before it had learned, as far as it sees the same numbers.
        Where another policy is asked for and the one that chooses can go on, it does: the next turn
        makes a candidate of the other, which the gate judges. `at_once`: it takes over now.
        Where they are numbers of customers and no turn has computed any yet, the next turn makes
        the policy, and until then the default action is given.
        """
        fresh = first_policy(self._store, point, on=newest_day(self._store))
        now = naive_utc(self._clock.now())
        with transaction(self._store.ledger) as connection:
            held = ledger.newest(connection, point.key)
            made = ledger.put(connection, point, by=by, now=now)
            spoken = ledger.current(connection, point.key)
            if held is not None and not _same_choice(held.definition, point):
                candidates.withdraw_all(
                    connection, point.key, why="other numbers or actions", by=by, now=now
                )
            same = held is not None and held.version == made.version and spoken is not None
            if fresh is None or (same and not at_once):
                return made
            old = None
            if spoken is not None:
                chooses = unpack_policy(ledger.artifact_of(connection, point.key, spoken.number))
                old = carry_over(chooses, fresh)
                if same if old else fits(chooses, point) and not at_once:
                    return made
            ledger.add_policy(
                connection, made, old or fresh, parent=spoken and spoken.number,
                learned_until=spoken.learned_until if old and spoken else None,
                figures=spoken.figures if old and spoken else {},
                words=f"version {made.version} of the point", by=by, now=now,
            )  # fmt: skip
            if at_once:
                detail = {"point": point.key, "version": made.version}
                ledger.note(connection, "policy.at_once", detail, by=by, now=now)
        return made

    def pause(self, key: str, *, by: str) -> Stored:
        """Give only the default action from now on."""
        return self._turn(key, ledger.PAUSED, by=by)

    def resume(self, key: str, *, by: str) -> Stored:
        """Let the policy choose again."""
        return self._turn(key, ledger.ACTIVE, by=by)

    def stop(self, key: str | None = None, *, by: str) -> list[Stored]:
        """The kill switch: only the default action from now on, at one point or (None) at all."""
        now = naive_utc(self._clock.now())
        with transaction(self._store.ledger) as connection:
            every = [one.key for one in ledger.in_force(connection)]
            keys = every if key is None else [ledger.find(connection, key).key]
            said = {"points": keys, "all": key is None}
            ledger.note(connection, "decision.stop", said, by=by, now=now)
            return [
                ledger.turn(connection, one, state=ledger.PAUSED, by=by, now=now) for one in keys
            ]

    def listed(self) -> list[dict[str, Any]]:
        """Every point with the policy that chooses at it."""
        with reading(self._store.ledger) as connection:
            return [_head(connection, one) for one in ledger.in_force(connection)]

    def shown(self, key: str) -> dict[str, Any]:
        """A point: its definition, what was given of its stock, all its policies."""
        with reading(self._store.ledger) as connection:
            held = ledger.find(connection, key)
            made = ledger.listed(connection, key)
            return _head(connection, held) | {
                "definition": json.loads(dump(held.definition)), "given": dict(held.given),
                "policies": [_plain(asdict(one)) for one in made],
            }  # fmt: skip

    def _turn(self, key: str, state: str, *, by: str) -> Stored:
        now = naive_utc(self._clock.now())
        with transaction(self._store.ledger) as connection:
            return ledger.turn(connection, key, state=state, by=by, now=now)


def _same_choice(one: Definition, other: Definition) -> bool:
    """Whether policies of the one can choose at the other."""
    names = [tuple(action.name for action in each.actions) for each in (one, other)]
    return one.numbers == other.numbers and names[0] == names[1]


def _head(connection: sa.Connection, one: Stored) -> dict[str, Any]:
    spoken = ledger.current(connection, one.key)
    return {
        "key": one.key, "version": one.version, "state": one.state,
        "name": {"en": one.definition.name.en, "zh": one.definition.name.zh},
        "policy": one.definition.policy.name,
        "policy_version": spoken and spoken.policy_version,
        "policy_number": spoken and spoken.number,
        "learned_until": spoken and _plain(spoken.learned_until),
        "changed_by": one.changed_by, "changed_at": _plain(one.changed_at),
    }  # fmt: skip


def _plain(value: Any) -> Any:  # Any: JSON values and moments of the ledger
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value

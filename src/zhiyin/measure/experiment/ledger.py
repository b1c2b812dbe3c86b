"""Statements on the ledger's `experiments`.

draft → running → stopped → decided; a running one may be decided at once; a draft that is put
again is replaced by the new version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from zhiyin.core.errors import ConcurrentWrite, InvalidParameter, NotFound, WorkspaceError
from zhiyin.core.ledger import audit, experiments
from zhiyin.govern.assignment import Layer, Slot
from zhiyin.measure.experiment.definition import Experiment, Plan, freeze
from zhiyin.measure.experiment.readout import Decision

DRAFT, RUNNING, STOPPED, DECIDED = "draft", "running", "stopped", "decided"
REPLACED = "replaced"
t = experiments.c


@dataclass(frozen=True)
class Stored:
    """One version of an experiment."""

    key: str
    version: int
    state: str
    plan: Plan
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    decision: Mapping[str, Any] | None = None

    @property
    def experiment(self) -> Experiment:
        """What is planned."""
        return self.plan.experiment


def put(connection: sa.Connection, experiment: Experiment, *, by: str, now: datetime) -> Stored:
    """Keep a draft: a new version, unless the newest one says the same.

    Raises
    ------
    InvalidParameter
        If it was started: its plan is frozen.
    """
    plan, held = freeze(experiment), newest(connection, experiment.id)
    if held is not None and held.plan.hash == plan.hash:
        return held
    if held is not None and held.state != DRAFT:
        raise InvalidParameter(
            f"experiment {experiment.id} is {held.state}: its plan is frozen",
            hint="give the new one an id of its own",
        )
    version = held.version + 1 if held else 1
    if held is not None:
        _move(connection, held, REPLACED, by=by, now=now)
    connection.execute(
        experiments.insert().values(
            key=experiment.id, version=version, state=DRAFT, hash=plan.hash,
            definition=json.loads(msgspec.json.encode(experiment)), created_at=now,
            created_by=by[:80], changed_at=now, changed_by=by[:80],
        )
    )  # fmt: skip
    made = find(connection, experiment.id)
    _note(connection, "put", made, by=by, now=now)
    return made


def start(
    connection: sa.Connection, key: str, *, by: str, now: datetime, today: date
) -> Stored:  # fmt: skip
    """Assign from now on, or from the plan's first day if that is later; the plan is frozen.

    Raises
    ------
    InvalidParameter
        If it is no draft, its last day is over, or its slot overlaps one that runs in its layer.
    """
    held = _in_state(connection, key, DRAFT)
    if held.experiment.ends_on < today:
        raise InvalidParameter(
            f"experiment {key} ends on {held.experiment.ends_on}, which is over",
            hint="put it with other days",
        )
    layer_of(held.experiment, [one.experiment for one in listed(connection, RUNNING)])
    _move(connection, held, RUNNING, by=by, now=now, started_at=now)
    return _done(connection, "start", key, by=by, now=now)


def stop(connection: sa.Connection, key: str, *, by: str, now: datetime, why: str = "") -> Stored:
    """Assign nobody any more: everybody gets the control until it is decided.

    Raises
    ------
    InvalidParameter
        If it does not run.
    """
    held = _in_state(connection, key, RUNNING)
    _move(connection, held, STOPPED, by=by, now=now, stopped_at=now)
    return _done(connection, "stop", key, by=by, now=now, why=why)


def decide(
    connection: sa.Connection, decision: Decision, said: Mapping[str, Any], *, now: datetime
) -> Stored:
    """Keep what was decided, with the read-out `said` that it rests on.

    Raises
    ------
    InvalidParameter
        If it neither runs nor was stopped.
    """
    held = _in_state(connection, decision.experiment_id, RUNNING, STOPPED)
    if held.plan.hash != decision.plan_hash:
        raise ConcurrentWrite(f"experiment {held.key} is another plan now", hint="read it again")
    kept = asdict(decision) | {"at": decision.at.isoformat(), "read_out": dict(said)}
    stopped = held.stopped_at or now
    _move(connection, held, DECIDED, by=decision.by, now=now, decision=kept, stopped_at=stopped)
    return _done(
        connection, "decide", held.key, by=decision.by, now=now, why=decision.reason,
        decided=decision.decided, arm=decision.arm, verdict=decision.verdict,
    )  # fmt: skip


def find(connection: sa.Connection, key: str) -> Stored:
    """The newest version of an experiment.

    Raises
    ------
    NotFound
        If there is none.
    WorkspaceError
        If its plan is not the one that its hash is of.
    """
    held = newest(connection, key)
    if held is None:
        raise NotFound(f"there is no experiment {key[:60]!r}", hint="zhiyin experiment list")
    if freeze(held.experiment).hash != held.plan.hash:
        raise WorkspaceError(
            f"the plan of experiment {key} was changed behind its hash", hint="look at the audit"
        )
    return held


def newest(connection: sa.Connection, key: str) -> Stored | None:
    """The newest version of an experiment; None: there is none."""
    query = sa.select(experiments).where(t.key == key).order_by(t.version.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _stored(row)


def listed(connection: sa.Connection, state: str | None = None) -> list[Stored]:
    """The newest version of every experiment, by key; or only those in a state."""
    query = sa.select(experiments).where(t.state != REPLACED).order_by(t.key)
    query = query if state is None else query.where(t.state == state)
    return [_stored(row) for row in connection.execute(query)]


def layer_of(experiment: Experiment, others: list[Experiment]) -> Layer | None:
    """The experiment's layer with those of the others that share it; None: it has none.

    Raises
    ------
    InvalidParameter
        If slots overlap.
    """
    if not experiment.layer:
        return None
    mine = [one for one in others if one.layer == experiment.layer and one.id != experiment.id]
    return Layer(experiment.layer, tuple(Slot(one.id, *one.slot) for one in (experiment, *mine)))


def _in_state(connection: sa.Connection, key: str, *states: str) -> Stored:
    held = find(connection, key)
    if held.state not in states:
        raise InvalidParameter(
            f"experiment {key} is {held.state}, not {' or '.join(states)}",
            hint="zhiyin experiment show",
        )
    return held


def _move(
    connection: sa.Connection, one: Stored, state: str, *, by: str, now: datetime, **more: Any
) -> None:
    mine = (t.key == one.key) & (t.version == one.version) & (t.state == one.state)
    values = {"state": state, "changed_at": now, "changed_by": by[:80], **more}
    if connection.execute(experiments.update().where(mine).values(**values)).rowcount != 1:
        raise ConcurrentWrite(f"experiment {one.key} was changed meanwhile", hint="again")


def _done(
    connection: sa.Connection, action: str, key: str, *, by: str, now: datetime, **detail: str
) -> Stored:
    made = find(connection, key)
    _note(connection, action, made, by=by, now=now, **detail)
    return made


def _note(
    connection: sa.Connection, action: str, one: Stored, *, by: str, now: datetime, **more: str
) -> None:
    """A line of the audit log."""
    detail = {"experiment": one.key, "version": one.version, "hash": one.plan.hash}
    detail |= {name: value for name, value in more.items() if value}
    row = {"at": now, "actor": by[:80], "action": f"experiment.{action}", "detail": detail}
    connection.execute(audit.insert().values(**row))


def _stored(row: sa.Row[Any]) -> Stored:
    return Stored(
        row.key, row.version, row.state,
        Plan(msgspec.convert(row.definition, type=Experiment), row.hash), row.created_at,
        row.created_by, row.changed_at, row.changed_by, row.started_at, row.stopped_at,
        row.decision,
    )  # fmt: skip

"""The webhook step: a system of the shop's is told that somebody is at a step of a journey.

Written in the ledger in the transaction that moves her on, and posted afterwards under an id by
which the receiver recognises a repeat: what is in doubt is posted again. No personal data is told
but our id of her, so that it is no message and asks nobody's consent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from zhiyin.act.channels.webhook import WebhookChannel
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.definition import Call
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.ledger import campaign_of
from zhiyin.act.ledger import FAILED, PLANNED, SENT, SKIPPED, message_id
from zhiyin.act.reasons import GAVE_UP
from zhiyin.act.retry import next_wait_s
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import ActSettings
from zhiyin.core.errors import ChannelUnavailable, DeliveryError
from zhiyin.core.ledger import journey_calls, journeys

TYPE = "journey.step"
LATE, REFUSED = "late", "refused"
BATCH = 2_000
MOST, LONGEST_S = 500, 20.0
"""So many calls of a system are made, for so long, before others get their turn."""
GIVE_UP_AFTER = 3  # times in a row that a system did not answer
Begin = Callable[[], Any]
k = journey_calls.c


def plan_due(desk: Desk, graph: Graph, name: str, step: Call) -> int:
    """Write the call of everybody whose time has come at the step, and go on; how many."""
    moved = 0
    at = datetime.fromtimestamp(desk.now_s, UTC).replace(tzinfo=None)
    late_before = desk.now_s - step.valid_hours * 3600
    while True:
        with desk.store.begin() as connection:
            rows = engine.read_due(
                connection, graph, name, now_s=desk.now_s, limit=BATCH
            )  # fmt: skip
            if not rows:
                return moved
            made = [
                {
                    "call_id": _id_of(graph, name, row), "journey": graph.key,
                    "version": graph.version, "step": name, "party_id": row.party_id,
                    "planned_at": at, "state": SKIPPED if row.due_s < late_before else PLANNED,
                    "reason": LATE if row.due_s < late_before else None,
                }
                for row in rows
            ]  # fmt: skip
            connection.execute(journey_calls.insert(), made)
            moved += engine.move(
                connection, graph, name, [row.entry_id for row in rows], to=step.next
            )  # fmt: skip


def _id_of(graph: Graph, name: str, row: sa.Row[Any]) -> str:
    again = f" {row.due_s}" if name in graph.circular else ""
    return message_id(
        campaign_of(graph.key), step=name, customer_id=row.party_id,
        occurrence=f"{row.occurrence}{again}",
    )  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """What posting needs; `opened` gives the line to a system by its name."""

    begin: Begin
    opened: Callable[[str], WebhookChannel]
    settings: ActSettings
    clock: Clock
    rng: np.random.Generator


def make_calls(caller: Caller, graphs: Sequence[Graph]) -> int:
    """Post what waits for the journeys' systems; how many were taken.

    Raises
    ------
    ChannelUnavailable
        If a system cannot be reached, when the others were told; its calls stay planned.
    """
    told, failure = 0, None
    for hook, steps in sorted(_hooks(graphs).items()):
        rows = _waiting(caller, steps)
        if not rows:
            continue
        line = caller.opened(hook)
        try:
            told += _tell(caller, line, steps, rows)
        except ChannelUnavailable as error:
            failure = error
        finally:
            line.close()
    if failure is not None:
        raise failure
    return told


def read_calls(connection: sa.Connection, key: str) -> list[dict[str, Any]]:
    """Calls of a journey by step, state and reason."""
    query = sa.select(k.step, k.state, k.reason, sa.func.count().label("n"))
    query = query.where(k.journey == key).group_by(k.step, k.state, k.reason)
    rows = connection.execute(query.order_by(k.step, k.state, k.reason)).mappings()
    return [dict(row) for row in rows]


def read_failed(connection: sa.Connection, *, since: datetime) -> Sequence[Any]:  # ledger rows
    """Journey, step and number `n` of the calls that were planned since then and failed."""
    query = sa.select(k.journey, k.step, sa.func.count().label("n")).where(
        k.journey.in_(sa.select(journeys.c.key)), k.state == FAILED, k.planned_at >= since
    )
    return connection.execute(query.group_by(k.journey, k.step).order_by(k.journey, k.step)).all()


_Steps = dict[tuple[str, int, str], Call]


def _hooks(graphs: Sequence[Graph]) -> dict[str, _Steps]:
    found: dict[str, _Steps] = defaultdict(dict)
    for graph in graphs:
        for name, step in graph.definition.steps.items():
            if isinstance(step, Call):
                found[step.hook][graph.key, graph.version, name] = step
    return found


def _waiting(caller: Caller, steps: _Steps) -> Sequence[sa.Row[Any]]:
    now = naive_utc(caller.clock.now())
    query = (
        sa.select(journey_calls)
        .where(
            k.state == PLANNED,
            sa.tuple_(k.journey, k.version, k.step).in_(sorted(steps)),
            sa.or_(k.not_before.is_(None), k.not_before <= now),
        )
        .order_by(k.planned_at, k.call_id)
        .limit(MOST)
    )
    with caller.begin() as connection:
        return connection.execute(query).all()


def _tell(caller: Caller, line: WebhookChannel, steps: _Steps, rows: Sequence[sa.Row[Any]]) -> int:
    """Post one after the other; a system that does not answer is left alone until the next look."""
    begun, silent, told = caller.clock.monotonic(), 0, 0
    for row in rows:
        if silent >= GIVE_UP_AFTER or caller.clock.monotonic() - begun > LONGEST_S:
            break
        try:
            told += _post(caller, line, steps[row.journey, row.version, row.step], row)
            silent = 0
        except ChannelUnavailable:
            raise
        except DeliveryError as error:
            _refused(caller, row, error)
            silent = silent + 1 if error.in_doubt else 0
    return told


def _post(caller: Caller, line: WebhookChannel, step: Call, row: sa.Row[Any]) -> bool:
    now = naive_utc(caller.clock.now())
    if row.planned_at < now - timedelta(hours=step.valid_hours):
        _write(caller, row, state=SKIPPED, reason=LATE)
        return False
    told = {
        "journey": row.journey, "version": row.version, "step": row.step,
        "customer_id": row.party_id, "properties": step.properties,
    }  # fmt: skip
    line.post(row.call_id, TYPE, told)
    _write(caller, row, state=SENT, sent_at=now)
    return True


def _refused(caller: Caller, row: sa.Row[Any], error: DeliveryError) -> None:
    tries, now = row.tries + 1, naive_utc(caller.clock.now())
    if not (error.retryable or error.in_doubt):
        _write(caller, row, state=FAILED, reason=REFUSED, tries=tries)
    elif tries >= caller.settings.retry_tries:
        _write(caller, row, state=FAILED, reason=GAVE_UP, tries=tries)
    else:
        wait_s = next_wait_s(tries, asked_s=error.retry_after_s, rng=caller.rng)
        _write(caller, row, tries=tries, not_before=now + timedelta(seconds=wait_s))


def _write(caller: Caller, row: sa.Row[Any], **values: Any) -> None:
    mine = (k.call_id == row.call_id) & (k.state == PLANNED)
    with caller.begin() as connection:
        connection.execute(journey_calls.update().where(mine).values(**values))

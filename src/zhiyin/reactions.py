"""From the ledger to the lake: what was sent, and what came back of it, becomes rows of `touches`,
answers to surveys rows of `events`, what journeys decided rows of `decisions`, what persons decided
rows of `outcomes`, once each.

A unit is a number that rows get in the ledger before anything is written to the lake. Who dies in
between leaves a unit that is not copied; the next one writes it under the same number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.act.reactions import SURVEY
from zhiyin.act.reasons import UNCONFIRMED
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.decisions import BY_JOURNEY, REVIEWED, TREAT
from zhiyin.core.ledger import decision_requests, messages, reactions, reviews
from zhiyin.core.rows import arrow_schema
from zhiyin.core.survey import ANSWERED, PROPERTY
from zhiyin.core.tables import TABLES
from zhiyin.decide.reasons import BEST_RATE, EXPLORED
from zhiyin.decide.requests import POLICY
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

SETTLE = timedelta(seconds=60)
"""A click is copied when later ones can no longer tell that it was a machine's."""
MOST = 100_000
_KINDS = (
    "open", "click", "delivered", "bounce", "complaint", "unsubscribe", "reached", "not_reached",
)  # fmt: skip
_BY_MACHINE = {"open": "machine_open", "click": "machine_click"}
_Row = dict[str, Any]


@dataclass(frozen=True)
class _Stream:
    """Rows of one ledger table that become rows of one of the lake; `made` makes them."""

    app: str
    table: sa.Table
    key: sa.Column[Any]
    waits: sa.ColumnElement[bool]  # as the index of what is not copied has it
    settled: Callable[[datetime], sa.ColumnElement[bool]]
    read: sa.Select[Any]
    made: Callable[[sa.Row[Any], str], _Row]
    to: str = "touches"


def _touch(row: sa.Row[Any], **values: Any) -> _Row:
    return {
        c.PARTY_ID: row.party_id, c.MESSAGE_ID: row.message_id, c.CHANNEL: row.channel,
        c.CAMPAIGN_ID: row.campaign_id, c.SOURCE: "zhiyin",
    } | values  # fmt: skip


def _decision(row: sa.Row[Any], zone: str) -> _Row:
    at = datetime.fromtimestamp(row.asked_s, UTC)
    return {
        c.DECISION_ID: row.decision_id, c.TURN_ID: BY_JOURNEY, c.AS_OF_ON: local_day(at, zone),
        c.CAMPAIGN_ID: f"{BY_JOURNEY}:{row.journey}", c.PARTY_ID: row.party_id,
        c.CUSTOMER_ID: row.party_id, c.DECIDED_AT: naive_utc(at), c.MONTH: f"{at:%Y-%m}",
        c.ELIGIBLE: json.dumps(row.eligible), c.ACTION: row.action, c.ARM: TREAT,
        c.PROPENSITY: row.propensity, c.EXPLORED: row.explored, c.PERSONALISED: False,
        c.POLICY: POLICY, c.POLICY_VERSION: row.policy_version, c.DECIDED_BY: BY_JOURNEY,
        c.VARIANT: row.step, c.REASON: EXPLORED if row.explored else BEST_RATE,
    }  # fmt: skip


_SENT = _Stream(
    "sent", messages, messages.c.message_id,
    ~messages.c.copied & (messages.c.state == "sent"),
    lambda until: (messages.c.sent_at <= until)
    & (messages.c.reason.is_(None) | (messages.c.reason != UNCONFIRMED)),
    sa.select(messages),
    lambda row, _: _touch(
        row, **{
            c.TOUCH_ID: f"zhiyin:{row.message_id}", c.OCCURRED_AT: row.sent_at, c.KIND: "sent",
        },
    ),
)  # fmt: skip
_REACTIONS = _Stream(
    "reactions", reactions, reactions.c.reaction_id,
    ~reactions.c.copied & reactions.c.kind.in_(_KINDS),
    lambda until: reactions.c.at <= until,
    sa.select(reactions, messages.c.campaign_id, messages.c.channel).join(
        messages, messages.c.message_id == reactions.c.message_id
    ),
    lambda row, _: _touch(
        row, **{
            c.TOUCH_ID: f"zhiyin:r{row.reaction_id}", c.OCCURRED_AT: row.at,
            c.KIND: _BY_MACHINE.get(row.kind, row.kind) if row.machine else row.kind,
        },
    ),
)  # fmt: skip


def _answer(row: sa.Row[Any], _: str) -> _Row:
    survey, _, score = row.detail.partition(":")
    told = {
        "survey": survey, c.SCORE: int(score), c.MESSAGE_ID: row.message_id,
        c.CAMPAIGN_ID: row.campaign_id, c.CHANNEL: row.channel,
    }  # fmt: skip
    return {
        c.EVENT_ID: f"zhiyin:r{row.reaction_id}", c.PARTY_ID: row.party_id, c.OCCURRED_AT: row.at,
        c.MONTH: f"{row.at:%Y-%m}", c.RECEIVED_AT: row.at, c.KIND: "track", c.NAME: ANSWERED,
        c.CHANNEL: "server", c.PROPERTIES: json.dumps({PROPERTY: told}), c.SOURCE: "zhiyin",
    }  # fmt: skip


_ANSWERS = _Stream(
    "answers", reactions, reactions.c.reaction_id,
    ~reactions.c.copied & (reactions.c.kind == SURVEY) & reactions.c.machine.is_(None),
    lambda until: reactions.c.at <= until,
    _REACTIONS.read, _answer, to="events",
)  # fmt: skip


def _review(row: sa.Row[Any], _: str) -> _Row:
    what = "confirmed" if row.action == row.proposed else "override"
    return {
        c.OUTCOME_ID: f"{REVIEWED}{row.decision_id}", c.KIND: f"{REVIEWED}{what}",
        c.PARTY_ID: row.party_id or None, c.OCCURRED_AT: row.answered_at,
        c.MONTH: f"{row.answered_at:%Y-%m}", c.RECEIVED_AT: row.answered_at,
        c.DECISION_ID: row.decision_id, c.ACTION: row.action, c.SOURCE: "zhiyin",
    }  # fmt: skip


_REVIEWS = _Stream(
    "reviews", reviews, reviews.c.decision_id,
    ~reviews.c.copied & reviews.c.action.is_not(None),
    lambda until: reviews.c.answered_at <= until,
    sa.select(reviews), _review, to="outcomes",
)  # fmt: skip
_DECISIONS = _Stream(
    "journeys", decision_requests, decision_requests.c.decision_id,
    ~decision_requests.c.copied & decision_requests.c.action.is_not(None),
    lambda until: decision_requests.c.asked_s <= int(until.replace(tzinfo=UTC).timestamp()),
    sa.select(decision_requests), _decision, to="decisions",
)  # fmt: skip


def copy_ledger(store: WorkspaceStore, clock: Clock) -> int:
    """Copy sent messages, settled reactions, answers, journeys' decisions and what persons decided
    to the lake; how many rows were written.

    Raises
    ------
    LeaseHeld
        If a turn, an erasure or a compaction is under way.
    """
    until = naive_utc(clock.now()) - SETTLE
    streams = (_SENT, _REACTIONS, _ANSWERS, _DECISIONS, _REVIEWS)
    waiting = [one for one in streams if _has_some(store, one, until)]
    if not waiting:
        return 0
    with hold_lease(store.ledger, clock=clock):
        return sum(
            _copy(store, one, unit, clock)
            for one in waiting
            for unit in _units(store, one, until)
        )  # fmt: skip


def _has_some(store: WorkspaceStore, stream: _Stream, until: datetime) -> bool:
    table = stream.table.c
    some = stream.waits & (stream.settled(until) | table.unit.is_not(None))
    with reading(store.ledger) as connection:
        return connection.execute(sa.select(stream.key).where(some).limit(1)).first() is not None


def _units(store: WorkspaceStore, stream: _Stream, until: datetime) -> list[int]:
    """Units that are not copied, the newest one of what has settled since.

    Numbers rise with the time, also where an erasure took the rows of the newest unit.
    """
    table = stream.table.c
    with transaction(store.ledger) as connection:
        newest = connection.execute(sa.select(sa.func.max(table.unit))).scalar() or 0
        fresh = sa.select(stream.key).where(
            stream.waits, stream.settled(until), table.unit.is_(None)
        )
        number = max(newest + 1, int(until.replace(tzinfo=UTC).timestamp()))
        chosen = fresh.order_by(stream.key).limit(MOST)
        connection.execute(
            stream.table.update().where(stream.key.in_(chosen)).values(unit=number)
        )  # fmt: skip
        open_units = sa.select(table.unit).where(stream.waits, table.unit.is_not(None)).distinct()
        return list(connection.execute(open_units.order_by(table.unit)).scalars())


def _copy(store: WorkspaceStore, stream: _Stream, unit: int, clock: Clock) -> int:
    table = stream.table.c
    query = stream.read.where(table.unit == unit).order_by(stream.key)
    with reading(store.ledger) as connection:
        found = connection.execute(query).all()
    loaded = {c.LOAD_ID: f"{stream.app}:{unit}", c.LOADED_AT: naive_utc(clock.now())}
    rows = [stream.made(row, store.zone) | loaded for row in found]
    written = 0
    if rows:
        made = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[stream.to]))
        written = store.append(stream.to, made, app=stream.app, seq=unit)
    with transaction(store.ledger) as connection:
        connection.execute(stream.table.update().where(table.unit == unit).values(copied=True))
    return written

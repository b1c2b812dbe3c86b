"""Taking a call and saying what came of it: the gate's second look, then the state of task,
message, reaction and consent in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from zhiyin.act import ledger as sent
from zhiyin.act.campaigns.ledger import RUNNING, Campaign
from zhiyin.act.gate import check_people
from zhiyin.act.reactions import add_reaction, find_sent
from zhiyin.act.reasons import NOT_REACHED
from zhiyin.act.returned import UNSUBSCRIBE, refuse_marketing
from zhiyin.act.tasks import ledger
from zhiyin.act.tasks.ledger import Task
from zhiyin.core.clock import local_day, naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter, LeaseHeld
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import ALLOWED, MARKETING, Consent
from zhiyin.govern.ledger import add_consent
from zhiyin.govern.people import Person

HOLD = timedelta(minutes=30)
"""So long a task is kept for who took it."""
SOURCE = "task"
REACHED = "reached"
FOR_NOW = ("quiet_hours", "frequency_cap", "channel_cap", "campaign_cap", "fatigue")
"""Reasons of the gate that pass: the task stays on the list."""
_MANY = 1_000_000
ANSWERS = (ledger.DONE, ledger.MISSED, ledger.REFUSED)


@dataclass(frozen=True)
class Taken:
    """`reason` is `allowed`, or why she must not be called; then the task is off the list, unless
    it passes.
    """

    task: Task
    reason: str

    @property
    def allowed(self) -> bool:
        """Whether she may be called now."""
        return self.reason == ALLOWED


def take_task(
    connection: sa.Connection, task: Task, held: Campaign, person: Person, *, terms: Terms,
    vault: Vault, by: str, at: datetime,
) -> Taken:  # fmt: skip
    """Take a task for a while, where the gate lets her be called at this moment.

    Parameters
    ----------
    person
        Opened, with phone numbers as addresses.
    terms
        Of the campaign, with the quiet hours of the workspace.

    Raises
    ------
    LeaseHeld
        If somebody else has it.
    InvalidParameter
        If it is closed, waits until tomorrow, or its campaign does not run.
    """
    now = naive_utc(at)
    _require_callable(task, held, now)
    if not ledger.claim_task(connection, task, by=by, until=now + HOLD, now=now):
        raise LeaseHeld("somebody else has taken this call", hint="take another one")
    mine = ledger.find_task(connection, task.message_id)
    message = ledger.read_message(connection, task.message_id)
    if message.state == sent.SENDING:  # taken before: it counts already
        limits = replace(terms.limits, caps=(), cap_messages=_MANY, fatigue_messages=0)
        terms = replace(terms, limits=limits, budget_messages=None)
    held_out = ledger.held_out_of(connection, task.campaign, person.parties)
    (verdict,) = check_people(
        connection, [person], terms=terms, vault=vault, at=at, held_out=held_out
    )
    if verdict.allowed:
        sent.claim_messages(connection, [task.message_id])
        ledger.note_task(connection, task, "taken", by=by, now=now)
        return Taken(mine, ALLOWED)
    if verdict.reason in FOR_NOW:
        ledger.change_task(
            connection, mine, state=task.state, taken_by=task.taken_by,
            taken_until=task.taken_until,
        )  # fmt: skip
        return Taken(task, verdict.reason)
    ledger.change_task(
        connection, mine, state=ledger.WITHDRAWN, reason=verdict.reason, taken_until=None
    )
    ledger.change_message(
        connection, task.message_id, states=[sent.PLANNED], state=sent.SKIPPED,
        reason=verdict.reason,
    )  # fmt: skip
    ledger.change_message(
        connection, task.message_id, states=[sent.SENDING], state=sent.UNKNOWN, reason="no_answer"
    )
    ledger.note_task(connection, task, "withdrawn", by=by, now=now, reason=verdict.reason)
    return Taken(ledger.find_task(connection, task.message_id), verdict.reason)


def answer_task(
    connection: sa.Connection, task: Task, held: Campaign, answer: str, *, note: bytes | None,
    by: str, at: datetime, zone: str,
) -> Task:  # fmt: skip
    """Write what came of a call: `done`, `missed` or `refused`.

    Whom nobody reached comes back tomorrow, until she was tried as often as the campaign says.
    A refusal withdraws the consent of the message's purpose for calls. The same answer of the
    same person twice is one.

    Raises
    ------
    LeaseHeld
        If somebody else has taken it.
    InvalidParameter
        If it is closed or waits until tomorrow, or there is no such answer.
    """
    now = naive_utc(at)
    if answer not in ANSWERS:
        raise InvalidParameter(f"there is no answer {answer!r}", hint=", ".join(ANSWERS))
    if task.state == answer and task.answered_by == by:
        return task
    if task.state not in ledger.WAITING:
        raise InvalidParameter(f"this call is {task.state} already", hint="zhiyin tasks list")
    if task.held_by(now) not in (None, by):
        raise LeaseHeld("somebody else has taken this call", hint="she or he answers it")
    if answer == ledger.MISSED and task.not_before is not None and task.not_before > now:
        raise InvalidParameter("nobody was reached today already", hint="it comes back tomorrow")
    said = {"answered_by": by[:80], "answered_at": now, "taken_by": None, "taken_until": None}
    if note is not None:
        said["note"] = note
    open_states = (sent.PLANNED, sent.SENDING)
    if answer == ledger.MISSED:
        _miss(connection, task, held, said, at=at, zone=zone)
    else:
        ledger.change_task(connection, task, state=answer, **said)
        ledger.change_message(
            connection, task.message_id, states=open_states, state=sent.SENT, sent_at=now,
            not_before=None, receipt="called",
        )  # fmt: skip
    _react(connection, task, answer, at=at)
    ledger.note_task(connection, task, answer, by=by, now=now, tries=task.tries)
    return ledger.find_task(connection, task.message_id)


def _miss(
    connection: sa.Connection, task: Task, held: Campaign, said: dict[str, object], *,
    at: datetime, zone: str,
) -> None:  # fmt: skip
    tries = task.tries + 1
    tomorrow = naive_utc(start_of_day(local_day(at, zone) + timedelta(days=1), zone))
    open_states = (sent.PLANNED, sent.SENDING)
    if tries >= held.definition.task.tries or tomorrow >= task.until:
        ledger.change_task(connection, task, state=ledger.MISSED, tries=tries, **said)
        ledger.change_message(
            connection, task.message_id, states=open_states, state=sent.FAILED,
            reason=NOT_REACHED, not_before=None, tries=tries,
        )  # fmt: skip
        return
    ledger.change_task(
        connection, task, state=ledger.OPEN, tries=tries, not_before=tomorrow, **said
    )
    ledger.change_message(
        connection, task.message_id, states=open_states, state=sent.PLANNED, tries=tries
    )


def _react(connection: sa.Connection, task: Task, answer: str, *, at: datetime) -> None:
    """Keep the reaction; a refusal is a withdrawal, for whatever the call was for."""
    message = find_sent(connection, task.message_id)
    if message is None:  # she was erased
        return
    kinds = {ledger.DONE: REACHED, ledger.MISSED: NOT_REACHED, ledger.REFUSED: UNSUBSCRIBE}
    add_reaction(connection, message, kinds[answer], at=at, detail=SOURCE)
    if answer != ledger.REFUSED:
        return
    purpose = ledger.read_message(connection, task.message_id).purpose
    if purpose == MARKETING:
        refuse_marketing(connection, message, source=SOURCE, at=at)
    else:
        line = Consent(message.party_id, purpose, message.channel, False, at, SOURCE)
        add_consent(connection, line)


def _require_callable(task: Task, held: Campaign, now: datetime) -> None:
    if task.state not in ledger.WAITING or task.until <= now:
        raise InvalidParameter(f"this call is {task.state} and cannot be taken")
    if held.state != RUNNING:
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state}: nobody is called for it"
        )
    if task.not_before is not None and task.not_before > now:
        raise InvalidParameter("nobody was reached today already", hint="it comes back tomorrow")

"""Delivers planned messages, each at most once whatever happens in between (law 3).

A batch passes the gate and is claimed (`sending`) in one committed transaction, then handed over
message by message, then its outcomes are written. A crash leaves at most one batch in doubt; the
next delivery asks the channel which of it arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import sqlalchemy as sa

from zhiyin.act import ledger
from zhiyin.act.campaigns.content import Letters
from zhiyin.act.confirmation import CONFIRMATIONS, EXPIRES_AT
from zhiyin.act.costs import CHARGED, price_content, price_of
from zhiyin.act.create.content import is_personal, places
from zhiyin.act.create.text_message import TextMessage
from zhiyin.act.gate import ALREADY_PLANNED, address_of, check_people
from zhiyin.act.journeys.ledger import PREFIX
from zhiyin.act.ledger import Outcome
from zhiyin.act.letters import render_letter, write_letter, write_message
from zhiyin.act.reasons import BOUNCED, GAVE_UP, TOO_LONG
from zhiyin.act.retry import next_wait_s
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.errors import ChannelUnavailable, DeliveryError, InvalidParameter, NotFound
from zhiyin.core.protocols import Channel, Progress, Vault
from zhiyin.govern.authorisations import REFUSED, empty_stock, give_back, spend
from zhiyin.govern.facts import Terms, awake_from
from zhiyin.govern.gate import NO_AUTHORISATION, QUIET_HOURS, Verdict
from zhiyin.govern.ledger import add_suppressions
from zhiyin.govern.people import EMAIL, SMS, Directory, Person

BATCH = 50
BLIND_BATCH = 10  # where nobody can tell what arrived: a person must look at what is in doubt
BOUNCE = "bounce"  # why an address is suppressed
GIVE_UP_AFTER = 3  # times in a row that the channel cannot be used


class Watch(Protocol):
    """Whether a delivery may go on: somebody may pause or cancel it meanwhile."""

    def between(self) -> bool:
        """Asked before each batch."""
        ...

    def within(self) -> bool:
        """Asked before each message: as cheap as can be."""
        ...


class Unwatched:
    """Nobody can stop it."""

    def between(self) -> bool:
        """Always."""
        return True

    within = between


@dataclass(frozen=True)
class Desk:
    """What delivering one campaign needs. The caller holds the workspace's lease alone."""

    begin: Callable[[], AbstractContextManager[sa.Connection]]
    vault: Vault
    channel: Channel
    clock: Clock
    settings: Settings
    terms: Terms
    directory: Directory
    rng: np.random.Generator
    held_out: Collection[str] = frozenset()
    letters: Letters | None = None  # of a planned campaign
    watch: Watch = field(default_factory=Unwatched)
    via: str = ""  # the channel that its messages name; empty: that of their medium

    @property
    def mine(self) -> dict[str, Any]:
        """Which messages of a campaign go by this desk, as `ledger.read_messages` takes it."""
        return {
            "channel": self.terms.channel, "via": self.via, "template": self.terms.template,
        }  # fmt: skip


@dataclass(frozen=True)
class Letter:
    """One message that may go: its row, its person, and what was sealed (None: erased)."""

    row: sa.Row[Any]
    person: Person
    content: dict[str, Any] | None


def reconcile(desk: Desk, campaign_id: str) -> int:
    """Settle what an earlier run left in doubt; how many messages are in doubt still.

    Where the channel can look up: what it has is `sent`, what it surely has not is `planned`
    again. Where it only recognises repeats it is `planned` too. Otherwise a person must decide.
    """
    with desk.begin() as connection:
        ledger.doubt_messages(connection, campaign_id)
        rows = ledger.read_messages(connection, campaign_id, states=[ledger.UNKNOWN], **desk.mine)
    outcomes = [one for row in rows if (one := _resolve(desk, row.message_id)) is not None]
    with desk.begin() as connection:
        ledger.settle_messages(connection, outcomes, before=ledger.UNKNOWN)
    return len(rows) - len(outcomes)


def deliver_planned(desk: Desk, campaign_id: str, *, progress: Progress) -> None:
    """Try every planned message of the campaign that is due once, by priority and id, as long as
    the desk's watch lets it.

    Raises
    ------
    ChannelUnavailable
        If it is so several times in a row; what was not handed over stays planned.
    """
    with desk.begin() as connection:
        counts = ledger.count_messages(connection, [campaign_id])
    waiting, tried, after, failures = max(counts["open"], 1), 0, (-1, ""), 0
    due_at = naive_utc(desk.clock.now())
    size = BATCH if desk.channel.supports & {"lookup", "idempotency"} else BLIND_BATCH
    while desk.watch.between():
        with desk.begin() as connection:
            rows = ledger.read_messages(
                connection, campaign_id, states=[ledger.PLANNED], after=after, due_at=due_at,
                limit=size, **desk.mine,
            )  # fmt: skip
        if not rows:
            return
        progress("sending", min(tried / waiting, 1.0))
        failures = _deliver_batch(desk, open_letters(desk, rows), failures)
        tried, after = tried + len(rows), (rows[-1].priority, rows[-1].message_id)


def _resolve(desk: Desk, message_id: str) -> Outcome | None:
    there = desk.channel.lookup(message_id) if "lookup" in desk.channel.supports else None
    if there:
        sent_at = naive_utc(desk.clock.now())
        return Outcome(message_id, ledger.SENT, sent_at=sent_at, receipt="found by look-up")
    if there is False or "idempotency" in desk.channel.supports:
        return Outcome(message_id, ledger.PLANNED)
    return None


def open_letters(desk: Desk, rows: Sequence[sa.Row[Any]]) -> list[Letter]:
    """The rows with their people and contents, unsealed."""
    parties = [row.party_id for row in rows]
    people = desk.directory.opened(parties, vault=desk.vault)
    contents = desk.vault.unseal(parties, [row.content for row in rows])
    return [Letter(*parts) for parts in zip(rows, people, contents, strict=True)]


def _deliver_batch(desk: Desk, letters: Sequence[Letter], failures: int) -> int:
    """Deliver what the gate lets through; how many times in a row the channel has failed."""
    mine = claim(desk, letters)
    outcomes: dict[str, Outcome] = {}
    in_flight = True
    try:
        for letter in mine:
            if not desk.watch.within():
                in_flight = False
                return failures
            outcome, error = _hand_over(desk, letter)
            outcomes[letter.row.message_id] = outcome
            failures = failures + 1 if isinstance(error, ChannelUnavailable) else 0
            if error is not None and failures >= GIVE_UP_AFTER:
                in_flight = False
                raise error
    finally:  # also when the person at the keyboard stops it
        _settle(desk, mine, outcomes, in_flight=in_flight)
    return failures


def claim(desk: Desk, letters: Sequence[Letter]) -> list[Letter]:
    """Gate and claim in one transaction: those that are now ours to send."""
    at = desk.clock.now()
    with desk.begin() as connection:
        verdicts = check_people(
            connection, [one.person for one in letters], terms=desk.terms, vault=desk.vault,
            at=at, held_out=desk.held_out,
            personal=places(is_personal(one.content or {}) for one in letters),
            prices=_prices(desk, letters),
        )  # fmt: skip
        verdicts = _once_each(connection, desk, letters, verdicts)
        judged = list(zip(letters, verdicts, strict=True))
        stopped = [
            _stopped(desk, letter, reason, at)
            for letter, verdict in judged
            if (reason := _why_not(letter, verdict, at))
        ]
        ledger.settle_messages(connection, stopped, before=ledger.PLANNED)
        free = [one.row.message_id for one, verdict in judged if not _why_not(one, verdict, at)]
        claimed = ledger.claim_messages(connection, free)
        if desk.terms.template:
            mine = [one for one in letters if one.row.message_id in claimed]
            claimed -= spend_for(connection, desk, mine, at=at)
    return [letter for letter in letters if letter.row.message_id in claimed]


def _once_each(
    connection: sa.Connection, desk: Desk, letters: Sequence[Letter], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts, with a no to who has the campaign's message under another of her records, or
    gets it in this batch: records may be joined after their messages were planned.
    """
    campaign = desk.terms.campaign_id
    joined = sorted({
        party for one in letters if len(one.person.parties) > 1 for party in one.person.parties
    })  # fmt: skip
    if not joined or campaign == CONFIRMATIONS or campaign.startswith(PREFIX):
        return list(verdicts)
    others = ledger.other_messages(connection, campaign, joined, states=CHARGED)
    made: list[Verdict] = []
    for one, verdict in zip(letters, verdicts, strict=True):
        message_id = one.row.message_id
        if verdict.possible and ledger.has_another(others, one.person.parties, message_id):
            verdict = Verdict(False, ALREADY_PLANNED)
        elif verdict.allowed:
            others.setdefault(one.row.party_id, []).append(message_id)
        made.append(verdict)
    return made


def _stopped(desk: Desk, letter: Letter, reason: str, at: datetime) -> Outcome:
    """Skipped for good; at night where she is it stays planned, for the morning."""
    message_id = letter.row.message_id
    if reason != QUIET_HOURS:
        return Outcome(message_id, ledger.SKIPPED, reason)
    awake = awake_from(at, letter.person.zone, desk.terms)
    return Outcome(message_id, ledger.PLANNED, not_before=naive_utc(awake))


def _prices(desk: Desk, letters: Sequence[Letter]) -> list[int]:
    """What each letter costs; nothing where the budget is no money."""
    if desk.terms.budget_micros is None:
        return []
    found = (
        price_content(
            one.content, settings=desk.settings, vault=desk.vault, message_id=one.row.message_id,
            language=one.row.language, name=one.person.name, letters=desk.letters,
        )
        for one in letters
    )  # fmt: skip
    return [0 if one is None else one.micros for one in found]


def _why_not(letter: Letter, verdict: Verdict, at: datetime) -> str | None:
    if letter.content is None:
        return "erased"
    until = letter.content.get(EXPIRES_AT)
    if until and at >= datetime.fromisoformat(until):
        return "expired"
    return None if verdict.allowed else verdict.reason


def _hand_over(desk: Desk, letter: Letter) -> tuple[Outcome, DeliveryError | None]:
    """Render and send one claimed message. What cannot be rendered never reaches the channel."""
    row, at = letter.row, desk.clock.now()
    if row.channel != EMAIL:
        return _hand_over_text(desk, letter)
    shared = {
        "settings": desk.settings, "vault": desk.vault,
        "message_id": row.message_id, "language": row.language,
    }  # fmt: skip
    try:
        rendered = render_letter(
            letter.content or {},
            name=letter.person.name,
            campaign_id=row.campaign_id,
            letters=desk.letters,
            **shared,
        )
    except (InvalidParameter, NotFound, KeyError):
        return Outcome(row.message_id, ledger.FAILED, "template"), None
    try:
        written = write_letter(rendered, letter.person, at=at, **shared)
    except InvalidParameter:
        return Outcome(row.message_id, ledger.FAILED, "bad_address"), None
    return _sent(desk, letter, written, at)


def _hand_over_text(desk: Desk, letter: Letter) -> tuple[Outcome, DeliveryError | None]:
    row, settings = letter.row, desk.settings
    try:
        written = write_for(desk, letter)
    except (InvalidParameter, NotFound, KeyError):
        return Outcome(row.message_id, ledger.FAILED, "template"), None
    if row.channel != SMS:
        return _sent(desk, letter, written.content(), desk.clock.now())
    price = price_of(written.text, settings)
    if price.segments > settings.act.sms_segments:
        return Outcome(row.message_id, ledger.FAILED, TOO_LONG), None
    outcome, error = _sent(desk, letter, written.content(), desk.clock.now())
    return replace(outcome, segments=price.segments, cost_micros=price.micros), error


def write_for(desk: Desk, letter: Letter) -> TextMessage:
    """The message of a medium that is no e-mail; raises as `write_message`."""
    row = letter.row
    return write_message(
        row.channel, letter.content or {}, settings=desk.settings, vault=desk.vault,
        message_id=row.message_id, language=row.language, name=letter.person.name,
        letters=desk.letters,
    )  # fmt: skip


def _sent(
    desk: Desk, letter: Letter, written: bytes, at: datetime
) -> tuple[Outcome, DeliveryError | None]:
    row = letter.row
    try:
        receipt = desk.channel.send(row.message_id, letter.person.address, written)
    except InvalidParameter:
        return Outcome(row.message_id, ledger.FAILED, "bad_address"), None
    except DeliveryError as error:
        return failed(desk, row, error), error
    sent_at = naive_utc(at)
    return Outcome(row.message_id, ledger.SENT, sent_at=sent_at, receipt=receipt[:255]), None


def failed(desk: Desk, row: sa.Row[Any], error: DeliveryError) -> Outcome:
    """What becomes of a message that the channel did not take. Where it recognises repeats, what is
    in doubt is tried again like what was not taken.
    """
    tries = row.tries + 1
    if error.in_doubt:
        last = tries >= desk.settings.act.retry_tries
        if last or "idempotency" not in desk.channel.supports:
            return Outcome(row.message_id, ledger.UNKNOWN, "no_answer")
    elif isinstance(error, ChannelUnavailable):  # no fault of the message: it costs no try
        return Outcome(row.message_id, ledger.PLANNED)
    elif not error.retryable:
        refused_at = naive_utc(desk.clock.now())  # it counts as sent where a stop rule counts
        reason = BOUNCED if error.no_such_address else "refused"
        if error.no_authorisation:
            reason = NO_AUTHORISATION
        return Outcome(row.message_id, ledger.FAILED, reason, sent_at=refused_at)
    if tries >= desk.settings.act.retry_tries:
        return Outcome(row.message_id, ledger.FAILED, GAVE_UP, tried=1)
    wait_s = next_wait_s(tries, asked_s=error.retry_after_s, rng=desk.rng)
    not_before = naive_utc(desk.clock.now()) + timedelta(seconds=wait_s)
    return Outcome(row.message_id, ledger.PLANNED, not_before=not_before, tried=1)


def settle(desk: Desk, outcomes: Sequence[Outcome]) -> None:
    """Write what became of messages that are being sent."""
    with desk.begin() as connection:
        ledger.settle_messages(connection, outcomes, before=ledger.SENDING)


def _settle(
    desk: Desk, mine: Sequence[Letter], outcomes: dict[str, Outcome], *, in_flight: bool
) -> None:
    """Write outcomes; what was not begun is planned again.

    `in_flight`: the first message without outcome was being handed over, so it stays in doubt.
    """
    rest = [one.row.message_id for one in mine if one.row.message_id not in outcomes]
    back = [Outcome(one, ledger.PLANNED) for one in rest[1 if in_flight else 0 :]]
    gone = [
        (token, one.row.channel)
        for one in mine
        if (outcome := outcomes.get(one.row.message_id)) and outcome.reason == BOUNCED
        and (token := address_of(one.person, vault=desk.vault, channel=one.row.channel))
    ]  # fmt: skip
    with desk.begin() as connection:
        ledger.settle_messages(connection, [*outcomes.values(), *back], before=ledger.SENDING)
        add_suppressions(connection, gone, reason=BOUNCE, at=desk.clock.now())
        if desk.terms.template:
            return_unspent(connection, desk, mine, [*outcomes.values(), *back])


def spend_for(
    connection: sa.Connection, desk: Desk, mine: Sequence[Letter], *, at: datetime
) -> set[str]:
    """Spend an authorisation for each message that was claimed; ids of those without one, which
    are skipped.
    """
    lacking = {
        one.row.message_id
        for one in mine
        if not spend(
            connection, _token(desk, one), template=desk.terms.template,
            message_id=one.row.message_id, at=at,
        )
    }  # fmt: skip
    skipped = [Outcome(one, ledger.SKIPPED, NO_AUTHORISATION) for one in sorted(lacking)]
    ledger.settle_messages(connection, skipped, before=ledger.SENDING)
    return lacking


def return_unspent(
    connection: sa.Connection, desk: Desk, mine: Sequence[Letter], outcomes: Sequence[Outcome]
) -> None:
    """Give back what the platform did not take; of who refused nothing is left."""
    refused = {one.message_id for one in outcomes if one.reason == NO_AUTHORISATION}
    tokens = [_token(desk, one) for one in mine if one.row.message_id in refused]
    empty_stock(
        connection, tokens, template=desk.terms.template, reason=REFUSED,
        message_ids=sorted(refused),
    )  # fmt: skip
    kept = (ledger.SENT, ledger.UNKNOWN)
    give_back(connection, [one.message_id for one in outcomes if one.state not in kept])


def _token(desk: Desk, letter: Letter) -> str:
    return address_of(letter.person, vault=desk.vault, channel=letter.row.channel)

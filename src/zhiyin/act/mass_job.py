"""Asks the platform what members did with mass messages, and settles those of their customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from zhiyin.act.campaigns.ledger import CANCELLED_REASON
from zhiyin.act.ledger import FAILED, SENT, SKIPPED, Outcome, settle_messages
from zhiyin.act.mass_ledger import (
    find_stopped,
    open_mass_sends,
    read_unconfirmed,
    set_looked,
    set_stopped,
)
from zhiyin.act.reactions import Sent, add_reaction
from zhiyin.act.returned import DELIVERED
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context
from zhiyin.core.errors import DeliveryError
from zhiyin.core.protocols import MassChannel
from zhiyin.core.values import MassOutcome
from zhiyin.govern.suppression import Tokens, space_of

LOOK_FOR = timedelta(days=30)
"""So long after a call the platform is asked what became of it."""
WAITING, UNTOLD = "waiting", "untold"


def take_confirmations(
    ctx: Context, channel: MassChannel, *, every: timedelta = timedelta(0)
) -> Counter[str]:
    """Look at every mass message with customers for whom a member has not confirmed it.

    Parameters
    ----------
    every
        Those that were looked at since then wait.

    Returns
    -------
    Messages by what became of them: `sent`, `not_a_contact`, `provider_limit`, `waiting`; and
    `untold`: mass messages of which the platform did not tell now.
    """
    now = ctx.clock.now()
    counts: Counter[str] = Counter()
    with ctx.store.begin() as connection:
        waiting = open_mass_sends(
            connection, since=naive_utc(now - LOOK_FOR), looked_before=naive_utc(now - every)
        )
    for batch_id, provider_id, member in waiting:
        try:
            found = channel.outcomes(provider_id, member=member)
        except DeliveryError as error:
            ctx.log.info("a mass message cannot be looked at: %s", error.message)
            counts[UNTOLD] += 1
            continue
        with ctx.store.begin() as connection:
            rows = read_unconfirmed(connection, provider_id)
            counts += _settle(ctx, connection, rows, found)
            set_looked(connection, batch_id, at=naive_utc(now))
    return counts


def take_back(ctx: Context, channel: MassChannel) -> Counter[str]:
    """Stop at the platform what waits for a member though its campaign was cancelled, or its
    journey ended.

    What a member let go before stays sent; what nobody had confirmed is skipped, as cancelled.

    Returns
    -------
    As `take_confirmations`, with `cancelled`.
    """
    counts: Counter[str] = Counter()
    with ctx.store.begin() as connection:
        stopped = find_stopped(connection)
    for batch_id, provider_id, member, stopped_at in stopped:
        try:
            if stopped_at is None:
                channel.stop(provider_id)
                with ctx.store.begin() as connection:
                    set_stopped(connection, batch_id, at=naive_utc(ctx.clock.now()))
            found = channel.outcomes(provider_id, member=member)
        except DeliveryError as error:
            ctx.log.info("a mass message cannot be stopped: %s", error.message)
            counts[UNTOLD] += 1
            continue
        with ctx.store.begin() as connection:
            rows = read_unconfirmed(connection, provider_id)
            counts += _settle(ctx, connection, rows, found, waiting=CANCELLED_REASON)
    return counts


def _settle(
    ctx: Context, connection: sa.Connection, rows: Sequence[sa.Row[Any]],
    found: Sequence[MassOutcome], *, waiting: str = WAITING,
) -> Counter[str]:  # fmt: skip
    """Settle what members did; what nobody confirmed waits still, or is over for a reason."""
    known = Tokens(ctx.vault, space_of("wecom"))
    told = {known.of_address(one.recipient): one for one in found}
    counts: Counter[str] = Counter()
    outcomes: list[Outcome] = []
    for row in rows:
        one = told.get(row.address_token)
        state = WAITING if one is None else one.state
        counts[waiting if state == WAITING else state] += 1
        if one is None or state == WAITING:
            if waiting != WAITING:
                over = Outcome(row.message_id, SKIPPED, waiting, receipt=row.receipt)
                outcomes.append(over)
            continue
        at = one.at or ctx.clock.now()
        if state == SENT:
            outcomes.append(_outcome(row, SENT, None, at))
            message = Sent(*(getattr(row, name) for name in Sent.__dataclass_fields__))
            add_reaction(connection, message, DELIVERED, at=at, event_key=f"mass {row.message_id}")
        else:
            outcomes.append(_outcome(row, FAILED, state, row.sent_at))
    settle_messages(connection, outcomes, before=SENT)
    return counts


def _outcome(row: sa.Row[Any], state: str, reason: str | None, at: datetime) -> Outcome:
    return Outcome(
        row.message_id, state, reason, sent_at=naive_utc(at), receipt=row.receipt
    )  # fmt: skip


def as_mass(channel: object) -> MassChannel | None:
    """The channel where it sends mass messages; None: it does not."""
    supports = getattr(channel, "supports", frozenset())
    return cast("MassChannel", channel) if "mass" in supports else None

"""The gate for whom a campaign reaches; for lists of ad platforms by all of her addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from zhiyin.act.gate import check_people
from zhiyin.core.context import Context
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import ADS, Verdict
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import SMS, Person
from zhiyin.govern.suppression import space_of

NO_ADDRESS = "no_address"


def check_listed(
    ctx: Context,
    connection: sa.Connection,
    people: Sequence[Person],
    *,
    terms: Terms,
    at: datetime,
    held_out: Collection[str] = (),
    turn_id: str = "",
) -> list[Verdict]:
    """As `check_people`; somebody for an ad list is judged by her e-mail addresses, then by her
    phone numbers, and the strictest wins. One of the two is enough to be on the list.
    """
    judged = check_people(
        connection, people, terms=terms, vault=ctx.vault, at=at, held_out=held_out,
        turn_id=turn_id,
    )  # fmt: skip
    if terms.purpose != ADS:
        return judged
    by_phone = check_people(
        connection, phones_of(ctx, people), vault=ctx.vault,
        terms=replace(terms, channel=SMS, space=space_of(SMS)),
        at=at, held_out=held_out, turn_id=turn_id,
    )  # fmt: skip
    return [_strictest(*pair) for pair in zip(judged, by_phone, strict=True)]


def phones_of(ctx: Context, people: Sequence[Person]) -> list[Person]:
    """The same people, in order, with their phone numbers as addresses."""
    ids = [one.customer_id for one in people]
    settings = ctx.settings.act.model_copy(update={"fatigue_messages": 0})  # a rule of messages
    directory = read_directory(
        ctx.store, ids, as_of=None, channel=SMS, sealed=True, settings=settings
    )
    return directory.opened(ids, vault=ctx.vault)


def _strictest(by_email: Verdict, by_phone: Verdict) -> Verdict:
    """A refusal of either; where one has no address, what the other says."""
    if by_email.reason == NO_ADDRESS:
        return by_phone
    if by_phone.reason == NO_ADDRESS or not by_email.allowed:
        return by_email
    return by_phone

"""The gate for whom a campaign reaches; for lists of ad platforms by all of her addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.gate import check_people
from zhiyin.core.context import Context
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import Terms
from zhiyin.govern.gate import ADS, Verdict
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import SMS, Person
from zhiyin.govern.suppression import space_of

NO_ADDRESS = "no_address"


@dataclass(frozen=True)
class Listed:
    """People in order, and for a list of an ad platform the same by their phone numbers."""

    people: Sequence[Person]
    by_phone: Sequence[Person] = ()


def read_listed(ctx: Context, people: Sequence[Person], *, purpose: str) -> Listed:
    """What `check_listed` asks about; it reads the lake, so that no ledger transaction waits."""
    return Listed(people, _phones_of(ctx, people) if purpose == ADS else ())


def check_listed(
    connection: sa.Connection, listed: Listed, *, terms: Terms, vault: Vault, at: datetime,
    **more: Any,
) -> list[Verdict]:  # fmt: skip
    """As `check_people`, which takes `more`; somebody for an ad list is judged by her e-mail
    addresses, then by her phone numbers, and the strictest wins. One of the two is enough.
    """
    judged = check_people(connection, listed.people, terms=terms, vault=vault, at=at, **more)
    if terms.purpose != ADS:
        return judged
    phones = replace(terms, channel=SMS, space=space_of(SMS))
    by_phone = check_people(connection, listed.by_phone, terms=phones, vault=vault, at=at, **more)
    return [_strictest(*pair) for pair in zip(judged, by_phone, strict=True)]


def _phones_of(ctx: Context, people: Sequence[Person]) -> list[Person]:
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

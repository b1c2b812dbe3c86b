"""The gate's facts for many people at once, from the ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from zhiyin.core.config import ActSettings
from zhiyin.core.protocols import Vault
from zhiyin.govern.authorisations import read_stock
from zhiyin.govern.gate import (
    MARKETING,
    Cap,
    Facts,
    Limits,
    Suppression,
    is_quiet,
)
from zhiyin.govern.holdout import EVERYTHING, place_of
from zhiyin.govern.ledger import read_consents, read_contacts, read_suppressed
from zhiyin.govern.people import ROW_DAYS, Person, local_hour, next_hour
from zhiyin.govern.suppression import Tokens, space_of


@dataclass(frozen=True)
class Terms:
    """What the gate holds for one kind of contact."""

    limits: Limits
    zone: str  # of people whose own is not known
    channel: str = "email"
    purpose: str = MARKETING
    campaign_id: str = ""
    budget_messages: int | None = None  # what the campaign can pay for; None: any number
    budget_micros: int | None = None  # the same as money, where each contact has its own price
    global_share: float = 0.0
    space: str = ""  # namespace of the addresses; empty: that of the channel
    template: str = ""  # of which she must have allowed a message; empty: nothing to allow

    @property
    def namespace(self) -> str:
        """Of the addresses that a contact goes to."""
        return self.space or space_of(self.channel)


def gate_terms(
    settings: ActSettings, *, zone: str, purpose: str = MARKETING, channel: str = "email"
) -> Terms:
    """The terms of a channel for a purpose under a workspace's settings."""
    limits = Limits(
        settings.cap_messages, settings.cap_days, settings.quiet_from_hour,
        settings.quiet_to_hour,
        (*map(read_cap, settings.caps), *map(read_cap, PLATFORM_CAPS.get(channel, ()))),
        settings.fatigue_messages, settings.fatigue_days, settings.minimum_age,
    )  # fmt: skip
    return Terms(
        limits, zone, channel, purpose, global_share=settings.global_holdout_share,
        space=space_of(channel, settings),
        template=settings.wechat_template if channel == "wechat_subscribe" else "",
    )  # fmt: skip


PLATFORM_CAPS = {"wecom": ("wecom:1/1d", "wecom:4/31d")}
"""Caps of the platforms, beside a workspace's: a month of WeCom's is never longer than 31 days."""


def read_cap(text: str) -> Cap:
    """A cap from its text: `email:2/7d` is at most two e-mails in seven days."""
    scope, _, rest = text.partition(":")
    messages, _, days = rest.removesuffix("d").partition("/")
    return Cap(scope, int(messages), int(days))


def awake_from(at: datetime, zone: str, terms: Terms) -> datetime:
    """The first moment, from `at` on, that is outside the quiet hours in `zone`: `at` itself by
    day, and for whatever is no marketing.

    Parameters
    ----------
    at
        Aware.
    zone
        Hers; that of the terms where it is empty or no zone.
    """
    limits = terms.limits
    if terms.purpose != MARKETING or not is_quiet(local_hour(at, zone, default=terms.zone), limits):
        return at
    return next_hour(at, zone, limits.quiet_to_hour, default=terms.zone)


def read_facts(
    connection: sa.Connection,
    people: Sequence[Person],
    *,
    terms: Terms,
    vault: Vault,
    at: datetime,
    held_out: Collection[str] = (),
    personal: Collection[int] = (),
    known: Tokens | None = None,
) -> list[Facts]:
    """The facts of one contact with each of `people` at a moment, in order.

    Everything is looked up for all parties and all addresses of a person, so that the gate can
    let the strictest win.

    Parameters
    ----------
    connection
        A ledger transaction; nothing is written.
    people
        As a `Directory` gives them for the channel of `terms`.
    at
        The moment of the contact, aware.
    held_out
        Parties in the holdout of the campaign: a person with one of them is held out.
    personal
        Places in `people` of those for whom the contents were chosen.
    known
        Tokens of the channel's addresses, where the caller needs them too.
    """
    parties = sorted({party for one in people for party in one.parties})
    consents = read_consents(connection, parties, purpose=None)
    since = at - timedelta(days=_window_days(terms.limits))
    contacts = read_contacts(connection, parties, since=since, until=at)
    known = known or Tokens(vault, terms.namespace)
    tokens = [holders(one, known) for one in people]
    every = sorted({one for held in tokens for one in held})
    listed = read_suppressed(connection, every, channel=terms.channel)
    stock = read_stock(connection, every, template=terms.template) if terms.template else None
    lines = [[line for party in one.parties for line in consents.get(party, ())] for one in people]
    hours = {zone: local_hour(at, zone, default=terms.zone) for zone in {p.zone for p in people}}
    return [
        Facts(
            channel=terms.channel,
            purpose=terms.purpose,
            at=at,
            local_hour=hours[person.zone],
            has_address=person.reachable,
            consents=hers,
            suppressions=[
                Suppression(tuple(sorted(holders)), reason, since)
                for token, holders in held.items()
                for reason, since in listed.get(token, ())
            ],
            joins=person.joins,
            personal=place in personal,
            held_out=any(party in held_out for party in person.parties),
            held_out_of_all=_is_held_out_of_all(person, terms, vault),
            contacts=[one for party in person.parties for one in contacts.get(party, ())],
            answered_at=person.answered_at,
            age=person.age_at(at, default=terms.zone),
            sensitive=person.sensitive,
            campaign_id=terms.campaign_id,
            authorised=_authorised(person, held, stock, known),
        )
        for place, (person, hers, held) in enumerate(zip(people, lines, tokens, strict=True))
    ]


def _window_days(limits: Limits) -> int:
    """How far back any rule looks."""
    fatigue = ROW_DAYS if limits.fatigue_messages else 0
    return max(limits.cap_days, fatigue, *(one.days for one in limits.caps), 0)


def _is_held_out_of_all(person: Person, terms: Terms, vault: Vault) -> bool:
    """Whether one of her parties is in the global holdout: it is hers for good."""
    share = terms.global_share
    return share > 0 and any(
        place_of(vault.salt, EVERYTHING, party) < share for party in person.parties
    )


def _authorised(
    person: Person, held: Mapping[str, set[str]], stock: Mapping[str, int] | None, known: Tokens
) -> int | None:
    """What the address allows that a message would go to; of any address where nobody looked."""
    if stock is None:
        return None
    if person.opened and person.address:
        return stock.get(known.of_address(person.address), 0)
    return max((stock.get(token, 0) for token in held), default=0)


def holders(person: Person, known: Tokens) -> dict[str, set[str]]:
    """Token of each address of hers, those that only an identity tells of included → the parties
    of hers that hold it.
    """
    found: dict[str, set[str]] = {}
    for party, address in person.addresses:
        found.setdefault(known.of_address(address), set()).add(party)
    for party, identity in person.identities:
        found.setdefault(known.of_identity(identity), set()).add(party)
    return found

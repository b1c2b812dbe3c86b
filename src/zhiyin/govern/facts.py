"""The gate's facts for many customers at once, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from zhiyin.core.protocols import Vault
from zhiyin.govern.gate import Facts, Limits
from zhiyin.govern.ledger import read_consents, read_contacts, read_suppressed
from zhiyin.govern.people import Person, local_hour
from zhiyin.govern.suppression import suppression_tokens


def read_facts(
    connection: sa.Connection,
    people: Mapping[str, Person],
    *,
    vault: Vault,
    channel: str,
    purpose: str,
    at: datetime,
    zone: str,
    limits: Limits,
) -> dict[str, Facts]:
    """The facts of contacting each of `people` at a moment, by customer id.

    Everything is looked up for all parties and all addresses of a customer, so that the gate can
    let the strictest win. `held_out` is left false: who holds out a customer says so.

    Parameters
    ----------
    connection
        A ledger transaction; nothing is written.
    people
        By customer id, as `find_people` gives them for the same channel.
    at
        The moment of the contact, aware.
    zone
        The workspace's zone, for people whose own is not known.
    """
    parties = sorted({party for one in people.values() for party in one.parties})
    addresses = sorted({address for one in people.values() for address in one.addresses})
    token_of = dict(zip(addresses, suppression_tokens(vault, addresses), strict=True))
    consents = read_consents(connection, parties, purpose=purpose)
    since = at - timedelta(days=limits.cap_days)
    contacts = read_contacts(connection, parties, since=since, until=at)
    blocked = read_suppressed(connection, list(token_of.values()), channel=channel)
    return {
        customer: Facts(
            channel,
            purpose,
            at,
            local_hour(at, person.zone, default=zone),
            bool(person.addresses),
            [line for party in person.parties for line in consents.get(party, ())],
            suppressed=any(token_of[address] in blocked for address in person.addresses),
            contacted_at=[when for party in person.parties for when in contacts.get(party, ())],
        )
        for customer, person in people.items()
    }

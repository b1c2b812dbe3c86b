"""Who is behind a customer, as the gate and a message need to know it: parties, address, hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from zhiyin.core import columns as c
from zhiyin.govern.suppression import NAMESPACE_OF


@dataclass(frozen=True)
class Person:
    """One customer, under the merges of a day.

    `party_id` is the party that a message goes to: the customer's own if it has an address of the
    channel, else the first of hers that has one by id, else her own. `addresses` are the
    `identity_id`s of all her addresses of the channel.
    """

    customer_id: str
    party_id: str
    parties: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    language: str | None = None
    zone: str | None = None


def find_people(
    customer_ids: Iterable[str],
    *,
    identities: Iterable[Mapping[str, Any]],
    customers: Iterable[Mapping[str, Any]],
    channel: str,
) -> dict[str, Person]:
    """What is known of each customer, by customer id; no row order matters.

    Parameters
    ----------
    customer_ids
        The customers wanted.
    identities
        Rows of the table, at least of these customers: `party_id`, `customer_id`, `namespace`,
        `identity_id`.
    customers
        Rows of the table, at least of these customers: `party_id`, `customer_id`, `language`,
        `time_zone`. The addressed party's language and zone count, else the first of hers by id.
    channel
        Channel of the contact.
    """
    namespace = NAMESPACE_OF.get(channel)
    wanted = sorted(set(customer_ids))
    parties: dict[str, set[str]] = {one: {one} for one in wanted}
    addresses: dict[str, set[tuple[str, str]]] = defaultdict(set)
    traits: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in identities:
        customer = row[c.CUSTOMER_ID]
        if customer in parties:
            parties[customer].add(row[c.PARTY_ID])
            if row[c.NAMESPACE] == namespace:
                addresses[customer].add((row[c.PARTY_ID], row[c.IDENTITY_ID]))
    for row in customers:
        customer = row[c.CUSTOMER_ID]
        if customer in parties:
            parties[customer].add(row[c.PARTY_ID])
            traits[customer][row[c.PARTY_ID]] = row
    return {
        one: _person(one, sorted(parties[one]), sorted(addresses[one]), traits[one])
        for one in wanted
    }


def local_hour(at: datetime, zone: str | None, *, default: str) -> int:
    """The hour, 0..23, of an aware moment in `zone`; in `default` where it is no known zone."""
    return at.astimezone(_zone(zone, default)).hour


@lru_cache(maxsize=1024)
def _zone(name: str | None, default: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or default)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(default)


def _person(
    customer: str,
    parties: list[str],
    addresses: list[tuple[str, str]],
    traits: Mapping[str, Mapping[str, Any]],
) -> Person:
    reachable = [party for party, _ in addresses]
    party = customer if customer in reachable or not reachable else reachable[0]
    order = [party, *parties]
    return Person(
        customer,
        party,
        tuple(parties),
        tuple(sorted({one for _, one in addresses})),
        _first(traits, order, c.LANGUAGE),
        _first(traits, order, c.TIME_ZONE),
    )


def _first(traits: Mapping[str, Mapping[str, Any]], order: list[str], name: str) -> str | None:
    found = (traits[party][name] for party in order if party in traits)
    return next((value for value in found if value), None)

# pyright: standard
# (Ibis knows the type of a column when it runs)
"""The one door from the lake to the people whom the gate is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import ibis
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.config import ActSettings
from zhiyin.core.parties import Join
from zhiyin.core.protocols import Store
from zhiyin.govern.ledger import find_reached
from zhiyin.govern.people import Directory, Kinship
from zhiyin.govern.suppression import space_of


def read_kinship(store: Store, *, as_of: date | None = None) -> Kinship:
    """Who is one person under the merges made before the day (None: ever), not undone by then."""
    merges = store.read("merges", as_of=as_of)
    held = merges.filter(merges[c.UNDONE_AT].isnull()).select(c.PARTY_ID, c.INTO, c.AT)
    return Kinship(
        Join(row[c.PARTY_ID], row[c.INTO], row[c.AT].replace(tzinfo=UTC))
        for row in held.to_pyarrow().to_pylist()
    )


def read_directory(
    store: Store,
    party_ids: Iterable[str],
    *,
    as_of: date | None,
    channel: str,
    sealed: bool = False,
    settings: ActSettings | None = None,
) -> Directory:
    """The people of the parties, as known before the day (None: all that is known).

    Parameters
    ----------
    channel
        Channel of the contact: which identifiers are addresses.
    sealed
        Whether to read the encrypted fields too, which `Directory.opened` needs.
    settings
        Which groups are sensitive, and whether answers count; none: neither is looked up.
    """
    kinship = read_kinship(store, as_of=as_of)
    wanted = sorted({party for one in set(party_ids) for party in kinship.parties(one)})
    ids = store.to_ibis(pa.table({c.PARTY_ID: pa.array(wanted, pa.string())}))
    names = [c.PARTY_ID, c.LANGUAGE, c.TIME_ZONE, *([c.PERSONAL, c.PROPERTIES] if sealed else [])]
    customers = store.read("customers", as_of=as_of).semi_join(ids, c.PARTY_ID)
    known = store.read("identities", as_of=as_of).semi_join(ids, c.PARTY_ID)
    space = space_of(channel, settings)
    addresses = known.filter(known[c.NAMESPACE] == space)
    return Directory(
        kinship,
        customers=customers.select(*names).to_pyarrow().to_pylist(),
        identities=addresses.select(c.PARTY_ID, c.IDENTITY_ID).to_pyarrow().to_pylist(),
        sensitive=_sensitive(store, settings.sensitive, as_of=as_of) if settings else (),
        answered=_answers(store, settings, wanted, as_of=as_of) if settings else None,
        space=space,
        calling_code=settings.calling_code if settings else "",
    )


def _sensitive(store: Store, groups: Sequence[str], *, as_of: date | None) -> set[str]:
    """Customers in one of the groups on the newest day that was computed."""
    found: set[str] = set()
    for group in groups:
        kind, _, name = group.partition(":")
        name, _, value = name.partition("=" if kind == "tag" else ":")
        table, column, inner = _GROUPS[kind]
        rows = store.read(table)
        if as_of is not None:
            rows = rows.filter(rows[c.AS_OF_ON] <= ibis.literal(as_of))
        named = rows[column] == name
        known = rows.filter(named) if kind == "audience" else rows  # a static one is asked once
        day = known[c.AS_OF_ON].max().to_pyarrow().as_py()
        rows = rows.filter(named, rows[c.AS_OF_ON] == ibis.literal(day, "date"))
        rows = rows.filter(rows[inner] == value) if inner and value else rows
        found.update(rows.select(c.CUSTOMER_ID).to_pyarrow()[c.CUSTOMER_ID].to_pylist())
    return found


_GROUPS = {
    "tag": ("tags", c.TAG, c.VALUE),
    "segment": ("memberships", c.SCHEME, c.SEGMENT),
    "audience": ("audience_members", c.AUDIENCE, ""),
}
"""Kind of a group → table, column of its name, column of its value."""


def _answers(
    store: Store, settings: ActSettings, parties: Sequence[str], *, as_of: date | None
) -> dict[str, datetime]:
    """When those who got many messages last answered one, or bought."""
    if not settings.fatigue_messages:
        return {}
    with store.begin() as connection:
        often = find_reached(connection)
    if not often.intersection(parties):
        return {}
    ids = store.to_ibis(pa.table({c.PARTY_ID: pa.array(parties, pa.string())}))
    touches = store.read("touches", as_of=as_of)
    touches = touches.filter(touches[c.KIND].isin(ANSWERS))
    found: dict[str, datetime] = {}
    for rows, at in ((touches, c.OCCURRED_AT), (store.read("order_lines", as_of=as_of), c.SOLD_AT)):
        mine = rows.semi_join(ids, c.PARTY_ID).group_by(c.PARTY_ID)
        for row in mine.agg(**{c.AT: rows[at].max()}).to_pyarrow().to_pylist():
            moment: datetime = row[c.AT].replace(tzinfo=UTC)
            held = found.get(row[c.PARTY_ID])
            found[row[c.PARTY_ID]] = moment if held is None else max(held, moment)
    return found


ANSWERS = ("open", "click", "redemption", "conversion", "reached")
"""Kinds of touches that answer a message; a purchase does, too."""

# pyright: standard
# (Ibis knows the type of a column when it runs)
"""The one door from the lake to the people whom the gate is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date

import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.parties import Join
from zhiyin.core.protocols import Store
from zhiyin.govern.people import Directory, Kinship
from zhiyin.govern.suppression import NAMESPACE_OF


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
) -> Directory:
    """The people of the parties, as known before the day (None: all that is known).

    Parameters
    ----------
    channel
        Channel of the contact: which identifiers are addresses.
    sealed
        Whether to read the encrypted fields too, which `Directory.opened` needs.
    """
    kinship = read_kinship(store, as_of=as_of)
    wanted = sorted({party for one in set(party_ids) for party in kinship.parties(one)})
    ids = store.to_ibis(pa.table({c.PARTY_ID: pa.array(wanted, pa.string())}))
    names = [c.PARTY_ID, c.LANGUAGE, c.TIME_ZONE, *([c.PERSONAL] if sealed else [])]
    customers = store.read("customers", as_of=as_of).semi_join(ids, c.PARTY_ID)
    known = store.read("identities", as_of=as_of).semi_join(ids, c.PARTY_ID)
    addresses = known.filter(known[c.NAMESPACE] == NAMESPACE_OF.get(channel, channel))
    return Directory(
        kinship,
        customers=customers.select(*names).to_pyarrow().to_pylist(),
        identities=addresses.select(c.PARTY_ID, c.IDENTITY_ID).to_pyarrow().to_pylist(),
    )

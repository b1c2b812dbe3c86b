# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Which records are one person: see it, try a merge, make it, undo it. Facts are never touched.

Nothing here holds personal data: ids are pseudonyms, identifiers are shown by kind and number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from zhiyin.collect import identity
from zhiyin.collect.merge_guards import CONFLICTS
from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.parties import joined_parties
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import MARKETING
from zhiyin.govern.gate import Consent, consent_state
from zhiyin.govern.identifiers import kind_of
from zhiyin.govern.ledger import read_consents
from zhiyin.govern.live import read_kinship
from zhiyin.govern.suppression import KIND_OF
from zhiyin.person.find import Person, find_person
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

BY_PERSON = "person"
CHANNELS = tuple(KIND_OF)
_SHOWN = 6  # characters of a keyed hash: enough to tell two apart, says nothing


@dataclass(frozen=True)
class Door:
    """Who asks, on which workspace."""

    store: WorkspaceStore
    vault: Vault
    clock: Clock
    actor: str = "cli"


def show_identity(door: Door, customer: str) -> dict[str, Any]:
    """The records of a customer, their identifiers, and the merges with what spoke for them.

    Returns
    -------
    `customer_id`, `records` (`party_id`, `since`, `identifiers`: `namespace` and a hash's first
    characters), `merges` (`party_id`, `into`, `at`, `rule`, `evidence`, `undone_at`).

    Raises
    ------
    NotFound, InvalidParameter
        As `find_person`.
    """
    person = find_person(door.store, door.vault, customer)
    rows = door.store.read("identities")
    mine = rows.filter(rows[c.PARTY_ID].isin(list(person.parties)))
    held = mine.order_by([c.PARTY_ID, c.NAMESPACE, c.IDENTITY_ID]).to_pyarrow().to_pylist()
    records: dict[str, dict[str, Any]] = {
        party: {"party_id": party, "since": None, "identifiers": []} for party in person.parties
    }
    for row in held:
        record, since = records[row[c.PARTY_ID]], row[c.VALID_AT].replace(tzinfo=UTC).isoformat()
        record["since"] = min(record["since"] or since, since)
        shown = {"namespace": row[c.NAMESPACE], "hash": f"{row[c.IDENTITY_ID][:_SHOWN]}…"}
        record["identifiers"].append(shown)
    return {
        "customer_id": person.customer_id,
        "records": list(records.values()),
        "merges": _merges_of(door.store, person.parties),
    }


def preview_merge(door: Door, customer: str, into: str) -> dict[str, Any]:
    """What merging one customer into another would join, before it is done; nothing is written.

    Returns
    -------
    `customer_id`, `into`, `parties`, `orders`, `revenue_minor` (of both), `user_ids` (id spaces
    in which the person would have several), `consents` (per channel: of each now, and together).
    """
    one, other = _two(door, customer, into)
    both = [*one.parties, *other.parties]
    at = door.clock.now()
    with reading(door.store.ledger) as connection:
        lines = read_consents(connection, both, purpose=MARKETING)
    kinship = read_kinship(door.store)
    links = [*kinship.joins(one.customer_id), *kinship.joins(other.customer_id)]

    def state(parties: Sequence[str], channel: str) -> str:
        mine: list[Consent] = [line for party in parties for line in lines.get(party, ())]
        return consent_state(mine, purpose=MARKETING, channel=channel, at=at, joins=links)

    return {
        "customer_id": one.customer_id,
        "into": other.customer_id,
        "parties": len(both),
        **_orders_of(door.store, both),
        "user_ids": _several_user_ids(door.store, both),
        "consents": {
            channel: {
                "customer": state(one.parties, channel),
                "into": state(other.parties, channel),
                "together": state(both, channel),
            }
            for channel in CHANNELS
        },
    }


def merge_customers(door: Door, customer: str, into: str) -> dict[str, Any]:
    """Make one customer the same person as another from now on; the preview of it.

    Raises
    ------
    InvalidParameter
        If they are one person already.
    LeaseHeld
        If a turn or an erasure is under way.
    """
    with hold_lease(door.store.ledger, clock=door.clock):
        seen = preview_merge(door, customer, into)
        at = door.clock.now()
        identity.merge(
            door.store, seen["customer_id"], into=seen["into"], at=at, rule=BY_PERSON,
            evidence={"by": BY_PERSON},
        )  # fmt: skip
        _note(door, "identity.merge", {"parties": seen["parties"], "orders": seen["orders"]})
    return seen


def undo_merge(door: Door, party_id: str, into: str) -> dict[str, Any]:
    """Let the merge of two records (as `show_identity` lists it) hold no longer, from now on.

    Days before still see them as one person. No rule joins the two again.

    Returns
    -------
    `party_id`, `into`, `undone` (merges), `still_one` (whether other merges keep them together).

    Raises
    ------
    NotFound
        If there is no such merge in force.
    LeaseHeld
        If a turn or an erasure is under way.
    """
    with hold_lease(door.store.ledger, clock=door.clock):
        undone = identity.undo(door.store, party_id, into=into, undone_at=door.clock.now())
        still = into in joined_parties(party_id, door.store.representatives())
        _note(door, "identity.undo", {"merges": undone, "still_one": still})
    return {"party_id": party_id, "into": into, "undone": undone, "still_one": still}


def list_conflicts(
    door: Door, *, language: str = "en", limit: int = 100, offset: int = 0
) -> dict[str, Any]:
    """What was not joined and why, newest first; `total` and `counts` by reason are of all."""
    rows = door.store.read("identity_conflicts")
    reasons = rows.select(c.REASON).to_pyarrow().column(c.REASON).to_pylist()
    order = [rows[c.AT].desc(), rows[c.CONFLICT_ID]]
    page = rows.order_by(order).limit(limit, offset=offset).to_pyarrow().to_pylist()
    kept = (c.CONFLICT_ID, c.PARTY_ID, c.INTO, c.NAMESPACE, c.REASON, c.N, c.SOURCE)
    words = {code: pair[language == "zh"] for code, pair in CONFLICTS.items()}
    return {
        "total": len(reasons),
        "counts": dict(sorted(Counter(reasons).items())),
        "conflicts": [
            {name: row[name] for name in kept}
            | {c.AT: _iso(row[c.AT]), "why": words.get(row[c.REASON], row[c.REASON])}
            for row in page
        ],
    }


def _two(door: Door, customer: str, into: str) -> tuple[Person, Person]:
    one, other = (find_person(door.store, door.vault, text) for text in (customer, into))
    if one.customer_id == other.customer_id:
        raise InvalidParameter(
            "these two are one person already", hint="see: zhiyin identity show CUSTOMER"
        )
    return one, other


def _merges_of(store: WorkspaceStore, parties: Sequence[str]) -> list[dict[str, Any]]:
    rows = store.read("merges")
    near = rows.filter(rows[c.PARTY_ID].isin(list(parties)) | rows[c.INTO].isin(list(parties)))
    return [
        {
            c.PARTY_ID: row[c.PARTY_ID], c.INTO: row[c.INTO], c.AT: _iso(row[c.AT]),
            c.RULE: row[c.RULE], c.EVIDENCE: row[c.EVIDENCE], c.UNDONE_AT: _iso(row[c.UNDONE_AT]),
        }
        for row in near.order_by([c.AT, c.PARTY_ID]).to_pyarrow().to_pylist()
    ]  # fmt: skip


def _orders_of(store: WorkspaceStore, parties: Sequence[str]) -> dict[str, int]:
    rows = store.read("orders")
    mine = rows.filter(rows[c.PARTY_ID].isin(list(parties)))
    sums = mine.aggregate(n=mine.count(), sum=mine[c.AMOUNT_BASE_MINOR].sum()).to_pyarrow()
    (found,) = sums.to_pylist()
    return {"orders": int(found["n"]), "revenue_minor": int(found["sum"] or 0)}


def _several_user_ids(store: WorkspaceStore, parties: Sequence[str]) -> list[str]:
    rows = store.read("identities")
    mine = rows.filter(rows[c.PARTY_ID].isin(list(parties))).select(c.NAMESPACE, c.IDENTITY_ID)
    held = mine.distinct().to_pyarrow().column(c.NAMESPACE).to_pylist()
    return sorted(
        space
        for space, number in Counter(held).items()
        if number > 1 and kind_of(space) == "user_id"
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()


def _note(door: Door, action: str, detail: dict[str, Any]) -> None:
    """An entry of the audit log; it names no party."""
    row = {"at": naive_utc(door.clock.now()), "actor": door.actor, "action": action}
    with transaction(door.store.ledger) as connection:
        connection.execute(ledger.audit.insert().values(**row, detail=detail))

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Who is meant: the source's id, an e-mail address, a phone number, or our own id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zhiyin.collect.mapping import EMAIL, PHONE
from zhiyin.collect.personal import normalise_email, normalise_phone, normalise_user_id
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.parties import joined_parties
from zhiyin.core.protocols import Vault
from zhiyin.store.workspace import WorkspaceStore

_OURS = re.compile(r"p_[a-z2-7]{26}")
_CALLING_CODES = range(1, 1000)
_NAMED = (
    "identities",
    "customers",
    "merges",
    "orders",
    "order_lines",
    "contracts",
    "touches",
    "texts",
)


@dataclass(frozen=True)
class Person:
    """A person: the party that stands for her today, and all of her parties, sorted."""

    customer_id: str
    parties: tuple[str, ...]


def find_person(store: WorkspaceStore, vault: Vault, customer: str) -> Person:
    """The person that `customer` names.

    Parameters
    ----------
    customer
        The source's id, an e-mail, a phone number (with its country code, or as the source
        writes it) or our id. `namespace:value` says which of these it is: `email:…`, `phone:…`,
        `user_id:…`.

    Raises
    ------
    NotFound
        If nobody has this identifier. It is not quoted: it may be personal.
    InvalidParameter
        If several people have it.
    """
    text = customer.strip()
    found = _parties_named(store, vault, text)
    mapping = store.representatives()
    people = sorted({mapping.get(party, party) for party in found})
    if not people:
        raise NotFound(
            "no customer has this identifier",
            hint="give the source's id, an e-mail, a phone number with its country code "
            "(+8613800138000), or our id (p_…)",
        )
    if len(people) > 1:
        raise InvalidParameter(
            f"{len(people)} customers have this identifier: {', '.join(people[:5])}",
            hint="give one of these ids, or say which identifier it is, for example email:…",
        )
    return person_of(people[0], mapping)


def find_people(store: WorkspaceStore, vault: Vault, customers: Sequence[str]) -> list[str | None]:
    """The customers that many identifiers name, in one look-up; None where nobody, or several do.

    As `find_person`, but a phone number needs its country code.
    """
    texts = [one.strip() for one in customers]
    namespaces = _namespaces(store)
    tokens: dict[str, set[int]] = {}
    for place, text in enumerate(texts):
        for space, value in _readings(text, namespaces) if not _OURS.fullmatch(text) else ():
            tokens.setdefault(vault.token("identity", f"{space}|{value}"), set()).add(place)
    named: list[set[str]] = [set() for _ in texts]
    if tokens:
        rows = store.read("identities")
        held = rows.filter(rows[c.IDENTITY_ID].isin(sorted(tokens)))
        for row in held.select(c.IDENTITY_ID, c.PARTY_ID).distinct().to_pyarrow().to_pylist():
            for place in tokens[row[c.IDENTITY_ID]]:
                named[place].add(row[c.PARTY_ID])
    ours = {text for text in texts if _OURS.fullmatch(text)}
    known = _known_parties(store, sorted(ours)) if ours else set()
    mapping = store.representatives()
    made: list[str | None] = []
    for text, found in zip(texts, named, strict=True):
        if text in known:
            found = {text}
        people = {mapping.get(party, party) for party in found}
        made.append(people.pop() if len(people) == 1 else None)
    return made


def _known_parties(store: WorkspaceStore, parties: Sequence[str]) -> set[str]:
    """Those of our ids that some stored row names as its own."""
    found: set[str] = set(store.representatives().values()) & set(parties)
    for table in _NAMED:
        if store.lake.open(table) is not None:
            rows = store.read_stored(table)
            mine = rows.filter(rows[c.PARTY_ID].isin(list(parties))).select(c.PARTY_ID).distinct()
            found |= set(mine.to_pyarrow()[c.PARTY_ID].to_pylist())
    return found


def person_of(party: str, mapping: Mapping[str, str]) -> Person:
    """The person of a party under `store.representatives()`."""
    return Person(mapping.get(party, party), tuple(joined_parties(party, mapping)))


def find_direct_parties(vault: Vault, text: str, namespaces: Iterable[str]) -> list[str]:
    """The parties that `text` makes by itself, whatever the lake holds."""
    if _OURS.fullmatch(text):
        return [text]
    return sorted(
        {
            party
            for namespace, value in _readings(text, namespaces)
            for party in vault.party_ids(namespace, [value])
        }
    )


def rows_of_people(store: WorkspaceStore, table: str, parties: Sequence[str]) -> bool:
    """Whether any stored row of `table` names one of the parties as its own."""
    if store.lake.open(table) is None:
        return False
    rows = store.read_stored(table)
    return bool(
        rows.filter(rows[c.PARTY_ID].isin(list(parties))).limit(1).count().to_pyarrow().as_py()
    )


def _parties_named(store: WorkspaceStore, vault: Vault, text: str) -> set[str]:
    if not text:
        return set()
    if _OURS.fullmatch(text):
        known = any(rows_of_people(store, table, [text]) for table in _NAMED)
        return {text} if known or text in store.representatives().values() else set()
    namespaces = _namespaces(store)
    readings = list(_readings(text, namespaces))
    found = _holders(store, vault, readings)
    if not found:
        numbers = [value for namespace, value in readings if namespace == PHONE]
        forms = [(PHONE, form) for number in numbers for form in with_calling_codes(number)]
        found = _holders(store, vault, forms)
    return found


def _namespaces(store: WorkspaceStore) -> list[str]:
    rows: list[dict[str, Any]] = (
        store.read("identities").select(c.NAMESPACE).distinct().to_pyarrow().to_pylist()
    )
    return sorted(row[c.NAMESPACE] for row in rows)


def _readings(text: str, namespaces: Iterable[str]) -> Iterable[tuple[str, str]]:
    """What `text` may be: namespace and normalised value, as a load writes them."""
    known = list(namespaces)
    if ":" in text:
        for named in sorted({*known, EMAIL, PHONE}, key=len, reverse=True):  # openid:<app> first
            if text.startswith(f"{named}:") and len(text) > len(named) + 1:
                known, text = [named], text[len(named) + 1 :]
                break
    for namespace in known:
        if namespace == EMAIL:
            value = normalise_email(text)
        elif namespace == PHONE:
            value = normalise_phone(text)
        else:
            value = normalise_user_id(text)
        if value:
            yield namespace, value


def with_calling_codes(number: str) -> list[str]:
    """A national number with every calling code: the mapping of a load may have added one."""
    if not number or number.startswith("+"):
        return []
    return [f"+{code}{number.lstrip('0')}" for code in _CALLING_CODES]


def _holders(store: WorkspaceStore, vault: Vault, readings: Iterable[tuple[str, str]]) -> set[str]:
    tokens = [vault.token("identity", f"{space}|{value}") for space, value in readings]
    if not tokens:
        return set()
    rows = store.read("identities")
    held = rows.filter(rows[c.IDENTITY_ID].isin(tokens)).select(c.PARTY_ID).distinct()
    return set(held.to_pyarrow().column(c.PARTY_ID).to_pylist())

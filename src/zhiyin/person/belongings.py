"""What identifies a person: identifiers, addresses and texts, unsealed for her alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from zhiyin.collect.mapping import EMAIL, PHONE, USER_ID
from zhiyin.collect.personal import (
    looks_personal,
    normalise_email,
    normalise_phone,
    normalise_user_id,
)
from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.govern.suppression import address_token, channels_of, suppression_tokens
from zhiyin.person.find import Person, with_calling_codes
from zhiyin.person.rows import person_tables, read_ledger, read_person
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

_SURE = 6  # a text this long is not in a file by chance
_LONG = 12
_SHARED = frozenset({"userAgent", "user_agent", "url", "referrer", "path", "search"})


@dataclass(frozen=True)
class Belongings:
    """`identifiers` are (kind, value as written) pairs, `texts` other personal values,
    `identities` (kind, identity id) pairs.

    Its repr shows none of them.
    """

    person: Person
    identifiers: tuple[tuple[str, str], ...] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    identities: tuple[tuple[str, str], ...] = field(repr=False)
    message_ids: tuple[str, ...] = field(repr=False)
    decision_ids: tuple[str, ...] = field(repr=False)

    @property
    def values(self) -> tuple[str, ...]:
        """Every identifier as written and as normalised, and every text."""
        spelt = {form for pair in self.identifiers for form in _forms(*pair)}
        return tuple(sorted({*spelt, *self.texts}))

    @property
    def needles(self) -> tuple[str, ...]:
        """What no file may hold after an erasure: only what cannot be there by chance."""
        sure = {
            form
            for kind, value in self.identifiers
            for form in _forms(kind, value)
            if len(form) >= (_SURE if not form.isdigit() or kind == PHONE else 9)
        }
        long = {text for text in self.texts if len(text) >= _LONG and not text.isdigit()}
        known = {one for _, one in self.identities}
        hashes = {*self.person.parties, *known, *self.message_ids, *self.decision_ids}
        return tuple(sorted(sure | long | hashes))

    def suppression_tokens(self, vault: LocalVault) -> list[tuple[str, str]]:
        """(token, channel) of each address, as the gate looks it up."""
        made = {
            (token, channel)
            for kind, one in self.identities
            for channel in channels_of(kind)
            for token in suppression_tokens(vault, [one])
        }
        made |= {
            (address_token(vault, channel, form), channel)
            for kind, value in self.identifiers
            for channel in channels_of(kind)
            for form in _forms(kind, value)
        }
        return sorted(made)


def gather_belongings(store: WorkspaceStore, vault: LocalVault, person: Person) -> Belongings:
    """Unseal what is personal in every row of the person."""
    identifiers: set[tuple[str, str]] = set()
    texts: set[str] = set()
    for table in person_tables():
        if c.PERSONAL not in table.names:
            continue
        for fields in unseal_rows(vault, read_person(store, table.name, person)):
            for name, value in _flat(fields or {}):
                if name in (USER_ID, EMAIL, PHONE):
                    identifiers.add((name, value))
                else:
                    texts.add(value)
    identities = read_person(store, "identities", person)
    known = {row[c.IDENTITY_ID]: row[c.NAMESPACE] for row in identities}
    for text in list(texts):  # a source may call its id space by another name
        if any(
            vault.token("identity", f"{space}|{normalise_user_id(text)}") in known
            for space in set(known.values())
        ):
            identifiers.add((USER_ID, text))
    identifiers |= {
        (PHONE, form)
        for kind, value in list(identifiers)
        if kind == PHONE
        for form in with_calling_codes(normalise_phone(value) or "")
        if vault.token("identity", f"{PHONE}|{form}") in known
    }
    sent = [row[c.MESSAGE_ID] for row in read_ledger(store, ledger.messages, person)]
    return Belongings(
        person,
        tuple(sorted(identifiers)),
        tuple(sorted(texts - {value for _, value in identifiers})),
        tuple(sorted((kind, one) for one, kind in known.items())),
        tuple(sorted(sent)),
        tuple(row[c.DECISION_ID] for row in read_person(store, "decisions", person)),
    )


def unseal_rows(
    vault: LocalVault, rows: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any] | None]:
    """The personal fields of each row; None where there are none or the key is gone."""
    made = list(rows)
    return vault.unseal(
        [row[c.PARTY_ID] or "" for row in made],
        [row[c.PERSONAL] if row[c.PARTY_ID] else None for row in made],
    )


def _flat(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each value with the last part of its name, however deep it lies.

    Of what many people share (a browser's name, an address of a page) only what looks personal
    counts: else the erasure of one would take what others left.
    """
    for name, value in fields.items():
        key = name.rpartition(".")[2]
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif isinstance(value, list):
            yield from _flat({f"{place}.{key}": one for place, one in enumerate(value)})
        elif value is not None and not isinstance(value, bool):
            text = (value if isinstance(value, str) else json.dumps(value)).strip()
            if key in _SHARED:
                yield from (("", one) for one in _personal_parts(text))
            elif text:
                yield key, text


def _personal_parts(address: str) -> Iterable[str]:
    """Values in the query or the path of an address that look personal."""
    path, _, query = address.partition("?")
    parts = [*re.split(r"[/&=#;]", path), *(value for _, value in parse_qsl(query))]
    return [one for one in map(unquote, parts) if looks_personal("", (one,), of_people=False)]


def _forms(kind: str, value: str) -> set[str]:
    """An identifier as written and as a load normalises it."""
    if kind == EMAIL:
        other = normalise_email(value)
    elif kind == PHONE:
        other = normalise_phone(value)
    else:
        other = normalise_user_id(value)
    return {value, other or value}

"""What a person allowed a mini-programme to send, found by her records and by her openids."""

from __future__ import annotations

from typing import Any

from zhiyin.core import columns as c
from zhiyin.core.protocols import Vault
from zhiyin.govern.authorisations import read_authorisations
from zhiyin.govern.identifiers import OPENID, kind_of
from zhiyin.govern.suppression import suppression_tokens
from zhiyin.person.find import Person
from zhiyin.person.rows import read_person
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore


def tokens_of(store: WorkspaceStore, vault: Vault, person: Person) -> list[str]:
    """Keyed hashes of her openids, of whatever app."""
    rows = read_person(store, "identities", person)
    held = sorted({row[c.IDENTITY_ID] for row in rows if kind_of(row[c.NAMESPACE]) == OPENID})
    return suppression_tokens(vault, held)


def load_authorisations(
    store: WorkspaceStore, vault: Vault, person: Person
) -> list[dict[str, Any]]:
    """Every authorisation of hers, in the order in which they were granted."""
    tokens = tokens_of(store, vault, person)
    with reading(store.ledger) as connection:
        return read_authorisations(connection, parties=person.parties, tokens=tokens)

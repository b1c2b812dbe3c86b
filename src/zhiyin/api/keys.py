"""API keys: `zk_<8 characters>_<256 random bits>`, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import api_keys
from zhiyin.govern.roles import ROLES
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

_FORM = re.compile(r"zk_([A-Za-z0-9]{8})_[A-Za-z0-9_-]{43}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_NO_HASH = "0" * 64
MAX_NAME = 80
STAFF = "staff"


@dataclass(frozen=True)
class Caller:
    """Who a request comes from: the name and the role of her key; of which store, None: of all."""

    name: str
    role: str
    store_id: str | None = None


def make_key(
    store: WorkspaceStore, name: str, role: str, *, clock: Clock, store_id: str | None = None
) -> str:
    """A new key for `name`; only its hash is kept, so it cannot be shown again.

    Parameters
    ----------
    store_id
        Of shop staff: the store whose calls they see; none: those of the central list alone.

    Raises
    ------
    InvalidParameter
        If there is no such role, or the name is empty or too long.
    """
    if role not in ROLES:
        raise InvalidParameter(
            f"there is no role {role!r}", hint=f"roles: {', '.join(sorted(ROLES))}"
        )
    if store_id is not None and role != STAFF:
        raise InvalidParameter(f"a key of the role {role} is of no store", hint="--role staff")
    if not 1 <= len(name.strip()) <= MAX_NAME:
        raise InvalidParameter(f"the name of a key has 1 to {MAX_NAME} characters")
    key_id = "".join(secrets.choice(_LETTERS) for _ in range(8))
    key = f"zk_{key_id}_{secrets.token_urlsafe(32)}"
    row = {
        "key_id": key_id,
        "hash": hash_key(key),
        "name": name.strip(),
        "role": role,
        "created_at": naive_utc(clock.now()),
        "store_id": (store_id or "") if role == STAFF else None,
    }
    with transaction(store.ledger) as connection:
        connection.execute(api_keys.insert().values(**row))
    return key


def revoke_keys(store: WorkspaceStore, name: str, *, clock: Clock) -> int:
    """Revoke the keys of `name`, from now on; how many there were."""
    mine = (api_keys.c.name == name.strip()) & api_keys.c.revoked_at.is_(None)
    with transaction(store.ledger) as connection:
        return connection.execute(
            api_keys.update().where(mine).values(revoked_at=naive_utc(clock.now()))
        ).rowcount


def find_caller(store: WorkspaceStore, key: str) -> Caller | None:
    """Whose key it is; None where it is unknown, malformed or revoked.

    The comparison takes the same time whatever the key.
    """
    form = _FORM.fullmatch(key)
    query = sa.select(api_keys).where(api_keys.c.key_id == (form[1] if form else ""))
    with reading(store.ledger) as connection:
        row = connection.execute(query).one_or_none()
    same = hmac.compare_digest(hash_key(key), row.hash if row is not None else _NO_HASH)
    if row is None or not same or row.revoked_at is not None:
        return None
    return Caller(row.name, row.role, row.store_id)


def has_keys(store: WorkspaceStore) -> bool:
    """Whether any key is in force."""
    query = sa.select(api_keys.c.key_id).where(api_keys.c.revoked_at.is_(None)).limit(1)
    with reading(store.ledger) as connection:
        return connection.execute(query).first() is not None


def hash_key(key: str) -> str:
    """SHA-256 of a key: it has 256 random bits, so it needs no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()

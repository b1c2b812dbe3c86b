"""The vault: the workspace's keys, pseudonyms, and encryption with one key per party (law 7).

Keys of parties lie in the ledger, wrapped by the master key in the key file. Erasing a party
deletes hers: what is sealed with it can never be read again. Keys are looked up anew in each
call, so that an erasure by another process holds at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.dialects import postgresql, sqlite

from zhiyin.core.errors import InvalidParameter, KeyDestroyed, WorkspaceError
from zhiyin.core.ledger import data_keys
from zhiyin.store.durable import sync_file, sync_folder
from zhiyin.store.ledger import reading, transaction

KEY_FILE = "vault.json"
FORMAT = 1
BLOB_VERSION = b"\x01"  # AES-256-GCM: version | nonce (12) | ciphertext and tag (16)
KEY_BYTES = 32
_NONCE = 12
_CHUNK = 5_000
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_FAST_JSON = msgspec.json.Encoder(order="sorted")
_BASE32 = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype="S1")
_DEMO_ID_KEY = hashlib.sha256(b"zhiyin demo: published id key").digest()
_DEMO_SALT = hashlib.sha256(b"zhiyin demo: published assignment salt").digest()


@dataclass(frozen=True, repr=False)
class Keys:
    """The secrets of a workspace, 32 bytes each. Never logged: they have no repr."""

    master: bytes  # wraps the data keys
    id: bytes  # makes party ids
    token: bytes  # makes tokens
    salt: bytes  # assigns arms

    @classmethod
    def make(cls, *, demo: bool = False) -> Keys:
        """Fresh keys; a demonstration gets the published id key and salt."""
        made = {field.name: os.urandom(KEY_BYTES) for field in fields(cls)}
        if demo:
            made |= {"id": _DEMO_ID_KEY, "salt": _DEMO_SALT}
        return cls(**made)


class LocalVault:
    """Implements `core.protocols.Vault` with keys in memory and data keys in the ledger."""

    def __init__(self, keys: Keys, ledger: sa.Engine) -> None:
        self._keys = keys
        self._ledger = ledger
        self._master = AESGCM(keys.master)
        self._held: dict[str, AESGCM] | None = None
        # HMAC-SHA256 with the key read once; each value is taken in by a copy
        self._ids = hmac.HMAC(keys.id, hashes.SHA256())
        self._tokens = hmac.HMAC(keys.token, hashes.SHA256())

    def remembering(self) -> LocalVault:
        """This vault, but the key of a party is looked up once.

        For whoever holds the lease `lake`, so that no erasure runs meanwhile; let it go with it.
        """
        made = LocalVault(self._keys, self._ledger)
        made._held = {}
        return made

    def party_ids(self, namespace: str, values: Iterable[str]) -> list[str]:
        """`p_` + 26 base32 characters of HMAC-SHA256(id key, namespace | value), one per value."""
        if "|" in namespace:
            raise InvalidParameter(f"a namespace may hold no |: {namespace!r}")
        start = f"{namespace}|".encode()
        keyed = self._ids.copy()
        keyed.update(start)
        return _base32_ids([_digest(keyed, value.encode()) for value in values])

    def token(self, purpose: str, value: str) -> str:
        """64 hexadecimal digits of HMAC-SHA256(token key, purpose | value)."""
        if "|" in purpose:
            raise InvalidParameter(f"a purpose may hold no |: {purpose!r}")
        return _digest(self._tokens, f"{purpose}|{value}".encode()).hex()

    @property
    def salt(self) -> bytes:
        """The assignment salt of the workspace: hashed with a party id it gives her arm."""
        return self._keys.salt

    def seal(
        self, party_ids: Sequence[str], values: Sequence[Mapping[str, object] | None]
    ) -> list[bytes | None]:
        """Encrypt each mapping with its party's key, made where there is none yet.

        Call it before a ledger transaction, not in it: it may write new keys.
        """
        wanted = [one for one, value in zip(party_ids, values, strict=True) if value is not None]
        ciphers = self._ciphers(wanted, make=True)
        nonces = _nonces(len(wanted))
        return [
            None if value is None else _encrypt(ciphers[party], _pack(value), party, next(nonces))
            for party, value in zip(party_ids, values, strict=True)
        ]

    def unseal(
        self, party_ids: Sequence[str], blobs: Sequence[bytes | None]
    ) -> list[dict[str, Any] | None]:
        """Decrypt what `seal` gave; None where the blob is None or the key was destroyed.

        Raises
        ------
        InvalidParameter
            If a blob is not that party's, or was changed.
        """
        wanted = [one for one, blob in zip(party_ids, blobs, strict=True) if blob is not None]
        ciphers = self._ciphers(wanted, make=False)
        return [
            json.loads(_decrypt(ciphers[party], blob, party))
            if blob is not None and party in ciphers
            else None
            for party, blob in zip(party_ids, blobs, strict=True)
        ]

    def seal_with(self, key_id: str, contents: Sequence[bytes]) -> list[bytes]:
        """Encrypt raw contents with one key (of a load's quarantine), made if new."""
        if not contents:
            return []
        cipher = self._ciphers([key_id], make=True)[key_id]
        return [_encrypt(cipher, content, key_id) for content in contents]

    def unseal_with(self, key_id: str, blobs: Sequence[bytes]) -> list[bytes]:
        """Decrypt what `seal_with` gave.

        Raises
        ------
        KeyDestroyed
            If the key is gone.
        """
        ciphers = self._ciphers([key_id], make=False)
        if key_id not in ciphers:
            raise KeyDestroyed("the key of this content was destroyed")
        return [_decrypt(ciphers[key_id], blob, key_id) for blob in blobs]

    def destroy(self, key_ids: Iterable[str]) -> int:
        """Delete data keys: what they sealed is unreadable from now on. How many there were."""
        with transaction(self._ledger) as connection:
            return destroy_keys(connection, key_ids)

    def _ciphers(self, key_ids: Sequence[str], *, make: bool) -> dict[str, AESGCM]:
        held = {} if self._held is None else self._held
        wanted = [one for one in dict.fromkeys(key_ids) if one not in held]
        if wanted:
            with reading(self._ledger) as connection:
                wrapped = _stored_keys(connection, wanted)
            held |= self._open_keys(wrapped)
            new = sorted({*wanted} - wrapped.keys()) if make else []  # in the order of their index
            held |= self._make_keys(new) if new else {}
        return held

    def _open_keys(self, wrapped: Mapping[str, bytes]) -> dict[str, AESGCM]:
        return {one: AESGCM(_decrypt(self._master, blob, one)) for one, blob in wrapped.items()}

    def _make_keys(self, key_ids: Sequence[str]) -> dict[str, AESGCM]:
        nonces, drawn = _nonces(len(key_ids)), os.urandom(KEY_BYTES * len(key_ids))
        keys = {
            one: drawn[place * KEY_BYTES : (place + 1) * KEY_BYTES]
            for place, one in enumerate(key_ids)
        }
        rows = [(one, _encrypt(self._master, key, one, next(nonces))) for one, key in keys.items()]
        with transaction(self._ledger) as connection:
            if _insert_absent(connection, rows) == len(rows):
                return {one: AESGCM(key) for one, key in keys.items()}
            stored = _stored_keys(connection, key_ids)  # another process was first with some
        return self._open_keys(stored)


class SegmentKeys:
    """Keys of journal segments: a file for each in `keys/segments`, wrapped by the master key.

    They lie in files, not in the ledger, so that an event can be acknowledged while a long
    transaction holds the ledger.
    """

    def __init__(self, keys: Keys, folder: Path) -> None:
        self._master = AESGCM(keys.master)
        self._folder = folder

    def make(self, segment_id: str) -> bytes:
        """A new key, on the disk when it returns.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        key = os.urandom(KEY_BYTES)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(segment_id)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encrypt(self._master, key, segment_id))
        sync_file(path)
        sync_folder(self._folder)
        return key

    def get(self, segment_id: str) -> bytes:
        """The key of a segment.

        Raises
        ------
        KeyDestroyed
            If it is gone.
        """
        try:
            wrapped = self._path(segment_id).read_bytes()
        except FileNotFoundError as error:
            raise KeyDestroyed("the key of this journal segment was destroyed") from error
        return _decrypt(self._master, wrapped, segment_id)

    def destroy(self, segment_id: str) -> None:
        """Remove the key; what it sealed is unreadable from now on."""
        path = self._path(segment_id)
        if path.exists():
            with path.open("r+b") as file:  # over the bytes first: a name removed is not a key lost
                file.write(os.urandom(path.stat().st_size))
            sync_file(path)
            path.unlink(missing_ok=True)
            sync_folder(self._folder)

    def _path(self, segment_id: str) -> Path:
        return self._folder / f"{segment_id}.key"


def open_segment_keys(folder: Path) -> SegmentKeys:
    """The keys of the journal of the workspace whose keys lie in `folder`.

    Raises
    ------
    WorkspaceError
        If the workspace has no keys yet, or they are damaged.
    """
    path = folder / KEY_FILE
    if not path.exists():
        raise WorkspaceError(f"{path} is missing", hint="zhiyin init makes a workspace")
    return SegmentKeys(_read_keys(path), folder / "segments")


def open_vault(folder: Path, ledger: sa.Engine, *, demo: bool = False) -> LocalVault:
    """The vault of the workspace whose keys lie in `folder`; keys are made the first time.

    Parameters
    ----------
    folder
        Usually `keys/` of the workspace: `vault.json` in it has mode 0600.
    demo
        Whether new keys are a demonstration's: its id key and salt are published, so that two
        demonstrations give the same ids and arms. Its other keys are as secret as anyone's.

    Raises
    ------
    WorkspaceError
        If the file can be read by others, is damaged, is newer than this code, or is missing
        while the ledger has keys that it wrapped.
    """
    path = folder / KEY_FILE
    if not path.exists():
        with reading(ledger) as connection:
            orphaned = connection.execute(sa.select(data_keys.c.key_id).limit(1)).first()
        if orphaned is not None:
            raise WorkspaceError(
                f"{path} is missing, and the ledger has keys that only it can open",
                hint="put the file back from your backup; without it personal data is lost",
            )
        _write_keys(path, Keys.make(demo=demo))
    return LocalVault(_read_keys(path), ledger)


def destroy_keys(connection: sa.Connection, key_ids: Iterable[str]) -> int:
    """Delete data keys in the caller's transaction; how many there were."""
    return sum(
        connection.execute(data_keys.delete().where(data_keys.c.key_id.in_(chunk))).rowcount
        for chunk in _chunks(list(key_ids))
    )


def _write_keys(path: Path, keys: Keys) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = {field.name: base64.b64encode(getattr(keys, field.name)) for field in fields(keys)}
    body = {"format": FORMAT, **{name: value.decode() for name, value in text.items()}}
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(body, file, indent=1)
    sync_file(draft)
    try:
        os.link(draft, path)  # unlike a rename it never replaces another process's keys
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_folder(path.parent)


def _read_keys(path: Path) -> Keys:
    if path.stat().st_mode & 0o077:
        raise WorkspaceError(f"{path} can be read by others", hint=f"chmod 600 {path}")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["format"] != FORMAT:
            raise WorkspaceError(
                f"{path} has format {body['format']}, this Zhiyin knows {FORMAT}",
                hint="open the workspace with the release that wrote it",
            )
        keys = Keys(**{f.name: base64.b64decode(body[f.name], validate=True) for f in fields(Keys)})
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged", hint="put it back from a backup") from error
    if any(len(getattr(keys, field.name)) != KEY_BYTES for field in fields(keys)):
        raise WorkspaceError(f"{path} is damaged", hint="put it back from a backup")
    return keys


_FEW = 8


def _digest(keyed: hmac.HMAC, value: bytes) -> bytes:
    one = keyed.copy()
    one.update(value)
    return one.finalize()


def _base32_ids(digests: Sequence[bytes]) -> list[str]:
    """`p_` + the first 130 bits of each digest in lower-case base32 (RFC 4648), all at once."""
    if len(digests) < _FEW:  # a call of numpy costs more than one of these
        return ["p_" + base64.b32encode(one[:17])[:26].decode().lower() for one in digests]
    octets = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)
    bits = np.unpackbits(octets[:, :17], axis=1)[:, :130].reshape(len(digests), 26, 5)
    letters = _BASE32[bits @ np.array([16, 8, 4, 2, 1], dtype=np.uint8)]
    return ["p_" + one.decode() for one in letters.view("S26").ravel().tolist()]


def _pack(value: Mapping[str, object]) -> bytes:
    try:
        return _FAST_JSON.encode(value)
    except (TypeError, OverflowError):  # whole numbers beyond 64 bits, numpy's, other mappings
        return _JSON.encode(value).encode()


def _nonces(count: int) -> Iterator[bytes]:
    """Fresh nonces out of one call to the system."""
    drawn = os.urandom(_NONCE * count)
    return (drawn[start : start + _NONCE] for start in range(0, len(drawn), _NONCE))


def _encrypt(cipher: AESGCM, content: bytes, key_id: str, nonce: bytes | None = None) -> bytes:
    nonce = os.urandom(_NONCE) if nonce is None else nonce
    return BLOB_VERSION + nonce + cipher.encrypt(nonce, content, key_id.encode())


def _decrypt(cipher: AESGCM, blob: bytes, key_id: str) -> bytes:
    if blob[:1] != BLOB_VERSION:
        raise InvalidParameter(
            f"encrypted content has format {blob[:1].hex() or 'none'}, this Zhiyin knows 01"
        )
    try:
        return cipher.decrypt(blob[1 : 1 + _NONCE], blob[1 + _NONCE :], key_id.encode())
    except InvalidTag as error:
        raise InvalidParameter(
            "encrypted content was changed, or belongs to another key",
            hint="look whether keys/vault.json is the one of this workspace",
        ) from error


def _stored_keys(connection: sa.Connection, key_ids: Sequence[str]) -> dict[str, bytes]:
    query = sa.select(data_keys.c.key_id, data_keys.c.wrapped)
    found: dict[str, bytes] = {}
    for chosen in _among(connection, key_ids):
        found.update(map(tuple, connection.execute(query.where(chosen))))
    return found


def _among(connection: sa.Connection, key_ids: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that together choose the rows of `key_ids`."""
    if connection.dialect.name == "sqlite":  # one text for all of them instead of a value each
        listed = sa.func.json_each(json.dumps(key_ids)).table_valued("value")
        yield data_keys.c.key_id.in_(sa.select(listed.c.value))
    else:
        yield from (data_keys.c.key_id.in_(chunk) for chunk in _chunks(key_ids))


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _insert_absent(connection: sa.Connection, rows: Sequence[tuple[str, bytes]]) -> int:
    """Add keys that are not there yet; how many were not."""
    if connection.dialect.name == "postgresql":
        named = [{"key_id": key_id, "wrapped": wrapped} for key_id, wrapped in rows]
        return connection.execute(
            postgresql.insert(data_keys).on_conflict_do_nothing(), named
        ).rowcount
    statement = sqlite.insert(data_keys).on_conflict_do_nothing()
    text = str(statement.compile(connection, column_keys=["key_id", "wrapped"]))
    return connection.exec_driver_sql(text, list(rows)).rowcount  # no work for each value

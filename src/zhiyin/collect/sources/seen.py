"""Which rows of the overlap window are in the lake: keyed hashes of key and content.

Every pull reads a little before its cursor once more, because a transaction may commit late. The
hashes let it skip what it has, so that a refused row is not refused twice. They hold nothing that
can be read back: the hash is keyed by the workspace's vault.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b

_SIZE = 8
LIMIT = 200_000
"""Rows remembered; more that stand in one window are read and compared with the lake again."""

Pair = tuple[bytes, bytes]
"""Hash of a row's key and of its content."""


class Seen:
    """Key → content of the rows in the window, oldest first.

    Parameters
    ----------
    secret
        64 hexadecimal digits that key the hashes.
    held
        What `to_bytes` gave.
    """

    def __init__(self, secret: str, held: bytes | None = None) -> None:
        self._key = bytes.fromhex(secret)[:64]
        body = held or b""
        pairs = (body[place : place + 2 * _SIZE] for place in range(0, len(body), 2 * _SIZE))
        self._rows = {pair[:_SIZE]: pair[_SIZE:] for pair in pairs}

    def __len__(self) -> int:
        return len(self._rows)

    def pair(self, key: Sequence[str | None], content: Sequence[str | None]) -> Pair:
        """The hashes of one row."""
        return self._hash(key), self._hash(content)

    def has(self, pair: Pair) -> bool:
        """Whether this is the row that was loaded last under its key."""
        return self._rows.get(pair[0]) == pair[1]

    def after(self, pairs: Iterable[Pair]) -> bytes:
        """What the ledger keeps: these rows and `pairs`, the newest of each key."""
        rows = dict(self._rows)
        for key, content in pairs:
            rows.pop(key, None)
            rows[key] = content
        kept = list(rows.items())[-LIMIT:]
        return b"".join(key + content for key, content in kept)

    def _hash(self, values: Sequence[str | None]) -> bytes:
        text = json.dumps(values, ensure_ascii=False).encode()
        return blake2b(text, key=self._key, digest_size=_SIZE).digest()

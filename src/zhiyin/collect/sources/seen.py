"""Which rows of the overlap window are in the lake: keyed hashes of key and content.

Every pull reads a little before its cursor once more, because a transaction may commit late. The
hashes let it skip what it has, so that a refused row is not refused twice. They hold nothing that
can be read back: the hash is keyed by the workspace's vault.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

_SIZE = 8
LIMIT = 200_000
"""Rows remembered; more that stand in one window are read and compared with the lake again."""


class Seen:
    """Key → content of the rows in the window, oldest first."""

    def __init__(self, secret: str, held: bytes | None = None) -> None:
        self._secret = secret.encode()
        body = held or b""
        pairs = (body[place : place + 2 * _SIZE] for place in range(0, len(body), 2 * _SIZE))
        self._rows = {pair[:_SIZE]: pair[_SIZE:] for pair in pairs}

    def __len__(self) -> int:
        return len(self._rows)

    def has(self, key: Sequence[str | None], content: Sequence[str | None]) -> bool:
        """Whether this is the row that was loaded last under `key`."""
        return self._rows.get(self._hash(key)) == self._hash(content)

    def after(
        self, rows: Sequence[tuple[Sequence[str | None], Sequence[str | None], bool]]
    ) -> Seen:
        """With `rows` (key, content, whether it is in the next window) as the newest."""
        made = Seen("")
        made._secret, made._rows = self._secret, dict(self._rows)
        for key, content, wanted in rows:
            name = self._hash(key)
            made._rows.pop(name, None)
            if wanted:
                made._rows[name] = self._hash(content)
        for name in list(made._rows)[: max(len(made._rows) - LIMIT, 0)]:
            del made._rows[name]
        return made

    def to_bytes(self) -> bytes:
        """What the ledger keeps."""
        return b"".join(key + content for key, content in self._rows.items())

    def _hash(self, values: Sequence[str | None]) -> bytes:
        text = json.dumps(list(values), ensure_ascii=False).encode()
        return hmac.new(self._secret, text, hashlib.sha256).digest()[:_SIZE]

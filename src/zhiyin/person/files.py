"""Files of a workspace that may hold a person's data beside the lake and the ledger."""

from __future__ import annotations

import email
from collections.abc import Iterator, Sequence
from email import policy
from pathlib import Path

REPORTS = "reports"
_KEPT = ("lake", "keys", "online")  # erased row by row, or holding no data
_LEDGER = "ledger.db"
_SETTINGS = "zhiyin.toml"
MAIL = ".eml"


def remove_files(folder: Path, *, message_ids: Sequence[str], texts: Sequence[str]) -> int:
    """Remove mails of the given messages, reports, and every other file that names the person.

    Parameters
    ----------
    message_ids
        Ids of her messages: files named for them go.
    texts
        Identifiers and texts of hers, long enough not to be somewhere by chance: files that hold
        one go, decoded where they are mails.

    Returns
    -------
    How many files were removed. Reports are made anew by the caller.
    """
    named = {one.casefold() for one in message_ids}
    removed = 0
    for path in sorted(_files(folder)):
        mine = path.relative_to(folder).parts[0] == REPORTS or path.stem.casefold() in named
        if mine or holds_any(path, texts):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def holds_any(path: Path, texts: Sequence[str]) -> bool:
    """Whether the file holds one of the texts, in any letter case; mails are decoded."""
    content = path.read_bytes()
    plain = content.decode("utf-8", errors="replace")
    if path.suffix == MAIL:
        plain += "\n".join(_mail_parts(content))
    plain = plain.casefold()
    return any(text.casefold() in plain for text in texts)


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in (*_KEPT, _SETTINGS) or entry.name.startswith(_LEDGER):
            continue
        found = [entry] if entry.is_file() else entry.rglob("*")
        yield from (one for one in found if one.is_file())


def _mail_parts(content: bytes) -> Iterator[str]:
    mail = email.message_from_bytes(content, policy=policy.default)
    yield from (str(value) for value in mail.values())
    for part in mail.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield payload.decode(part.get_content_charset() or "utf-8", errors="replace")

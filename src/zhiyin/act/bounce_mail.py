"""Reads mails that come back: delivery reports (RFC 3464), complaints (RFC 5965), refusals.

The message is found by our own header or `Message-ID` in what is quoted, else by the address that
the report came to (VERP). Recipients in a report are not read: whoever can write a mail could put
anybody there.
"""

from __future__ import annotations

import hashlib
import mailbox
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from zhiyin.act.create.message import MESSAGE_ID_HEADER
from zhiyin.act.links import read_unsubscribe
from zhiyin.act.returned import BOUNCE, COMPLAINT, DELAY, DELIVERED, UNSUBSCRIBE, Returned
from zhiyin.core.errors import InputError
from zhiyin.core.protocols import Vault

MAX_BYTES = 10_000_000
_OURS = re.compile(r"m_[0-9a-f]{32}")
_VERP = re.compile(r"\+(m_[0-9a-f]{32})@")
_CODE = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_UNSUBSCRIBE = re.compile(r"^\s*unsubscribe\s+(\S+)\s*$", re.IGNORECASE)
_KINDS = {
    "failed": BOUNCE, "delayed": DELAY, "delivered": DELIVERED, "relayed": DELIVERED,
    "expanded": DELIVERED,
}  # fmt: skip
_COMPLAINTS = {"abuse": COMPLAINT, "fraud": COMPLAINT, "virus": COMPLAINT, "opt-out": UNSUBSCRIBE}


def read_bounce(content: bytes, *, vault: Vault) -> Returned | None:
    """What a mail reports of a message of ours; None: it is no report that we understand."""
    mail = message_from_bytes(content)
    key = hashlib.sha256(content).hexdigest()
    asked = _UNSUBSCRIBE.match(str(mail.get("Subject", "")))
    if asked:
        message_id = read_unsubscribe(vault, asked.group(1))
        return Returned(message_id, UNSUBSCRIBE, key) if message_id else None
    report = _report(mail)
    message_id = _message_of(mail) if report else None
    if report is None or message_id is None:
        return None
    kind, status = report
    return Returned(message_id, kind, key, status)


def read_mails(place: Path) -> Iterator[bytes]:
    """The mails of a file (one mail, or an mbox) or a folder (a Maildir, or mails as files).

    Raises
    ------
    InputError
        If there is no such file or folder.
    """
    if not place.exists():
        raise InputError(f"there is no file or folder {place}", hint="give a mail, mbox or Maildir")
    if place.is_file():
        yield from _of_file(place)
        return
    if (place / "new").is_dir() or (place / "cur").is_dir():
        files = [*sorted((place / "new").glob("*")), *sorted((place / "cur").glob("*"))]
    else:
        files = sorted(place.iterdir())
    for file in files:
        if file.is_file() and not file.name.startswith("."):
            yield from _of_file(file)


def _of_file(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        is_mbox = opened.read(5) == b"From "
    if is_mbox:
        box = mailbox.mbox(file, create=False)
        try:
            for key in box.keys():  # noqa: SIM118  # iterating the box itself parses every mail
                yield box.get_bytes(key)[:MAX_BYTES]
        finally:
            box.close()
    else:
        with file.open("rb") as opened:
            yield opened.read(MAX_BYTES)


def _report(mail: Message) -> tuple[str, str] | None:
    """What happened, and the status code, by the first machine-readable part."""
    for part in mail.walk():
        kind = part.get_content_type()
        blocks = part.get_payload() if part.is_multipart() else []
        fields = [one for one in blocks if isinstance(one, Message)]
        if kind == "message/delivery-status":
            return _delivery(fields)
        if kind == "message/feedback-report":
            return _feedback(part, fields)
    return None


def _delivery(blocks: list[Message]) -> tuple[str, str] | None:
    for block in blocks:
        happened = _KINDS.get(str(block.get("Action", "")).strip().lower())
        if happened is None:
            continue
        said = f"{block.get('Status', '')} {block.get('Diagnostic-Code', '')}"
        code = _CODE.search(said)
        return happened, code.group() if code else ""
    return None


def _feedback(part: Message, blocks: list[Message]) -> tuple[str, str] | None:
    for block in [*blocks, part]:
        said = str(block.get("Feedback-Type", "")).strip().lower()
        if said in _COMPLAINTS:
            return _COMPLAINTS[said], said
    return None


def _message_of(mail: Message) -> str | None:
    """Our id of the message that a report is about."""
    for part in mail.walk():
        kind = part.get_content_type()
        if part is not mail:
            found = _id_in(part)
            if found:
                return found
        if kind in ("text/rfc822-headers", "message/rfc822-headers") and not part.is_multipart():
            raw = part.get_payload(decode=True)
            found = _id_in(message_from_bytes(raw if isinstance(raw, bytes) else b""))
            if found:
                return found
    for name in ("To", "Delivered-To", "X-Original-To", "Envelope-To"):
        for value in mail.get_all(name, []):
            verp = _VERP.search(str(value))
            if verp:
                return verp.group(1)
    return None


def _id_in(part: Message) -> str | None:
    for name in (MESSAGE_ID_HEADER, "Message-ID"):
        found = _OURS.search(str(part.get(name, "")))
        if found:
            return found.group()
    return None

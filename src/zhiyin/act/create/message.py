"""The bytes of an e-mail (RFC 5322, MIME) with what mailbox providers ask of bulk senders.

Headers are written here and not by `email.message.EmailMessage`, which takes 4 ms a message and
folds a long `List-Unsubscribe` into encoded words that no mailbox provider reads. The parts are
deterministic: the boundary is the message's id.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode, encodebytes
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from zhiyin.act.create.content import clean
from zhiyin.act.create.email import Rendered, break_lines, fits
from zhiyin.core.errors import InvalidParameter

CRLF = "\r\n"
MESSAGE_ID_HEADER = "X-Zhiyin-Message-Id"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LINKS = re.compile(r"https?://[!-;=?-~]+")  # printable ASCII without < and >
_LOCAL = re.compile(r"(?=.{1,64}$)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)
_ASCII = bytes(range(128))
_LONGEST = 998  # characters of a line, RFC 5322, 2.1.1
_FOREIGN_SHARE = 0.1  # more than this outside ASCII is shorter as base64


@dataclass(frozen=True)
class Envelope:
    """Who writes to whom, when. Addresses are personal: they are not in the repr."""

    message_id: str
    sender_name: str
    sender_address: str
    recipient: str = field(repr=False)
    at: datetime  # aware
    unsubscribe_url: str = field(repr=False)  # ends in `/` and the token of the `mailto`


def compose(envelope: Envelope, rendered: Rendered, *, language: str) -> bytes:
    """The whole e-mail, lines ended by CRLF: plain text and HTML as alternatives.

    `List-Unsubscribe` and `List-Unsubscribe-Post` are those of RFC 8058: a POST to the link
    unsubscribes at once; the `mailto` is for programs that know no other way.

    Raises
    ------
    InvalidParameter
        If an address, the message's id or the link is malformed. None of them is quoted.
    """
    sender = ascii_address(envelope.sender_address)
    recipient = ascii_address(envelope.recipient)
    if not _MESSAGE_ID.fullmatch(envelope.message_id):
        raise InvalidParameter("a message id may hold letters, digits, - and _ only")
    if not _LINKS.fullmatch(envelope.unsubscribe_url):
        raise InvalidParameter("the unsubscribe link is no http(s) address")
    subject = f"unsubscribe%20{quote(envelope.unsubscribe_url.rpartition('/')[2])}"
    boundary = f"=_{envelope.message_id}"
    headers = [
        ("From", _mailbox(envelope.sender_name, sender)),
        ("To", recipient),
        ("Subject", _words("Subject", rendered.subject)),
        ("Date", _date(envelope.at)),
        ("Message-ID", f"<{envelope.message_id}@{sender.rpartition('@')[2]}>"),
        (
            "List-Unsubscribe",
            f"<{envelope.unsubscribe_url}>,{CRLF} <mailto:{sender}?subject={subject}>",
        ),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        (MESSAGE_ID_HEADER, envelope.message_id),
        ("Content-Language", language),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative;{CRLF} boundary="{boundary}"'),
    ]
    lines = [f"{name}: {value}" for name, value in headers]
    lines += ["", *_part(boundary, "plain", rendered.text)]
    lines += [*_part(boundary, "html", rendered.html), f"--{boundary}--", ""]
    return CRLF.join(lines).encode("ascii")


@lru_cache(maxsize=4)
def _date(at: datetime) -> str:  # of a batch one
    return format_datetime(at)


def ascii_address(address: str) -> str:
    """The mailbox `local@domain` as it stands in SMTP; a domain in other letters in its ASCII form.

    Raises
    ------
    InvalidParameter
        If it is none: without domain, with a space or line break, or with a second address in it.
        Quoted and non-ASCII local parts are not supported.
    """
    local, _, domain = address.rpartition("@")
    try:
        name = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(name):
        raise InvalidParameter("an e-mail address is malformed")
    return f"{local}@{name}"


def _mailbox(name: str, spec: str) -> str:
    shown = clean(name, limit=80)
    if not shown:
        return spec
    if not shown.isascii():
        return f"{_words('From', shown)}{CRLF} <{spec}>"
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{spec}>'


def _words(header: str, text: str) -> str:
    """`text` for a header: one line of ASCII as it is, anything else as encoded words (RFC 2047).

    Each word holds whole characters, and no line is longer than 76.
    """
    line = clean(text, limit=400)
    if line.isascii() and len(header) + len(line) < 76 and "=?" not in line:
        return line
    words: list[bytes] = []
    held, room = b"", _word_room(len(header) + 2)
    for one in line:
        piece = one.encode()
        if len(held) + len(piece) > room:
            words.append(held)
            held, room = b"", _word_room(1)
        held += piece
    words.append(held)
    return f"{CRLF} ".join(f"=?utf-8?b?{b64encode(one).decode('ascii')}?=" for one in words)


def _word_room(before: int) -> int:
    """Bytes that fit into one encoded word on a line after `before` characters."""
    return (76 - before - len("=?utf-8?b??=")) // 4 * 3


def _part(boundary: str, kind: str, body: str) -> Iterator[str]:
    html = kind == "html"
    encoding, encoded = _encode(_ascii_html(body) if html else body, fitting=html)
    yield f"--{boundary}"
    yield f"Content-Type: text/{kind}; charset=utf-8"
    yield f"Content-Transfer-Encoding: {encoding}"
    yield ""
    yield encoded


def _ascii_html(html: str) -> str:
    """The same HTML in ASCII, in lines that SMTP carries as they are.

    Other characters become numeric references. Lines are broken inside tags, before the `>` that
    follows an attribute, where white space means nothing.
    """
    if not html.isascii():
        html = html.encode("ascii", "xmlcharrefreplace").decode("ascii")
    return break_lines(html, longest=_LONGEST)


def _encode(body: str, *, fitting: bool) -> tuple[str, str]:
    """7bit where lines allow it, quoted-printable for what is mostly ASCII, else base64; `fitting`:
    its lines are known to be short enough.
    """
    text = body.replace(CRLF, "\n").replace("\r", "\n") if "\r" in body else body
    plain = text.isascii() and (fitting or fits(text, _LONGEST))
    text = text.replace("\n", CRLF)
    if plain:
        return "7bit", text
    content = text.encode()
    if len(content.translate(None, _ASCII)) > _FOREIGN_SHARE * len(content):
        encoded = encodebytes(content).decode("ascii").replace("\n", CRLF)
        return "base64", encoded.removesuffix(CRLF)
    return "quoted-printable", binascii.b2a_qp(content, istext=True).decode("ascii")

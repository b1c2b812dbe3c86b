"""Links that tell that they were followed, and the picture that tells that a letter was opened.

A tracked link is a signed redirect: where it leads stands in the signed part, so that nobody can
make one that leads elsewhere, and it leads there still when the message was erased. Links of
our own (unsubscribe, preferences, confirm) are never tracked.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape, unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

from zhiyin.act.create.email import Rendered
from zhiyin.act.links import CLICK, OPEN, link, read
from zhiyin.core.config import ActSettings
from zhiyin.core.protocols import Vault

NO_URL = "https://example.invalid"
"""The public address of a workspace that has none: nothing answers there."""
PICTURE = ".gif"
_HREF = re.compile(r'(<[aA]\b[^>]*?\b(?i:href)=")((?i:https?)://[^"]+)(")')  # quick: begins with <
_TEXT = re.compile(r"https?://[^\s<>\"]+")
_END = "</body>"
_LONGEST = 2_000
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Clicked:
    """A tracked link: of which message, how many links the letter has, where it leads."""

    message_id: str
    links: int
    url: str

    @property
    def place(self) -> str:
        """Where it leads, without what stands behind `?` or `#`."""
        return self.url.partition("#")[0].partition("?")[0][:400]


def track(
    rendered: Rendered,
    *,
    settings: ActSettings,
    vault: Vault,
    message_id: str,
    campaign_id: str,
) -> Rendered:
    """The letter with links that are tagged and, as the settings say, tracked.

    Plain text keeps its addresses, tagged: whoever reads it sees where a link leads.
    """
    tagged = tag_links(rendered, settings=settings, campaign_id=campaign_id)
    own = settings.public_url.rstrip("/")
    if own == NO_URL:
        return tagged
    html = tagged.html
    if settings.track_links:
        count = len({one for one in _found(html) if not _is_own(one, own)})

        def tracked(url: str) -> str:
            subject = f"{message_id}.{count}.{_packed(url)}"
            return link(vault, CLICK, subject, public_url=own)

        html = _each(html, own, tracked)
    if settings.track_opens:
        address = link(vault, OPEN, message_id, public_url=own) + PICTURE
        picture = f'<img src="{escape(address)}" width="1" height="1" alt="">'
        before, end, after = html.rpartition(_END)
        html = f"{before}{picture}{end}{after}" if end else html + picture
    return replace(tagged, html=html)


def tag_links(rendered: Rendered, *, settings: ActSettings, campaign_id: str) -> Rendered:
    """The letter with the UTM parameters of the settings on every link that has none of them."""
    tags = tuple(
        (name, value.replace("{campaign}", campaign_id))
        for name, value in (
            ("utm_source", settings.utm_source),
            ("utm_medium", settings.utm_medium),
            ("utm_campaign", settings.utm_campaign),
        )
        if value
    )
    if not tags:
        return rendered
    own = settings.public_url.rstrip("/")

    def in_text(match: re.Match[str]) -> str:
        url = match.group()
        return url if _is_own(url, own) else add_tags(url, tags)

    return replace(
        rendered,
        html=_each(rendered.html, own, lambda url: add_tags(url, tags)),
        text=_TEXT.sub(in_text, rendered.text),
    )


@lru_cache(maxsize=_REMEMBERED)
def add_tags(url: str, tags: tuple[tuple[str, str], ...]) -> str:
    """`url` with the parameters that it does not have yet; everything else stays as it is."""
    head, mark, fragment = url.partition("#")
    query = head.partition("?")[2]
    held = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    added = urlencode([(name, value) for name, value in tags if name not in held])
    if not added:
        return url
    joint = "" if head.endswith(("?", "&")) else "&" if "?" in head else "?"
    return f"{head}{joint}{added}{mark}{fragment}"


def read_click(vault: Vault, token: str) -> Clicked | None:
    """What a tracked link's token is; None where it was not made by us."""
    subject = read(vault, CLICK, token)
    if subject is None:
        return None
    message_id, links, packed = subject.split(".")
    try:
        url = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):  # another version's
        return None
    return Clicked(message_id, int(links), url)


def read_open(vault: Vault, name: str) -> str | None:
    """The message whose picture this is; None where it was not made by us."""
    return read(vault, OPEN, name.removesuffix(PICTURE)) if name.endswith(PICTURE) else None


def links_of(rendered: Rendered, *, public_url: str) -> list[str]:
    """Addresses that the letter's links lead to, each once, without our own."""
    own = public_url.rstrip("/")
    found = [*_found(rendered.html), *_TEXT.findall(rendered.text)]
    return [one for one in dict.fromkeys(found) if not _is_own(one, own)]


def is_whole(url: str) -> bool:
    """Whether a link is one that a browser can follow: http(s), a host, no space, no braces."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    odd = any(mark <= " " or mark in '{}<>"\\' for mark in url) or port == 0
    return parts.scheme in ("http", "https") and "." in host.strip(".") and not odd


def _found(html: str) -> list[str]:
    return [unescape(match.group(2)) for match in _HREF.finditer(html)]


def _each(html: str, own: str, change: Callable[[str], str]) -> str:
    """`html` with the address of every link that is not our own changed."""

    def put(match: re.Match[str]) -> str:
        url = unescape(match.group(2))
        if _is_own(url, own) or len(url) > _LONGEST:
            return match.group()
        return f"{match.group(1)}{escape(change(url))}{match.group(3)}"

    return _HREF.sub(put, html)


def _is_own(url: str, own: str) -> bool:
    return url.startswith(f"{own}/")


@lru_cache(maxsize=_REMEMBERED)
def _packed(url: str) -> str:
    return base64.urlsafe_b64encode(url.encode()).rstrip(b"=").decode("ascii")

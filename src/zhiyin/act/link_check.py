"""Looks at the links of messages before they are sent: malformed, or leading nowhere.

Each address is asked for once, through the same guard as every address that somebody typed in:
never on this machine or its inner network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from zhiyin.act.channels.outgoing import Target
from zhiyin.act.ledger import load_planned
from zhiyin.act.letters import render_letter
from zhiyin.act.letters_job import load_letters
from zhiyin.act.tracked import is_whole, links_of
from zhiyin.core.context import Context
from zhiyin.core.errors import ChannelUnavailable
from zhiyin.govern.people import EMAIL

MALFORMED, UNREACHABLE, DEAD = "malformed", "unreachable", "dead"
WORDS = {
    MALFORMED: ("no web address that a browser can follow", "不是有效网址"),
    UNREACHABLE: ("nobody answers there", "无法访问"),
    DEAD: ("the page is not there", "页面不存在"),
}
"""What is wrong with a link: code → (en, zh)."""
LOOKED_AT = 500
_DEAD = frozenset({404, 410})
_AGAIN = frozenset({403, 404, 405, 501})  # some servers answer so to HEAD alone
_SAFE = "!#$%&'()*+,/:;=?@[]~"
_AGENT = {"User-Agent": "Zhiyin link check", "Accept": "*/*"}


@dataclass(frozen=True)
class Fault:
    """A link that should not be sent; `status` is the answer's, where there was one."""

    url: str
    problem: str
    messages: int
    status: int | None = None


def planned_links(ctx: Context, campaign_id: str) -> dict[str, int]:
    """Links of the campaign's planned messages → in how many of them each stands.

    The first `LOOKED_AT` messages by priority and id are looked at.
    """
    rows = load_planned(ctx, campaign_id, limit=LOOKED_AT)
    contents = ctx.vault.unseal([row.party_id for row in rows], [row.content for row in rows])
    found: Counter[str] = Counter()
    for row, content in zip(rows, contents, strict=True):
        if content is None or row.channel != EMAIL:
            continue
        rendered = render_letter(
            content, settings=ctx.settings, vault=ctx.vault, message_id=row.message_id,
            language=row.language, signed=False, letters=load_letters(ctx, content),
        )  # fmt: skip
        found.update(links_of(rendered, public_url=ctx.settings.act.public_url))
    return dict(sorted(found.items()))


def check_links(
    links: Mapping[str, int], *, private: bool = False, timeout_s: float = 5.0
) -> list[Fault]:
    """What is wrong with each of the links, in order; empty: every page is there.

    A page that asks for a login, moves elsewhere or answers too slowly for a person is taken for
    one that is there.
    """
    return list(_faults(links, private=private, timeout_s=timeout_s))


def _faults(links: Mapping[str, int], *, private: bool, timeout_s: float) -> Iterable[Fault]:
    for url, count in links.items():
        if not is_whole(url) and not (private and url.startswith("http://127.0.0.1")):
            yield Fault(url, MALFORMED, count)
            continue
        status = _status(_target(url, private=private), timeout_s)
        if status is None:
            yield Fault(url, UNREACHABLE, count)
        elif status in _DEAD or status >= 500:
            yield Fault(url, DEAD, count, status)


def _target(url: str, *, private: bool) -> Target:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname or "", port, quote(path, safe=_SAFE), private)


def _status(target: Target, timeout_s: float) -> int | None:
    """The status of the page; None where nobody answers."""
    answered: int | None = None
    for method in ("HEAD", "GET"):
        try:
            line = target.connect(timeout_s)
        except ChannelUnavailable:
            return answered
        try:
            line.request(method, target.path, headers=_AGENT)
            answered = line.getresponse().status
        except (OSError, HTTPException, ValueError):
            return answered
        finally:
            line.close()
        if answered not in _AGAIN:
            return answered
    return answered

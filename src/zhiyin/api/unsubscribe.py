"""The link in every e-mail: GET asks, POST acts at once (RFC 8058).

Mail scanners follow every link, so a GET changes nothing. Whoever holds the signed link may act
without an account; it says nothing about anybody.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from html import escape

import sqlalchemy as sa
from fastapi import Request
from starlette.responses import HTMLResponse

from zhiyin.act.links import read_unsubscribe
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.app import Workspace
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import consents, messages
from zhiyin.core.parties import joined_parties
from zhiyin.govern.gate import UNSUBSCRIBED, consent_state
from zhiyin.govern.ledger import add_suppressions, read_consents
from zhiyin.govern.suppression import NAMESPACE_OF, suppression_tokens
from zhiyin.store.ledger import reading, transaction

PURPOSE = "marketing"
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_WORDS = {
    "en": {
        "title": "Unsubscribe",
        "ask": "Stop getting messages like this one?",
        "button": "Unsubscribe",
        "done": "Done. You will get no more messages like that one.",
    },
    "zh": {
        "title": "退订",
        "ask": "不再接收此类消息？",
        "button": "退订",
        "done": "已退订，您将不再收到此类消息。",
    },
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 18px/1.6 system-ui, "PingFang SC", sans-serif; max-width: 32rem; margin: 15vh auto;
padding: 0 1.5rem; }}
button {{ font: inherit; padding: .5rem 1.4rem; cursor: pointer; }}
</style></head><body>
{body}
</body></html>
"""


def ask(request: Request, token: str) -> HTMLResponse:
    """Ask whether to unsubscribe; nothing changes."""
    shop = workspace_of(request)
    row = _find(shop, token)
    words = _WORDS[_language(shop, row)]
    form = f'<form method="post"><button>{escape(words["button"])}</button></form>'
    return _page(shop, row, f"<p>{escape(words['ask'])}</p>\n{form}")


def act(request: Request, token: str) -> HTMLResponse:
    """Refuse marketing on the message's channel for its person, at once and for good."""
    shop = workspace_of(request)
    row = _find(shop, token)
    if row is not None:  # otherwise she was erased, and is suppressed already
        unsubscribe(shop, row.party_id, row.channel)
    return _page(shop, row, f"<p>{escape(_WORDS[_language(shop, row)]['done'])}</p>")


def unsubscribe(shop: Workspace, party: str, channel: str) -> None:
    """Record a refusal of marketing by the party, and suppress its addresses on the channel.

    Both hold for the whole person while she is joined with others; undoing a merge gives each
    record its own back. A party without an address got the message at one of the person's: then
    those are suppressed. Doing it again changes nothing.
    """
    parties = joined_parties(party, shop.store.representatives())
    rows = shop.store.read("identities")
    held = rows.filter(
        rows[c.PARTY_ID].isin(parties) & (rows[c.NAMESPACE] == NAMESPACE_OF.get(channel, channel))  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    )
    found = held.select(c.PARTY_ID, c.IDENTITY_ID).distinct().to_pyarrow().to_pylist()
    mine = [row for row in found if row[c.PARTY_ID] == party] or found
    tokens = suppression_tokens(shop.vault, {row[c.IDENTITY_ID] for row in mine})
    now = shop.clock.now()
    row = {
        "party_id": party, "purpose": PURPOSE, "channel": channel, "granted": False,
        "at": naive_utc(now), "source": "unsubscribe", "text_version": None,
    }  # fmt: skip
    content = json.dumps(row, default=str, sort_keys=True).encode()
    row["consent_id"] = hashlib.sha256(content).hexdigest()
    with transaction(shop.store.ledger) as connection:
        lines = read_consents(connection, [party], purpose=PURPOSE).get(party, [])
        moment = now if now.tzinfo else now.replace(tzinfo=UTC)
        if consent_state(lines, purpose=PURPOSE, channel=channel, at=moment) != "refused":
            connection.execute(consents.insert().values(**row))
        listed = [(token, channel) for token in tokens]
        add_suppressions(connection, listed, reason=UNSUBSCRIBED, at=now)


def _find(shop: Workspace, token: str):
    """The message of a link, None where it is gone with its person.

    Raises
    ------
    NotFound
        If the link was not made here.
    """
    message_id = read_unsubscribe(shop.vault, token)
    if message_id is None:
        raise NotFound("this link is not one of ours", hint="open the link as it is in the e-mail")
    query = sa.select(messages).where(messages.c.message_id == message_id)
    with reading(shop.store.ledger) as connection:
        return connection.execute(query).one_or_none()


def _language(shop: Workspace, row: sa.Row | None) -> str:
    spoken = row.language if row is not None else shop.settings.languages[0]
    return "zh" if spoken.lower().startswith("zh") else "en"


def _page(shop: Workspace, row: sa.Row | None, body: str) -> HTMLResponse:
    language = _language(shop, row)
    head = f"<h1>{escape(shop.settings.name)}</h1>\n"
    page = _PAGE.format(language=language, title=_WORDS[language]["title"], body=head + body)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


ROUTES = (
    Route("GET", "/u/{token}", PUBLIC, ask),
    Route("POST", "/u/{token}", PUBLIC, act),
)

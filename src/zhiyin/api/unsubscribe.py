"""The link in every e-mail: GET asks, POST acts at once (RFC 8058).

Mail scanners follow every link, so a GET changes nothing. Whoever holds the signed link may act
without an account; it says nothing about anybody.
"""

from __future__ import annotations

from html import escape

import sqlalchemy as sa
from fastapi import Request
from starlette.responses import HTMLResponse

from zhiyin.act.links import read_unsubscribe
from zhiyin.api.access import PUBLIC, Route, consents_of, workspace_of
from zhiyin.api.small_pages import language_of, small_page
from zhiyin.app import Workspace
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import messages
from zhiyin.store.ledger import reading

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
        consents_of(request).unsubscribe(row.party_id, row.channel)
    return _page(shop, row, f"<p>{escape(_WORDS[_language(shop, row)]['done'])}</p>")


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
    return language_of(row.language if row is not None else shop.settings.languages[0])


def _page(shop: Workspace, row: sa.Row | None, body: str) -> HTMLResponse:
    language = _language(shop, row)
    title = _WORDS[language]["title"]
    return small_page(shop.settings.name, language=language, title=title, body=body)


ROUTES = (
    Route("GET", "/u/{token}", PUBLIC, ask),
    Route("POST", "/u/{token}", PUBLIC, act),
)

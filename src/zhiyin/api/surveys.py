"""The page behind a survey link of a message: one question, one answer.

A GET changes nothing, for mail scanners follow links. An answer is thanked for when it is on the
disk; the first of a message and question counts, later ones are thanked for and leave it.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from fastapi import Depends, Request
from sqlalchemy.exc import OperationalError
from starlette.responses import HTMLResponse

from zhiyin.act.links import read_survey
from zhiyin.act.machines import judge_click
from zhiyin.act.reactions import add_answer, find_sent
from zhiyin.api.access import PUBLIC, Route, workspace_of
from zhiyin.api.small_pages import language_of, small_page
from zhiyin.app import Workspace
from zhiyin.core.errors import Busy, InvalidParameter, NotFound
from zhiyin.core.ledger import messages
from zhiyin.core.survey import CSAT, NPS, SCALES
from zhiyin.store.ledger import reading, transaction

_WORDS = {
    "en": {
        "title": "A question",
        CSAT: "How satisfied are you with us?",
        NPS: "How likely is it that you would recommend us to a friend?",
        "low": {CSAT: "1: not at all", NPS: "0: not at all likely"},
        "high": {CSAT: "5: very", NPS: "10: extremely likely"},
        "button": "Send",
        "done": "Thank you for your answer.",
    },
    "zh": {
        "title": "一个问题",
        CSAT: "您对我们满意吗？",
        NPS: "您向朋友推荐我们的可能性有多大？",
        "low": {CSAT: "1：非常不满意", NPS: "0：完全不可能"},
        "high": {CSAT: "5：非常满意", NPS: "10：非常可能"},
        "button": "提交",
        "done": "感谢您的回答。",
    },
}


async def _form(request: Request) -> dict[str, str]:
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text).items()}


def ask(request: Request, token: str, score: str = "") -> HTMLResponse:
    """Ask the question; `score` is chosen beforehand, so a letter may link each number."""
    shop = workspace_of(request)
    message_id, survey = _read(shop, token)
    words = _words(shop, message_id)
    lowest, highest = SCALES[survey]
    boxes = "".join(
        f'<label><input type="radio" name="score" value="{one}" required'
        f"{' checked' if score == str(one) else ''}> {escape(_label(words, survey, one))}</label>"
        for one in range(lowest, highest + 1)
    )
    form = (
        f'<form method="post"><fieldset>{boxes}</fieldset>'
        f"<button>{escape(words['button'])}</button></form>"
    )
    return _page(shop, words, f"<p>{escape(words[survey])}</p>\n{form}")


def answer(
    request: Request, token: str, form: Annotated[dict[str, str], Depends(_form)]
) -> HTMLResponse:
    """Keep the answer, once for each message and question.

    Raises
    ------
    InvalidParameter
        If it is not on the scale.
    Busy
        If it could not be written now.
    """
    shop = workspace_of(request)
    message_id, survey = _read(shop, token)
    lowest, highest = SCALES[survey]
    text = form.get("score", "")
    if text not in {str(one) for one in range(lowest, highest + 1)}:
        raise InvalidParameter(f"an answer is a whole number from {lowest} to {highest}")
    try:
        with transaction(shop.store.ledger) as connection:
            message = find_sent(connection, message_id)
            if message is not None:  # otherwise she was erased
                at = shop.clock.now()
                machine = judge_click(
                    method=request.method, user_agent=request.headers.get("user-agent", ""),
                    since_sent_s=message.since_s(at),
                )  # fmt: skip
                add_answer(connection, message, survey, int(text), at=at, machine=machine)
    except OperationalError as error:
        raise Busy("the answer could not be written now", retry_after_s=5) from error
    words = _words(shop, message_id)
    return _page(shop, words, f"<p>{escape(words['done'])}</p>")


def _read(shop: Workspace, token: str) -> tuple[str, str]:
    found = read_survey(shop.vault, token)
    if found is None:
        raise NotFound("this link is not one of ours", hint="open the link as it is in the message")
    return found


def _words(shop: Workspace, message_id: str) -> dict[str, Any]:
    query = sa.select(messages.c.language).where(messages.c.message_id == message_id)
    with reading(shop.store.ledger) as connection:
        spoken = connection.execute(query).scalar_one_or_none()
    language = language_of(spoken or shop.settings.languages[0])
    return {"language": language, **_WORDS[language]}


def _label(words: dict[str, Any], survey: str, score: int) -> str:
    lowest, highest = SCALES[survey]
    ends: dict[int, str] = {lowest: words["low"][survey], highest: words["high"][survey]}
    return ends.get(score, str(score))


def _page(shop: Workspace, words: dict[str, Any], body: str) -> HTMLResponse:
    return small_page(
        shop.settings.name, language=words["language"], title=words["title"], body=body
    )


ROUTES = (
    Route("GET", "/q/{token}", PUBLIC, ask),
    Route("POST", "/q/{token}", PUBLIC, answer),
)

"""The preference centre behind the second link of every message: GET shows, POST acts.

The signed link is the authority, so nothing that a browser sends by itself can change anything;
a POST without the page's own field changes nothing either.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from fastapi import Depends, Request
from starlette.responses import HTMLResponse

from zhiyin.act.links import PREFERENCES, read
from zhiyin.api.access import PUBLIC, Route, consents_of, workspace_of
from zhiyin.api.consents import facts_of
from zhiyin.api.small_pages import language_of, small_page
from zhiyin.core.errors import NotFound, TooFast
from zhiyin.core.ledger import messages
from zhiyin.govern.gate import ADS
from zhiyin.preferences import Choices, Preferences
from zhiyin.store.ledger import reading

PER_S = 1  # changes by one link; ten at once
SAVE, NOTHING = "save", "nothing"
LANGUAGES = {"en": "English", "zh": "中文"}
_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Your choices",
        "email": "Offers by e-mail",
        "sms": "Offers by text message",
        "call": "Offers by phone",
        "wecom": "Offers by WeCom",
        "wechat_subscribe": "Offers by WeChat mini-programme",
        "ads": "Your advertisements on other sites, by a list with my hashed address",
        "generic": "No personalised content: show me what everybody gets",
        "language": "Language of messages",
        "save": "Save",
        "nothing": "Unsubscribe from everything",
        "saved": "Saved. It holds from now on.",
        "gone": "We keep nothing about you any more, and write to you no more.",
    },
    "zh": {
        "title": "偏好设置",
        "email": "通过电子邮件接收优惠信息",
        "sms": "通过短信接收优惠信息",
        "call": "通过电话接收优惠信息",
        "wecom": "通过企业微信接收优惠信息",
        "wechat_subscribe": "通过微信小程序接收优惠信息",
        "ads": "凭我的哈希联系方式，在其他平台向我展示广告",
        "generic": "不接收个性化内容：只看大家都看到的内容",
        "language": "消息语言",
        "save": "保存",
        "nothing": "全部退订",
        "saved": "已保存，立即生效。",
        "gone": "我们已不再保存您的任何信息，也不会再联系您。",
    },
}


async def _form(request: Request) -> dict[str, str]:
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text).items()}


def show(request: Request, token: str) -> HTMLResponse:
    """What she chose, to be changed; nothing changes."""
    row = _find(request, token)
    return _page(request, row) if row is not None else _gone(request)


def change(
    request: Request, token: str, form: Annotated[dict[str, str], Depends(_form)]
) -> HTMLResponse:
    """Keep what she chose, from now on.

    Raises
    ------
    TooFast
        If the link is used again and again.
    """
    row = _find(request, token)
    if row is None:
        return _gone(request)
    _limit(request, row.message_id)
    centre, proof = Preferences(consents_of(request)), {"page": PREFERENCES, **facts_of(request)}
    action = form.get("action")
    if action == NOTHING:
        centre.refuse_all(row.party_id, proof=proof)
    elif action == SAVE:
        held = centre.choices(row.party_id, spoken=row.language)
        language = form.get("language", "")
        wanted = Choices(
            {channel: channel in form for channel in held.channels},
            "generic" in form,
            language if language in LANGUAGES else held.language,
            None if held.ads is None else ADS in form,
        )
        centre.choose(row.party_id, wanted, held=held, proof=proof)
    return _page(request, row, saved=action in (SAVE, NOTHING))


def _find(request: Request, token: str) -> Any:
    """The message of a link, None where it is gone with its person.

    Raises
    ------
    NotFound
        If the link was not made here.
    """
    shop = workspace_of(request)
    message_id = read(shop.vault, PREFERENCES, token)
    if message_id is None:
        raise NotFound("this link is not one of ours", hint="open the link as it is in the e-mail")
    query = sa.select(messages).where(messages.c.message_id == message_id)
    with reading(shop.store.ledger) as connection:
        return connection.execute(query).one_or_none()


def _limit(request: Request, message_id: str) -> None:
    try:
        request.app.state.rates.spend(message_id, 1, per_s=PER_S)
    except TooFast as error:
        raise TooFast(
            "these choices were changed too often", hint="wait a moment",
            retry_after_s=error.retry_after_s,
        ) from None  # fmt: skip


def _gone(request: Request) -> HTMLResponse:
    settings = workspace_of(request).settings
    language = language_of(settings.languages[0])
    words = _WORDS[language]
    body = f"<p>{escape(words['gone'])}</p>"
    return small_page(settings.name, language=language, title=words["title"], body=body)


def _page(request: Request, row: Any, *, saved: bool = False) -> HTMLResponse:
    held = Preferences(consents_of(request)).choices(row.party_id, spoken=row.language)
    asked = request.query_params.get("lang", "")
    language = asked if asked in LANGUAGES else language_of(held.language)
    words = _WORDS[language]
    boxes = [_box(one, words.get(one, one), on=on) for one, on in held.channels.items()]
    if held.ads is not None:
        boxes.append(_box(ADS, words[ADS], on=held.ads))
    boxes.append(_box("generic", words["generic"], on=held.generic))
    options = "".join(
        f'<option value="{one}"{" selected" if one == held.language else ""}>{name}</option>'
        for one, name in LANGUAGES.items()
    )
    other = next(one for one in LANGUAGES if one != language)
    body = "\n".join(
        [
            f'<p><a href="?lang={other}">{LANGUAGES[other]}</a></p>',
            f"<p><strong>{escape(words['saved'])}</strong></p>" if saved else "",
            f'<form method="post"><fieldset>{"".join(boxes)}',
            f"<label>{escape(words['language'])} ",
            f'<select name="language">{options}</select></label>',
            f'</fieldset><button name="action" value="{SAVE}">{escape(words["save"])}</button>',
            "</form>",
            f'<form method="post"><button name="action" value="{NOTHING}">',
            f"{escape(words['nothing'])}</button></form>",
        ]
    )
    name = workspace_of(request).settings.name
    return small_page(name, language=language, title=words["title"], body=body)


def _box(name: str, label: str, *, on: bool) -> str:
    checked = " checked" if on else ""
    return f'<label><input type="checkbox" name="{escape(name)}"{checked}> {escape(label)}</label>'


ROUTES = (
    Route("GET", "/p/{token}", PUBLIC, show),
    Route("POST", "/p/{token}", PUBLIC, change),
)

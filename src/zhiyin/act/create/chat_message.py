"""The words of messages in chats: of a member of staff in 企业微信, of a mini-programme in WeChat.

What a member sends is the same for all who get the same offer, so it greets nobody by name: else
every customer would be one more message to confirm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from zhiyin.act.create.content import clean, words_of
from zhiyin.act.create.text_message import TextMessage, write_text

WECOM, WECHAT = "wecom", "wechat_subscribe"
NO_MORE = {
    "en": "If you want no more of these, tell me.",
    "zh": "如不想再收到此类消息，请告诉我。",
}  # fmt: skip
_KIND = re.compile(r"[a-z_]+")
_LONGEST = {"thing": 20, "name": 10, "phrase": 5, "character_string": 32, "letter": 32}
_LONGEST_OF_OTHERS = 60


def write_short(
    channel: str, content: Mapping[str, Any], *, shop: str, language: str, name: str = ""
) -> TextMessage:
    """The message of a channel that is no e-mail."""
    if channel == WECOM:
        return write_wecom(content, shop=shop, language=language)
    if channel == WECHAT:
        return write_wechat(content, shop=shop, language=language, name=name)
    return write_text(content, shop=shop, language=language, name=name)


def write_wecom(content: Mapping[str, Any], *, shop: str, language: str) -> TextMessage:
    """What a member sends: the offer, and how to get no more of them."""
    words, zh = words_of(content, language), language == "zh"
    offer, day = clean(words["offer"], limit=300), clean(words["last_day"], limit=30)
    until = day and (f"，有效期至{day}" if zh else f", until {day}")
    named = clean(shop, limit=40)
    if zh:
        text = f"您好，{named}为您带来：{offer}{until}。{NO_MORE['zh']}"
    else:
        text = f"Hello from {named}: {offer}{until}. {NO_MORE['en']}"
    return TextMessage(text, {})


def write_wechat(
    content: Mapping[str, Any], *, shop: str, language: str, name: str = ""
) -> TextMessage:
    """What fills the keywords of a template; its text is for those who look at examples."""
    words = words_of(content, language)
    last_on = content.get("last_on")
    day = date.fromisoformat(last_on) if last_on else None
    params = {
        "shop": clean(shop, limit=40), "name": clean(name, limit=40),
        "offer": clean(words["offer"], limit=60), "language": language,
        "day": f"{day.year}年{day.month}月{day.day}日" if day else "",
    }  # fmt: skip
    shown = (params["shop"], params["offer"], params["day"])
    return TextMessage(" · ".join(one for one in shown if one), params)


def frame_wecom(text: str, *, language: str, marketing: bool) -> str:
    """A text of one's own as a member sends it: of marketing, with how to get no more of them."""
    ends = NO_MORE[language]
    return f"{text}\n{ends}" if marketing and ends not in text else text


def longest_of(keyword: str) -> int:
    """How many characters a keyword of a template (`thing1`) takes."""
    found = _KIND.match(keyword)
    return _LONGEST.get(found.group() if found else "", _LONGEST_OF_OTHERS)

"""The words of a text message (短信): what it offers, and how to get no more of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zhiyin.act.create.content import clean, words_of

OPT_OUT = {"en": "Reply STOP to opt out", "zh": "拒收请回复R"}
NUMBER = re.compile(r"\+[1-9]\d{6,14}")
"""A phone number as E.164."""
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")
_WAY_OUT = re.compile(r"退订|拒收|\b(stop|opt[ -]?out|unsubscribe)\b", re.IGNORECASE)
_LENGTHS = {True: (160, 153), False: (70, 67)}  # GSM 03.38, UCS-2: alone, as one of several


@dataclass(frozen=True)
class TextMessage:
    """One text message: the whole text, and its parts for providers that only fill templates.

    `data` fills a template of the message's own, by the template's names and in its order; without
    it `params` fill the workspace's. Empty `template` and `page`: the workspace's.
    """

    text: str
    params: Mapping[str, str]
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    template: str = ""
    page: str = ""

    def content(self) -> bytes:
        """What a channel is given."""
        values: dict[str, Any] = {"text": self.text, "params": dict(self.params)}
        more = {"data": dict(self.data), "template": self.template, "page": self.page}
        values |= {name: value for name, value in more.items() if value}
        return json.dumps(values, ensure_ascii=False).encode()


def read_text(content: bytes) -> TextMessage:
    """The message of what a channel was given."""
    values: dict[str, Any] = json.loads(content)
    return TextMessage(**values)


def frame_text(text: str, *, shop: str, language: str, marketing: bool) -> str:
    """A text of one's own as it arrives: the shop in front and, of marketing, how to opt out at the
    end, where the text does not say so itself.
    """
    named, zh = clean(shop, limit=20), language == "zh"
    if named and named not in text and not text.startswith("【"):
        text = f"【{named}】{text}" if zh else f"{named}: {text}"
    if marketing and not has_way_out(text):
        text = f"{text} {OPT_OUT[language]}"
    return text


def has_way_out(text: str) -> bool:
    """Whether a text says how to get no more of them."""
    return _WAY_OUT.search(text) is not None


def write_text(
    content: Mapping[str, Any], *, shop: str, language: str, name: str = ""
) -> TextMessage:
    """The text of a message's content; it begins with the shop and ends with how to opt out."""
    words = words_of(content, language)
    zh = language == "zh"
    params = {
        "shop": clean(shop, limit=20), "name": clean(name, limit=20),
        "offer": clean(words["offer"], limit=60), "day": clean(words["last_day"], limit=30),
    }  # fmt: skip
    until = params["day"] and (f"，有效期至{params['day']}" if zh else f", until {params['day']}")
    if zh:
        text = (
            f"【{params['shop']}】{params['name']}您好，{params['offer']}{until}。{OPT_OUT['zh']}"
        )
    else:
        hello = f"Hello {params['name']}, " if params["name"] else ""
        text = f"{params['shop']}: {hello}{params['offer']}{until}. {OPT_OUT['en']}"
    return TextMessage(text, params)


def count_segments(text: str) -> int:
    """How many messages a provider charges for: GSM 03.38 where it can, else UCS-2."""
    gsm = all(mark in _GSM or mark in _GSM_TWICE for mark in text)
    if gsm:
        length = len(text) + sum(mark in _GSM_TWICE for mark in text)
    else:
        length = len(text.encode("utf-16-be")) // 2
    alone, several = _LENGTHS[gsm]
    return 1 if length <= alone else -(-length // several)

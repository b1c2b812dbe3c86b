"""The words of a text message (短信): what it offers, and how to get no more of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zhiyin.act.create.content import clean, words_of

OPT_OUT = {"en": "Reply STOP to opt out", "zh": "拒收请回复R"}
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")
_LENGTHS = {True: (160, 153), False: (70, 67)}  # GSM 03.38, UCS-2: alone, as one of several


@dataclass(frozen=True)
class TextMessage:
    """One text message: the whole text, and its parts for providers that only fill templates."""

    text: str
    params: Mapping[str, str]

    def content(self) -> bytes:
        """What a channel is given."""
        return json.dumps(
            {"text": self.text, "params": dict(self.params)}, ensure_ascii=False, sort_keys=True
        ).encode()


def read_text(content: bytes) -> TextMessage:
    """The message of what a channel was given."""
    values: dict[str, Any] = json.loads(content)
    return TextMessage(values["text"], values["params"])


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

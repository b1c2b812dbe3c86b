"""What is personal: personal-looking fields are found, texts masked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zhiyin.collect.classify import classify
from zhiyin.govern.identifiers import normalise_email, normalise_phone, normalise_user_id

__all__ = ["looks_personal", "mask", "normalise_email", "normalise_phone", "normalise_user_id"]

_HEADER = re.compile(
    r"e-?mail|phone|mobile|\btel\b|fax|first_?name|last_?name|full_?name|surname|customer_?name|"
    r"given_?name|family_?name|user_?name|recipient|addressee|address|street|\bzip|post_?code|"
    r"postal|birth|\bdob\b|\bip\b|ip_?addr|user_?agent|device|cookie|passport|ssn|national_?id|"
    r"id_?card|id_?number|wechat|weixin|openid|unionid|external_?user_?id|whatsapp|latitude|longitude|"
    r"姓名|名字|电话|手机|邮箱|邮件|地址|住址|身份证|证件|生日|微信|收件人|收货人|邮编",
    re.IGNORECASE,
)
_NAME = re.compile(r"name", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+'-]{1,64}[@＠][\w-]+(?:\.[\w-]+)+")  # 64: RFC 5321, and no long search
_ID_NUMBER = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|\d{3}-\d{2}-\d{4})(?![\dXx])")
_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)")
_PHONE = re.compile(
    r"(?<![\d.])(?:\+\d[\d ().-]{6,18}\d|0\d{2,3}-\d{7,8}|1[3-9]\d[ -]?\d{4}[ -]?\d{4}"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]?\d{4}|\d{3}[.-]\d{4}|\d{9,11})(?!\d)"
)
_MASKS = (
    (_EMAIL, "[email]"), (_ID_NUMBER, "[id]"), (_CARD, "[number]"), (_PHONE, "[phone]"),
)  # fmt: skip


def looks_personal(header: str, samples: Iterable[str], *, of_people: bool) -> bool:
    """Whether a column that no mapping names should be kept encrypted.

    `of_people` says that rows of the table describe people, where any kind of name is personal.
    """
    if _HEADER.search(header) or (of_people and _NAME.search(header)):
        return True
    samples = list(samples)
    if classify(header, samples) is not None:
        return True
    return any(
        _EMAIL.search(text) or _ID_NUMBER.search(text) or _international(text) for text in samples
    )


def _international(text: str) -> bool:
    stripped = text.strip()
    return bool(re.fullmatch(r"\+\d[\d ().-]{7,18}\d|1[3-9]\d{9}", stripped))


def mask(text: str) -> str:
    """`text` with e-mail addresses, phone, card and id numbers replaced by [email], [phone] …"""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text

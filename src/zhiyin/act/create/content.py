"""What a message is about, before any language or layout: plain values, sealed until sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, get_currency_precision

from zhiyin.core import columns as c

FORMAT = 1
OFFER = "offer"  # the template
PERSONAL = "personal"
MAX_PRODUCTS = 4
_LOCALES = {"en": "en_US", "zh": "zh_CN"}
_KINDS = {
    "coupon": ("Your personal coupon", "您的专属优惠券"),
    "percent": ("Your personal discount", "您的专属折扣"),
    "gift": ("A gift for you", "送您一份礼物"),
}
_OTHER = ("An offer for you", "为您准备的优惠")
_GENERIC = {
    "coupon": ("A coupon", "优惠券"),
    "percent": ("A discount", "折扣优惠"),
    "gift": ("A gift", "赠品"),
}
_GENERIC_OTHER = ("An offer", "优惠活动")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction marks, unassigned
_JOINERS = {"\u200d"}  # keeps emoji families together


def clean(value: object, *, limit: int = 160) -> str:
    """`value` on one line: no control or direction characters, no runs of space, not too long."""
    text = unicodedata.normalize("NFC", "" if value is None else str(value))
    kept = text if text.isprintable() else "".join(_visible(one) for one in text)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _visible(one: str) -> str:
    if one.isspace():
        return " "
    return "" if unicodedata.category(one) in _HIDDEN and one not in _JOINERS else one


def describe_products(
    product_ids: Iterable[str], known: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Up to four products to show: `name`, `detail` (brand and category), `url` (or empty).

    Products that would read the same are shown once; without a name none is shown.
    """
    shown: dict[tuple[str, str], dict[str, str]] = {}
    for product_id in product_ids:
        row = known.get(product_id)
        name = clean(_readable(row[c.NAME])) if row else ""
        if not row or not name:
            continue
        parts = (clean(_readable(row[key]), limit=60) for key in (c.BRAND, c.CATEGORY))
        detail = " · ".join(dict.fromkeys(part for part in parts if part and part != name))
        url = clean(row[c.URL], limit=2000)
        safe = url if url.startswith(("https://", "http://")) else ""
        shown.setdefault((name, detail), {"name": name, "detail": detail, "url": safe})
        if len(shown) == MAX_PRODUCTS:
            break
    return list(shown.values())


def describe_offer(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """An offer's `name`, `kind` and, in minor units, `value` and `currency`; empty without one."""
    if row is None:
        return {}
    return {
        "name": clean(row[c.NAME]),
        "kind": clean(row[c.KIND], limit=40).lower(),
        "value": row[c.VALUE_MINOR],
        "currency": row[c.CURRENCY],
    }


def make_content(
    *,
    offer: Mapping[str, Any],
    products: Sequence[Mapping[str, str]],
    last_on: date | None,
    personal: bool = True,
) -> dict[str, Any]:
    """The JSON value that is sealed in the ledger: no name, no address, no language."""
    return {
        "format": FORMAT,
        "template": OFFER,
        "offer": dict(offer),
        "products": [dict(product) for product in products],
        "last_on": last_on.isoformat() if last_on else "",
        PERSONAL: personal,
    }


def is_personal(content: Mapping[str, Any]) -> bool:
    """Whether what the content shows was chosen for her; what was kept without saying so was."""
    return content.get("template") == OFFER and bool(content.get(PERSONAL, True))


def places(which: Iterable[bool]) -> set[int]:
    """Where it is true, from 0."""
    return {place for place, one in enumerate(which) if one}


def words_of(content: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The values of `content` in a language, for the template: `offer`, `last_day`, `products`,
    `personal`.
    """
    last_on, personal = content["last_on"], is_personal(content)
    return {
        "offer": _offer_words(content["offer"], language, personal=personal),
        "last_day": _day_words(date.fromisoformat(last_on), language) if last_on else "",
        "products": content["products"],
        PERSONAL: personal,
    }


def _offer_words(offer: Mapping[str, Any], language: str, *, personal: bool) -> str:
    if offer.get("name"):
        return str(offer["name"])
    if offer.get("value") and offer.get("currency"):
        amount = _money_words(int(offer["value"]), str(offer["currency"]), language)
        return f"立减 {amount}" if language == "zh" else f"{amount} off"
    kinds, other = (_KINDS, _OTHER) if personal else (_GENERIC, _GENERIC_OTHER)
    pair = kinds.get(offer.get("kind", ""), other)
    return pair[language == "zh"]


@lru_cache(maxsize=1_000)
def _money_words(minor: int, currency: str, language: str) -> str:
    amount = minor / 10 ** get_currency_precision(currency)
    return format_currency(amount, currency, locale=_LOCALES[language])


@lru_cache(maxsize=1_000)
def _day_words(day: date, language: str) -> str:
    return format_date(day, "long", locale=_LOCALES[language])


def _readable(value: object) -> str:
    """Shouted catalogue names in ordinary letters: `FRZN ICE` → `Frzn Ice`."""
    text = str(value or "")
    return text.title() if text.isupper() else text

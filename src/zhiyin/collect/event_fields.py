"""What of an event may lie open, and what is personal: by key, by value, by place.

Open fields become `properties`, personal ones the encrypted blob of the party. Keys decide first
(`email`, `firstName`, `ip`, `advertisingId` …; in traits also any kind of name), then values that
look like an e-mail address, a telephone or an id number, whatever their key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect.event_json import MAX_DEPTH
from zhiyin.collect.mapping import EMAIL, PHONE
from zhiyin.collect.personal import looks_personal, mask

SUSPECT = r"[@＠]|\+\d[\d ().-]{7,}|(?:^|[^\d.])1[3-9]\d{9}(?:\D|$)|\d{17}|\d{3}-\d{2}-\d{4}"
"""Text without this holds no e-mail address, telephone or id number (RE2 and `re` read it)."""
SUSPECTED = re.compile(SUSPECT)
_KEYS = re.compile(
    r"^(?:ip|ip_?v?[46]?_?address|idf[av]|g?a?a?id|imei|meid|oaid|ad_?id|advertising_?id|"
    r"(?:push|device|fcm|apns)_?token|token|mac|mac_?address|ssid|username|user_?name|login|"
    r"password|passwd|secret|avatar|signature|external_?ids?|session_?replay\w*|user_?agent\w*|"
    r"anonymous_?id|user_?id|distinct_?id|previous_?id|card_?number|iban|contact)$",
    re.IGNORECASE,
)
_EMAILS = re.compile(r"^(?:e-?_?mail|(?:e-?_?)?mail_?address|user_?email|邮箱)$", re.IGNORECASE)
_PHONES = re.compile(
    r"^(?:(?:mobile_?)?(?:tele)?phone(?:_?number)?|mobile(?:_?number)?|tel|手机号?|电话)$",
    re.IGNORECASE,
)
_OPEN = frozenset(
    {"device", "deviceType", "device_type", "deviceCategory", "paymentMethod", "path", "title"}
)  # looks personal by name, is not
OF_PRODUCTS = frozenset(
    {"order_id", "product_id", "sku", "cart_id", "list_id", "checkout_id", "wishlist_id", "id",
     "promotion_id", "coupon_id", "payment_id", "review_id", "variant", "price", "quantity",
     "total", "revenue", "value", "position", "gtin", "upc", "ean", "barcode"}
)  # fmt: skip
"""Keys whose numbers may look like a telephone and are none."""
Found = tuple[str, Any, str]
"""A personal value: the name it is kept under, itself, and where it stood."""


class TooDeep(Exception):
    """The event is nested deeper than `MAX_DEPTH`."""


class Splitter:
    """Sorts the fields of events; remembers what it thinks of a key."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, bool], str] = {}

    def verdict(self, key: str, *, people: bool) -> str:
        """`open`, or the name under which a personal field of this key is kept."""
        known = self._verdicts.get((key, people))
        if known is None:
            known = self._verdicts[key, people] = _judge(key, people=people)
        return known

    def split(
        self,
        fields: dict[str, Any],
        found: list[Found],
        *,
        people: bool = False,
        within: str = "",
        depth: int = 3,
    ) -> dict[str, Any]:
        """The open fields of `fields`; personal ones are added to `found`.

        Nulls and empty texts are left out. `people` says that the fields describe a person, so
        that any kind of name is personal.

        Raises
        ------
        TooDeep
            If they are nested too deeply.
        """
        if depth > MAX_DEPTH:
            raise TooDeep
        verdicts, made = self._verdicts, {}
        for key, value in fields.items():
            if value is None or value == "":
                continue
            verdict = verdicts.get((key, people)) or self.verdict(key, people=people)
            if verdict != "open":
                check_depth(value, depth + 1)
                found.append((verdict, value, within))
            elif isinstance(value, dict):
                inner = self.split(
                    value, found, people=people or key == "device", within=f"{within}{key}.",
                    depth=depth + 1,
                )  # fmt: skip
                if inner:
                    made[key] = inner
            elif isinstance(value, list):
                inner = self._list(value, found, people, f"{within}{key}.", depth + 1)
                if inner:
                    made[key] = inner
            else:
                made[key] = value
        return made

    def _list(
        self, values: list[Any], found: list[Found], people: bool, within: str, depth: int
    ) -> list[Any]:
        if depth > MAX_DEPTH:
            raise TooDeep
        made = []
        for place, value in enumerate(values):
            if isinstance(value, dict):
                made.append(
                    self.split(
                        value, found, people=people, within=f"{within}{place}.", depth=depth + 1
                    )
                )
            elif isinstance(value, list):
                made.append(self._list(value, found, people, f"{within}{place}.", depth + 1))
            else:
                made.append(value)
        return made


def check_depth(value: Any, depth: int) -> None:
    """Raise `TooDeep` where `value`, itself at `depth`, is nested too deeply."""
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise TooDeep
        for one in value.values() if isinstance(value, dict) else value:
            check_depth(one, depth + 1)


def _judge(key: str, *, people: bool) -> str:
    if _EMAILS.match(key):
        return EMAIL
    if _PHONES.match(key):
        return PHONE
    if key in _OPEN:
        return "open"
    if _KEYS.match(key) or looks_personal(key, (key,), of_people=people):
        return key if key != "open" else "open_"
    if people and key == "id":
        return key
    return "open"


def put(personal: dict[str, Any], name: str, value: Any, within: str = "") -> None:
    """Keep a personal value; under its place where another value has its name."""
    if personal.setdefault(name, value) != value:
        personal[f"{within}{name}"] = value


def put_all(personal: dict[str, Any], found: Iterable[Found]) -> None:
    """`put` each of `found`, in their order."""
    for name, value, within in found:
        if personal.setdefault(name, value) != value:
            personal[f"{within}{name}"] = value


def suspects(column: pa.Array) -> list[int]:
    """Places of texts that may hold a personal value."""
    hits = pc.call_function(
        "match_substring_regex", [column], pc.MatchSubstringOptions(SUSPECT)
    ).fill_null(False)
    return pc.call_function("indices_nonzero", [hits]).to_pylist()


def clean(fields: bytes, personal: dict[str, Any]) -> bytes | None:
    """The open fields without the values that look personal, which go to `personal`."""
    made = _clean(msgspec.json.decode(fields), personal, "", "")
    return msgspec.json.encode(made) if made else None


def clean_fields(fields: Mapping[str, Any], personal: dict[str, Any]) -> Mapping[str, Any]:
    """`clean` for fields that are not encoded yet."""
    if not fields or not SUSPECTED.search(msgspec.json.encode(fields).decode()):
        return fields
    return _clean(fields, personal, "", "") or {}


def _clean(value: Any, personal: dict[str, Any], key: str, within: str) -> Any:
    if isinstance(value, dict):
        made = {}
        for name, one in value.items():
            kept = name
            if SUSPECTED.search(name) and looks_personal("", (name,), of_people=False):
                put(personal, "key", name, within)
                kept = mask(name)
            inner = _clean(one, personal, name, f"{within}{name}.")
            if inner is not None:
                made[kept] = inner
        return made
    if isinstance(value, list):
        inner = [_clean(one, personal, key, f"{within}{i}.") for i, one in enumerate(value)]
        return [one for one in inner if one is not None]
    if isinstance(value, bool) or value is None:
        return value
    text = value if isinstance(value, str) else str(value)
    if key in OF_PRODUCTS and "@" not in text and "＠" not in text:
        return value
    if not SUSPECTED.search(text):
        return value
    masked = mask(text)
    if masked == text and not looks_personal("", (text,), of_people=False):
        return value
    put(personal, within.rstrip(".").rpartition(".")[2], value, within)
    return None

"""Cleaning rules: named pure functions from text to text, used in mappings by their name.

    city = { column = "Ort", clean = ["nfkc", "trim", "title"] }

A rule that finds nothing to clean gives the text back; `phone`, `email`, `date`, `currency` and
`number` give None where the text is none, and the row is then judged as if the value were empty.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect.personal import normalise_email, normalise_phone

Cleaner = Callable[[str], str | None]

_DATE = re.compile(
    r"\s*(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[ T].*)?"
    r"|\s*(\d{4})(\d{2})(\d{2})\s*"
)
_EMPTY = frozenset(
    {
        "",
        "-",
        "--",
        "n/a",
        "na",
        "nan",
        "null",
        "none",
        "nil",
        "undefined",
        "\\n",
        "无",
        "未知",
        "暂无",
    }
)
_CURRENCIES = {
    "¥": "CNY", "￥": "CNY", "rmb": "CNY", "人民币": "CNY", "元": "CNY", "cn¥": "CNY", "$": "USD",
    "us$": "USD", "美元": "USD", "€": "EUR", "欧元": "EUR", "£": "GBP", "英镑": "GBP", "円": "JPY",
    "日元": "JPY", "hk$": "HKD", "港币": "HKD", "港元": "HKD", "nt$": "TWD", "新台币": "TWD",
    "₩": "KRW", "韩元": "KRW",
}  # fmt: skip
_MARKS = re.compile(r"[^\d.,()+-]")


def trim(text: str) -> str:
    """Without space around it, of any kind: also what is full width or has no width."""
    return text.strip().strip("\ufeff\u200b\u200c\u200d\u2060").strip()


def nfkc(text: str) -> str:
    """In one Unicode form: full-width letters and digits become the usual ones."""
    return unicodedata.normalize("NFKC", text)


def squeeze(text: str) -> str:
    """With one space where there are many, none around, and no line breaks."""
    return " ".join(text.split())


def lower(text: str) -> str:
    """In lower case."""
    return text.lower()


def upper(text: str) -> str:
    """In upper case."""
    return text.upper()


def title(text: str) -> str:
    """Words with a capital: `NEW YORK` → `New York`."""
    return re.sub(r"[^\W\d_]+('[^\W\d_]+)?", lambda word: word[0].capitalize(), text)


def blank(text: str) -> str | None:
    """None where the text only says that there is none: `N/A`, `null`, `-`, 无."""
    return None if text.strip().lower() in _EMPTY else text


def digits(text: str) -> str:
    """Its digits only."""
    return "".join(mark for mark in nfkc(text) if mark.isascii() and mark.isdigit())


def plain(text: str) -> str:
    """Without the quote or the `=` that a spreadsheet put before it, as in `="00123"`, `'00123`."""
    text = trim(text)
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1]
    return text[1:] if text.startswith(("'", "\t")) else text


def email(text: str) -> str | None:
    """The address in lower case, None where it is none."""
    return normalise_email(text)


def phone(text: str) -> str | None:
    """The number as E.164 where it has a country's code, mobile numbers of China with +86; other
    national ones as digits; None where it is none."""
    number = normalise_phone(text)
    mainland = number is not None and re.fullmatch(r"1[3-9]\d{9}", number)
    return f"+86{number}" if mainland else number


def iso_date(text: str) -> str | None:
    """`2024年3月1日`, `2024/3/1`, `20240301` as `2024-03-01`; None where it is no date.

    Dates with the day first are ambiguous: read them by `date_formats` of the mapping.
    """
    found = _DATE.fullmatch(nfkc(text))
    if found is None:
        return None
    parts = [int(part) for part in found.groups() if part is not None]
    try:
        return date(*parts).isoformat()
    except ValueError:
        return None


def currency(text: str) -> str | None:
    """The code of ISO 4217 for a sign, a name or a code; None where it is none."""
    code = nfkc(text).strip()
    known = _CURRENCIES.get(code.lower()) or _CURRENCIES.get(text.strip())
    return known or (code.upper() if re.fullmatch(r"[A-Za-z]{3}", code) else None)


def number(text: str) -> str | None:
    """A decimal without signs of currency, thousands or accounting: `¥1,234.50` → `1234.50`,
    `(12.00)` → `-12.00`; None where it is none. A point is the decimal mark."""
    body = _MARKS.sub("", nfkc(text))
    negative = body.startswith("(") and body.endswith(")")
    body = body.strip("()").replace(",", "")
    if not re.fullmatch(r"[+-]?\d+(?:\.\d+)?|[+-]?\.\d+", body):
        return None
    return f"-{body}" if negative else body


CLEANERS: dict[str, Cleaner] = {
    "trim": trim, "nfkc": nfkc, "squeeze": squeeze, "lower": lower, "upper": upper, "title": title,
    "blank": blank, "digits": digits, "plain": plain, "email": email, "phone": phone,
    "date": iso_date, "currency": currency, "number": number,
}  # fmt: skip
"""Every rule by the name that a mapping uses."""


def clean_column(column: pa.ChunkedArray, names: Sequence[str]) -> pa.ChunkedArray:
    """A column of texts through the named rules, in order; every distinct text is cleaned once.

    What is no text (numbers, times of a typed file) is left as it is.
    """
    kind = column.type
    if not names or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column
    encoded = pc.dictionary_encode(column).combine_chunks()  # pyright: ignore[reportAttributeAccessIssue]  # pyarrow makes it on import
    cleaned = [_clean(text, names) for text in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(cleaned, pa.string()).take(encoded.indices)])


def _clean(text: str | None, names: Sequence[str]) -> str | None:
    for name in names:
        text = CLEANERS[name](text) if text is not None else None
    return text

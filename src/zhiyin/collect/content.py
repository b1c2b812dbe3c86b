"""What the values of a column look like: shares of dates, numbers, e-mails, phones, yes and no."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.collect import times
from zhiyin.collect.money import parse_decimal
from zhiyin.collect.personal import normalise_email
from zhiyin.collect.values import as_text

_SAMPLE = 1_000
_PHONE = re.compile(r"\+?\d[\d ().-]{7,18}\d|1[3-9]\d{9}")
_YES_NO = frozenset({"yes", "no", "true", "false", "y", "n", "0", "1", "是", "否", "同意", "拒绝"})
_DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_HOURS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_COMMA = re.compile(r"-?[^\d-]*\d[\d.  ]*,\d{1,2}[^\d]*")
_POINT = re.compile(r"-?[^\d-]*\d[\d,  ]*\.\d{1,2}[^\d]*")


@dataclass(frozen=True)
class Content:
    """Shares in [0, 1] of the filled values of a sample.

    `formats` fit all its dates, the likeliest first; empty where they need none. `decimal` is the
    mark that its numbers show, empty where they show none.
    """

    dates: float = 0.0
    numbers: float = 0.0
    emails: float = 0.0
    phones: float = 0.0
    booleans: float = 0.0
    formats: tuple[str, ...] = ()
    decimal: str = ""


def look_into(column: pa.ChunkedArray) -> Content:
    """What the first thousand values of `column` look like."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Content(dates=1.0)
    texts = as_text(column.slice(0, _SAMPLE)).drop_null().to_pylist()
    texts = [text[:200] for text in texts]
    if not texts:
        return Content()
    dates, formats = _dates(texts)
    comma, point = (sum(bool(m.fullmatch(t)) for t in texts) for m in (_COMMA, _POINT))
    mark = "comma" if comma > point else "point"
    return Content(
        dates=dates,
        numbers=_share([parse_decimal(text, mark=mark) is not None for text in texts]),
        emails=_share([normalise_email(text) is not None for text in texts]),
        phones=_share([bool(_PHONE.fullmatch(text)) for text in texts]),
        booleans=_share([text.lower() in _YES_NO for text in texts]),
        formats=formats,
        decimal=mark if comma or point else "",
    )


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)


def _dates(texts: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """The share of dates, and the formats that read as many as any; none for year-first ones."""
    moments, _ = times.parse_times(pa.chunked_array([pa.array(texts, pa.string())]), zone="UTC")
    plausible = (moments > np.datetime64("1980-01-01")) & (moments < np.datetime64("2100-01-01"))
    first = float(plausible.mean())
    long = _share([len(text) >= 8 for text in texts])
    if first >= 0.8:
        return min(first, long), ()
    series = pd.Series(list(texts), dtype=object)
    shares: dict[str, float] = {}
    for day in (*_DAY_FIRST, *_MONTH_FIRST):
        for hour in _HOURS:
            parsed = pd.to_datetime(series, format=day + hour, errors="coerce")
            shares[day + hour] = float(parsed.notna().mean())
    best = max(shares.values())
    return best, tuple(one for one, share in shares.items() if share == best and share >= 0.8)

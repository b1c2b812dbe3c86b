# pyright: reportAttributeAccessIssue=false
# (pyarrow makes the functions of `compute` when it is imported)
"""Local times of a source become UTC; every distinct text is parsed once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_PLAIN = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?$"
_YEAR_FIRST = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?"
    r"(?:[\sT]*(上午|下午|AM|PM)?\s*(\d{1,2})\s*[:：时点]\s*(\d{1,2})\s*分?"
    r"(?:\s*[:：]?\s*(\d{1,2})(?:\.\d+)?\s*秒?)?)?\s*",
    re.IGNORECASE,
)  # 2025年1月3日 下午2:05, 2025/1/3 14:05: the year first leaves no doubt
_DAY = "datetime64[D]"
_MICRO = "datetime64[us]"
_DENSE = 1 << 26  # minutes from 1842 to 2097: beyond it is NaT, or no date of a shop


def parse_times(
    column: pa.ChunkedArray, *, zone: str, formats: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Moments as naive UTC.

    Texts are read by the first of `formats` that fits (none given: ISO 8601, with or without
    offset); otherwise year, month and day in that order (2025年1月3日, 2025/1/3). Times without
    an offset are local to `zone`. Where the clock is set back the first of the two hours is
    meant, where it is set forward the first moment after the gap.

    Returns
    -------
    (n,) datetime64[us], NaT where empty or wrong, and (n,) bool: has a value (right or wrong).
    """
    codes, distinct = _encode(column)
    if pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type):
        moments = _parse_texts(distinct, zone=zone, formats=formats)
    elif pa.types.is_timestamp(distinct.type):
        moments = _to_utc(pd.DatetimeIndex(distinct.cast(_micro(distinct.type)).to_pandas()), zone)
    elif pa.types.is_date(distinct.type):
        moments = _to_utc(pd.DatetimeIndex(distinct.cast(pa.timestamp("us")).to_pandas()), zone)
    else:
        moments = np.full(len(distinct), np.datetime64("NaT"), _MICRO)
    return np.append(moments, np.datetime64("NaT"))[codes], codes >= 0


def parse_days(
    column: pa.ChunkedArray, *, formats: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Local days: the date as written, whatever time stands behind it.

    Returns
    -------
    (n,) datetime64[D], NaT where empty or wrong, and (n,) bool: has a value.
    """
    moments, given = parse_times(column, zone="UTC", formats=formats)
    return moments.astype(_DAY), given


def local_days(moments: np.ndarray, zone: str) -> np.ndarray:
    """The local day of each naive UTC moment; (n,) datetime64[D]."""
    minutes, codes = _distinct(moments.astype("datetime64[m]"))
    local = pd.DatetimeIndex(minutes.astype(_MICRO)).tz_localize("UTC").tz_convert(zone)
    return local.tz_localize(None).to_numpy().astype(_DAY)[codes]


def months(days: np.ndarray) -> pa.Array:
    """`YYYY-MM` of each day or moment."""
    distinct, codes = _distinct(days.astype("datetime64[M]"))
    names = pa.array(np.datetime_as_string(distinct), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct moments and the code of each, as `np.unique` gives them; without a sort
    where they lie close together."""
    numbers = values.astype(np.int64)
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    if not len(values) or low < -_DENSE or high > _DENSE or high - low > 8 * len(values):
        return np.unique(values, return_inverse=True)
    seen = np.zeros(high - low + 1, bool)
    seen[numbers - low] = True
    place = np.cumsum(seen) - 1
    return (np.flatnonzero(seen) + low).astype(values.dtype), place[numbers - low]


def _micro(kind: pa.TimestampType) -> pa.DataType:
    return pa.timestamp("us", kind.tz)


def _encode(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = pc.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct = encoded.dictionary
    if pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type):
        distinct = pc.utf8_trim_whitespace(distinct)
        empty = np.append(pc.equal(distinct, "").to_numpy(zero_copy_only=False), False)
        codes = np.where(empty[codes], -1, codes)
    return codes, distinct


def _parse_texts(texts: pa.Array, *, zone: str, formats: Sequence[str]) -> np.ndarray:
    made = np.full(len(texts), np.datetime64("NaT"), _MICRO)
    if not formats:
        plain = np.flatnonzero(
            pc.match_substring_regex(texts, _PLAIN).to_numpy(zero_copy_only=False)
        )
        made[plain] = _parse_plain(texts.take(pa.array(plain)), zone)
        rest = np.flatnonzero(np.isnat(made))
        if len(rest):
            made[rest] = _parse_others(texts.take(pa.array(rest)), zone=zone, formats=())
        return made
    return _parse_others(texts, zone=zone, formats=formats)


def _parse_plain(texts: pa.Array, zone: str) -> np.ndarray:
    """What most files have, `2025-01-03` or `2025-01-03 10:05:00`, in one go; NaT where wrong."""
    try:
        moments = pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:  # a month 13 among them: look at each
        return np.full(len(texts), np.datetime64("NaT"), _MICRO)
    return _to_utc(pd.DatetimeIndex(moments.to_numpy(zero_copy_only=False)), zone)


def _parse_others(texts: pa.Array, *, zone: str, formats: Sequence[str]) -> np.ndarray:
    series = texts.to_pandas().astype("object")
    made = np.full(len(series), np.datetime64("NaT"), _MICRO)
    with_offset = series.str.contains(_OFFSET, regex=True).to_numpy(bool) & ~series.str.fullmatch(
        r"\d{4}-\d{2}-\d{2}"
    ).to_numpy(bool)
    for one in formats or ("ISO8601",):
        aware = "%z" in one if formats else None
        for offset in (True, False):
            rows = np.isnat(made)
            if aware is None:
                rows &= with_offset == offset
            elif aware != offset:
                continue
            if rows.any():
                parsed = pd.to_datetime(series[rows], format=one, errors="coerce", utc=offset)
                made[rows] = _to_utc(pd.DatetimeIndex(parsed), zone)
    left = np.flatnonzero(np.isnat(made))
    if len(left):
        plain = [_year_first(text) for text in series.iloc[left]]
        parsed = pd.to_datetime(pd.Series(plain, dtype="object"), format="ISO8601", errors="coerce")
        made[left] = _to_utc(pd.DatetimeIndex(parsed), zone)
    return made


def _year_first(text: object) -> str | None:
    """`2025年1月3日 下午2:05` and `2025/1/3 14:05` as ISO 8601, None if it is neither."""
    found = _YEAR_FIRST.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, half, hour, minute, second = found.groups()
    made = f"{year}-{int(month):02}-{int(day):02}"
    if hour is None:
        return made
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half.upper() in ("下午", "PM") else 0)
    return f"{made}T{hours:02}:{int(minute):02}:{int(second or 0):02}"


def _to_utc(moments: pd.DatetimeIndex, zone: str) -> np.ndarray:
    if moments.tz is None and zone != "UTC":
        first = np.ones(len(moments), bool)
        moments = moments.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    if moments.tz is not None:
        moments = moments.tz_convert("UTC").tz_localize(None)
    return moments.to_numpy().astype(_MICRO)

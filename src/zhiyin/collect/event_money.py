"""Money of events, exact and a column at a time: no event is lost for a wrong amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from zhiyin.collect import money, times
from zhiyin.core.currency import EXPONENTS


@dataclass(frozen=True)
class Terms:
    """What amounts are measured by: the workspace's currency and zone, and its rates."""

    base: str
    zone: str
    rates: money.Rates


@dataclass(frozen=True)
class Amounts:
    """A column of money.

    `minor` and `base` are in minor units, null where there is nothing to keep. `currency` is null
    where there is no amount. The others are (n,) bool: `wrong`: no number; `unknown`: no code of
    ISO 4217; `no_rate`: `base` is null for want of a rate.
    """

    minor: pa.Array
    base: pa.Array
    currency: pa.Array
    wrong: np.ndarray
    unknown: np.ndarray
    no_rate: np.ndarray


def read_amounts(
    values: Sequence[object],
    currencies: Sequence[str | None],
    moments: np.ndarray,
    *,
    terms: Terms,
) -> Amounts:
    """Minor units of `values` (n,) in `currencies` (None: the workspace's) at `moments`.

    Numbers mean the shortest decimal that is written so; texts are read as in files.
    """
    numbers = _numbers(values)
    place: dict[str, int] = {}
    codes = np.fromiter(
        (place.setdefault(one or terms.base, len(place)) for one in currencies),
        np.int64,
        len(currencies),
    )
    names = list(place)
    known = np.asarray([name in EXPONENTS for name in names] + [True])[codes]
    exponents = np.asarray([EXPONENTS.get(name, 2) for name in names] + [2], np.int64)[codes]
    minor, right = money.minor_units(numbers, exponents)
    if names == [terms.base]:
        base, rated = minor, np.ones(len(minor), bool)
    else:
        days = moments.astype("datetime64[us]")
        days = times.local_days(days, terms.zone) if len(days) else days
        rate = money.row_rates(codes, names, days.astype("datetime64[D]"), terms.rates)
        base = money.to_base(minor, rate, exponents, base_exponent=EXPONENTS[terms.base])
        rated = ~rate.wrong
    given = ~numbers.empty
    keep = given & right & known
    texts = pa.array(names, pa.string()).take(pa.array(codes, mask=~keep))
    return Amounts(
        pa.array(minor, mask=~keep), pa.array(base, mask=~(keep & rated)), texts,
        wrong=given & ~right, unknown=given & ~known, no_rate=keep & ~rated,
    )  # fmt: skip


def _numbers(values: Sequence[object]) -> money.Numbers:
    place: dict[object, int] = {}
    codes = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        if value is None or value == "":
            codes[row] = -1
            continue
        key = value if isinstance(value, str | int | float) else "?"
        key = "?" if isinstance(key, bool) else key
        codes[row] = place.setdefault(key, len(place))
    return money.Numbers(codes, [exact(one) for one in place])


def exact(value: object) -> Decimal | None:
    """The exact number that a JSON value means; None where it is none or too large."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        if not abs(value) < 10**18:
            return None
        made = Decimal(repr(value))
        return made if made.is_finite() and abs(made) < Decimal(10) ** 18 else None
    return money.parse_decimal(value) if isinstance(value, str) else None

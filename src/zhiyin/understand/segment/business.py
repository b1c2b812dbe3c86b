"""RFM of any table: scored by quantiles or by a business's own thresholds, named in both
languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment.preparing import need_columns, read_times
from zhiyin.understand.segment.rfm import BINS, SEGMENTS

RECENCY, FREQUENCY, MONETARY = "recency_days", "frequency", "monetary"
SIDES = (RECENCY, FREQUENCY, MONETARY)
SCORES = (c.R_SCORE, c.F_SCORE, c.M_SCORE)
_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 540, 730, 1095, 1460, 1825)
_QUANTILES = (0.2, 0.4, 0.6, 0.8)
_GAPS = (0.5, 0.75, 0.9, 0.97)  # quantiles of the gaps between orders: usual … far beyond usual


@dataclass(frozen=True)
class Thresholds:
    """A business's own bounds, four rising numbers for each side.

    Recency scores 5 up to the first bound (days), 4 up to the second … 1 beyond the last.
    Frequency (orders) and monetary (the amounts' own unit) score 1 below the first bound, 2 from
    it on … 5 from the last on.
    """

    recency_days: tuple[float, ...]
    frequency: tuple[float, ...]
    monetary: tuple[float, ...]

    def __post_init__(self) -> None:
        for side in fields(self):
            bounds = getattr(self, side.name)
            if len(bounds) != BINS - 1 or not (np.diff(bounds) > 0).all():
                raise InvalidParameter(
                    f"thresholds of {side.name} are {tuple(bounds)}",
                    hint=f"give {BINS - 1} rising numbers, such as {_EXAMPLES[side.name]}",
                )


_EXAMPLES = {RECENCY: (30, 60, 90, 180), FREQUENCY: (2, 3, 5, 10), MONETARY: (100, 300, 800, 2000)}


def measure_orders(
    orders: pd.DataFrame,
    *,
    as_of: date,
    customer: str = c.CUSTOMER_ID,
    ordered_at: str = c.ORDERED_AT,
    amount: str = c.AMOUNT_BASE_MINOR,
    order: str | None = None,
) -> pd.DataFrame:
    """Recency, frequency and money of each customer, from a table of orders or order lines.

    Parameters
    ----------
    orders
        One row per order, or per line where `order` names the column of the order.
    as_of
        Orders on or after this day are not seen.
    customer, ordered_at, amount, order
        Names of the columns; times without a zone, or of one zone.

    Returns
    -------
    Indexed by customer: `recency_days` (1 = within the 24 hours before the day), `frequency`,
    `monetary`, and `gap_days` (mean days between orders, NaN for one).

    Raises
    ------
    InvalidParameter
        If a column is missing.
    NotEnoughData
        If no order is before the day.
    """
    need_columns(orders, [customer, ordered_at, amount, *([order] if order else [])])
    at = read_times(orders[ordered_at], ordered_at)
    try:
        until = pd.Timestamp(as_of, tz=at.dt.tz)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(f"as_of is {show(as_of)}", hint="date(2026, 1, 31)") from error
    seen = orders.assign(**{ordered_at: at})[(at < until) & orders[customer].notna()]
    if not len(seen):
        raise NotEnoughData(
            f"no order of a known customer is before {as_of}",
            hint="give a later day, or check the columns of customer and time",
        )
    by = seen.groupby(customer, sort=True)
    count = by[order].nunique() if order else by.size()
    last, first = by[ordered_at].max(), by[ordered_at].min()
    span = (last - first).dt.total_seconds() / 86_400
    return pd.DataFrame(
        {
            RECENCY: np.ceil((until - last).dt.total_seconds() / 86_400).astype(np.int64),
            FREQUENCY: count.astype(np.int64),
            MONETARY: by[amount].sum(),
            "gap_days": (span / (count - 1).where(count > 1)).astype(np.float64),
        }
    )


def score_quantiles(measured: pd.DataFrame, *, bins: int = BINS) -> pd.DataFrame:
    """Scores 1..`bins` (1 = worst) against the other customers; ties share a score.

    Parameters
    ----------
    measured
        Columns `recency_days`, `frequency`, `monetary`; one row per customer, none missing.
    bins
        Number of scores, 2..10.

    Notes
    -----
    1 + floor(bins x mid-rank / n), as `rfm.score_rfm` in the lake.
    """
    if not 2 <= check_whole("bins", bins) <= 10:
        raise InvalidParameter(f"bins is {bins}, it must be within 2..10")
    _check_measured(measured)
    sides = (-measured[RECENCY], measured[FREQUENCY], measured[MONETARY])
    scored = {}
    for name, side in zip(SCORES, sides, strict=True):
        twice = (2 * side.rank(method="average") - 1).round().astype(np.int64)  # 2 worse + equal
        scored[name] = twice * bins // (2 * len(side)) + 1
    return pd.DataFrame(scored, index=measured.index)


def score_thresholds(measured: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Scores 1..5 against a business's own bounds: a customer's score does not depend on others."""
    _check_measured(measured)
    if not isinstance(thresholds, Thresholds):
        raise InvalidParameter(
            f"thresholds is {show(thresholds)}",
            hint="take propose_thresholds(measured)",
        )
    late = np.searchsorted(thresholds.recency_days, measured[RECENCY].to_numpy(float), side="left")
    often, much = (
        np.searchsorted(bounds, measured[side].to_numpy(float), side="right")
        for side, bounds in ((FREQUENCY, thresholds.frequency), (MONETARY, thresholds.monetary))
    )
    values = (BINS - late, often + 1, much + 1)
    return pd.DataFrame(dict(zip(SCORES, values, strict=True)), index=measured.index)


def propose_thresholds(measured: pd.DataFrame) -> Thresholds:
    """Round bounds proposed from the data, to be agreed with the business.

    Recency: where `gap_days` are known for 30 customers, the half, 75 %, 90 % and 97 % quantiles
    of the gaps between orders (a grocer's are weeks, a jeweller's years), otherwise the fifths of
    recency; rounded to days people speak of. Frequency and money: their fifths, money rounded to
    1, 2, 5 x 10^i or halves between; repeated bounds are moved up.
    """
    _check_measured(measured)
    gaps = measured["gap_days"].dropna() if "gap_days" in measured else pd.Series(dtype=float)
    source, at = (gaps, _GAPS) if len(gaps) >= 30 else (measured[RECENCY], _QUANTILES)
    days = [_round_days(value) for value in source.quantile(list(at))]
    often = [float(np.ceil(value)) for value in measured[FREQUENCY].quantile(list(_QUANTILES))]
    often[0] = max(often[0], float(measured[FREQUENCY].min()) + 1)
    much = [_round_money(value) for value in measured[MONETARY].quantile(list(_QUANTILES))]
    return Thresholds(
        _rising(days, lambda value: next((d for d in _DAYS if d > value), value * 1.5)),
        _rising(often, lambda value: value + 1),
        _rising(much, lambda value: value + max(abs(value) * 0.5, 1)),
    )


def name_scores(scored: pd.DataFrame) -> pd.Series:
    """Name of the segment (`rfm.SEGMENTS`) of each row of scores 1..5."""
    need_columns(scored, list(SCORES))
    values = scored[list(SCORES)].to_numpy()
    if not ((values >= 1) & (values <= BINS)).all():
        raise InvalidParameter(
            f"scores run from {values.min()} to {values.max()}, names need 1..{BINS}",
            hint=f"score with bins={BINS}",
        )
    named = np.empty(len(values), dtype=object)
    for segment in SEGMENTS:
        for box in segment.boxes:
            low, high = np.array(box).T
            named[((values >= low) & (values <= high)).all(axis=1)] = segment.name
    return pd.Series(named, index=scored.index, name=c.SEGMENT)


def _check_measured(measured: pd.DataFrame) -> None:
    need_columns(measured, SIDES)
    if not len(measured):
        raise NotEnoughData("no customers to score", hint="give at least one")
    for side in SIDES:
        if not pd.api.types.is_numeric_dtype(measured[side]):
            raise InvalidParameter(
                f"column {side} is {measured[side].dtype}, no number",
                hint="turn it into numbers first: `measure_orders` gives all three from orders",
            )
        if missing := int(measured[side].isna().sum()):
            raise InvalidParameter(
                f"{side} is missing for {missing} customers",
                hint="leave out customers without an order: RFM says nothing of them",
            )


def _round_days(value: float) -> float:
    return float(min(_DAYS, key=lambda day: (abs(np.log(day / max(value, 0.5))), day)))


def _round_money(value: float) -> float:
    if value <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    steps = np.array([1, 1.5, 2, 3, 4, 5, 6, 8, 10])
    return float(steps[int(np.argmin(np.abs(steps - value / power)))] * power)


def _rising(bounds: Sequence[float], up: Callable[[float], float]) -> tuple[float, ...]:
    made: list[float] = []
    for bound in bounds:
        made.append(bound if not made or bound > made[-1] else float(up(made[-1])))
    return tuple(made)

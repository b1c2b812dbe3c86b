"""What a media mix is fitted to, checked: the table, experiments, and what nobody can tell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.values import Estimate
from zhiyin.measure.mix.shapes import adstock
from zhiyin.measure.status import OK, ZERO_VARIANCE

Floats = NDArray[np.float64]

TOO_FEW_PERIODS: Final = "too_few_periods"
CONSTANT: Final = "channel_constant"
COLLINEAR: Final = "collinear"
MIN_WEEKS: Final = 52
MIN_SPREAD: Final = 0.05
"""Spend that varies by less than this share of its mean is called constant."""
TWINS: Final = 0.95
"""Channels whose spends correlate by more than this are named together."""


@dataclass(frozen=True)
class Experiment:
    """What an experiment said that a channel's spend of some days caused within these days.

    `effect`: outcome caused, in the units of the table, with the interval of coverage `level`.
    """

    channel: str
    first_on: date
    last_on: date
    effect: Estimate
    level: float = 0.95


@dataclass(frozen=True)
class Table:
    """Periods of `days` days from `starts`; arrays by period."""

    starts: tuple[date, ...]
    days: int
    spend: Mapping[str, Floats]
    outcome: Floats
    controls: Mapping[str, Floats]

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels, also those that cannot be told."""
        return tuple(self.spend)

    def spend_of(self, channel: str) -> Floats:
        """Money by period; raises where there is no such channel."""
        if channel not in self.spend:
            raise NotFound(
                f"there is no channel {channel!r}", hint=f"one of {', '.join(self.channels)}"
            )
        return self.spend[channel]

    def places(self, first_on: date, last_on: date) -> tuple[int, int]:
        """First and last period that begin within the days."""
        inside = [at for at, start in enumerate(self.starts) if first_on <= start <= last_on]
        if not inside:
            raise InvalidParameter(
                f"no period begins between {first_on} and {last_on}",
                hint=f"the table has {self.starts[0]} to {self.starts[-1]}",
            )
        return inside[0], inside[-1]


def read_table(
    spend: pd.DataFrame,
    outcome: Sequence[float] | pd.Series | Floats,
    controls: pd.DataFrame | None,
    *,
    level: float,
) -> Table:
    """Check what was given and read it into arrays."""
    if not 0 < level < 1:
        raise InvalidParameter(f"level is {level!r}", hint="a share in (0, 1), as .9")
    if not isinstance(spend, pd.DataFrame) or spend.empty:
        raise InvalidParameter(
            "spend is no table with rows and channels",
            hint="a DataFrame: first days as index, a column of money for each channel",
        )
    starts, days = _read_days(spend.index)
    values = _numbers("the outcome", outcome, len(spend))
    paid = {str(name): _numbers(f"spend on {name}", spend[name], len(spend)) for name in spend}
    for name, money in paid.items():
        if money.min() < 0:
            raise InvalidParameter(f"spend on {name} has {money.min():g}", hint="money is >= 0")
    others = {} if controls is None else {
        str(name): _numbers(f"the control {name}", controls[name], len(spend)) for name in controls
    }  # fmt: skip
    return Table(starts, days, paid, values, others)


def _read_days(index: pd.Index) -> tuple[tuple[date, ...], int]:
    """First days and the length of a period, 1 or 7 days."""
    try:
        starts = tuple(pd.Timestamp(one).date() for one in index)
    except (TypeError, ValueError):
        starts = ()
    steps = {(after - before).days for before, after in itertools.pairwise(starts)}
    if isinstance(index, pd.RangeIndex) or not starts or not (steps <= {7} or steps <= {1}):
        raise InvalidParameter(
            f"the index is no row of weeks or days without gaps: {[*index[:3]]} …",
            hint="first days in order, 7 or 1 apart; a week without spend is a row of zeros",
        )
    return starts, 1 if steps == {1} else 7


def _numbers(what: str, values: Sequence[float] | pd.Series | Floats, rows: int) -> Floats:
    try:
        read = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        read = np.array(np.nan)
    if read.shape != (rows,) or not np.isfinite(read).all():
        raise InvalidParameter(
            f"{what} is not {rows} numbers", hint="one finite number for each row of spend"
        )
    return read


def judge_table(table: Table) -> str:
    """`ok`, or why no mix can be fitted."""
    if len(table.starts) * table.days < MIN_WEEKS * 7:
        return TOO_FEW_PERIODS
    if table.outcome.mean() <= 0 or table.outcome.std() <= 1e-9 * table.outcome.mean():
        return ZERO_VARIANCE
    return OK


def find_constant(table: Table) -> tuple[str, ...]:
    """Channels whose spend says nothing: none at all, or nearly the same in every period."""
    return tuple(
        name
        for name, money in table.spend.items()
        if money.std() <= MIN_SPREAD * max(float(money.mean()), 1e-12)
    )


def find_twins(table: Table, channels: Sequence[str]) -> dict[str, str]:
    """`collinear:other` for channels whose spends move together, weekly or carried over."""
    found: dict[str, str] = {}
    for at, name in enumerate(channels):
        for other in channels[at + 1 :]:
            one, two = table.spend_of(name), table.spend_of(other)
            alike = min(
                float(np.corrcoef(adstock(one, kept), adstock(two, kept))[0, 1])
                for kept in (0.0, 0.5)
            )
            if alike > TWINS:
                found.setdefault(name, f"{COLLINEAR}:{other}")
                found.setdefault(other, f"{COLLINEAR}:{name}")
    return found

"""Media mix: what each channel brought week by week, and what the next money would bring.

`fit` reads a table of spend and an outcome and gives a `Mix`; docs/measure-mix.md says how far it
can be believed. The method is in `sampler`, the columns of the base in `base`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zhiyin.core.rng import Streams
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import critical_z
from zhiyin.measure.mix.base import Base, build_base
from zhiyin.measure.mix.holidays import Stretch, list_holidays
from zhiyin.measure.mix.inputs import (
    CONSTANT,
    Experiment,
    Table,
    find_constant,
    find_twins,
    judge_table,
    read_table,
)
from zhiyin.measure.mix.sampler import Known, sample
from zhiyin.measure.mix.shapes import Grid, Response, adstock, make_grid, respond, saturate
from zhiyin.measure.status import OK

Floats = NDArray[np.float64]

LEVEL: Final = 0.9
TAIL: Final = 0.5
"""Intervals leave this share of their nominal tails outside the posterior (decision 28)."""
NO_CHANNELS: Final = "no_channels"
KEPT: Final = 800  # draws that are kept


@dataclass(frozen=True)
class Mix:
    """A fitted media mix. Money is in the units of the table; intervals are of `level`.

    `status`: `ok`, or why nothing was fitted (`too_few_periods`, `zero_variance`; `no_channels`:
    none changes). `notes`: by channel, `channel_constant` (left out: nothing can be told) or
    `collinear:other` (the two cannot be told apart; their sum can). `shares`: draws by channels, of
    mean outcome a period; `shapes`: places in the grid. `mixing`: R-hat, near 1 where the chains
    agree.
    """

    status: str
    channels: tuple[str, ...]
    table: Table
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    shares: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    shapes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    settings: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    mixing: float = float("nan")
    level: float = LEVEL
    grid: Grid = field(default_factory=make_grid)
    responses: tuple[Response, ...] = ()
    base: Base | None = None

    @property
    def scale(self) -> float:
        """Mean outcome of a period, which shares are of."""
        return float(self.table.outcome.mean())

    def total(self, *channels: str) -> Estimate:
        """What channels brought in all periods; several are summed draw by draw."""
        places = [self._place(name) for name in channels or self.channels]
        known = [place for place in places if place is not None]
        if self.status != OK or len(known) < len(places):
            return self._missing(CONSTANT if self.status == OK else self.status)
        drawn = self.shares[:, known].sum(axis=1) * float(self.table.outcome.sum())
        return self.summarise(drawn)

    def roi(self, channel: str) -> Estimate:
        """What a channel brought for each unit of money spent on it."""
        return _scale(self.total(channel), 1 / float(self.table.spend_of(channel).sum()))

    def contributions(self) -> pd.DataFrame:
        """One row per period and channel: `period`, `channel`, `value`, `low`, `high`."""
        rows = []
        for place, name in enumerate(self.channels):
            drawn = self._response(place) * self.shares[:, place, None] * self.scale
            low, high = self._bounds(drawn)
            rows.append(
                pd.DataFrame(
                    {
                        "period": pd.to_datetime(list(self.table.starts)),
                        "channel": name,
                        "value": np.median(drawn, axis=0),
                        "low": low,
                        "high": high,
                    }
                )
            )
        columns = ["period", "channel", "value", "low", "high"]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)

    def curve(self, channel: str, spends: Sequence[float] | Floats) -> pd.DataFrame:
        """What a period brings in the long run at each spend a period: `spend`, `value`, bounds."""
        drawn = self.returns(channel, np.asarray(spends, dtype=np.float64))
        low, high = self._bounds(drawn)
        return pd.DataFrame(
            {"spend": spends, "value": np.median(drawn, axis=0), "low": low, "high": high}
        )

    def marginal_roi(self, channel: str, *, spend: float | None = None) -> Estimate:
        """What the next unit of money brings at a steady spend (default: the mean of the table)."""
        if self._place(channel) is None:
            return self._missing(CONSTANT if self.status == OK else self.status)
        at = float(self.table.spend_of(channel).mean()) if spend is None else spend
        step = max(at, 1e-9) * 0.01
        drawn = self.returns(channel, np.array([at, at + step]))
        return self.summarise((drawn[:, 1] - drawn[:, 0]) / step)

    def returns(self, channel: str, spends: Floats) -> Floats:
        """Draws by spends: what a period brings when its channel always spends so much."""
        place = self.channels.index(channel)
        response, shapes = self.responses[place], self.shapes[:, place]
        half = (self.grid.half * response.usual)[shapes]
        raised = saturate(spends[None, :], half[:, None], self.grid.steep[shapes][:, None])
        factor = self.shares[:, place] / response.scale[shapes] * self.scale
        return raised * factor[:, None]

    def _response(self, place: int) -> Floats:
        return self.responses[place].values[self.shapes[:, place]]

    def _place(self, name: str) -> int | None:
        if name not in self.channels:
            self.table.spend_of(name)  # raises where there is no such channel at all
            return None
        return self.channels.index(name)

    def _bounds(self, drawn: Floats) -> Floats:
        tail = (1 - self.level) / 2 * TAIL
        return np.quantile(drawn, [tail, 1 - tail], axis=0)

    def summarise(self, drawn: Floats) -> Estimate:
        """Median and interval of draws."""
        low, high = self._bounds(drawn).tolist()
        return Estimate(float(np.median(drawn)), low, high, len(self.table.starts))

    def _missing(self, status: str) -> Estimate:
        nothing = float("nan")
        return Estimate(nothing, nothing, nothing, len(self.table.starts), status)


def fit(
    spend: pd.DataFrame,
    outcome: Sequence[float] | pd.Series | Floats,
    *,
    controls: pd.DataFrame | None = None,
    holidays: str | Mapping[str, Sequence[Stretch]] = "cn",
    experiments: Sequence[Experiment] = (),
    level: float = LEVEL,
    seed: int = 0,
) -> Mix:
    """Fit a media mix to a table of spend and an outcome.

    Parameters
    ----------
    spend
        One row per week or day, in order and without gaps: the index holds the first days (dates),
        each column is the money spent on a channel (>= 0).
    outcome
        Revenue, orders or the like of each period, in the order of `spend`.
    controls
        What else moves the outcome, row by row: price, promotion, a competitor's prices.
    holidays
        `cn`, `west`, or first and last days of stretches by name.
    experiments
        What experiments said that a channel's spend of some days caused within them.
    level
        Coverage of intervals, in (0, 1).
    seed
        The same seed and table give the same fit.

    Returns
    -------
    A `Mix`. Too few periods or an outcome without variance are its `status`, channels that cannot
    be told are in its `notes`.

    Raises
    ------
    InvalidParameter
        If the table has gaps, negative or missing numbers, or lengths differ.

    Notes
    -----
    Geometric adstock and Hill saturation after Jin et al. (2017), *Bayesian methods for media mix
    modeling with carryover and shape effects*; sampled as `sampler` says.
    """
    table = read_table(spend, outcome, controls, level=level)
    status = judge_table(table)
    constant = find_constant(table)
    channels = tuple(name for name in table.channels if name not in constant)
    notes = dict.fromkeys(constant, CONSTANT)
    if status != OK or not channels:
        return Mix(NO_CHANNELS if status == OK else status, (), table, notes, level=level)
    notes |= find_twins(table, channels)
    years = range(table.starts[0].year, table.starts[-1].year + 2)
    stretches = list_holidays(holidays, years) if isinstance(holidays, str) else holidays
    revenue = table.outcome / table.outcome.mean()
    base = build_base(table.starts, table.days, revenue, table.controls, stretches)
    grid = make_grid(table.days)
    paid = np.column_stack([table.spend_of(name) for name in channels])
    responses = tuple(respond(one, grid, days=table.days) for one in paid.T)
    known = [_read_experiment(one, table, channels, responses, grid) for one in experiments]
    with threadpool_limits(1):  # small matrices: threads cost more than they bring
        drawn = sample(
            revenue, [one.values for one in responses], paid.mean(axis=0) / paid.mean(axis=0).sum(),
            base, grid, [one for one in known if one is not None], Streams(seed).generator("mix"),
        )  # fmt: skip
    kept = np.linspace(0, len(drawn.shares) - 1, min(KEPT, len(drawn.shares))).astype(int)
    return Mix(
        OK, channels, table, notes, drawn.shares[kept], drawn.shapes[kept], drawn.settings[kept],
        drawn.mixing, level, grid, responses, base,
    )  # fmt: skip


def _read_experiment(
    one: Experiment,
    table: Table,
    channels: Sequence[str],
    responses: Sequence[Response],
    grid: Grid,
) -> Known | None:
    """An experiment as a row for its channel; None where the channel was left out."""
    first, last = table.places(one.first_on, one.last_on)
    spend = table.spend_of(one.channel)
    if one.channel not in channels:
        return None
    place = channels.index(one.channel)
    response, without = responses[place], spend.copy()
    without[first : last + 1] = 0
    rows = np.empty(len(grid))
    for kept in np.unique(grid.retention):
        of = grid.retention == kept
        retention = float(kept) ** (table.days / 7)
        half = (grid.half * response.usual)[of][:, None]
        gain = [
            saturate(level[None, first : last + 1], half, grid.steep[of][:, None])
            for level in (adstock(spend, retention), adstock(without, retention))
        ]
        rows[of] = (gain[0] - gain[1]).sum(axis=1) / response.scale[of]
    scale = float(table.outcome.mean())
    half_width = (one.effect.high - one.effect.low) / 2
    return Known(place, rows, one.effect.value / scale, half_width / critical_z(one.level) / scale)


def _scale(one: Estimate, factor: float) -> Estimate:
    return Estimate(one.value * factor, one.low * factor, one.high * factor, one.n, one.status)

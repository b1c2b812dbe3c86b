"""Does a mix foretell weeks that it has not seen? A check of the whole, not of each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.measure.mix.base import build_base
from zhiyin.measure.mix.holidays import Stretch, list_holidays
from zhiyin.measure.mix.inputs import Experiment, Table, read_table
from zhiyin.measure.mix.model import LEVEL, Mix, fit
from zhiyin.measure.mix.shapes import adstock, saturate
from zhiyin.measure.status import OK

Floats = NDArray[np.float64]

DRAWS: Final = 100  # of the posterior, each with its own base


@dataclass(frozen=True)
class Backtest:
    """Periods after the fit: `table` has `period`, `actual`, `expected`, `low`, `high`.

    `error`: mean of |expected / actual - 1|; `naive_error`: the same of last year's period;
    `covered`: share of periods within their interval. A mix that foretells well may still share
    contributions wrongly among channels; one that foretells badly is not to be believed.
    """

    status: str
    table: pd.DataFrame
    error: float
    naive_error: float
    covered: float


def backtest(
    spend: pd.DataFrame,
    outcome: Sequence[float] | pd.Series | Floats,
    *,
    periods: int,
    controls: pd.DataFrame | None = None,
    holidays: str | Mapping[str, Sequence[Stretch]] = "cn",
    experiments: Sequence[Experiment] = (),
    level: float = LEVEL,
    seed: int = 0,
) -> Backtest:
    """Fit to all but the last `periods` rows and foretell these from their spend and controls.

    Arguments are those of `fit`; experiments after the fit are left out.

    Raises
    ------
    InvalidParameter
        As `fit`, or if `periods` is not between 1 and the rows of the table less 1.
    """
    whole = read_table(spend, outcome, controls, level=level)
    if not 1 <= periods < len(whole.starts):
        raise InvalidParameter(
            f"periods is {periods!r}", hint=f"between 1 and {len(whole.starts) - 1}"
        )
    seen = len(whole.starts) - periods
    mix = fit(
        spend.iloc[:seen], whole.outcome[:seen],
        controls=None if controls is None else controls.iloc[:seen], holidays=holidays,
        experiments=[one for one in experiments if one.last_on < whole.starts[seen]],
        level=level, seed=seed,
    )  # fmt: skip
    if mix.status != OK:
        columns = ["period", "actual", "expected", "low", "high"]
        nothing = float("nan")
        return Backtest(mix.status, pd.DataFrame(columns=columns), nothing, nothing, nothing)
    years = range(whole.starts[0].year, whole.starts[-1].year + 2)
    stretches = list_holidays(holidays, years) if isinstance(holidays, str) else holidays
    drawn = _foretell(mix, whole, stretches, Streams(seed).generator("mix:backtest")) * mix.scale
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    actual, expected = whole.outcome[seen:], np.median(drawn, axis=0)
    year = round(364 / whole.days)
    before = whole.outcome[np.maximum(np.arange(seen, len(whole.starts)) - year, 0)]
    return Backtest(
        OK,
        pd.DataFrame(
            {
                "period": pd.to_datetime(list(whole.starts[seen:])), "actual": actual,
                "expected": expected, "low": low, "high": high,
            }
        ),
        float(np.abs(expected / actual - 1).mean()), float(np.abs(before / actual - 1).mean()),
        float(((low <= actual) & (actual <= high)).mean()),
    )  # fmt: skip


def _foretell(
    mix: Mix, whole: Table, stretches: Mapping[str, Sequence[Stretch]], rng: np.random.Generator
) -> Floats:
    """Draws by unseen periods of the outcome, in units of the mean of what was seen."""
    seen = len(mix.table.starts)
    after = np.full(len(whole.starts) - seen, mix.table.outcome[-13:].mean())
    revenue = np.concatenate([mix.table.outcome, after]) / mix.scale  # for the size of noise only
    base = build_base(whole.starts, whole.days, revenue, whole.controls, stretches)
    base = replace(base, level=np.concatenate([_level(mix), base.level[seen:]]))
    made = []
    for draw in rng.integers(len(mix.shares), size=DRAWS).tolist():
        media = _media(mix, whole, draw)
        covariance = base.covariance(mix.settings[draw])
        factor = cho_factor(covariance[:seen, :seen], lower=True)
        across = covariance[seen:, :seen]
        mean = across @ cho_solve(factor, revenue[:seen] - media[:seen])
        spread = covariance[seen:, seen:] - across @ cho_solve(factor, across.T)
        noise = rng.multivariate_normal(np.zeros(len(after)), spread, size=5, method="cholesky")
        made.append(media[seen:] + mean + noise)
    return np.concatenate(made)


def _level(mix: Mix) -> Floats:
    if mix.base is None:
        raise AssertionError("a mix that was fitted has a base")
    return mix.base.level


def _media(mix: Mix, whole: Table, draw: int) -> Floats:
    """What all channels bring by one draw, seen periods and those after them."""
    made = np.zeros(len(whole.starts))
    for place, name in enumerate(mix.channels):
        shape, response = mix.shapes[draw, place], mix.responses[place]
        kept = float(mix.grid.retention[shape]) ** (whole.days / 7)
        half = mix.grid.half[shape] * response.usual[shape]
        risen = saturate(adstock(whole.spend_of(name), kept), half, mix.grid.steep[shape])
        made += mix.shares[draw, place] * risen / response.scale[shape]
    return made

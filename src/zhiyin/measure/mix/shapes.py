"""What spend does over time and with size: geometric adstock, Hill saturation, and a grid of both.

A shape is (retention, half-saturation, steepness). `make_grid` lists the shapes that a fit weighs
against each other; a channel's features are its responses under each, each scaled to the mean 1, so
that a coefficient is the channel's mean contribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]

RETENTIONS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DAILY: Final = (0.0, 0.25, 0.5, 0.65, 0.75, 0.82, 0.87, 0.91, 0.94, 0.97)
"""Share of the effect that is left after a week; after a day, for tables by day."""
HALVES: Final = (0.35, 0.6, 1.0, 1.7, 3.0, 6.0)
STEEPNESS: Final = (0.7, 1.0, 1.4, 2.0)
PAST: Final = 8  # periods whose mean stands for the spend before the first


@dataclass(frozen=True)
class Grid:
    """Shapes and how likely each is before any data: arrays of the same length.

    `retention`: share of the effect that is left after a week; `half`: adstocked spend at half
    of the saturation, over the channel's usual; `steep`: Hill's exponent.
    """

    retention: Floats
    half: Floats
    steep: Floats
    log_prior: Floats

    def __len__(self) -> int:
        return len(self.half)


def make_grid(days: int = 7) -> Grid:
    """All shapes for periods of `days` days.

    A priori weekly retention is Beta(1.5, 3), daily retention uniform over its grid; the usual
    spend is near the half-way of the curve.
    """
    steps = RETENTIONS if days == 7 else tuple(kept**7 for kept in DAILY)
    kept, half, steep = np.meshgrid(steps, HALVES, STEEPNESS, indexing="ij")
    inside = np.clip(kept, 0.03, None)
    prior = (0.5 * np.log(inside) + 2 * np.log1p(-inside)) * (days == 7) - 0.5 * np.log(half) ** 2
    prior = prior - 0.5 * (np.log(steep / 1.1) / 0.5) ** 2
    flat = prior.ravel() - np.logaddexp.reduce(prior.ravel())
    return Grid(kept.ravel(), half.ravel(), steep.ravel(), flat)


def adstock(spend: Floats, retention: float) -> Floats:
    """Geometric adstock along the first axis, weights summing to 1: a_t = r a_(t-1) + (1 - r) x_t.

    The level before the first period is the mean of the first ones.
    """
    if retention == 0:
        return spend.astype(np.float64)
    start = retention * spend[:PAST].mean(axis=0, keepdims=True)
    made, _ = lfilter([1 - retention], [1, -retention], spend, axis=0, zi=start)
    return made


def saturate(level: Floats, half: Floats, steep: Floats) -> Floats:
    """Hill: x^s / (x^s + k^s), 0 at 0, in [0, 1)."""
    raised = np.maximum(level, 0) ** steep
    return raised / (raised + half**steep)


@dataclass(frozen=True)
class Response:
    """A channel's responses under every shape of a grid.

    `values`: shapes by periods, each of mean 1 over the periods; `scale`: what the Hill curve was
    divided by; `usual`: by shape, the mean of adstocked spend where there is any.
    """

    values: Floats
    scale: Floats
    usual: Floats


def respond(spend: Floats, grid: Grid, *, days: float) -> Response:
    """Responses to one channel's spend by period of `days` days."""
    usual, rows = np.empty(len(grid)), np.empty((len(grid), len(spend)))
    for kept in np.unique(grid.retention):
        of = grid.retention == kept
        level = adstock(spend, float(kept) ** (days / 7))
        usual[of] = level[level > 0.05 * level.mean()].mean()
        rows[of] = level
    rows = saturate(rows, (grid.half * usual)[:, None], grid.steep[:, None])
    scale = rows.mean(axis=1)
    return Response(rows / scale[:, None], scale, usual)

"""Where the next budget should go, by the response curves of a mix."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.mix.model import Mix
from zhiyin.measure.status import OK

STEPS: Final = 200
BOUNDS: Final = (0.5, 1.5)
"""Without bounds of its own a channel stays within these parts of its mean spend: beyond what was
ever spent a curve is a guess."""


@dataclass(frozen=True)
class Budget:
    """A steady spend a period for each channel, and what it brings a period.

    `gain`: over the mean spend of the table, scaled to the same total; `gain.low` below 0 means
    that the mix does not know whether the move pays.
    """

    status: str
    spend: Mapping[str, float]
    expected: Estimate
    gain: Estimate


def budget(
    mix: Mix, total: float, bounds: Mapping[str, tuple[float, float]] | None = None
) -> Budget:
    """Share `total` money a period among channels so that the mean of the posterior is largest.

    Parameters
    ----------
    total
        Money a period, for all channels of the mix.
    bounds
        Least and most a period by channel; others stay within .5 and 1.5 of their mean spend.

    Raises
    ------
    InvalidParameter
        If the bounds cannot hold the total, or name no channel of the mix.

    Notes
    -----
    Mean curves on `STEPS` steps, their upper concave hull, greedy by slope: exact for concave
    curves; where an S-shaped curve is left half-way up its hull, the result may be short of the
    best by a part of one channel's rise.
    """
    if mix.status != OK:
        nothing = mix.total()
        return Budget(mix.status, {}, nothing, nothing)
    limits = _read_bounds(mix, total, bounds or {})
    spend = {name: low for name, (low, _) in limits.items()}
    pieces: list[tuple[float, str, float]] = []
    for name, (low, high) in limits.items():
        at = np.linspace(low, high, STEPS + 1)
        for start, end, slope in _hull(at, mix.returns(name, at).mean(axis=0)):
            pieces.append((-slope, name, end - start))
    left = total - sum(spend.values())
    for _, name, width in sorted(pieces):
        given = min(width, left)
        spend[name] += given
        left -= given
    now = {name: float(mix.table.spend_of(name).mean()) for name in mix.channels}
    scaled = {name: money * total / sum(now.values()) for name, money in now.items()}
    brings, would = _draw(mix, spend), _draw(mix, scaled)
    return Budget(OK, spend, mix.summarise(brings), mix.summarise(brings - would))


def _read_bounds(
    mix: Mix, total: float, bounds: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    unknown = [name for name in bounds if name not in mix.channels]
    if unknown:
        raise InvalidParameter(
            f"bounds name {unknown[0]!r}, which the mix cannot tell or does not have",
            hint=f"one of {', '.join(mix.channels)}",
        )
    limits = {}
    for name in mix.channels:
        mean = float(mix.table.spend_of(name).mean())
        limits[name] = bounds.get(name, (BOUNDS[0] * mean, BOUNDS[1] * mean))
        if not 0 <= limits[name][0] <= limits[name][1]:
            raise InvalidParameter(
                f"bounds of {name} are {limits[name]}", hint="0 <= least <= most"
            )
    least, most = (sum(one[side] for one in limits.values()) for side in (0, 1))
    if not least * (1 - 1e-9) <= total <= most * (1 + 1e-9):
        raise InvalidParameter(
            f"a total of {total:g} does not lie within the bounds, {least:g} to {most:g}",
            hint="widen the bounds of some channels; without any they are .5 to 1.5 of the mean",
        )
    return limits


def _hull(at: NDArray[np.float64], value: NDArray[np.float64]) -> list[tuple[float, float, float]]:
    """Pieces (start, end, slope) of the upper concave hull, slopes falling."""
    kept: list[int] = []
    for place in range(len(at)):
        while len(kept) > 1:
            a, b = kept[-2:]
            if (value[b] - value[a]) * (at[place] - at[a]) > (value[place] - value[a]) * (
                at[b] - at[a]
            ):
                break
            kept.pop()
        kept.append(place)
    return [
        (float(at[a]), float(at[b]), float((value[b] - value[a]) / (at[b] - at[a])))
        for a, b in itertools.pairwise(kept)
        if at[b] > at[a]
    ]


def _draw(mix: Mix, spend: Mapping[str, float]) -> NDArray[np.float64]:
    """Draws of what all channels bring in a period at a steady spend."""
    return sum(
        (mix.returns(name, np.array([money]))[:, 0] for name, money in spend.items()),
        np.zeros(len(mix.shares)),
    )

"""What sells without media: level, trend, year, festivals, controls, and slow demand.

Everything here is Gaussian, so it is integrated out: given the settings of `Base`, revenue less
media is normal with the covariance that `covariance` gives. Revenue is in units of its own mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular, toeplitz

from zhiyin.measure.mix.holidays import Stretch, share_of_days

Floats = NDArray[np.float64]

KINDS: Final = ("level", "trend", "season", "weekday", "holiday", "control")
SPREADS: Final = {
    "level": 1.0, "trend": 0.2, "season": 0.1, "weekday": 0.15, "holiday": 0.1, "control": 0.05,
}  # fmt: skip
"""A priori standard deviation of coefficients, as a share of mean revenue, times a scale fitted."""
WAVES: Final = 3
SCALED: Final = ("trend", "season", "weekday", "holiday", "control")
NAMES: Final = ("noise", "slow", "memory", "echo", *SCALED)
CENTRES: Final = (np.log(0.05), 0.0, np.log(8.0), 0.2, 0.0, 0.0, 0.0, 0.0, 0.0)
WIDTHS: Final = (1.5, 1.5, 0.8, 0.2, 0.7, 0.7, 0.7, 0.7, 0.7)


@dataclass(frozen=True)
class Base:
    """Columns of the base and the kind of each: periods by columns.

    Settings are a vector, in the order of `NAMES`: log of the noise, log of the variance of slow
    demand over that of noise, log of its memory in weeks, autocorrelation of noise from week to
    week, logs of the scales of trend, season, weekday, holiday and control.
    """

    columns: Floats
    names: tuple[str, ...]
    kinds: NDArray[np.int64]  # place in KINDS
    level: Floats  # by period, what noise is in proportion to
    weeks: float  # length of a period

    def covariance(self, settings: Floats) -> Floats:
        """Covariance of revenue less media, in units of mean revenue squared."""
        noise, slow, memory, echo = np.exp(settings[0]), *settings[1:4]
        n = len(self.columns)
        apart = np.arange(n) * self.weeks
        near = np.exp(slow - apart / np.exp(memory)) + np.clip(echo, 1e-3, 0.95) ** apart
        size = noise * self.level
        made = toeplitz(near) * size[:, None] * size
        scaled = self.columns * self.spreads(settings)
        return made + scaled @ scaled.T

    def spreads(self, settings: Floats) -> Floats:
        """A priori standard deviation of the coefficient of each column."""
        scales = dict.fromkeys(KINDS, 1.0)
        for name, value in zip(SCALED, settings[4:].tolist(), strict=True):
            scales[name] = float(np.exp(value))
        by_kind = np.array([SPREADS[kind] * scales[kind] for kind in KINDS])
        return by_kind[self.kinds]


def log_density(rest: Floats, base: Base, settings: Floats) -> tuple[float, Floats | None]:
    """Log density of the settings given revenue less media, and the factor of the covariance."""
    if not -0.2 < settings[3] < 0.9 or abs(settings[2] - CENTRES[2]) > 2.5:
        return -np.inf, None
    try:
        factor = cholesky(base.covariance(settings), lower=True, check_finite=False)
    except LinAlgError:  # settings that no business has
        return -np.inf, None
    white = solve_triangular(factor, rest, lower=True, check_finite=False)
    prior = -0.5 * float((((settings - CENTRES) / WIDTHS) ** 2).sum())
    return prior - float(np.log(np.diag(factor)).sum()) - 0.5 * float(white @ white), factor


def build_base(
    starts: Sequence[date],
    days: int,
    revenue: Floats,
    controls: Mapping[str, Floats],
    holidays: Mapping[str, Sequence[Stretch]],
) -> Base:
    """The base of periods of `days` days each; `revenue` has the mean 1.

    Columns that never change are left out; controls are standardised.
    """
    n = len(starts)
    first = np.array([start.toordinal() for start in starts], dtype=np.float64) + (days - 1) / 2
    made: list[tuple[str, str, Floats]] = [
        ("level", "level", np.ones(n)), ("trend", "trend", np.linspace(-1, 1, n)),
    ]  # fmt: skip
    for wave in range(1, WAVES + 1):
        angle = 2 * np.pi * wave * first / 365.2425
        made.append((f"year_sin_{wave}", "season", np.sin(angle) / wave))
        made.append((f"year_cos_{wave}", "season", np.cos(angle) / wave))
    if days == 1:
        for day in range(6):
            made.append((f"weekday_{day}", "weekday", (first.astype(int) % 7 == day) * 1.0))
    for name, stretches in holidays.items():
        made.append((name, "holiday", share_of_days(starts, days, stretches)))
    for name, values in controls.items():
        spread = values.std() or 1.0
        made.append((name, "control", (values - values.mean()) / spread))
    kept = [one for one in made if one[1] == "level" or one[2].std() > 1e-9]
    window = min(n, round(26 * 7 / days))
    smooth = np.convolve(np.pad(revenue, window, "reflect"), np.ones(window) / window, "same")
    return Base(
        np.column_stack([values for _, _, values in kept]),
        tuple(name for name, _, _ in kept),
        np.array([KINDS.index(kind) for _, kind, _ in kept]),
        np.clip(smooth[window:-window], 0.3, 3),
        days / 7,
    )

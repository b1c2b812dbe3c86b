"""The posterior of a media mix: shapes on a grid, the rest in closed form.

    revenue / mean = sum over channels of b_c h_c(shape_c) + base + noise,   b_c >= 0

`h_c` is a channel's response of mean 1, so b_c is the share of revenue that it brings. The base and
the noise are normal and integrated out (`base`). What is left is sampled channel by channel: given
the others, the weight of every shape of the grid is known with b_c integrated out (a normal cut at
0), so a shape is drawn from all of them at once, then b_c from its cut normal. Nothing is tuned and
no gradient is needed. A priori b_c is normal around its share of spend times what media bring in
all, cut at 0; how much they bring and how unlike channels are is learned, which draws channels
that the data say little of towards the return of the others.

Experiments are further rows of the regression: what a channel's spend of some weeks caused in them
is b_c times a number that only the shape knows.

Settings of the base (noise, slow demand, scales) are drawn by Metropolis steps from time to time.
Chains of one group share them, drawn given one chain of the group; groups are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import log_ndtr, ndtr, ndtri

from zhiyin.measure.mix.base import CENTRES, Base, log_density
from zhiyin.measure.mix.shapes import Grid

Floats = NDArray[np.float64]

GROUPS: Final = 6
CHAINS: Final = 8  # in a group
ROUNDS: Final = 15  # each begins with new settings of the base
BURN: Final = 5  # rounds that are not kept
SWEEPS: Final = 10  # in a round
SKIP: Final = 3  # of them not kept, since the settings are new
STEPS: Final = 6  # Metropolis steps of the settings in a round
TOTALS: Final = np.exp(np.linspace(np.log(0.03), np.log(0.9), 35))  # what media bring in all
UNLIKE: Final = np.array([0.3, 0.45, 0.6, 0.8, 1.1])  # spread of returns over their mean
TOTAL_CENTRE, TOTAL_WIDTH = 0.25, 0.6  # a priori, on the log


@dataclass(frozen=True)
class Known:
    """What an experiment says of a channel: `rows` is its effect under each shape for b = 1."""

    channel: int
    rows: Floats
    value: float
    error: float


@dataclass(frozen=True)
class Draws:
    """Draws of the posterior, draws by channels; `settings`: draws by settings of the base.

    `mixing`: the largest R-hat of the channels' shares between groups.
    """

    shares: Floats
    shapes: NDArray[np.int64]
    settings: Floats
    mixing: float


@dataclass
class _Group:
    """The state of one group of chains."""

    shares: Floats  # channels by chains
    shapes: NDArray[np.int64]
    total: Floats
    unlike: Floats
    settings: Floats
    steps: Floats


def sample(
    revenue: Floats,
    responses: Sequence[Floats],
    spend_share: Floats,
    base: Base,
    grid: Grid,
    known: Sequence[Known],
    rng: np.random.Generator,
) -> Draws:
    """Draw from the posterior. `revenue` has mean 1; `spend_share` of each channel sums to 1."""
    made = [
        _run_group(revenue, responses, spend_share, base, grid, known, one)
        for one in rng.spawn(GROUPS)
    ]
    shares = np.stack([one[0] for one in made])  # groups, draws, channels
    within = shares.var(axis=1, ddof=1).mean(axis=0)
    between = shares.mean(axis=1).var(axis=0, ddof=1)
    return Draws(
        shares.reshape(-1, shares.shape[2]),
        np.concatenate([one[1] for one in made]),
        np.concatenate([one[2] for one in made]),
        float(np.sqrt(1 + between / within).max()),
    )


def _run_group(
    revenue: Floats,
    responses: Sequence[Floats],
    spend_share: Floats,
    base: Base,
    grid: Grid,
    known: Sequence[Known],
    rng: np.random.Generator,
) -> tuple[Floats, NDArray[np.int64], Floats]:
    count = len(responses)
    total = np.exp(np.log(TOTAL_CENTRE) + 0.4 * rng.standard_normal(CHAINS))
    state = _Group(
        spend_share[:, None] * total * rng.uniform(0.5, 1.5, (count, CHAINS)),
        rng.choice(len(grid), p=np.exp(grid.log_prior), size=(count, CHAINS)),
        total, np.full(CHAINS, 0.6), np.array(CENTRES), np.full(len(CENTRES), 0.3),
    )  # fmt: skip
    shares, shapes, settings = [], [], []
    for turn in range(ROUNDS):
        media = _media(responses, state)
        chain = int(rng.integers(CHAINS))
        steps = STEPS if turn >= BURN else 4 * STEPS
        factor = _move_settings(revenue - media[:, chain], base, state, rng, steps, turn < BURN)
        white = [_whiten(factor, one.T).T for one in responses]
        rest = _whiten(factor, revenue[:, None] - media)
        power = [(one * one).sum(axis=1)[:, None] for one in white]
        for sweep in range(SWEEPS):
            for place in range(count):
                rest = _move_channel(
                    place, rest, white[place], power[place], state, spend_share, grid, known, rng
                )
            _move_prior(state, spend_share, rng)
            if turn >= BURN and sweep >= SKIP:
                shares.append(state.shares.T.copy())
                shapes.append(state.shapes.T.copy())
                settings.append(np.tile(state.settings, (CHAINS, 1)))
    return np.concatenate(shares), np.concatenate(shapes), np.concatenate(settings)


def _whiten(factor: Floats, columns: Floats) -> Floats:
    return solve_triangular(factor, columns, lower=True, check_finite=False)


def _media(responses: Sequence[Floats], state: _Group) -> Floats:
    """What all channels bring, periods by chains."""
    made = np.zeros((responses[0].shape[1], CHAINS))
    for rows, shapes, shares in zip(responses, state.shapes, state.shares, strict=True):
        made += (rows[shapes] * shares[:, None]).T
    return made


def _move_settings(
    rest: Floats, base: Base, state: _Group, rng: np.random.Generator, steps: int, learn: bool
) -> Floats:
    """Metropolis steps of the settings given revenue less media; the factor of the covariance."""
    at, factor = log_density(rest, base, state.settings)
    for _ in range(steps):
        moved = rng.random(len(state.steps)) < 0.5
        tried = state.settings + moved * state.steps * rng.standard_normal(len(state.steps))
        there, other = log_density(rest, base, tried)
        taken = np.log(rng.random()) < there - at
        if taken:
            state.settings, at, factor = tried, there, other
        if learn:
            state.steps[moved] *= np.exp(0.1 * (float(taken) - 0.3))
    if factor is None:
        raise AssertionError("settings that have been taken have a covariance")
    return factor


def _move_channel(
    place: int,
    rest: Floats,
    white: Floats,
    power: Floats,
    state: _Group,
    spend_share: Floats,
    grid: Grid,
    known: Sequence[Known],
    rng: np.random.Generator,
) -> Floats:
    """Draw the shape and the share of one channel given the others; what is left of revenue."""
    rest = rest + (white[state.shapes[place]] * state.shares[place][:, None]).T
    centre = state.total * spend_share[place]
    weight = 1 / (state.unlike * centre) ** 2
    curve, slope = power + weight, white @ rest + centre * weight
    for one in known:
        if one.channel == place:
            curve = curve + (one.rows**2 / one.error**2)[:, None]
            slope = slope + (one.rows * one.value / one.error**2)[:, None]
    root = np.sqrt(curve)
    score = slope / root
    odds = 0.5 * score**2 - np.log(root) + log_ndtr(score) + grid.log_prior[:, None]
    shape = np.argmax(odds + rng.gumbel(size=odds.shape), axis=0)
    chains = np.arange(len(shape))
    spread, mean = 1 / root[shape, chains], (slope / curve)[shape, chains]
    state.shapes[place] = shape
    state.shares[place] = _draw_positive(mean, spread, rng)
    return rest - (white[shape] * state.shares[place][:, None]).T


def _draw_positive(mean: Floats, spread: Floats, rng: np.random.Generator) -> Floats:
    """Normal numbers cut at 0, by the inverse of their upper tail."""
    above = ndtr(mean / spread)
    drawn = mean - spread * ndtri(np.maximum(above * (1 - rng.random(len(mean))), 1e-300))
    return np.maximum(drawn, 1e-9)


def _move_prior(state: _Group, spend_share: Floats, rng: np.random.Generator) -> None:
    """Draw what media bring in all and how unlike their returns are, from a grid of both."""
    total, unlike = (one.ravel() for one in np.meshgrid(TOTALS, UNLIKE, indexing="ij"))
    centre = np.outer(total, spend_share)  # cells by channels
    spread = unlike[:, None] * centre
    a = 1 / spread**2
    odds = -0.5 * (a @ state.shares**2 - 2 * (a * centre) @ state.shares)
    constant = -0.5 * (a * centre**2).sum(axis=1) - np.log(spread).sum(axis=1)
    constant -= len(spend_share) * log_ndtr(1 / unlike)
    constant -= 0.5 * (np.log(total / TOTAL_CENTRE) / TOTAL_WIDTH) ** 2
    odds = odds + constant[:, None]
    cell = np.argmax(odds + rng.gumbel(size=odds.shape), axis=0)
    state.total, state.unlike = total[cell], unlike[cell]

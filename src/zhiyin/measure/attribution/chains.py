"""Markov attribution: what would be lost without a channel, by linear algebra instead of chance.

A path is a walk start → touch → … → converted or lost. With Q the transitions between states, r the
chance to convert from each and h = (I - Q)^-1 r, a path converts with chance h(start). Without
channel c all that reaches it is lost: solve again with h = 0 on its states. The removal effect is
1 - h_without(start) / h(start); conversions are shared out by it (Anderl et al. 2016, IJRM 33:457).

For order 1 no second solution is needed: h_without(start) = h(start) - N(start, c) h(c) / N(c, c),
N = (I - Q)^-1, as N(start, c) / N(c, c) is the chance to ever reach c. Others draw a million walks
instead and lose channels that none of them meets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csc_array, diags_array, eye_array
from scipy.sparse.linalg import spsolve

from zhiyin.core.errors import InvalidParameter
from zhiyin.measure.attribution.credit import Attribution, conclude
from zhiyin.measure.attribution.paths import Paths, as_paths

MOST_ORDER = 6


def markov(paths: Paths | Iterable[Sequence[object]], *, order: int = 1) -> Attribution:
    """Share conversions by exact removal effects of a Markov chain of the last `order` channels.

    Parameters
    ----------
    paths
        `Paths`, or rows for `make_paths`. Those that did not convert matter: without them nothing
        is ever lost but by removal.
    order
        Touches that a state remembers, 1..6.

    Returns
    -------
    Credit that sums to the conversions, and `removal` in [0, 1] by channel.

    Raises
    ------
    InvalidParameter
        If the order is out of range.
    """
    if not (isinstance(order, int) and 1 <= order <= MOST_ORDER):
        raise InvalidParameter(f"a chain of order {order!r}", hint=f"1 to {MOST_ORDER}")
    made = as_paths(paths)
    removal = np.zeros(len(made.channels))
    if made.total - made.untouched > 0:
        removal = _remove(*_count_moves(made, order), channels=len(made.channels))
    whole = removal.sum()
    credit = removal / whole * (made.total - made.untouched) if whole else removal
    return conclude(f"markov order {order}", made, credit, removal=removal)


def _count_moves(paths: Paths, order: int) -> tuple[csc_array, np.ndarray, np.ndarray]:
    """Transitions (S, S), chance to convert (S,), and the last channel of each state.

    State 0 is the start, of no channel (-1).
    """
    lengths, path = paths.lengths, paths.of_step
    place = np.arange(len(paths.steps)) - paths.starts[:-1][path]
    codes, base = np.zeros(len(paths.steps), dtype=np.int64), len(paths.channels) + 1
    if order > 1 and base**order > np.iinfo(np.int64).max:
        raise InvalidParameter(
            f"{base - 1} channels at order {order} are too many states", hint="a lower order"
        )
    for back in range(order):  # digits of the last channels, the newest first
        known = place >= back
        codes[known] += (paths.steps[np.flatnonzero(known) - back] + 1) * base**back
    names, state = np.unique(codes, return_inverse=True)
    state = state + 1
    count = len(names) + 1
    walked = (paths.conversions + paths.nulls)[path]
    inner = place > 0
    before = np.where(inner, np.concatenate([[0], state[:-1]]), 0)
    moves = csc_array((walked, (before, state)), shape=(count, count))
    ends = state[paths.starts[1:][lengths > 0] - 1]
    won = np.bincount(ends, paths.conversions[lengths > 0], minlength=count)
    lost = np.bincount(ends, paths.nulls[lengths > 0], minlength=count)
    out = np.asarray(moves.sum(axis=1)).ravel() + won + lost
    share = np.divide(1.0, out, out=np.zeros(count), where=out > 0)
    last = np.concatenate([[-1], names % base - 1])
    return csc_array(diags_array(share) @ moves), won * share, last


def _remove(moves: csc_array, won: np.ndarray, last: np.ndarray, *, channels: int) -> np.ndarray:
    """Removal effect of each channel."""
    count = len(won)
    system = csc_array(eye_array(count) - moves)
    if len(np.unique(last)) == count <= 2_000:  # one state a channel: the closed form
        inverse = np.linalg.inv(system.toarray())
        chance = inverse @ won
        reached = inverse[0] / np.diag(inverse)
        effect = np.zeros(channels)
        effect[last[1:]] = (reached * chance)[1:] / chance[0]
        return np.clip(effect, 0.0, 1.0)
    whole = float(spsolve(system, won)[0])
    effect = np.zeros(channels)
    for channel in range(channels):
        kept = np.flatnonzero(last != channel)
        if len(kept) == count:
            continue  # never reached
        part = csc_array(system[kept][:, kept])
        effect[channel] = 1 - float(np.ravel(spsolve(part, won[kept]))[0]) / whole
    return np.clip(effect, 0.0, 1.0)

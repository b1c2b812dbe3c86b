"""What is believed of the weights of each action: normal, one matrix an action, no action's
weights shared with another's.

Of each of k actions, over contexts of d numbers:

    precision  (k, d, d)   ridge * I + sum of w x x'; w is 1 for linear, p (1 - p) for logistic
    inverse    (k, d, d)   of it; one outcome changes it by a matrix of rank one (Sherman-Morrison)
    weights    (k, d)      the mean
    units      (k, d)      what it would be, had every reward been 1 (linear only)

All are contiguous: the variances x' S x of all actions are one product of the inverses, seen as
(k, d * d), with the d * d numbers of x x'; those of many customers are one product of matrices.
The precision is kept beside its inverse so that time can fade it and rounding cannot add up: after
`REFRESH` single outcomes an action's inverse is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from zhiyin.core.errors import InvalidParameter

REFRESH = 1_000
ROUNDS = 50
CLOSE = 1e-12
LEAST = 1e-6  # of the variance of rewards: the least noise
ROWS = 2_048  # contexts whose x x' are held at once
Floats = NDArray[np.float64]
ARRAYS = ("precision", "inverse", "weights", "units", "counts", "stale", "totals")


class Scale(NamedTuple):
    """How rewards are distributed: what an action is believed to bring before it was ever tried.

    `mean` of all rewards; `noise`, the variance that is left once contexts and actions are known;
    `more`, what all rewards vary beyond it. Weights have the prior variance (noise + more) / ridge,
    so those of the ridge regression are off by noise x'Sx + more ridge |Sx|^2 in all: of an action
    that was never tried all variance, of one that is known well its noise alone.
    """

    mean: float
    noise: float
    more: float


@dataclass
class Beliefs:
    """Normal beliefs of k actions over d numbers; changed in place by the policy that holds it.

    `counts`: outcomes of each action, faded; `stale`: single outcomes since its inverse was
    computed; `totals`: number, sum and sum of squares of the rewards of all actions, and of what
    was left of them: squares of surprises, of those at rewards of 1, and their product.
    """

    precision: Floats
    inverse: Floats
    weights: Floats
    units: Floats
    counts: Floats
    stale: NDArray[np.int64]
    totals: Floats
    ridge: float

    def __post_init__(self) -> None:
        self.inverse = np.ascontiguousarray(self.inverse)
        self._flat = self.inverse.reshape(len(self.inverse), -1)  # the same memory, as is this
        self._stacked = self.inverse.reshape(-1, self.inverse.shape[2])
        self._levelled: tuple[Scale, Floats] | None = None  # until something is learned
        self._squared: Floats | None = None  # the inverses times themselves; as long

    @classmethod
    def fresh(cls, actions: int, width: int, *, ridge: float) -> Beliefs:
        """Nothing known: weights of mean 0 and variance 1 / ridge."""
        eye = np.broadcast_to(np.eye(width), (actions, width, width))
        return cls(
            eye * ridge, eye / ridge, np.zeros((actions, width)), np.zeros((actions, width)),
            np.zeros(actions), np.zeros(actions, np.int64), np.zeros(6), ridge,
        )  # fmt: skip

    def variances_of(self, context: Floats, noise: float = 1.0, more: float = 0.0) -> Floats:
        """noise x'Sx + more ridge |Sx|^2 of each action, (k,): see `Scale`."""
        if not more:
            return noise * (self._flat @ (context[:, None] * context).ravel())
        leaning = (self._stacked @ context).reshape(self.weights.shape)
        made = leaning @ context
        made *= noise
        made += more * self.ridge * np.vecdot(leaning, leaning)
        return made

    def variances(self, contexts: Floats, noise: float = 1.0, more: float = 0.0) -> Floats:
        """As `variances_of`, of (rows, d) contexts: (rows, k)."""
        form = noise * self._flat
        if more:
            if (squared := self._squared) is None:
                squared = np.matmul(self.inverse, self.inverse).reshape(self._flat.shape)
                self._squared = squared
            form += more * self.ridge * squared
        flat = form.T
        made = np.empty((len(contexts), flat.shape[1]))
        for start in range(0, len(contexts), ROWS):
            some = contexts[start : start + ROWS]
            squares = (some[:, :, None] * some[:, None, :]).reshape(len(some), -1)
            np.matmul(squares, flat, out=made[start : start + ROWS])
        return np.maximum(made, 0.0)

    def learn_linear(self, place: int, context: Floats, reward: float) -> None:
        """One outcome of a linear reward: recursive least squares."""
        leaning = self.inverse[place] @ context
        wider = 1.0 + float(context @ leaning)
        part = leaning / wider
        off = reward - float(self.weights[place] @ context)
        of_one = 1.0 - float(self.units[place] @ context)
        self.weights[place] += off * part
        self.units[place] += of_one * part
        left = off * off / wider, off * of_one / wider, of_one * of_one / wider
        self.totals += (1.0, reward, reward * reward, *left)
        self._levelled = None
        self._narrow(place, context, leaning, part, 1.0)

    def learn_logistic(self, place: int, context: Floats, reward: float, base: float) -> None:
        """One outcome 0 or 1 of the rate of log-odds base + x'w: Laplace's approximation, exactly.

        The mode of belief times likelihood lies on the line w + t S x, where t solves
        t = reward - rate(base + x'w + t x'Sx): a number, by Newton's method.
        """
        leaning = self.inverse[place] @ context
        wide, middle = float(context @ leaning), float(self.weights[place] @ context)
        step, rate = _mode(base + middle, wide, reward)
        self.weights[place] += step * leaning
        curve = rate * (1.0 - rate)
        self._narrow(place, context, leaning, leaning * (curve / (1.0 + curve * wide)), curve)

    def _narrow(
        self, place: int, context: Floats, leaning: Floats, part: Floats, curve: float
    ) -> None:
        """The precision gains curve x x', its inverse loses what that makes of it."""
        self._squared = None
        self.inverse[place] -= part[:, None] * leaning
        self.precision[place] += (curve * context)[:, None] * context
        self.counts[place] += 1.0
        self.stale[place] += 1
        if self.stale[place] >= REFRESH:
            self._invert(place)

    def _invert(self, place: int) -> None:
        self._squared = None
        inverse = np.linalg.inv(self.precision[place])
        self.inverse[place] = (inverse + inverse.T) / 2
        self.stale[place] = 0

    def learn_linear_many(self, place: int, contexts: Floats, rewards: Floats, w: Floats) -> None:
        """Outcomes of one action at once, each counting `w` times."""
        weighed, told = contexts.T * w, np.column_stack([rewards, np.ones(len(rewards))])
        before = np.column_stack([self.weights[place], self.units[place]])
        sides = self.precision[place] @ before
        left = before.T @ sides + (told.T * w) @ told
        sides += weighed @ told
        self.precision[place] += weighed @ contexts
        self._invert(place)
        after = self.inverse[place] @ sides
        left -= sides.T @ after
        self.weights[place], self.units[place] = after.T
        number, total = w.sum(), w @ rewards
        self.totals += (number, total, w @ rewards**2, left[0, 0], left[0, 1], left[1, 1])
        self._levelled = None
        self.counts[place] += number

    def learn_logistic_many(
        self, place: int, contexts: Floats, rewards: Floats, w: Floats, base: float
    ) -> None:
        """Outcomes 0 or 1 of one action at once: the mode by Newton's method, then Laplace."""
        before, old = self.weights[place].copy(), self.precision[place].copy()
        at = before.copy()

        def loss(here: Floats) -> float:
            away, lines = here - before, base + contexts @ here
            return float(away @ old @ away / 2 + w @ (np.logaddexp(0.0, lines) - rewards * lines))

        now = loss(at)
        curved = old
        for _ in range(ROUNDS):
            rates = expit(base + contexts @ at)
            slope = old @ (at - before) + contexts.T @ (w * (rates - rewards))
            curved = old + (contexts.T * (w * rates * (1 - rates))) @ contexts
            step = np.linalg.solve(curved, slope)
            gain = float(slope @ step)
            size = 1.0
            while (then := loss(at - size * step)) > now - size * gain / 4 and size > CLOSE:
                size /= 2
            if size <= CLOSE:
                break
            at, now = at - size * step, then
            if gain < CLOSE:
                break
        rates = expit(base + contexts @ at)
        self.precision[place] = old + (contexts.T * (w * rates * (1 - rates))) @ contexts
        self._invert(place)
        self.weights[place] = at
        self.counts[place] += w.sum()

    def fade(self, keep: float) -> None:
        """What was learned counts `keep` times as much; where nothing is left, nothing is known."""
        if not 0 <= keep <= 1:
            raise InvalidParameter(f"the share that is kept must be in [0, 1], not {keep}")
        both = np.stack([self.weights, self.units], axis=2)
        sides = keep * np.matmul(self.precision, both)
        self.precision *= keep
        self.precision += (1 - keep) * self.ridge * np.eye(self.weights.shape[1])
        for place in range(len(self.inverse)):
            self._invert(place)
        both = np.matmul(self.inverse, sides)
        self.weights[:], self.units[:] = both[:, :, 0], both[:, :, 1]
        self.counts *= keep
        self.totals *= keep
        self._levelled = None

    def levelled(self) -> tuple[Scale, Floats]:
        """The scale, and weights that say how far x'w is from the mean of all rewards: where
        nothing is known, by nothing.
        """
        if self._levelled is None:
            scale = self.scale()
            self._levelled = scale, self.weights - scale.mean * self.units
        return self._levelled

    def scale(self) -> Scale:
        """Of all rewards so far."""
        number, total, squares, off, both, of_one = self.totals.tolist()
        if not number:
            return Scale(0.0, 1.0, 0.0)
        mean, square = total / number, squares / number
        variance = square - mean * mean
        if variance <= CLOSE * square:  # all alike: nothing is known of their scale
            return Scale(mean, 1.0, 0.0)
        left = (off - 2 * mean * both + mean * mean * of_one) / number
        noise = min(max(left, LEAST * variance), variance)
        return Scale(mean, noise, variance - noise)

    def arrays(self) -> dict[str, Any]:
        """Copies of all arrays by name."""
        return {name: getattr(self, name).copy() for name in ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], *, ridge: float) -> Beliefs:
        """What `arrays` gave."""
        return cls(**{name: np.array(arrays[name]) for name in ARRAYS}, ridge=ridge)


def _mode(middle: float, wide: float, reward: float) -> tuple[float, float]:
    """t with t = reward - rate(middle + t wide), and that rate; Newton within a bracket."""
    low, high = reward - 1.0, reward
    at = reward - _rate(middle)
    for _ in range(ROUNDS):
        rate = _rate(middle + at * wide)
        off = at - reward + rate
        if off > 0:
            high = at
        else:
            low = at
        then = at - off / (1.0 + wide * rate * (1.0 - rate))
        if not low < then < high:
            then = (low + high) / 2
        if abs(then - at) < CLOSE:
            at = then
            break
        at = then
    return at, _rate(middle + at * wide)


def _rate(line: float) -> float:
    if line >= 0:
        return 1.0 / (1.0 + math.exp(-line))
    small = math.exp(line)
    return small / (1.0 + small)

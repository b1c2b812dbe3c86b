"""What sets a group apart from others (画像): differences with intervals, ranked, none by chance.

The engine sums (`persona_sums`), this module infers. Every number and every share of the group is
compared with that of people who are not in it. Many comparisons are made, so those told are the
ones that Benjamini and Hochberg's procedure lets pass, and their intervals are widened to hold
together (Benjamini & Yekutieli 2005, JASA 100:71: level 1 - q·told/made).

Whether a number differs is asked of its ranks, not of its mean: in groups of ten to some hundred
customers, whose spending is as skewed as spending is, Welch's test finds a difference in nearly
every random group; the ranks do so in as few as promised, which a test checks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from zhiyin.core.arguments import check_number, check_whole, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.core.values import Estimate

SMALLEST = 10
"""A group of fewer, and a value that fewer of the group have, is not described (k-anonymity)."""
Q = 0.05
"""Share of false ones among the differences told."""
_SPARSE = 5  # customers expected outside the commonest value, from which ranks are near normal
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Number:
    """Sums of one feature over those who have a value: of the group, and of the base without it.

    `above` are counts of values above each of the same rising cut points; `lowest` is the least
    value of all.
    """

    name: str
    n: int
    mean: float
    variance: float
    above: tuple[int, ...]
    n_base: int
    mean_base: float
    variance_base: float
    above_base: tuple[int, ...]
    lowest: float


@dataclass(frozen=True)
class Share:
    """How many of the group, and of the base without it, have a value: a tag, a segment, a city."""

    kind: str
    name: str
    value: str
    k: int
    n: int
    k_base: int
    n_base: int


@dataclass(frozen=True)
class Difference:
    """One comparison. `here` and `there` are means, or shares in [0, 1].

    `effect` is Cliff's delta in [-1, 1]: P(higher than one of the base) - P(lower); for a share the
    difference of shares. `ratio` and `difference` are of means or shares. `z` ranks: the difference
    in standard deviations of what chance gives; `adjusted` is the p-value after Benjamini-Hochberg.
    """

    kind: str
    name: str
    value: str
    here: float
    there: float
    effect: Estimate
    ratio: Estimate
    difference: Estimate
    z: float
    p: float
    adjusted: float = math.nan


@dataclass(frozen=True)
class Persona:
    """A group against a base: all comparisons, the strongest first, and how many are told.

    `level` is the coverage of the intervals.
    """

    n: int
    n_base: int
    differences: tuple[Difference, ...]
    told: int
    level: float

    @property
    def told_differences(self) -> tuple[Difference, ...]:
        """Those that are more than chance."""
        return self.differences[: self.told]


def describe(
    numbers: Sequence[Number], shares: Sequence[Share], *, n: int, n_base: int, q: float = Q
) -> Persona:
    """What sets a group apart.

    Parameters
    ----------
    numbers, shares
        Sums of the engine; what fewer than `SMALLEST` of the group have is left out.
    n, n_base
        Customers of the group, and of the base without it.
    q
        Share of false ones among the differences told, in (0, 1).

    Raises
    ------
    InvalidParameter
        If what is handed in are no sums, a count is no whole number or larger than what it is a
        part of, or `q` is out of range.
    NotEnoughData
        If the group or the base has fewer than `SMALLEST` customers.

    Notes
    -----
    Benjamini & Hochberg (1995), JRSS B 57:289. Ties of the ranking go by kind, name and value.
    """
    _check(numbers, shares, q)
    if min(check_whole("n", n), check_whole("n_base", n_base)) < SMALLEST:
        which = "group" if n < SMALLEST else "base"
        raise NotEnoughData(
            f"the {which} has fewer than {SMALLEST} customers: it is not described",
            hint="people could be recognised, and chance would speak; take a larger group",
        )
    asked: list[Number | Share] = [
        one for one in numbers if min(one.n, one.n_base) >= SMALLEST and _varies(one)
    ]
    asked += [one for one in shares if one.k >= SMALLEST]
    first = [_compare(one, 1 - q) for one in asked]
    adjusted = adjust([one.p for one in first])
    told = int(np.sum(adjusted <= q))
    level = 1 - q * max(told, 1) / max(len(asked), 1)
    made = [
        replace(_compare(one, level), adjusted=float(p))
        for one, p in zip(asked, adjusted, strict=True)
    ]
    made.sort(key=lambda d: (d.adjusted > q, -abs(round(d.z, 9)), d.kind, d.name, d.value))
    return Persona(n, n_base, tuple(made), told, level)


def _check(numbers: Sequence[Number], shares: Sequence[Share], q: float) -> None:
    for name, given, kind in (("numbers", numbers, Number), ("shares", shares, Share)):
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise InvalidParameter(f"{name} is {show(given)}", hint=f"a list of {kind.__name__}(…)")
        for one in given:
            if not isinstance(one, kind):
                raise InvalidParameter(f"{name} holds {show(one)}", hint=f"{kind.__name__}(…)")
    for one in shares:
        for name, part, whole in (("k", one.k, one.n), ("k_base", one.k_base, one.n_base)):
            all_ = check_whole(f"{name.replace('k', 'n')} of {one.name}", whole, least=0)
            check_whole(f"{name} of {one.name}", part, least=0, most=all_)
    if not 0 < check_number("q", q) < 1:
        raise InvalidParameter(f"q is {q}", hint="a share between 0 and 1, say .05")


def adjust(p: Sequence[float]) -> Floats:
    """P-values after Benjamini and Hochberg, in the order given."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    m = len(values)
    stepped = values[order] * m / np.arange(1, m + 1)
    lowest = np.minimum.accumulate(stepped[::-1])[::-1]
    made = np.empty(m)
    made[order] = np.minimum(lowest, 1.0)
    return made


def ratio_of_means(one: Number, *, level: float) -> Estimate:
    """Mean of the group / mean of the base, of a number that is never negative.

    Interval on the log scale by the delta method, with Welch and Satterthwaite's degrees of freedom
    (Friedrich, Adhikari & Beyene 2008, BMC Med Res Methodol 8:32).
    """
    if one.lowest < 0 or min(one.mean, one.mean_base) <= 0:
        return _none(one.n, "no_ratio")
    v = one.variance / one.n / one.mean**2
    v_base = one.variance_base / one.n_base / one.mean_base**2
    log, t = math.log(one.mean / one.mean_base), _critical_t(v, v_base, one, level)
    half = t * math.sqrt(v + v_base)
    return Estimate(math.exp(log), math.exp(log - half), math.exp(log + half), one.n)


def difference_of_means(one: Number, *, level: float) -> Estimate:
    """Mean of the group - mean of the base (Welch 1947, Biometrika 34:28)."""
    v, v_base = one.variance / one.n, one.variance_base / one.n_base
    got, half = one.mean - one.mean_base, math.sqrt(v + v_base) * _critical_t(v, v_base, one, level)
    return Estimate(got, got - half, got + half, one.n)


def ratio_of_shares(one: Share, *, level: float) -> Estimate:
    """Lift: share of the group / share of the base.

    Interval from Wilson's of the two shares (Donner & Zou 2012, Stat Methods Med Res 21:347).
    """
    p, p_base = one.k / one.n, one.k_base / one.n_base
    if not p_base:
        return _none(one.n, "nobody_in_base")
    low, high = _wilson(one.k, one.n, level)
    low_base, high_base = _wilson(one.k_base, one.n_base, level)
    both = p * p_base
    down = math.sqrt(max(both**2 - low * (2 * p - low) * high_base * (2 * p_base - high_base), 0.0))
    up = math.sqrt(max(both**2 - high * (2 * p - high) * low_base * (2 * p_base - low_base), 0.0))
    least = (both - down) / (high_base * (2 * p_base - high_base))
    most = (both + up) / (low_base * (2 * p_base - low_base)) if low_base else math.inf
    return Estimate(p / p_base, max(least, 0.0), most, one.n)


def difference_of_shares(one: Share, *, level: float) -> Estimate:
    """Share of the group - share of the base (Newcombe 1998, Stat Med 17:873, method 10)."""
    p, p_base = one.k / one.n, one.k_base / one.n_base
    low, high = _wilson(one.k, one.n, level)
    low_base, high_base = _wilson(one.k_base, one.n_base, level)
    got = p - p_base
    down = math.hypot(p - low, high_base - p_base)
    up = math.hypot(high - p, p_base - low_base)
    return Estimate(got, max(got - down, -1.0), min(got + up, 1.0), one.n)


def rank_effect(one: Number, *, level: float) -> Estimate:
    """Cliff's delta, 2·P(higher than one of the base) - 1, ties half, from counts between cuts.

    Interval by DeLong, DeLong & Clarke-Pearson (1988, Biometrics 44:837) on the logit scale.
    """
    mine, others = _bins(one.above, one.n), _bins(one.above_base, one.n_base)
    beats = (np.cumsum(others) - others / 2) / one.n_base  # for a value of the group
    beaten = 1 - (np.cumsum(mine) - mine / 2) / one.n  # for a value of the base
    a = float(mine @ beats) / one.n
    spread = float(mine @ (beats - a) ** 2) / (one.n - 1) / one.n
    spread += float(others @ (beaten - a) ** 2) / (one.n_base - 1) / one.n_base
    if not 0 < a < 1:
        return Estimate(2 * a - 1, 2 * a - 1, 2 * a - 1, one.n, "apart")
    half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(spread) / (a * (1 - a))
    logit = math.log(a / (1 - a))
    low, high = (math.tanh((logit + side) / 2) for side in (-half, half))
    return Estimate(2 * a - 1, low, high, one.n)


def _compare(one: Number | Share, level: float) -> Difference:
    if isinstance(one, Share):
        z, p = _by_draw(one.k, one.n, one.k + one.k_base, one.n + one.n_base)
        difference = difference_of_shares(one, level=level)
        return Difference(
            one.kind, one.name, one.value, one.k / one.n, one.k_base / one.n_base, difference,
            ratio_of_shares(one, level=level), difference, z, p,
        )  # fmt: skip
    z, p = _by_ranks(one)
    return Difference(
        "feature", one.name, "", one.mean, one.mean_base, rank_effect(one, level=level),
        ratio_of_means(one, level=level), difference_of_means(one, level=level), z, p,
    )  # fmt: skip


def _by_ranks(one: Number) -> tuple[float, float]:
    """Wilcoxon's rank sum against all draws of a group of this size, ties at their middle rank.

    Where hardly anybody of the group is expected outside the commonest value, ranks are far from
    normal: then how many are outside it is asked exactly.
    """
    mine, others = _bins(one.above, one.n), _bins(one.above_base, one.n_base)
    both, total = mine + others, one.n + one.n_base
    common = int(np.argmax(both))
    if min(one.n, one.n_base) * (1 - both[common] / total) < _SPARSE:
        outside = int(one.n - mine[common])
        return _by_draw(outside, one.n, int(total - both[common]), total)
    middle = np.cumsum(both) - both / 2
    mean = float(both @ middle) / total
    variance = float(both @ (middle - mean) ** 2) / total
    spread = math.sqrt(one.n * one.n_base / (total - 1) * variance)
    z = (float(mine @ middle) - one.n * mean) / spread
    return z, float(2 * special.ndtr(-abs(z)))


def _by_draw(k: int, n: int, held: int, total: int) -> tuple[float, float]:
    """Fisher's exact test: k of n drawn have it, of `held` in `total`; twice the smaller tail."""
    if not 0 < held < total:
        return 0.0, 1.0
    law = stats.hypergeom
    p = min(1.0, 2 * float(min(law.cdf(k, total, held, n), law.sf(k - 1, total, held, n))))
    share = held / total
    spread = math.sqrt(n * share * (1 - share) * (total - n) / (total - 1))
    return (k - n * share) / spread, p


def _bins(above: Sequence[int], n: int) -> Floats:
    edges = np.array([n, *above, 0], dtype=np.float64)
    return edges[:-1] - edges[1:]


def _varies(one: Number) -> bool:
    both = _bins(one.above, one.n) + _bins(one.above_base, one.n_base)
    return int(np.sum(both > 0)) > 1 and one.variance + one.variance_base > 0


def _critical_t(v: float, v_base: float, one: Number, level: float) -> float:
    bottom = v**2 / (one.n - 1) + v_base**2 / (one.n_base - 1)
    freedom = (v + v_base) ** 2 / bottom if bottom else math.inf
    if math.isinf(freedom):
        return float(special.ndtri(0.5 + level / 2))
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def _wilson(k: int, n: int, level: float) -> tuple[float, float]:
    """Wilson (1927), JASA 22:209."""
    z, p = float(special.ndtri(0.5 + level / 2)), k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _none(n: int, status: str) -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, n, status)

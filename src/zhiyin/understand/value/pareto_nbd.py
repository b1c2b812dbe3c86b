"""Pareto/NBD: purchases at random until a lifetime of its own is over.

While alive a customer buys at rate lambda ~ Gamma(r, alpha); her lifetime is exponential with rate
mu ~ Gamma(s, beta). Sources: Schmittlein, Morrison and Colombo (1987), Management Science 33(1);
Fader and Hardie (2005), *A Note on Deriving the Pareto/NBD Model*.

The likelihood is written as the integral over the moment u at which the lifetime ended,

    L = Gamma(r + x) / Gamma(r) alpha^r beta^s { 1 / ((alpha + T)^(r + x) (beta + T)^s)
        + s * integral from tx to T of du / ((alpha + u)^(r + x) (beta + u)^(s + 1)) },

which the two 2F1 of the papers are a closed form of. All its terms are positive: it is summed in
log space by Gauss and Legendre in log(min(alpha, beta) + u), with derivatives under the integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln, logsumexp

from zhiyin.core.arguments import check_number, check_whole
from zhiyin.understand.value.history import (
    Histories,
    as_numbers,
    check_histories,
    check_times,
)
from zhiyin.understand.value.likelihood import Fitted, fit_histories
from zhiyin.understand.value.quadrature import legendre
from zhiyin.understand.value.simulate import Simulated, simulate_lifetime

_STARTS = ((0.5, 0.3, 0.6, 0.3), (1.0, 1.0, 1.0, 1.0), (0.5, 0.2, 2.0, 5.0), (2.0, 1.0, 0.3, 0.1))
_BLOCK = 10_000  # rows of one step of an integral
_DEEP = 45.0  # exp(-45): what is left of the integral there is below its last digit


@dataclass(frozen=True, eq=False)
class ParetoNbd(Fitted):
    """A Pareto/NBD model; `ParetoNbd(.553, 10.578, .606, 11.669)` takes parameters of others.

    Attributes
    ----------
    r, alpha
        Shape and rate of the gamma of purchase rates; `alpha` in units of time.
    s, beta
        Shape and rate of the gamma of dropout rates; `beta` in units of time.
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    r: float
    alpha: float
    s: float
    beta: float

    def expected_purchases(self, t: ArrayLike) -> np.ndarray:
        """E[X(t)]: repeat purchases of a new customer in the `t` after her first, (n,).

        Raises
        ------
        InvalidParameter
            If `t` is negative or missing.
        """
        times = check_times(t)
        return self.r * self.beta / self.alpha * _discounted(self.s, times / self.beta)

    def conditional_expected_purchases(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> np.ndarray:
        """E[purchases in the next `t`] of customers with these histories, (n,).

        Raises
        ------
        InvalidParameter
            For histories or times that cannot be.

        Examples
        --------
        >>> model = ParetoNbd(0.553, 10.578, 0.606, 11.669)
        >>> bool(0.9 < model.p_alive(26, 30.86, 31.0)[0] < 1)
        True
        """
        past = check_histories(frequency, recency, age)
        times = np.broadcast_to(check_times(t), past.age.shape)
        rate = (self.r + past.frequency) / (self.alpha + past.age)
        late = self.beta + past.age
        return rate * late * _discounted(self.s, times / late) * self._alive(past)

    def p_alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> np.ndarray:
        """P(lifetime is not over) at the end of what was seen, (n,)."""
        return self._alive(check_histories(frequency, recency, age))

    def pmf(self, t: float, most: int) -> np.ndarray:
        """P(X(t) = 0), ..., P(X(t) = most) of a new customer, (most + 1,).

        Summed over the moment the lifetime ended: negative binomial counts until then.
        """
        x = np.arange(check_whole("most", most, least=0) + 1, dtype=np.float64)
        t = check_number("t", t, least=0)
        reach = np.log1p(t / self.beta)
        nodes, weights = legendre(128)
        ended = self.beta * np.expm1(reach * nodes)
        share = np.append(ended, t) / (self.alpha + np.append(ended, t))
        density = self.s * reach * weights * np.exp(-self.s * reach * nodes)
        mass = np.append(density, np.exp(-self.s * reach))
        log_count = gammaln(self.r + x) - gammaln(self.r) - gammaln(x + 1)
        bought = np.where(x[:, None] > 0, x[:, None] * np.log(np.maximum(share, 1e-300)), 0.0)
        return np.exp(log_count[:, None] + self.r * np.log1p(-share) + bought) @ mass

    def log_likelihood_of(
        self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> np.ndarray:
        """Log-likelihood of each customer, (n,)."""
        past = check_histories(frequency, recency, age)
        return _log_likelihood(self._theta(), past)[0]

    def simulate(self, age: ArrayLike, *, rng: np.random.Generator) -> Simulated:
        """Customers with these ages, drawn from the model.

        Parameters
        ----------
        age
            (n,) time since the first purchase.
        rng
            Draws rates, lifetimes and times.
        """
        ages = as_numbers("age", age)
        rates = rng.gamma(self.r, 1 / self.alpha, size=len(ages))
        ends = rng.gamma(self.s, 1 / self.beta, size=len(ages))
        lifetimes = rng.exponential(size=len(ages)) / np.maximum(ends, 1e-300)
        return simulate_lifetime(ages, rates, lifetimes, rng=rng)

    def _theta(self) -> np.ndarray:
        return np.log([self.r, self.alpha, self.s, self.beta])

    def _alive(self, past: Histories) -> np.ndarray:
        return np.exp(_log_likelihood(self._theta(), past)[2])


def fit_pareto_nbd(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> ParetoNbd:
    """A Pareto/NBD model of customers, by maximum likelihood.

    Parameters
    ----------
    frequency
        (n,) repeat purchases: purchase days after the first, 0, 1, 2 ….
    recency
        (n,) time from the first to the last purchase; 0 where there was no repeat.
    age
        (n,) time from the first purchase to the end of what was seen, same unit.

    Returns
    -------
    The model; `fit` has the log-likelihood, standard errors from the observed information, the
    covariance and a status that says when they are not to be trusted.

    Raises
    ------
    InvalidParameter
        For values that cannot be: see `check_histories`.
    NotEnoughData
        With fewer than 20 customers or fewer than 5 with a repeat.

    Notes
    -----
    As `fit_bgnbd`: analytic gradient on log parameters, scaled time, folded rows.

    Examples
    --------
    >>> import numpy as np
    >>> truth = ParetoNbd(0.6, 8.0, 0.7, 10.0)
    >>> seen = truth.simulate(np.full(500, 40.0), rng=np.random.default_rng(1))
    >>> fit_pareto_nbd(seen.frequency, seen.recency, seen.age).status
    'ok'
    """
    values, fit = fit_histories(
        check_histories(frequency, recency, age), _log_likelihood,
        names=ParetoNbd.names, timed=("alpha", "beta"), starts=_STARTS,
    )  # fmt: skip
    return ParetoNbd(*values, fit=fit)


def _log_likelihood(
    theta: np.ndarray, past: Histories
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) log-likelihoods, (4, n) derivatives by log parameters, (n,) log P(alive)."""
    parts = np.array_split(np.arange(len(past.age)), 1 + len(past.age) // _BLOCK)
    made = [_block(theta, past.frequency[i], past.recency[i], past.age[i]) for i in parts]
    return (
        np.concatenate([one[0] for one in made]),
        np.concatenate([one[1] for one in made], axis=1),
        np.concatenate([one[2] for one in made]),
    )


def _block(
    theta: np.ndarray, x: np.ndarray, tx: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r, alpha, s, beta = np.exp(theta)
    grown = r + x
    # columns: the lifetime ended at a node between tx and T; last: it was not over at T
    ended, weight = _moments(theta, x, tx, end)
    by_rate, by_life = np.log(alpha + ended), np.log(beta + ended)
    terms = weight - grown[:, None] * by_rate - (s + 1) * by_life
    last = -grown * np.log(alpha + end) - s * np.log(beta + end)
    mass = logsumexp(terms, axis=1)
    inner = np.logaddexp(last, mass)
    share = np.exp(terms - inner[:, None])
    alive = np.exp(last - inner)
    each = gammaln(grown) - gammaln(r) + theta[1] * r + theta[3] * s + inner
    past_share = share.sum(axis=1)
    late, old = np.log(alpha + end), np.log(beta + end)
    slopes = np.array(
        [
            r * (digamma(grown) - digamma(r) + theta[1] - (share * by_rate).sum(1) - alive * late),
            r - alpha * grown * ((share / (alpha + ended)).sum(1) + alive / (alpha + end)),
            s * (theta[3] - (share * by_life).sum(1) - alive * old) + past_share,
            s - beta * ((s + 1) * (share / (beta + ended)).sum(1) + s * alive / (beta + end)),
        ]
    )
    return each, slopes, last - inner


def _moments(
    theta: np.ndarray, x: np.ndarray, tx: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) moments between tx and T, and log weights (with the factor s) of the integral.

    In v = log((c + u) / (c + tx)), c = min(alpha, beta), the integrand falls at least like
    exp(-slowest v); where it is below its last digit the integral is cut off.
    """
    r, alpha, s, beta = np.exp(theta)
    low, high = min(alpha, beta), max(alpha, beta)
    nodes, weights = legendre()
    begin = (low + tx) / (high + tx)
    slowest = s + (r + x) * begin if alpha > beta else (r + x - 1) + (s + 1) * begin
    reach = np.log((low + end) / (low + tx))
    reach = np.where(slowest > 0, np.minimum(reach, _DEEP / np.maximum(slowest, 1e-12)), reach)
    along = reach[:, None] * nodes
    ended = tx[:, None] + (low + tx)[:, None] * np.expm1(along)
    with np.errstate(divide="ignore"):  # tx = T leaves no time: log 0
        weight = np.log(reach)[:, None] + np.log(weights) + along + np.log(low + tx)[:, None]
    return ended, weight + theta[2]


def _discounted(s: float, reach: np.ndarray) -> np.ndarray:
    """(1 - (1 + reach)^(1 - s)) / (s - 1), its limit log(1 + reach) at s = 1."""
    log_reach = np.log1p(reach)
    power = (s - 1) * log_reach
    safe = np.where(power == 0, 1.0, power)
    return log_reach * np.where(power == 0, 1.0, -np.expm1(-power) / safe)

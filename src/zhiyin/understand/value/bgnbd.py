"""BG/NBD: purchases at random until a customer drops out after one of them.

While alive a customer buys at rate lambda ~ Gamma(r, alpha); after each purchase she drops out
with probability p ~ Beta(a, b). Source: Fader, Hardie and Lee (2005), *"Counting Your Customers"
the Easy Way*, Marketing Science 24(2), 275-284. Expectations are integrals over p with positive
terms (`quadrature`) in place of the paper's 2F1, so that a near 1 and large x lose no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln, digamma, expit, gammaln

from zhiyin.core.arguments import check_number, check_whole
from zhiyin.understand.value.history import (
    Histories,
    as_numbers,
    check_histories,
    check_times,
)
from zhiyin.understand.value.likelihood import Fitted, fit_histories
from zhiyin.understand.value.quadrature import beta_nodes
from zhiyin.understand.value.simulate import Simulated, simulate_dropout

_STARTS = ((0.3, 0.15, 0.7, 2.0), (1.0, 0.5, 1.0, 1.0), (2.0, 1.0, 0.1, 1.0), (0.3, 0.1, 0.1, 5.0))
_COUNTS = (64, 128, 256, 512)
_BLOCK = 10_000  # rows of one step of an integral


@dataclass(frozen=True, eq=False)
class BgNbd(Fitted):
    """A BG/NBD model; `BgNbd(.243, 4.414, .793, 2.426)` takes parameters of others.

    Attributes
    ----------
    r, alpha
        Shape and rate of the gamma of purchase rates; `alpha` in units of time.
    a, b
        Shapes of the beta of the probability to drop out after a purchase.
    """

    names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    r: float
    alpha: float
    a: float
    b: float

    def expected_purchases(self, t: ArrayLike) -> np.ndarray:
        """E[X(t)]: repeat purchases of a new customer in the `t` after her first, (n,).

        Raises
        ------
        InvalidParameter
            If `t` is negative or missing.
        """
        times = check_times(t)
        return _mean_until(self.r, self.alpha, self.a, self.b, times)

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
        >>> model = BgNbd(0.243, 4.414, 0.793, 2.426)
        >>> float(model.conditional_expected_purchases(39, 2, 30.43, 38.86).round(3)[0])
        1.226
        """
        past = check_histories(frequency, recency, age)
        times = np.broadcast_to(check_times(t), past.age.shape)
        made = np.empty(len(past.age))
        for count in np.unique(past.frequency):
            rows = past.frequency == count
            made[rows] = _mean_until(
                self.r + count, self.alpha + past.age[rows], self.a, self.b + count, times[rows]
            )
        return made * self._alive(past)

    def p_alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> np.ndarray:
        """P(has not dropped out) by the end of what was seen, (n,); 1 without a repeat."""
        return self._alive(check_histories(frequency, recency, age))

    def pmf(self, t: float, most: int) -> np.ndarray:
        """P(X(t) = 0), ..., P(X(t) = most) of a new customer, (most + 1,)."""
        x = np.arange(check_whole("most", most, least=0) + 1, dtype=np.float64)
        t = check_number("t", t, least=0)
        share = t / (self.alpha + t)
        log_count = gammaln(self.r + x) - gammaln(self.r) - gammaln(x + 1)
        stay = betaln(self.a, self.b + x) - betaln(self.a, self.b)
        alive = np.exp(stay + log_count + self.r * np.log1p(-share) + _times_log(x, share))
        bought = x[1:]
        leave = betaln(self.a + 1, self.b + bought - 1) - betaln(self.a, self.b)
        reached = np.zeros_like(x)
        reached[1:] = np.exp(leave) * betainc(bought, self.r, share)
        return alive + reached

    def log_likelihood_of(
        self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> np.ndarray:
        """Log-likelihood of each customer, (n,)."""
        past = check_histories(frequency, recency, age)
        return _log_likelihood(np.log([self.r, self.alpha, self.a, self.b]), past)[0]

    def simulate(self, age: ArrayLike, *, rng: np.random.Generator) -> Simulated:
        """Customers with these ages, drawn from the model.

        Parameters
        ----------
        age
            (n,) time since the first purchase.
        rng
            Draws rates, dropouts and times.
        """
        ages = as_numbers("age", age)
        rates = rng.gamma(self.r, 1 / self.alpha, size=len(ages))
        leave = rng.beta(self.a, self.b, size=len(ages))
        return simulate_dropout(ages, rates, leave, rng=rng)

    def _alive(self, past: Histories) -> np.ndarray:
        bought = past.frequency > 0
        again = np.where(bought, past.frequency, 1.0)
        gone = (
            np.log(self.a)
            - np.log(self.b + again - 1)
            + (self.r + again) * np.log((self.alpha + past.age) / (self.alpha + past.recency))
        )
        return np.where(bought, expit(-gone), 1.0)


def fit_bgnbd(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> BgNbd:
    """A BG/NBD model of customers, by maximum likelihood.

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
    The search runs on log parameters with an analytic gradient, on time in units of the mean age,
    over equal histories folded into one: neither units nor the order of rows change the result.

    Examples
    --------
    >>> import numpy as np
    >>> truth = BgNbd(0.5, 5.0, 0.6, 2.0)
    >>> seen = truth.simulate(np.full(500, 40.0), rng=np.random.default_rng(1))
    >>> fit_bgnbd(seen.frequency, seen.recency, seen.age).status
    'ok'
    """
    values, fit = fit_histories(
        check_histories(frequency, recency, age), _log_likelihood,
        names=BgNbd.names, timed=("alpha",), starts=_STARTS,
    )  # fmt: skip
    return BgNbd(*values, fit=fit)


def _log_likelihood(theta: np.ndarray, past: Histories) -> tuple[np.ndarray, np.ndarray]:
    """(n,) log-likelihoods and (4, n) derivatives by log parameters; equation 6 of the paper."""
    r, alpha, a, b = np.exp(theta)
    x, bought = past.frequency, past.frequency > 0
    again = np.where(bought, x, 1.0)
    late, last = np.log(alpha + past.age), np.log(alpha + past.recency)
    still = -(r + x) * late
    left = np.where(bought, np.log(a) - np.log(b + again - 1) - (r + x) * last, -np.inf)
    each = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    each = each + betaln(a, b + x) - betaln(a, b) + np.logaddexp(still, left)
    gone = np.where(bought, expit(left - still), 0.0)
    here = 1 - gone
    by_r = digamma(r + x) - digamma(r) + np.log(alpha) - here * late - gone * last
    by_alpha = r / alpha - (r + x) * (here / (alpha + past.age) + gone / (alpha + past.recency))
    by_a = digamma(a + b) - digamma(a + b + x) + gone / a
    by_b = digamma(a + b) - digamma(a + b + x) + digamma(b + x) - digamma(b)
    by_b = by_b - gone / (b + again - 1)
    return each, np.array([r * by_r, alpha * by_alpha, a * by_a, b * by_b])


def _mean_until(
    r: float, alpha: np.ndarray | float, a: float, b: float, times: np.ndarray
) -> np.ndarray:
    """E[(1 - exp(-lambda p t)) / p] over lambda ~ Gamma(r, alpha) and p ~ Beta(a, b), (n,)."""
    reach, place = np.unique(times / alpha, return_inverse=True)
    nodes, weights = beta_nodes(float(a), float(b), _nodes_for((1 + r) * float(reach[-1])))
    safe = np.maximum(nodes, 1e-300)
    made = np.concatenate(
        [
            -np.expm1(-r * np.log1p(part[:, None] * safe)) / safe @ weights
            for part in np.array_split(reach, 1 + len(reach) // _BLOCK)
        ]
    )
    return made[place.ravel()]


def _nodes_for(reach: float) -> int:
    """Enough nodes for ten digits: the integrand has its singularity at -1 / reach."""
    wanted = 7 * np.sqrt(reach)
    return next((count for count in _COUNTS if count >= wanted), _COUNTS[-1])


def _times_log(x: np.ndarray, share: float) -> np.ndarray:
    """x log(share), 0 where x is 0."""
    return np.where(x > 0, x * np.log(max(share, 1e-300)), 0.0)

"""Gamma-Gamma: what customers spend per purchase, each shrunk to the mean of all.

A purchase of a customer is worth Gamma(p, nu), nu ~ Gamma(q, v), whatever her number of purchases.
Source: Fader, Hardie and Lee (2005), *RFM and CLV: Using Iso-Value Curves*, Journal of Marketing
Research 42(4); Fader and Hardie (2013), *The Gamma-Gamma Model of Monetary Value*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.value.history import MIN_CUSTOMERS, as_numbers, check_counts
from zhiyin.understand.value.likelihood import Fitted, Objective, maximise, summarise_fit

_STARTS = ((6.0, 4.0, 0.5), (1.0, 2.0, 1.0), (3.0, 10.0, 3.0))


@dataclass(frozen=True, eq=False)
class GammaGamma(Fitted):
    """A Gamma-Gamma model; `GammaGamma(6.25, 3.74, 15.44)` takes parameters of others.

    Attributes
    ----------
    p
        Shape of the spend of one customer.
    q, v
        Shape and rate of what differs between customers; `v` in units of money.
    """

    names: ClassVar[tuple[str, ...]] = ("p", "q", "v")
    p: float
    q: float
    v: float

    @property
    def mean_spend(self) -> float:
        """Mean spend per purchase of all customers; infinite where q <= 1."""
        return self.p * self.v / (self.q - 1) if self.q > 1 else float("inf")

    def expected_spend(self, frequency: ArrayLike, monetary: ArrayLike) -> np.ndarray:
        """E[spend per purchase] of customers, (n,), in the money of `monetary`.

        Parameters
        ----------
        frequency
            (n,) repeat purchases; who has none is expected to spend `mean_spend`.
        monetary
            (n,) mean spend of these; not read where there are none.

        Raises
        ------
        InvalidParameter
            For values that cannot be.
        """
        x, z = _check(frequency, monetary)
        again = np.where(x > 0, x, 1.0)
        own = self.p * (self.v + x * z) / (self.p * again + self.q - 1)
        return np.where(x > 0, own, self.mean_spend)

    def log_likelihood_of(self, frequency: ArrayLike, monetary: ArrayLike) -> np.ndarray:
        """Log-likelihood of each customer, (n,); 0 for those without a repeat."""
        x, z = _check(frequency, monetary)
        made = np.zeros(len(x))
        rows = x > 0
        made[rows] = _log_likelihood(np.log([self.p, self.q, self.v]), x[rows], z[rows])[0]
        return made

    def simulate(self, frequency: ArrayLike, *, rng: np.random.Generator) -> np.ndarray:
        """Mean spend of customers with these numbers of repeat purchases, (n,); 0 without one."""
        x = as_numbers("frequency", frequency)
        check_counts(x)
        rates = rng.gamma(self.q, 1 / self.v, size=len(x))
        again = np.where(x > 0, x, 1.0)
        return np.where(x > 0, rng.gamma(self.p * again) / (rates * again), 0.0)


def fit_gamma_gamma(frequency: ArrayLike, monetary: ArrayLike) -> GammaGamma:
    """A Gamma-Gamma model of spend per purchase, by maximum likelihood.

    Parameters
    ----------
    frequency
        (n,) repeat purchases; customers with 0 are left out.
    monetary
        (n,) mean spend of the repeat purchases, > 0 where there are some.

    Returns
    -------
    The model; `fit` as for `fit_bgnbd`, on the customers with a repeat.

    Raises
    ------
    InvalidParameter
        For lengths that differ, missing values, or a mean spend that is not above 0.
    NotEnoughData
        With fewer than 20 customers who bought again.

    Notes
    -----
    The model takes spend and frequency as unrelated: look at their correlation first.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> x = rng.poisson(2.0, 500)
    >>> z = GammaGamma(6.0, 4.0, 15.0).simulate(x, rng=rng)
    >>> fit_gamma_gamma(x, z).status
    'ok'
    """
    x, z = _check(frequency, monetary)
    seen = int((x > 0).sum())
    if seen < MIN_CUSTOMERS:
        raise NotEnoughData(
            f"{seen} customers bought again: too few to learn what customers spend",
            hint=f"give at least {MIN_CUSTOMERS} customers with a frequency above 0",
        )
    rows, counts = np.unique(np.column_stack([x, z])[x > 0], axis=0, return_counts=True)
    weights = counts.astype(np.float64)
    unit = float(np.average(rows[:, 1], weights=weights))
    objective = _objective(rows[:, 0], rows[:, 1] / unit, weights)
    top = maximise(objective, _STARTS, customers=float(seen))
    values = np.exp(top[0]) * np.array([1.0, 1.0, unit])
    total = objective(top[0])[0] - seen * np.log(unit)  # a density of one amount per customer
    fit = summarise_fit(GammaGamma.names, values, top=top, log_likelihood=total, customers=seen)
    return GammaGamma(*values.tolist(), fit=fit)


def _objective(x: np.ndarray, z: np.ndarray, weights: np.ndarray) -> Objective:
    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        each, slopes = _log_likelihood(theta, x, z)
        return float(weights @ each), slopes @ weights

    return objective


def _log_likelihood(
    theta: np.ndarray, x: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) log-likelihoods of mean spend z over x purchases, (3, n) derivatives by log p, q, v."""
    p, q, v = np.exp(theta)
    shape, total = p * x, v + x * z
    own = np.log(z) + np.log(x) - np.log(total)  # log of the customer's share in v + x z
    each = gammaln(shape + q) - gammaln(shape) - gammaln(q)
    each = each + q * (theta[2] - np.log(total)) + shape * own - np.log(z)
    by_p = x * (digamma(shape + q) - digamma(shape) + own)
    by_q = digamma(shape + q) - digamma(q) + theta[2] - np.log(total)
    by_v = q - v * (shape + q) / total
    return each, np.array([p * by_p, q * by_q, by_v])


def _check(frequency: ArrayLike, monetary: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x = as_numbers("frequency", frequency)
    check_counts(x)
    if np.shape(monetary) != np.shape(frequency):
        raise InvalidParameter(
            f"frequency has shape {np.shape(frequency)}, monetary {np.shape(monetary)}",
            hint="give one value of each for every customer, in the same order",
        )
    # who never bought again has no mean spend: nothing, 0 and NaN are the same there
    z = np.zeros(len(x))
    z[x > 0] = as_numbers("monetary", np.atleast_1d(np.asarray(monetary))[x > 0])
    bad = (x > 0) & (z <= 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidParameter(
            f"monetary {z[row]:g} in row {row} is not above 0",
            hint="monetary is the mean spend per repeat purchase; leave out customers whose"
            " purchases were free or all returned",
        )
    return x, z

"""Maximum likelihood: several starts, a check that the top was reached, errors of estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from zhiyin.understand.value.history import Histories, check_positive, check_sample

OK, BOUNDARY, FLAT, NOT_CONVERGED = "ok", "boundary", "flat", "not_converged"
_BOUND = 10.0  # of |log parameter|, time in units of the mean age: e^10 = 22,026
_EDGE = 9.0  # beyond which a shape says that customers do not differ: e^9 = 8,103
_GRADIENT = 1e-10  # per customer and log parameter, at which the top counts as reached
_STEP = 1e-4
_NEWTON = 25
SKETCH_ROWS = 500

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Log parameters -> log-likelihood and its gradient."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How a model was fitted.

    Attributes
    ----------
    log_likelihood
        At the estimates, summed over customers.
    standard_errors
        By parameter; NaN where `status` is not `ok`.
    covariance
        (k, k) inverse of the observed information, parameters in the order of `names`.
    customers
        Customers that were learned from.
    gradient
        Largest derivative per customer by a log parameter at the estimates.
    status
        `ok`; `boundary`: a parameter ran to the end of its range, the data ask for a simpler
        model; `flat`: parameters cannot be told apart; `not_converged`.
    """

    names: tuple[str, ...]
    log_likelihood: float
    standard_errors: Mapping[str, float]
    covariance: np.ndarray
    customers: int
    gradient: float
    status: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """A fitted model: parameters above 0 by name, and `fit`, None for parameters of others."""

    names: ClassVar[tuple[str, ...]] = ()
    fit: Fit | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in self.names:
            check_positive(name, getattr(self, name))

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self.names}

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the customers it was fitted on; NaN where it was not fitted here."""
        return self.fit.log_likelihood if self.fit else float("nan")

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each parameter; empty where it was not fitted here."""
        return dict(self.fit.standard_errors) if self.fit else {}

    @property
    def status(self) -> str:
        """`ok`, why the fit is not to be trusted, or `given` for parameters of others."""
        return self.fit.status if self.fit else "given"


def maximise(
    objective: Objective,
    starts: Sequence[Sequence[float]],
    *,
    customers: float,
    sketch: Objective | None = None,
) -> tuple[np.ndarray, float, np.ndarray]:
    """The best log parameters over all starts, their gradient per customer, and (k, k) Hessian.

    Parameters
    ----------
    objective
        Log-likelihood and gradient at log parameters.
    starts
        Parameters (not logs) to begin at; the highest top is kept, ties go to the first.
    customers
        Number of customers: the search runs on the mean, so that doubling all rows changes
        nothing.
    sketch
        The objective of a part of the rows, on which the starts are tried where all are many.

    Notes
    -----
    L-BFGS-B from each start, then Newton steps with the Hessian from central differences of the
    gradient, halved while they do not climb.
    """
    with threadpool_limits(1):  # four parameters: a second BLAS thread costs ten times the work
        trial = _falling(sketch or objective, customers)
        tops = [_descend(trial, np.log(start)) for start in starts]
        best = min(range(len(tops)), key=lambda place: (round(tops[place][1], 10), place))
        theta = tops[best][0]
        falling = _falling(objective, customers)
        if sketch is not None:
            theta = _descend(falling, theta)[0]
        for _ in range(_NEWTON):
            value, slope = falling(theta)
            if np.abs(slope).max() < _GRADIENT:
                break
            moved = _newton_step(falling, theta, value, slope)
            if moved is None:
                break
            theta = moved
        return theta, float(np.abs(falling(theta)[1]).max()), _hessian(falling, theta) * customers


def fit_histories(
    histories: Histories,
    log_likelihood: Callable[[np.ndarray, Histories], tuple[Any, ...]],
    *,
    names: Sequence[str],
    timed: Sequence[str],
    starts: Sequence[Sequence[float]],
) -> tuple[list[float], Fit]:
    """Parameters of a model of purchases and how they were fitted.

    Parameters
    ----------
    histories
        Checked histories, in any unit of time.
    log_likelihood
        Log parameters and histories -> (n,) log-likelihoods, (k, n) derivatives, and more.
    names, timed
        The parameters, and those of them that have the unit of time.
    starts
        Parameters to begin at, for time in units of the mean age.

    Raises
    ------
    NotEnoughData
        See `check_sample`.
    """
    past = check_sample(histories)
    unit = float(np.average(past.age, weights=past.weights))
    scaled = past.rescale(unit)

    def over(rows: Histories) -> Objective:
        def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
            each, slopes = log_likelihood(theta, rows)[:2]
            return float(rows.weights @ each), slopes @ rows.weights

        return objective

    part = pick_part(scaled)
    top = maximise(over(scaled), starts, customers=past.customers, sketch=part and over(part))
    values = np.exp(top[0]) * np.array([unit if name in timed else 1.0 for name in names])
    # a density of times: its unit enters once per purchase
    total = over(scaled)(top[0])[0] - float(past.weights @ past.frequency) * np.log(unit)
    fit = summarise_fit(names, values, top=top, log_likelihood=total, customers=past.customers)
    return values.tolist(), fit


def pick_part(histories: Histories) -> Histories | None:
    """At most `SKETCH_ROWS` folded rows, evenly spaced; None where all are few enough."""
    rows = len(histories.age)
    if rows <= 2 * SKETCH_ROWS:
        return None
    part = np.linspace(0, rows - 1, SKETCH_ROWS).astype(np.int64)
    return Histories(*(column[part] for column in (
        histories.frequency, histories.recency, histories.age, histories.weights
    )))  # fmt: skip


def _falling(objective: Objective, customers: float) -> Objective:
    def falling(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = objective(theta)
        return -value / customers, -slope / customers

    return falling


def _descend(falling: Objective, theta: np.ndarray) -> tuple[np.ndarray, float]:
    found = minimize(
        falling, theta, jac=True, method="L-BFGS-B", bounds=[(-_BOUND, _BOUND)] * len(theta),
        options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7},
    )  # fmt: skip
    return np.asarray(found.x, dtype=np.float64), float(found.fun)


def summarise_fit(
    names: Sequence[str],
    values: np.ndarray,
    *,
    top: tuple[np.ndarray, float, np.ndarray],
    log_likelihood: float,
    customers: float,
) -> Fit:
    """Standard errors and status of a fit.

    Parameters
    ----------
    values
        (k,) parameters in the user's units.
    top
        What `maximise` gives: its Hessian is that of the negative log-likelihood by log
        parameters, which units do not change.
    """
    theta, gradient, hessian = top
    missing = np.full_like(hessian, np.nan)
    status, covariance = OK, missing
    if np.abs(theta).max() > _EDGE:
        status = BOUNDARY
    elif gradient > _GRADIENT * 1e4:
        status = NOT_CONVERGED
    else:
        scale = np.sqrt(np.abs(np.diag(hessian)))
        scaled = hessian / np.outer(scale, scale) if scale.all() else missing
        sound = bool(np.isfinite(scaled).all()) and np.linalg.eigvalsh(scaled).min() > 1e-8
        if sound:
            covariance = np.linalg.inv(scaled) / np.outer(scale, scale) * np.outer(values, values)
        else:
            status = FLAT
    errors = np.sqrt(np.diag(covariance))
    return Fit(
        names=tuple(names),
        log_likelihood=float(log_likelihood),
        standard_errors=dict(zip(names, errors.tolist(), strict=True)),
        covariance=covariance,
        customers=int(customers),
        gradient=gradient,
        status=status,
    )


def _newton_step(
    falling: Objective, theta: np.ndarray, value: float, slope: np.ndarray
) -> np.ndarray | None:
    """A step that climbs, or None where none is found."""
    curve = _hessian(falling, theta, fine=False)
    if not np.isfinite(curve).all() or np.linalg.eigvalsh(curve).min() <= 0:
        return None
    step = np.linalg.solve(curve, slope)
    for share in (1.0, 0.5, 0.25, 0.1):
        moved = theta - share * step
        if np.abs(moved).max() > _BOUND:
            continue
        lower, flatter = falling(moved)
        if lower <= value + 1e-15 and np.abs(flatter).max() < np.abs(slope).max():
            return moved
    return None


def _hessian(falling: Objective, theta: np.ndarray, *, fine: bool = True) -> np.ndarray:
    """Second derivatives by central differences of the gradient, of fourth order if `fine`."""
    rows = []
    for place in range(len(theta)):
        step = np.zeros_like(theta)
        step[place] = _STEP
        near = falling(theta + step)[1] - falling(theta - step)[1]
        if fine:
            far = falling(theta + 2 * step)[1] - falling(theta - 2 * step)[1]
            near = (8 * near - far) / 6
        rows.append(near / (2 * _STEP))
    made = np.array(rows)
    return (made + made.T) / 2

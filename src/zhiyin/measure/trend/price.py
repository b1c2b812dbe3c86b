"""How much less is sold where the price is higher, seasons apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import LEVEL, missing
from zhiyin.measure.status import NO_UNITS, OK, TOO_FEW_UNITS, ZERO_VARIANCE

MIN_PRODUCTS = 10
"""Fewer products than this make a rough interval: `too_few_units`."""
EVERYTHING = ""
_SWEEPS = 200


def price_effects(
    products: Sequence[Any],
    weeks: Sequence[Any],
    prices: object,
    units: object,
    *,
    groups: Sequence[str] | None = None,
) -> Mapping[str, Estimate]:
    """Elasticity: by what percentage units change where the price is one percent higher.

    Parameters
    ----------
    products, weeks
        (n,) which product and which week (or day) each row is of.
    prices, units
        (n,) what a unit cost and how many were sold. Rows with either at 0 or below are left out.
    groups
        (n,) category of each row: also an elasticity for each.

    Returns
    -------
    Group → elasticity with a 95 % interval, `""` for all; `n` is the number of products.

    Notes
    -----
    log units on log price, with a level for each product and one for each week (of its group):
    what is dear is not compared with what is cheap, nor December with May. Standard errors over
    products (Liang & Zeger 1986, Biometrika 73:13), Student's t. It is a comparison, not an
    experiment: where prices fall *because* something does not sell, or together with an advert, it
    says too little or too much. Products sold only in the weeks when they are cheap bring it
    towards 0, since weeks without a sale have no row.

    Raises
    ------
    InvalidParameter
        If the columns differ in length.
    """
    price, sold = np.asarray(prices, dtype=float), np.asarray(units, dtype=float)
    n = len(price)
    if not n == len(sold) == len(products) == len(weeks) == (n if groups is None else len(groups)):
        raise InvalidParameter("the columns differ in length")
    product = np.unique(np.asarray(products).astype(str), return_inverse=True)[1]
    week = np.unique(np.asarray(weeks).astype(str), return_inverse=True)[1]
    with np.errstate(invalid="ignore"):
        good = (price > 0) & (sold > 0)
    made = {EVERYTHING: _fit(product[good], week[good], price[good], sold[good])}
    if groups is not None:
        named = np.asarray(groups).astype(str)
        for name in sorted(set(named.tolist())):
            mine = good & (named == name)
            made[name] = _fit(product[mine], week[mine], price[mine], sold[mine])
    return made


def _fit(product: np.ndarray, week: np.ndarray, price: np.ndarray, units: np.ndarray) -> Estimate:
    if not len(price):
        return missing(0, NO_UNITS)
    product = np.unique(product, return_inverse=True)[1]
    week = np.unique(week, return_inverse=True)[1]
    x, y = np.log(price), np.log(units)
    centred = x - (np.bincount(product, x) / np.bincount(product))[product]
    moved = np.unique(product[np.abs(centred) > 1e-9])
    if len(moved) < 2:
        return missing(len(moved), ZERO_VARIANCE if len(moved) == 0 else TOO_FEW_UNITS)
    x, y = _sweep(x, product, week), _sweep(y, product, week)
    total = float(x @ x)
    if total <= 1e-9 * len(x):
        return missing(len(moved), ZERO_VARIANCE)
    slope = float(x @ y) / total
    score = np.bincount(product, x * (y - slope * x))
    clusters = len(moved)
    error = np.sqrt(float(score @ score) * clusters / (clusters - 1)) / total
    half = float(stats.t.ppf(0.5 + LEVEL / 2, clusters - 1)) * error
    status = OK if clusters >= MIN_PRODUCTS else TOO_FEW_UNITS
    return Estimate(slope, slope - half, slope + half, clusters, status)


def _sweep(values: np.ndarray, product: np.ndarray, week: np.ndarray) -> np.ndarray:
    """What is left after a level for each product and each week, by turns until it stays."""
    left = values.copy()
    for _ in range(_SWEEPS):
        last = left
        for of in (product, week):
            left = left - (np.bincount(of, left) / np.bincount(of))[of]
        if np.abs(left - last).max() < 1e-10:
            break
    return left

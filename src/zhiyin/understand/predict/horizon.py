"""How far ahead to look: a horizon from the shop's own repurchase gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zhiyin.core.arguments import check_number, check_numbers
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.value.purchases import PurchaseDays

SHARE = 0.9
MIN_CUSTOMERS = 20
WEEK = 7


@dataclass(frozen=True)
class Horizon:
    """A proposed horizon: `status` is `ok` or `too_few_gaps` (then `days` is 0)."""

    days: int
    usual_gap_days: float  # the gap that `share` of the customers stay within
    customers: int  # who came back at least once
    share: float
    status: str
    en: str
    zh: str


def usual_gaps(days: PurchaseDays) -> np.ndarray:
    """The smallest gap, in days, that nine of ten gaps of a customer do not exceed.

    Returns
    -------
    (n,) one for every customer with at least two purchase days, in the order of their ids.
    """
    same = days.customers[1:] == days.customers[:-1]
    who, gaps = days.customers[1:][same], (days.back[:-1] - days.back[1:])[same]
    order = np.lexsort((gaps, who))
    who, gaps = who[order], gaps[order]
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    sizes = np.diff(np.append(starts, len(who)))
    return gaps[starts + np.ceil(SHARE * sizes - 1e-9).astype(np.int64) - 1].astype(np.float64)


def propose_horizon(gaps: np.ndarray, *, share: float = SHARE) -> Horizon:
    """The horizon after which staying away is unusual in this shop, in whole weeks.

    Parameters
    ----------
    gaps
        (n,) days, one usual gap a customer, as `usual_gaps` gives them.
    share
        Share of the customers who stay within the gap, (0, 1).

    Returns
    -------
    days = 7 ceil(g / 7), g the smallest gap with F(g) >= share, F the share of customers whose
    usual gap is at most g. Every customer counts once, so that those who come daily do not speak
    for all. A grocer gets weeks, a jeweller years.

    Raises
    ------
    InvalidParameter
        If the share is not in (0, 1).

    Notes
    -----
    Both quantiles are the inverse of the empirical distribution (type 1 of Hyndman and Fan 1996):
    they are gaps that were seen. Gaps that are still open are left out, which makes the proposal
    short where many left for good after few orders.

    Examples
    --------
    >>> import numpy as np
    >>> propose_horizon(np.repeat([5.0, 9.0, 12.0, 40.0], [50, 30, 15, 5])).days
    14
    """
    if not 0 < check_number("share", share) < 1:
        raise InvalidParameter(f"a share of {share} is not between 0 and 1")
    gaps = check_numbers("gaps", gaps)
    if gaps.ndim != 1 or not np.isfinite(gaps).all() or (gaps < 0).any():
        raise InvalidParameter(
            "gaps are days between orders, 0 or more, one number a customer", hint="drop the others"
        )
    total = len(gaps)
    if total < MIN_CUSTOMERS:
        return Horizon(
            0, 0.0, total, share, "too_few_gaps",
            f"{total} customers came back; {MIN_CUSTOMERS} are needed to propose a horizon",
            f"仅有 {total} 位客户复购过；至少需要 {MIN_CUSTOMERS} 位才能建议预测期",
        )  # fmt: skip
    usual = float(np.sort(gaps)[math.ceil(share * total - 1e-9) - 1])
    days = WEEK * max(1, math.ceil(usual / WEEK))
    percent = round(100 * share)
    return Horizon(
        days, usual, total, share, "ok",
        f"{percent} % of the {total} customers who came back usually do so within {usual:g} days",
        f"{total} 位复购客户中，{percent}% 通常在 {usual:g} 天内再次下单",
    )  # fmt: skip

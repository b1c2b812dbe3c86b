"""Customer lifetime value: purchases to come, what each is worth, discounted to today."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from zhiyin.core.arguments import check_number, check_whole, show
from zhiyin.core.errors import InvalidParameter
from zhiyin.understand.value.gamma_gamma import GammaGamma
from zhiyin.understand.value.history import check_model
from zhiyin.understand.value.summary import DAYS, Unit


class PurchaseModel(Protocol):
    """What both models of purchases do."""

    def conditional_expected_purchases(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> np.ndarray:
        """Expected purchases in the next `t` of customers with these histories, (n,)."""
        ...


def estimate_clv(
    purchases: PurchaseModel,
    spend: GammaGamma,
    *,
    frequency: ArrayLike,
    recency: ArrayLike,
    age: ArrayLike,
    monetary: ArrayLike,
    months: int = 12,
    monthly_discount: float = 0.01,
    margin: float = 1.0,
    unit: Unit = "week",
) -> np.ndarray:
    """Discounted margin of each customer's purchases in the next months, (n,).

    Parameters
    ----------
    purchases, spend
        Fitted models of how often and how much.
    frequency, recency, age, monetary
        (n,) histories, times in `unit`, as `summarise` gives them.
    months
        How far to look ahead, 1..120; a month is 30.4375 days.
    monthly_discount
        What money loses per month, in [0, 1): .01 is about 12.7 % a year.
    margin
        Share of the spend that is kept, in (0, 1].

    Raises
    ------
    InvalidParameter
        If a parameter is out of range.

    Notes
    -----
    CLV = margin x E[spend per purchase] x sum over months k of
    (purchases expected until the end of month k - until its beginning) / (1 + discount)^k.
    """
    check_model("spend", spend, "expected_spend")
    if not 0 < check_number("margin", margin) <= 1:
        raise InvalidParameter(f"margin is {margin}", hint="it is a fraction in (0, 1]")
    counts = discount_purchases(
        purchases, frequency=frequency, recency=recency, age=age, months=months,
        monthly_discount=monthly_discount, unit=unit,
    )  # fmt: skip
    return margin * counts * spend.expected_spend(frequency, monetary)


def discount_purchases(
    purchases: PurchaseModel,
    *,
    frequency: ArrayLike,
    recency: ArrayLike,
    age: ArrayLike,
    months: int = 12,
    monthly_discount: float = 0.01,
    unit: Unit = "week",
) -> np.ndarray:
    """Purchases expected in the next months, those of month k divided by (1 + discount)^k, (n,).

    Parameters and errors as in `estimate_clv`.
    """
    check_model("purchases", purchases, "conditional_expected_purchases")
    if not isinstance(unit, str) or unit not in DAYS:
        raise InvalidParameter(f"unit is {show(unit)}", hint=f"use one of {', '.join(DAYS)}")
    if not 1 <= check_whole("months", months) <= 120:
        raise InvalidParameter(f"months is {months}", hint="look 1 to 120 months ahead")
    if not 0 <= check_number("monthly_discount", monthly_discount) < 1:
        raise InvalidParameter(
            f"monthly_discount is {monthly_discount}",
            hint="it is a fraction in [0, 1): 1 % a month is .01",
        )
    month = DAYS["month"] / DAYS[unit]
    before = np.zeros(len(np.atleast_1d(np.asarray(frequency))))
    total = np.zeros_like(before)
    for number in range(1, months + 1):
        until = purchases.conditional_expected_purchases(number * month, frequency, recency, age)
        total += (until - before) / (1 + monthly_discount) ** number
        before = until
    return total

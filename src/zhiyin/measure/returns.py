"""Money of an effect: what one more order cost, and what a unit of cost brought."""

from __future__ import annotations

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.values import Estimate
from zhiyin.measure.intervals import missing
from zhiyin.measure.status import COST_UNKNOWN, NOT_MEASURED

NAN = float("nan")


def price_orders(orders: Estimate, cost_minor: float | None) -> Estimate:
    """Cost per order that was caused, minor units.

    Fieller's interval of a ratio with a known numerator: the bounds of `orders` turned round.
    Where it holds 0 orders, no cost is too high to be ruled out: `high` is NaN, and so is the
    value where no more orders came; where all of it is below 0 there is no price, `not_measured`.

    Parameters
    ----------
    orders
        Orders caused, in all.
    cost_minor
        In all; None: nobody knows, so the answer is `cost_unknown`.
    """
    if cost_minor is None:
        return missing(orders.n, COST_UNKNOWN)
    if cost_minor < 0:
        raise InvalidParameter(f"a cost of {cost_minor}", hint="0 or more")
    if not orders.high > 0:
        return missing(orders.n, NOT_MEASURED if orders.status == "ok" else orders.status)
    value = cost_minor / orders.value if orders.value > 0 else NAN
    high = cost_minor / orders.low if orders.low > 0 else NAN
    return Estimate(value, cost_minor / orders.high, high, orders.n, orders.status)


def return_on_cost(
    caused_minor: Estimate, cost_minor: float | None, *, margin_rate: float
) -> Estimate:
    """Incremental ROI: (margin of the money caused - cost) / cost; 0 earns the cost back.

    The cost is known and the margin rate assumed, so the bounds are those of the money.
    """
    if cost_minor is None or cost_minor <= 0:
        return missing(caused_minor.n, COST_UNKNOWN)
    value, low, high = (
        (margin_rate * one - cost_minor) / cost_minor
        for one in (caused_minor.value, caused_minor.low, caused_minor.high)
    )
    return Estimate(value, low, high, caused_minor.n, caused_minor.status)

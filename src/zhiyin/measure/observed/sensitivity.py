"""How strong a reason that nobody recorded would have to be to explain an effect away."""

from __future__ import annotations

import math

from zhiyin.core.errors import InvalidParameter


def e_value(risk_ratio: float) -> float:
    """RR + sqrt(RR (RR - 1)), below 1 of its inverse: 1 explains itself, 2 gives 3.41.

    A hidden trait would have to be tied to both the contact and the outcome by a risk ratio of at
    least this, beyond all that was adjusted for, to leave no effect. VanderWeele and Ding (2017),
    *Annals of Internal Medicine* 167:268.

    Raises
    ------
    InvalidParameter
        If the ratio is not above 0.
    """
    if not risk_ratio > 0:
        raise InvalidParameter(f"a risk ratio of {risk_ratio}", hint="a number above 0")
    ratio = max(risk_ratio, 1 / risk_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def hidden_reason(value: float, low: float, high: float, *, spread: float) -> tuple[float, float]:
    """E-values of an effect and of the bound of its interval that is nearest to 0.

    Parameters
    ----------
    value, low, high
        A difference of means with its interval.
    spread
        Standard deviation of the outcome. A difference d in these units stands for the risk ratio
        exp(0.91 d) (the same paper; Chinn 2000).

    Returns
    -------
    The second is 1 where the interval holds 0: no hidden reason is needed. NaN without spread.
    """
    if not spread > 0 or not all(math.isfinite(one) for one in (value, low, high)):
        return float("nan"), float("nan")
    near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return tuple(e_value(math.exp(0.91 * abs(d) / spread)) for d in (value, near))  # type: ignore[return-value]

"""Does a model of value still tell what then happens? What it expected beside what came."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from zhiyin.core.values import Estimate
from zhiyin.understand.predict.quality import Z95
from zhiyin.understand.value.forecast import ValueModel
from zhiyin.understand.value.likelihood import OK
from zhiyin.understand.value.purchases import PurchaseDays, count_after, cut_purchases

MIN_DAYS = 28  # of outcomes that a model did not learn from
MIN_PURCHASES = 50
LOW, HIGH = 0.75, 4 / 3
"""Bounds of actual / expected, purchases and spend: a third too many or too few."""
MIN_CORRELATION = 0.1
"""Of expected with actual purchases: below it the model does not tell who will come back."""
DECAYED, NOT_YET, TOO_FEW = "decayed", "not_yet", "too_few_outcomes"
_TENTHS = 10


def measure_decay(model: ValueModel, days: PurchaseDays, *, length: int) -> dict[str, Any]:
    """What a model expected of the last `length` days, beside what came in them.

    Parameters
    ----------
    model
        It must have learned before these days.
    days
        What `read_purchases` gives.
    length
        Days back from `days.as_of`; fewer than `MIN_DAYS` tell nothing yet.

    Returns
    -------
    `status`, `days`, `since`, `until`; where it is `ok` or `decayed` also `customers` (known before
    these days), `purchases` and `spend` (`expected`, `actual`, their `ratio` actual / expected with
    its 95 % interval `low`, `high`), `correlation` of expected with actual purchases (`value`,
    `low`, `high`; null where all are alike), `tenths` (customers by what was expected of them, most
    first, with means of expected and actual purchases), `out_of_bounds` and `words` (en, zh).

    `status` is `not_yet`, `too_few_outcomes` (less than `MIN_PURCHASES` expected and come), or
    `decayed` where a whole interval lies out of `LOW` to `HIGH`, or below `MIN_CORRELATION`.

    Notes
    -----
    The interval of a ratio of sums over customers is by linearisation (Cochran 1977, *Sampling
    Techniques*, 6.4), that of the correlation by Fisher's z; both are rough for few customers.
    """
    made: dict[str, Any] = {
        "status": NOT_YET, "days": length, "until": days.as_of.isoformat(),
        "since": (days.as_of - timedelta(days=length)).isoformat(),
    }  # fmt: skip
    if length < MIN_DAYS:
        return made
    then = cut_purchases(days, length)
    counts, spend = count_after(days, then.customers, back=length, length=length)
    told_counts, told_spend = model.expect(then, length)
    if max(counts.sum(), told_counts.sum()) < MIN_PURCHASES:
        return made | {"status": TOO_FEW}
    sums = {"purchases": (told_counts, counts), "spend": (told_spend, spend)}
    ratios = {name: compare_sums(*both) for name, both in sums.items()}
    order = correlate(told_counts, counts)
    out = [name for name, one in ratios.items() if one.high < LOW or one.low > HIGH]
    out += ["correlation"] if order is not None and order.high < MIN_CORRELATION else []
    made |= {
        "status": DECAYED if out else OK, "customers": len(counts),
        **{
            name: {
                "expected": float(sums[name][0].sum()), "actual": float(sums[name][1].sum()),
                "ratio": one.value, "low": one.low, "high": one.high,
            }
            for name, one in ratios.items()
        },
        "correlation": order and {"value": order.value, "low": order.low, "high": order.high},
        "tenths": compare_tenths(told_counts, counts), "out_of_bounds": out,
    }  # fmt: skip
    return made | {"words": _say(made)}


def compare_sums(expected: np.ndarray, actual: np.ndarray) -> Estimate:
    """Sum of actual / sum of expected over (n,) customers; expected must be above 0 in sum."""
    total, n = float(expected.sum()), len(expected)
    ratio = float(actual.sum()) / total
    left = actual - ratio * expected
    reach = Z95 * (float(left @ left) * n / max(n - 1, 1)) ** 0.5 / total
    return Estimate(ratio, ratio - reach, ratio + reach, n)


def correlate(expected: np.ndarray, actual: np.ndarray) -> Estimate | None:
    """Pearson's correlation over (n,) customers; None of fewer than 4, or where all are alike."""
    n = len(expected)
    if n < 4 or np.ptp(expected) == 0 or np.ptp(actual) == 0:
        return None
    value = float(np.clip(np.corrcoef(expected, actual)[0, 1], -1, 1))
    z = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    reach = Z95 / (n - 3) ** 0.5
    return Estimate(value, float(np.tanh(z - reach)), float(np.tanh(z + reach)), n)


def compare_tenths(expected: np.ndarray, actual: np.ndarray) -> list[dict[str, Any]]:
    """Tenths of the customers by what was expected, most first: how many, means of both."""
    order = np.argsort(-expected, kind="stable")
    parts = np.array_split(order, min(_TENTHS, len(order)))
    return [
        {
            "customers": len(part), "expected": float(expected[part].mean()),
            "actual": float(actual[part].mean()),
        }
        for part in parts
    ]  # fmt: skip


_OUT = {
    "purchases": ("the number of purchases", "购买次数"),
    "spend": ("the spend", "消费金额"),
    "correlation": ("who comes back", "回购客户的排序"),
}


def _say(made: dict[str, Any]) -> dict[str, str]:
    """Expected and actual purchases in words, and what is out of bounds."""
    told, money = made["purchases"], made["spend"]
    en = (
        f"From {made['since']} to {made['until']} the model of customer value expected "
        f"{told['expected']:,.0f} purchases of {made['customers']:,} customers and "
        f"{told['actual']:,.0f} came ({told['ratio']:.2f} times as many, 95 % interval "
        f"{told['low']:.2f} to {told['high']:.2f}); they spent {money['ratio']:.2f} times as "
        "much as expected."
    )
    zh = (
        f"{made['since']} 至 {made['until']}，客户价值模型预计 {made['customers']:,} 位客户购买 "
        f"{told['expected']:,.0f} 次，实际 {told['actual']:,.0f} 次（为预计的 {told['ratio']:.2f} "
        f"倍，95% 区间 {told['low']:.2f} 至 {told['high']:.2f}）；消费金额为预计的 "
        f"{money['ratio']:.2f} 倍。"
    )
    if made["out_of_bounds"]:
        off = [_OUT[name] for name in made["out_of_bounds"]]
        en += f" It no longer tells {' and '.join(one for one, _ in off)}."
        zh += f"模型对{'和'.join(one for _, one in off)}的判断已失准。"
    return {"en": en, "zh": zh}

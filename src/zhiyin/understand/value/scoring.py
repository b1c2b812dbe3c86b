"""Scores of customer value as of a day, with a check of the history first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.errors import NotEnoughData
from zhiyin.understand.value.forecast import Forecast, ValueModel, forecast_value, tell_value
from zhiyin.understand.value.lifetime import discount_purchases
from zhiyin.understand.value.likelihood import OK
from zhiyin.understand.value.purchases import PurchaseDays, cut_purchases
from zhiyin.understand.value.summary import DAYS

TASK = "value"
P_ALIVE, EXPECTED, VALUE = "p_alive", "expected_purchases", "value"
TASKS = (P_ALIVE, EXPECTED, VALUE)
"""Tasks of table `scores` that are written here."""

MODEL = "bgnbd_pareto_nbd"
MIN_DAYS = 90
TOO_LITTLE = "too_little_history"


@dataclass(frozen=True, eq=False)
class Valued:
    """What was found of customer value.

    Attributes
    ----------
    status
        `ok` or `too_little_history`: then there are no scores, and `missing` says why.
    columns
        By task: (n,) scores in the order of `customer_ids`.
    expected_profit_minor
        (n,) discounted margin to come, minor units.
    card
        Parameters with errors, horizon, weights of the trees, warnings: JSON values.
    model
        What was learned: it can be kept.
    """

    status: str
    card: Mapping[str, Any]
    missing: str = ""
    customer_ids: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] | None = None
    expected_profit_minor: np.ndarray | None = None
    model: ValueModel | None = None


def lacks_history(days: PurchaseDays, *, months: int) -> str:
    """What is missing to look so far ahead, in words; empty where nothing is.

    90 days of history, and at least half of the months looked ahead.
    """
    needed = max(MIN_DAYS, horizon_of(months) // 2)
    if days.span_days >= needed:
        return ""
    return (
        f"{days.span_days} days of purchases before the day; {needed} are needed to look"
        f" {months} months ahead"
    )


def horizon_of(months: int) -> int:
    """Days of so many months."""
    return round(months * DAYS["month"])


def score_value(
    days: PurchaseDays,
    *,
    months: int,
    monthly_discount: float,
    margin_rate: float,
    rng: np.random.Generator,
    model: ValueModel | None = None,
) -> Valued:
    """P(still a customer), expected purchases and value of each customer in the next months.

    Parameters
    ----------
    days
        What `read_purchases` gives, amounts in minor units.
    months, monthly_discount, margin_rate
        As in `estimate_clv`.
    rng
        See `forecast_value`.
    model
        One that was learned before, to speak in the place of a new one.

    Notes
    -----
    Checked first: `lacks_history`, 20 customers and 5 who bought again. value = margin rate x
    forecast spend x (discounted / plain expected purchases of the Pareto/NBD).
    """
    missing, horizon = lacks_history(days, months=months), horizon_of(months)
    if missing:
        return _nothing(missing, months)
    try:
        made = (
            forecast_value(days, horizon_days=horizon, rng=rng)
            if model is None
            else tell_value(model, days, horizon_days=horizon)
        )
    except NotEnoughData as error:
        return _nothing(error.message, months)
    now = cut_purchases(days, 0)
    history = {"frequency": now.frequency, "recency": now.recency, "age": now.age}
    pareto, month = made.model.base.pareto, DAYS["month"]
    plain = pareto.conditional_expected_purchases(months * month, **history)
    discounted = discount_purchases(
        pareto, **history, months=months, monthly_discount=monthly_discount, unit="day"
    )
    kept = np.where(plain > 0, discounted / np.where(plain > 0, plain, 1.0), 1.0)
    value = margin_rate * made.spend * kept
    return Valued(
        OK, _card(made, months, monthly_discount, margin_rate), "", made.customer_ids,
        {P_ALIVE: made.p_alive, EXPECTED: made.purchases, VALUE: value}, value, made.model,
    )  # fmt: skip


def value_scores(valued: Valued, *, version: str, schema: pa.Schema, as_of: Any) -> pa.Table:
    """Rows of table `scores`, three per customer; rank 1 is the highest, ties by id."""
    if valued.columns is None or valued.customer_ids is None:
        return schema.empty_table()
    ids = valued.customer_ids
    parts = []
    for task, scores in valued.columns.items():
        order = np.lexsort((ids.astype(str), -scores))
        rank = np.empty(len(ids), dtype=np.int64)
        rank[order] = np.arange(1, len(ids) + 1)
        profit = valued.expected_profit_minor if task == VALUE else None
        count = len(ids)
        row = {
            c.AS_OF_ON: pa.array([as_of] * count, pa.date32()), c.CUSTOMER_ID: ids.tolist(),
            c.TASK: [task] * count, c.SUBJECT: [""] * count, c.SCORE: scores, c.RANK: rank,
            c.EXPECTED_PROFIT_MINOR: pa.nulls(count, pa.float64()) if profit is None else profit,
            c.MODEL: [MODEL] * count, c.MODEL_VERSION: [version] * count,
            c.REASONS: ["[]"] * count,
        }  # fmt: skip
        parts.append(pa.table(row).select(schema.names).cast(schema))
    return pa.concat_tables(parts)


def _nothing(missing: str, months: int) -> Valued:
    card = {c.TASK: TASK, c.SUBJECT: "", "status": TOO_LITTLE, "missing": missing, "months": months}
    return Valued(TOO_LITTLE, card, missing)


def _card(
    made: Forecast, months: int, monthly_discount: float, margin_rate: float
) -> dict[str, Any]:
    base = made.model.base
    models = {"bgnbd": base.bgnbd, "pareto_nbd": base.pareto}
    if base.spend is not None:
        models["gamma_gamma"] = base.spend
    return {
        c.TASK: TASK, c.SUBJECT: "", "status": OK, c.MODEL: MODEL, "months": months,
        "monthly_discount": monthly_discount, "margin_rate": margin_rate,
        "customers": len(made.customer_ids),
        "expected_purchases": float(made.purchases.sum()),
        "expected_spend_minor": float(made.spend.sum()),
        "trees_weight": {"purchases": made.purchases_weight, "spend": made.spend_weight},
        "validation": {
            name: {str(weight): loss for weight, loss in losses.items()}
            for name, losses in made.validation.items()
        },
        "models": {
            name: {
                "parameters": model.parameters,
                "standard_errors": {
                    key: error if np.isfinite(error) else None
                    for key, error in model.standard_errors.items()
                },
                "log_likelihood": model.log_likelihood if model.fit else None,
                "status": model.status,
            }
            for name, model in models.items()
        },
    }  # fmt: skip

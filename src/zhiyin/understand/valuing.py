"""Customer value of a turn: a new model every time, and the one that speaks.

It is a part of the job `understand.models`, which writes what comes back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.artifact import version_of
from zhiyin.core.errors import NotEnoughData
from zhiyin.core.values import Estimate
from zhiyin.understand.predict import registry
from zhiyin.understand.predict.drift import measure_drift
from zhiyin.understand.predict.quality import Z95
from zhiyin.understand.predict.training import Version
from zhiyin.understand.value.decay import MIN_DAYS, MIN_PURCHASES, measure_decay
from zhiyin.understand.value.forecast import ValueModel, learn_value, row_deviance
from zhiyin.understand.value.purchases import (
    FEATURES,
    WINDOWS,
    PurchaseDays,
    count_after,
    cut_purchases,
)
from zhiyin.understand.value.scoring import MODEL, OK, TASK, Valued, horizon_of, score_value

_STEADY = frozenset({*(f"purchases_{days}d" for days in WINDOWS), "gap_last", "last_spend"})


@dataclass(frozen=True)
class Terms:
    """How value is looked at, and how a new model takes over."""

    months: int
    monthly_discount: float
    margin_rate: float
    promotion: str = registry.AUTO


@dataclass(frozen=True, eq=False)
class Spoken:
    """What the model that speaks says, by which version, and the new model with its record."""

    valued: Valued
    speaks: str | None
    card: dict[str, Any]
    artifact: dict[str, Any] | None = None
    record: Version | None = None
    promoted: bool = False


def value_customers(
    days: PurchaseDays,
    terms: Terms,
    *,
    rng: np.random.Generator,
    incumbent: registry.Incumbent[ValueModel] | None = None,
    put_aside: Collection[str] = (),
) -> Spoken:
    """Learn a new model of value, let it compete, and score every customer by the one that speaks.

    Parameters
    ----------
    days
        What `read_purchases` gives, amounts in minor units.
    terms
        As in `score_value`, with the policy of promotion.
    rng
        Chance; the same seed gives the same result.
    incumbent, put_aside
        The champion so far, and versions that a rollback put aside.

    Returns
    -------
    Scores in `valued`; None of them where history is missing or the first model waits for approval.
    """
    looked = {
        "months": terms.months, "monthly_discount": terms.monthly_discount,
        "margin_rate": terms.margin_rate,
    }  # fmt: skip
    made = score_value(days, rng=rng, **looked)
    if made.model is None:
        return Spoken(made, None, dict(made.card))
    artifact = made.model.to_artifact()
    version = version_of(artifact)
    comparison = compete(
        days, version, incumbent, horizon_days=horizon_of(terms.months),
        seed=int(rng.integers(2**31 - 1)),
    )  # fmt: skip
    verdict = registry.judge(comparison, policy=terms.promotion, put_aside=version in put_aside)
    speaks: str | None = version
    spoken = made
    if not verdict.promote:
        speaks = incumbent.version if incumbent else None
        spoken = (
            score_value(days, rng=rng, model=incumbent.fitted, **looked)
            if incumbent
            else Valued(verdict.reason, made.card, verdict.en)
        )
    data_hash = version_of({"who": days.customers, "back": days.back, "value": days.value})
    then = cut_purchases(days, days.span_days // 3)
    card = dict(made.card) | {
        "as_of_on": days.as_of.isoformat(), c.MODEL_VERSION: version, "data_hash": data_hash,
        "drift": measure_drift(
            then.features, cut_purchases(days, 0).features, FEATURES,
            grown=set(FEATURES) - _STEADY,
        ),
        "registry": registry.registry_card(verdict, comparison, speaks),
    }  # fmt: skip
    record = Version(
        TASK, "", version, days.as_of, MODEL, data_hash, comparison.to_card(), registry.TURN
    )
    return Spoken(spoken, speaks, card, artifact, record, verdict.promote)


def watch_champion(
    days: PurchaseDays, incumbent: registry.Incumbent[ValueModel], *, horizon_days: int
) -> dict[str, Any]:
    """What the champion so far expected of the days since it learned, beside what came in them; of
    the last `horizon_days` where they are more. See `measure_decay`.
    """
    length = min((days.as_of - incumbent.as_of_on).days, horizon_days)
    found = measure_decay(incumbent.fitted, days, length=length)
    learned = incumbent.as_of_on.isoformat()
    return {c.MODEL_VERSION: incumbent.version, "learned_on": learned} | found


def compete(
    days: PurchaseDays,
    version: str,
    incumbent: registry.Incumbent[ValueModel] | None,
    *,
    horizon_days: int,
    seed: int,
) -> registry.Comparison:
    """Champion and challenger on the last days, by the deviance of what customers then spent.

    The days since the champion learned are halved: the challenger's way learns up to the middle,
    both tell what every customer known there will spend until today. Smaller deviance is better;
    the difference is the champion's less the challenger's, with its 95 % interval over customers.
    """
    if incumbent is None:
        return registry.Comparison("no_champion")
    if incumbent.version == version:
        return registry.Comparison("same_version")
    length = min((days.as_of - incumbent.as_of_on).days // 2, horizon_days)
    if length < MIN_DAYS:
        return registry.Comparison("champion_saw_the_day")
    day = (days.as_of - timedelta(days=length)).isoformat()
    then = cut_purchases(days, length)
    counts, spend = count_after(days, then.customers, back=length, length=length)
    if counts.sum() < MIN_PURCHASES or spend.sum() <= 0:
        return registry.Comparison("too_few_outcomes", day)
    try:
        rival, _ = learn_value(days, back=length, horizon_days=horizon_days, seed=seed)
    except NotEnoughData:
        return registry.Comparison("no_later_day", day)
    scale = float(spend.mean())
    old, new = (
        row_deviance(spend / scale, model.expect(then, length)[1] / scale)
        for model in (incumbent.fitted, rival)
    )
    gain, n = old - new, len(spend)
    reach = Z95 * float(gain.std(ddof=1)) / n**0.5
    value = float(gain.mean())
    made = Estimate(value, value - reach, value + reach, n)
    return registry.Comparison(
        OK, day, float(old.mean()), float(new.mean()), made, metric="deviance"
    )

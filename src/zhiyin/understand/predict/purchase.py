"""The purchase model: who buys within a horizon, for shops with and without campaigns."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.labels import BOUGHT
from zhiyin.understand.predict.selection import Group
from zhiyin.understand.predict.training import (
    Scored,
    describe_groups,
    informative,
    no_model,
    score,
    train,
    validation_report,
)

TASK = "purchase"


def score_purchase(
    features: pa.Table,
    *,
    labels: pa.Table,
    snapshot_days: list[date],
    horizon_days: int,
    as_of: date,
    streams: Streams,
    margin_rate: float,
    min_positives: int = 100,
) -> Scored:
    """Train on past snapshots and score every customer known on the day.

    Parameters
    ----------
    features
        Table `features` at `as_of` and at each snapshot day.
    labels
        What `labels.purchase_labels` gives: buyers by snapshot day; others did not buy.
    snapshot_days
        Days to learn from; those whose horizon is not over by `as_of` are left out.
    horizon_days
        Length of the horizon in days.
    as_of, streams, margin_rate, min_positives
        As for `response.score_response`; both buyers and non-buyers must reach `min_positives`.

    Returns
    -------
    Rows of table `scores` (task `purchase`, empty subject): P(an order within the horizon), rank,
    margin of her usual spend in the horizon, and reasons; with card and artifact.
    """
    horizon = timedelta(days=horizon_days)
    rows = features.to_pandas().sort_values([c.AS_OF_ON, c.CUSTOMER_ID], ignore_index=True)
    bought = labels.to_pandas().set_index([c.AS_OF_ON, c.CUSTOMER_ID])[BOUGHT]
    days = sorted(day for day in snapshot_days if day + horizon <= as_of)
    used = informative(rows[rows[c.AS_OF_ON].isin(days)], FEATURES) if days else []
    names = [feature.name for feature in used]
    groups = [g for day in days if (g := _group(rows, names, bought, day, horizon)) is not None]
    positives = sum(int(g.labels.sum()) for g in groups)
    negatives = sum(len(g.labels) for g in groups) - positives
    target = rows[rows[c.AS_OF_ON] == as_of].reset_index(drop=True)
    if min(positives, negatives) < min_positives or target.empty:
        return no_model(
            task=TASK,
            subject="",
            as_of=as_of,
            status="too_few_positives",
            warning=f"{positives} buyers and {negatives} others in {len(groups)} snapshots; "
            f"{min_positives} of each are needed",
        )
    fitted, choice = train(groups, kind=TASK, names=names, streams=streams)
    scores, top = score(
        fitted,
        target[names].to_numpy(float),
        target[c.CUSTOMER_ID].to_numpy(),
        whole=[feature.type == "int64" for feature in used],
        as_of=as_of,
        task=TASK,
        subject="",
        expected_profit=margin_rate * _usual_spend(target, horizon_days),
    )
    validation = validation_report(groups, choice, kind=TASK, anchored=False, streams=streams)
    few = len(validation["folds"]) < 2
    card: dict[str, Any] = {
        "task": TASK,
        "status": "ok",
        "subject": "",
        "as_of_on": as_of.isoformat(),
        "model": fitted.name,
        c.MODEL_VERSION: scores[c.MODEL_VERSION][0].as_py(),
        "predicts": f"whether a customer orders within {horizon_days} days",
        "horizon_days": horizon_days,
        "data": describe_groups(groups),
        "customers": len(target),
        "features": list(fitted.names),
        "calibration": fitted.calibrator.to_artifact(),
        "validation": validation,
        "top_effects": top,
        "warnings": [{"code": "few_folds", "message": "fewer than two snapshots could judge"}]
        if few
        else [],
    }
    return Scored(scores, card, fitted.to_artifact(), "ok")


def _group(
    rows: pd.DataFrame, names: list[str], bought: pd.Series, day: date, horizon: timedelta
) -> Group | None:
    mine = rows.loc[rows[c.AS_OF_ON] == day]
    if mine.empty:
        return None
    index = pd.MultiIndex.from_frame(mine.loc[:, [c.AS_OF_ON, c.CUSTOMER_ID]])
    y = bought.reindex(index).fillna(0).to_numpy(np.int64)
    last = day + horizon - timedelta(days=1)
    return Group(day.isoformat(), TASK, day, last, mine[names].to_numpy(float), y)


def _usual_spend(target: pd.DataFrame, horizon_days: int) -> np.ndarray:
    """Revenue of the last half year (or since her first order) scaled to the horizon."""
    known = target["tenure_days"].fillna(0).to_numpy(float) + 1
    days = np.minimum(known, 180.0)
    spend = np.maximum(target["revenue_180d_minor"].to_numpy(float), 0)
    return spend / np.maximum(days, 30.0) * horizon_days

"""The campaign response model: who redeems, why, and what she will then spend."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.artifact import version_of
from zhiyin.core.errors import NotFound
from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import registry
from zhiyin.understand.predict.calibration import Platt, anchor_level
from zhiyin.understand.predict.candidates import candidates, pick_candidates
from zhiyin.understand.predict.drift import growing, measure_drift
from zhiyin.understand.predict.guests import Guest, seat_guests
from zhiyin.understand.predict.labels import REDEEMED, SPEND_MINOR
from zhiyin.understand.predict.samples import TOO_GOOD, find_leaks, warn_of_leaks
from zhiyin.understand.predict.selection import Group, recent_rate
from zhiyin.understand.predict.shortage import check_data
from zhiyin.understand.predict.spend import SpendModel, fit_spend
from zhiyin.understand.predict.task import RESPONSE, Task
from zhiyin.understand.predict.task import response as describe
from zhiyin.understand.predict.training import (
    Fitted,
    Scored,
    describe_groups,
    informative,
    no_model,
    score,
    train,
)
from zhiyin.understand.predict.traits import encode_traits, find_late, is_whole
from zhiyin.understand.predict.validation import validation_report

# Equal for all recipients of a campaign: they could tell the few training campaigns apart, not rank
# people; the level of response comes from calibration on campaigns of the same kind.
_OF_THE_CAMPAIGN = frozenset(
    {"campaign_days", "campaign_offers", "campaign_products"}
    | {"campaign_recipients", "kind_response_rate"}
)
USED = tuple(f for f in (*CAMPAIGN_FEATURES, *FEATURES) if f.name not in _OF_THE_CAMPAIGN)
_WHOLE = frozenset(feature.name for feature in USED if feature.type == "int64")
__all__ = ["RESPONSE", "USED", "score_response"]
_OWN_SPEND = "offer_spend_window_minor"


def score_response(
    features: pa.Table,
    campaign_features: pa.Table,
    *,
    campaigns: pa.Table,
    labels: pa.Table,
    campaign_id: str,
    as_of: date,
    streams: Streams,
    margin_rate: float,
    min_positives: int = 100,
    compared: Sequence[str] = (),
    promotion: str = registry.AUTO,
    incumbent: registry.Incumbent[Fitted] | None = None,
    put_aside: Collection[str] = (),
    traits: pd.DataFrame | None = None,
    guests: Sequence[Guest] = (),
) -> Scored:
    """Train on ended campaigns and score the recipients of one campaign.

    Parameters
    ----------
    features
        Table `features` at `as_of` and at the first day of each training campaign.
    campaign_features
        Table `campaign_features` of the campaign at `as_of` and of each training campaign at its
        first day.
    campaigns
        `campaign_id`, `kind`, `start_on`, `end_on`.
    labels
        What `labels.response_labels` gives; campaigns that end on or after `as_of` are not used.
    campaign_id
        The campaign to score.
    as_of
        The local day.
    streams
        Chance; the same seed gives the same result.
    margin_rate
        Margin as a share of revenue, (0, 1].
    min_positives
        With fewer responders in all training campaigns there is no model.
    compared
        Names of the candidates (`candidates.NAMES`); empty: all, and their blends.
    promotion, incumbent, put_aside
        The champion for campaigns of the kind, and what decides whether the new model takes over:
        as in `score_snapshot`. They are compared on the latest campaign that began since.
    traits
        `as_of_on`, `customer_id` and text columns `trait.KEY`: attributes of customers.
    guests
        Models brought in for campaigns of the kind: candidates that are never fitted.

    Returns
    -------
    Rows of table `scores` for every recipient (task `response`, subject the campaign): calibrated
    probability, rank, expected margin if she responds, and reasons; with card and artifact.

    Raises
    ------
    NotFound
        If the campaign is not in `campaigns`.
    """
    known = {row[c.CAMPAIGN_ID]: row for row in campaigns.to_pylist()}
    if campaign_id not in known:
        raise NotFound(f"there is no campaign {campaign_id!r}")
    rows = _join(features, campaign_features)
    if traits is not None:
        rows = rows.merge(traits, on=[c.AS_OF_ON, c.CUSTOMER_ID], how="left")
    asked = () if incumbent is None else incumbent.fitted.names
    rows, of_traits = encode_traits(rows, rows[c.AS_OF_ON] < as_of, also=asked)
    ended = [row for row in known.values() if row[c.END_ON] < as_of]
    past = rows[rows[c.CAMPAIGN_ID].isin([row[c.CAMPAIGN_ID] for row in ended])]
    used = informative(past, (*USED, *of_traits)) if len(past) else []
    names = [feature.name for feature in used]
    groups = _groups(rows, names, ended, labels.to_pandas())
    target = _rows_of(rows, campaign_id, as_of)
    positives = sum(int(group.labels.sum()) for group in groups)
    checked = check_data(
        positives=positives,
        negatives=sum(len(group.labels) for group in groups) - positives,
        samples=len(groups),
        to_score=len(target),
        min_positives=min_positives,
    )
    task = describe(campaign_id)
    if checked.missing:
        return no_model(task=task, as_of=as_of, check=checked)
    leaks = find_late(groups, names) | find_leaks(groups, names)
    if leaks:
        used = [feature for feature in used if feature.name not in leaks]
        names = [feature.name for feature in used]
        groups = _groups(rows, names, ended, labels.to_pandas())
    kind = known[campaign_id].get(c.KIND) or ""
    seats = seat_guests(guests, groups, names)
    makers = (pick_candidates(compared) if compared else candidates()) | dict(seats.makers)
    fitted, choice = train(groups, kind=kind, names=names, streams=streams, makers=makers)
    version = version_of(fitted.to_artifact())

    def same_rows(champion: registry.Incumbent[Fitted], place: int) -> Group:
        one = [row for row in ended if row[c.CAMPAIGN_ID] == groups[place].name]
        return _groups(rows, list(champion.fitted.names), one, labels.to_pandas())[0]

    comparison = registry.compete(
        version, choice, groups, incumbent, same_rows=same_rows,
        rng=streams.generator(f"registry/{task.name}/{kind}"), leaks=leaks,
    )  # fmt: skip
    verdict = registry.judge(comparison, policy=promotion, put_aside=version in put_aside)
    speaking, speaks = fitted, version
    if incumbent is not None and not verdict.promote:
        speaking, speaks = incumbent.fitted, incumbent.version
    spending = _fit_spend(rows, groups, labels.to_pandas())
    level = recent_rate(groups, kind=kind)
    scores, top, calibrator = _speak(
        speaking, task, target, version=speaks, as_of=as_of, rate=level,
        margin=margin_rate * spending.expect(target[_OWN_SPEND].fillna(0).to_numpy(float)),
    )  # fmt: skip
    if not verdict.promote and incumbent is None:
        scores = scores.slice(0, 0)  # it waits for approval
    validation = validation_report(
        groups, choice, kind=kind, anchored=True, streams=streams, makers=makers, names=names
    )
    card = _card(task, fitted, groups, spending, margin_rate, target)
    card |= {"as_of_on": as_of.isoformat(), "kind": kind, "validation": validation}
    card |= {c.MODEL_VERSION: version, "data_hash": registry.hash_data(groups)}
    card["calibration"] = calibrator.to_artifact()
    card["drift"] = measure_drift(
        np.vstack([g.features for g in groups]), target[names].to_numpy(float), names,
        grown=growing(used),
    )  # fmt: skip
    card["left_out"] = {"leaks": {name: round(auc, 4) for name, auc in sorted(leaks.items())}}
    card |= {
        "guests": list(seats.said),
        "top_effects": top,
        "warnings": _warnings(validation, groups, kind, leaks),
    }
    card["registry"] = registry.registry_card(
        verdict, comparison, speaks if scores.num_rows else None
    )
    record = registry.Version(
        task.name, kind, version, as_of, fitted.name, card["data_hash"], comparison.to_card(),
        registry.TURN,
    )  # fmt: skip
    status = "ok" if scores.num_rows else verdict.reason
    return Scored(scores, card, fitted.to_artifact(), status, record, verdict.promote)


def _speak(
    fitted: Fitted,
    task: Task,
    target: pd.DataFrame,
    *,
    version: str,
    as_of: date,
    rate: float,
    margin: np.ndarray,
) -> tuple[pa.Table, list[dict], Platt]:
    """Rows of table `scores` by one model, its effects, and its calibrator at today's level."""
    x = target[list(fitted.names)].to_numpy(float)
    calibrator = anchor_level(fitted.calibrator, fitted.model.predict(x), rate=rate)
    scores, top = score(
        replace(fitted, calibrator=calibrator),
        x,
        target[c.CUSTOMER_ID].to_numpy(),
        whole=is_whole(fitted.names, _WHOLE),
        as_of=as_of,
        task=task.name,
        subject=task.subject,
        version=version,
        expected_profit=margin,
    )
    return scores, top, calibrator


def _join(features: pa.Table, campaign_features: pa.Table) -> pd.DataFrame:
    keys = [c.AS_OF_ON, c.CUSTOMER_ID]
    left, right = campaign_features.to_pandas(), features.to_pandas()
    rows = left.merge(right, on=keys, how="left", validate="many_to_one")
    return rows.sort_values([c.AS_OF_ON, c.CAMPAIGN_ID, c.CUSTOMER_ID], ignore_index=True)


def _rows_of(rows: pd.DataFrame, campaign_id: str, day: date) -> pd.DataFrame:
    mine = (rows[c.CAMPAIGN_ID] == campaign_id) & (rows[c.AS_OF_ON] == day)
    return rows.loc[mine].reset_index(drop=True)


def _groups(
    rows: pd.DataFrame, names: list[str], ended: list[dict[str, Any]], labels: pd.DataFrame
) -> list[Group]:
    """Ended campaigns with features at their first day, earliest first."""
    redeemed = labels.set_index([c.CAMPAIGN_ID, c.CUSTOMER_ID])[REDEEMED]
    made = []
    for row in sorted(ended, key=lambda r: (r[c.START_ON], r[c.CAMPAIGN_ID])):
        mine = _rows_of(rows, row[c.CAMPAIGN_ID], row[c.START_ON])
        if mine.empty:
            continue
        index = pd.MultiIndex.from_frame(mine.loc[:, [c.CAMPAIGN_ID, c.CUSTOMER_ID]])
        y = redeemed.reindex(index).fillna(0).to_numpy(np.int64)
        x = mine[names].to_numpy(float)
        kind = row.get(c.KIND) or ""
        made.append(Group(row[c.CAMPAIGN_ID], kind, row[c.START_ON], row[c.END_ON], x, y))
    return made


def _fit_spend(rows: pd.DataFrame, groups: Sequence[Group], labels: pd.DataFrame) -> SpendModel:
    days = pd.DataFrame(
        {c.CAMPAIGN_ID: [g.name for g in groups], c.AS_OF_ON: [g.start_on for g in groups]}
    )
    past = rows[[c.CAMPAIGN_ID, c.AS_OF_ON, c.CUSTOMER_ID, _OWN_SPEND]].merge(days)
    spent = labels.loc[labels[REDEEMED] == 1, [c.CAMPAIGN_ID, c.CUSTOMER_ID, SPEND_MINOR]]
    met = past.merge(spent, on=[c.CAMPAIGN_ID, c.CUSTOMER_ID])
    met = met.sort_values([c.CAMPAIGN_ID, c.CUSTOMER_ID])
    return fit_spend(
        met[_OWN_SPEND].fillna(0).to_numpy(float), met[SPEND_MINOR].fillna(0).to_numpy(float)
    )


def _card(
    task: Task,
    fitted: Fitted,
    groups: Sequence[Group],
    spending: SpendModel,
    margin_rate: float,
    target: pd.DataFrame,
) -> dict[str, Any]:
    return {
        "task": task.name,
        "subject": task.subject,
        "status": "ok",
        "model": fitted.name,
        "predicts": task.predicts,
        "predicts_zh": task.predicts_zh,
        "data": describe_groups(groups),
        "recipients": len(target),
        "features": list(fitted.names),
        "expected_spend": {
            "mean_minor": round(spending.mean, 4),
            "own_weight": round(spending.weight, 6),
            "redeemers": spending.n,
            "margin_rate": margin_rate,
        },
    }


def _warnings(
    validation: dict[str, Any], groups: Sequence[Group], kind: str, leaks: Mapping[str, float]
) -> list[dict[str, str]]:
    made = warn_of_leaks(leaks)
    if len(validation["folds"]) < 2:
        few = "fewer than two earlier campaigns could judge the candidates"
        made.append(("few_folds", few, "可用于评判候选模型的往期活动不足两个"))
    if not any(group.kind == kind for group in groups):
        made.append(("new_kind", "no ended campaign was of this type", "没有同类型的已结束活动"))
    last = validation.get("last_fold", {})
    if (last.get("auc") or 0) > TOO_GOOD:
        message = f"an AUC above {TOO_GOOD} points to a feature that knows the future"
        made.append(("too_good", message, f"AUC 高于 {TOO_GOOD}：可能有特征泄露了未来信息"))
    chosen = "recipients were chosen by the shop: the score is no effect of contact"
    made.append(("not_randomised", chosen, "受众由商家选定：评分不代表触达带来的增量"))
    return [{"code": code, "message": en, "message_zh": zh} for code, en, zh in made]

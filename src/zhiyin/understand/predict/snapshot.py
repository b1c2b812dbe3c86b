"""Predictions learned from snapshots of every customer: next purchase, churn, category affinity."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.artifact import version_of
from zhiyin.core.features import CONTRACT_FEATURES, FEATURES, Feature
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import registry
from zhiyin.understand.predict.candidates import CHEAP, pick_candidates
from zhiyin.understand.predict.drift import growing, measure_drift
from zhiyin.understand.predict.guests import Guest, Seats, seat_guests
from zhiyin.understand.predict.samples import (
    TOO_GOOD,
    build_groups,
    find_eligible,
    find_leaks,
    thin_out,
    warn_of_leaks,
)
from zhiyin.understand.predict.selection import Choice, Group
from zhiyin.understand.predict.shortage import MIN_POSITIVES, DataCheck, check_data
from zhiyin.understand.predict.task import NEXT_PURCHASE, Task
from zhiyin.understand.predict.training import (
    Fitted,
    Scored,
    describe_groups,
    informative,
    no_model,
    score,
    train,
)
from zhiyin.understand.predict.traits import encode_traits, is_whole
from zhiyin.understand.predict.validation import validation_report

TRAINING_ROWS = 60_000
KNOWN = (*FEATURES, *CONTRACT_FEATURES)
_WHOLE = frozenset(feature.name for feature in KNOWN if feature.type == "int64")


@dataclass(frozen=True)
class Terms:
    """How models are learned.

    `history_days` and `silent_days` are days from the first and the last purchase to the day;
    `candidates` are names of `candidates.NAMES`; of all training days together at most
    `training_rows` customers are learned from. Features named in `protected` are never learned.
    `attributes` (name to customer to value) are for slices alone; `allowed` says who let which
    protected feature in, and why, for the card.
    """

    history_days: int
    silent_days: int
    min_positives: int = MIN_POSITIVES
    candidates: tuple[str, ...] = CHEAP
    training_rows: int = TRAINING_ROWS
    margin_rate: float = 0.25
    promotion: str = registry.AUTO
    protected: frozenset[str] = frozenset()
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()


def score_snapshot(
    task: Task,
    features: pd.DataFrame,
    *,
    outcomes: pa.Table,
    as_of: date,
    streams: Streams,
    terms: Terms,
    holders: pd.DataFrame | None = None,
    incumbent: registry.Incumbent[Fitted] | None = None,
    put_aside: Collection[str] = (),
    guests: Sequence[Guest] = (),
) -> Scored:
    """Learn at the task's past days and score who is eligible on the day.

    Parameters
    ----------
    task
        What to predict, with its training days.
    features
        Rows of table `features` (for contracts with `contract_features`) at `as_of` and at each
        of `task.days`; later ones are ignored. Text columns `trait.KEY` hold her attributes.
    outcomes
        What `labels.purchase_labels`, `category_labels` or `contract_labels` gives.
    as_of
        The local day to score.
    streams
        Chance; the same seed gives the same result.
    terms
        What is needed and how it is learned.
    holders
        Who held a contract on which day (`labels.contract_holders`); only contract churn asks.
    incumbent
        The champion so far: it goes on speaking unless the new model is better (`registry.judge`).
    put_aside
        Versions that a rollback put aside.
    guests
        Models that were brought in: candidates beside those of `terms`.

    Returns
    -------
    Rows of table `scores`: calibrated probability, rank (1 = most probable), reasons, and for the
    next purchase the margin of her usual spend within the horizon; with the card and artifact of
    the new model. Where something is missing there is no score: `status` and the card say what.
    """
    wanted = features[features[c.AS_OF_ON].isin([*task.days, as_of])]
    rows = find_eligible(wanted, task, holders=holders)
    asked = () if incumbent is None else incumbent.fitted.names
    rows, traits = encode_traits(rows, rows[c.AS_OF_ON] < as_of, also=asked)
    target = rows[rows[c.AS_OF_ON] == as_of].sort_values(c.CUSTOMER_ID, ignore_index=True)
    past = rows[rows[c.AS_OF_ON] < as_of]
    there = [*(f for f in KNOWN if f.name in rows.columns), *traits]
    open_to_use = [f for f in there if f.name not in terms.protected]
    used = informative(past, open_to_use) if len(past) else []
    known = outcomes.to_pandas()
    sample = _Sample(task, past, known, as_of, streams)
    groups = sample.groups([feature.name for feature in used])
    checked = _check(task, groups, len(target), terms)
    if checked.missing:
        return no_model(task=task, as_of=as_of, check=checked)
    leaks = find_leaks(groups, [feature.name for feature in used])
    if leaks:
        used = [feature for feature in used if feature.name not in leaks]
        groups = sample.groups([feature.name for feature in used])
    most = max(1, terms.training_rows // len(groups))
    seats = seat_guests(guests, groups, [feature.name for feature in used])
    learned = _Learned(task, sample, groups, used, most, terms, leaks, seats)
    challenger = learned.fit(streams)
    comparison = learned.compare(challenger, incumbent)
    verdict = registry.judge(
        comparison, policy=terms.promotion, put_aside=challenger.version in put_aside
    )
    speaking, version = challenger.fitted, challenger.version
    if incumbent is not None and not verdict.promote:
        speaking, version = incumbent.fitted, incumbent.version
    scores, top = _speak(speaking, task, target, as_of=as_of, terms=terms, version=version)
    if not verdict.promote and incumbent is None:
        scores = scores.slice(0, 0)  # it waits for approval
    card = learned.describe(challenger, target, as_of) | {"top_effects": top}
    card["registry"] = registry.registry_card(
        verdict, comparison, version if scores.num_rows else None
    )
    record = registry.Version(
        task.name, task.subject, challenger.version, as_of, challenger.fitted.name,
        str(card["data_hash"]), comparison.to_card(), registry.TURN,
    )  # fmt: skip
    status = "ok" if scores.num_rows else verdict.reason
    return Scored(scores, card, challenger.fitted.to_artifact(), status, record, verdict.promote)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Eligible rows of the past with what happened."""

    task: Task
    past: pd.DataFrame
    known: pd.DataFrame
    as_of: date
    streams: Streams

    def groups(self, names: Sequence[str], days: tuple[date, ...] | None = None) -> list[Group]:
        """The training groups with these features."""
        task = self.task if days is None else self.task.at_days(days)
        return build_groups(self.past, self.known, task=task, names=list(names), as_of=self.as_of)


@dataclass(frozen=True, eq=False)
class _Challenger:
    fitted: Fitted
    choice: Choice
    version: str
    validation: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Learned:
    """What the challenger learns from, and what is said of it."""

    task: Task
    sample: _Sample
    groups: Sequence[Group]
    used: Sequence[Feature]
    most: int
    terms: Terms
    leaks: Mapping[str, float]
    seats: Seats

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.used]

    def thinned(self, groups: Sequence[Group]) -> list[Group]:
        return [thin_out(g, most=self.most, streams=self.sample.streams) for g in groups]

    def fit(self, streams: Streams) -> _Challenger:
        """Compare the candidates on later days, fit and calibrate the best."""
        name = f"{self.task.name}/{self.task.subject}"
        own = Streams(int(streams.generator(name).integers(2**31 - 1)))
        learned = self.thinned(self.groups)
        makers = pick_candidates(self.terms.candidates) | dict(self.seats.makers)
        fitted, choice = train(
            learned, kind=self.task.name, names=self.names, streams=own, makers=makers
        )
        validation = validation_report(
            learned, choice, kind=self.task.name, anchored=False, streams=own, makers=makers,
            names=self.names, attributes=self.terms.attributes,
        )  # fmt: skip
        return _Challenger(fitted, choice, version_of(fitted.to_artifact()), validation)

    def compare(
        self, challenger: _Challenger, incumbent: registry.Incumbent[Fitted] | None
    ) -> registry.Comparison:
        """Both on the latest day that neither learned from."""
        rng = self.sample.streams.generator(f"registry/{self.task.name}/{self.task.subject}")
        return registry.compete(
            challenger.version, challenger.choice, self.groups, incumbent,
            same_rows=self._same_rows, rng=rng, leaks=self.leaks,
        )  # fmt: skip

    def _same_rows(self, champion: registry.Incumbent[Fitted], place: int) -> Group:
        day = self.groups[place].start_on
        return self.thinned(self.sample.groups(champion.fitted.names, (day,)))[0]

    def describe(
        self, challenger: _Challenger, target: pd.DataFrame, as_of: date
    ) -> dict[str, Any]:
        """The model card, without what the scores of the day add."""
        task, fitted = self.task, challenger.fitted
        learned = self.thinned(self.groups)
        history = self.terms.history_days - (as_of - self.groups[0].start_on).days
        return {
            "task": task.name,
            "status": "ok",
            "subject": task.subject,
            "as_of_on": as_of.isoformat(),
            "model": fitted.name,
            c.MODEL_VERSION: challenger.version,
            "predicts": task.predicts,
            "predicts_zh": task.predicts_zh,
            "label": task.label,
            "eligible": task.eligible,
            "horizon_days": task.horizon_days,
            "data": describe_groups(self.groups),
            "data_hash": registry.hash_data(learned),
            "learned_rows": sum(len(group.labels) for group in learned),
            "customers": len(target),
            "features": list(fitted.names),
            "calibration": fitted.calibrator.to_artifact(),
            "validation": challenger.validation,
            "drift": measure_drift(
                np.vstack([g.features for g in learned]),
                target[self.names].to_numpy(float),
                self.names,
                grown=growing(self.used, history),
            ),
            "left_out": {
                "leaks": {name: round(value, 4) for name, value in sorted(self.leaks.items())},
                "protected": sorted({*self.terms.protected, *self.terms.attributes}),
                "allowed": list(self.terms.allowed),
            },
            "guests": list(self.seats.said),
            "warnings": _warnings(challenger.validation, self.leaks),
        }


def _speak(
    fitted: Fitted, task: Task, target: pd.DataFrame, *, as_of: date, terms: Terms, version: str
) -> tuple[pa.Table, list[dict]]:
    """Rows of table `scores` by one model, and its global effects."""
    spend = _usual_spend(target, task.horizon_days or 0)
    return score(
        fitted,
        target[list(fitted.names)].to_numpy(float),
        target[c.CUSTOMER_ID].to_numpy(),
        whole=is_whole(fitted.names, _WHOLE),
        as_of=as_of,
        task=task.name,
        subject=task.subject,
        version=version,
        expected_profit=terms.margin_rate * spend if task.name == NEXT_PURCHASE else None,
    )


def _check(task: Task, groups: list, to_score: int, terms: Terms) -> DataCheck:
    positives = sum(int(group.labels.sum()) for group in groups)
    return check_data(
        positives=positives,
        negatives=sum(len(group.labels) for group in groups) - positives,
        samples=len(groups),
        to_score=to_score,
        horizon_days=task.horizon_days,
        history_days=terms.history_days,
        silent_days=terms.silent_days,
        min_positives=terms.min_positives,
    )


def _warnings(validation: dict[str, Any], leaks: Mapping[str, float]) -> list[dict[str, str]]:
    made = warn_of_leaks(leaks)
    if len(validation["folds"]) < 2:
        made.append(
            ("few_folds", "fewer than two snapshots could judge", "可用于评判的历史快照不足两个")
        )
    if (validation.get("last_fold", {}).get("auc") or 0) > TOO_GOOD:
        message = f"an AUC above {TOO_GOOD} points to a feature that knows the future"
        made.append(("too_good", message, f"AUC 高于 {TOO_GOOD}：可能有特征泄露了未来信息"))
    return [{"code": code, "message": en, "message_zh": zh} for code, en, zh in made]


def _usual_spend(target: pd.DataFrame, horizon_days: int) -> np.ndarray:
    """Revenue of the last half year (or since her first order) scaled to the horizon."""
    known = target["tenure_days"].fillna(0).to_numpy(float) + 1
    days = np.minimum(known, 180.0)
    spend = np.maximum(target["revenue_180d_minor"].to_numpy(float), 0)
    return spend / np.maximum(days, 30.0) * horizon_days

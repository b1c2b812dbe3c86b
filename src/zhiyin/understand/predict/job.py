"""Predictions of a turn from snapshots of every customer: which tasks, learned at which days.

It is a part of the job `understand.models`, which writes what comes back.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOperatorIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from zhiyin.core import artifact
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import UnderstandSettings
from zhiyin.core.context import Context
from zhiyin.core.features import FEATURES, TRAIT, Feature
from zhiyin.understand.ledger import (
    forget_day,
    keep_version,
    read_entries,
    read_guests,
    read_versions,
)
from zhiyin.understand.predict import labels
from zhiyin.understand.predict.contracts import contract_features, known_contracts
from zhiyin.understand.predict.guests import Guest
from zhiyin.understand.predict.horizon import Horizon, propose_horizon, usual_gaps
from zhiyin.understand.predict.registry import Entry, Incumbent, champion_on
from zhiyin.understand.predict.snapshot import KNOWN, Terms, score_snapshot
from zhiyin.understand.predict.task import (
    CATEGORY_AFFINITY,
    CHURN,
    CONTRACT,
    NEXT_PURCHASE,
    Task,
    category_affinity,
    churn,
    contract_churn,
    next_purchase,
    pick_days,
)
from zhiyin.understand.predict.training import Fitted, Scored, Version, kept_rows
from zhiyin.understand.predict.traits_job import attribute_names, attribute_text, read_traits
from zhiyin.understand.value.purchases import PurchaseDays

WHOLE_SHARE = 0.95  # of the customers who had ordered by a day: fewer rows are recipients only
CONTRACT_DAYS = 30
_KEYS = [c.AS_OF_ON, c.CUSTOMER_ID]
_ORDERED = "ordered"
Artifact = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What predictions are made from, as of the day."""

    order_lines: ir.Table
    products: ir.Table
    purchases: PurchaseDays
    contracts: pa.Table | None = None  # columns of `contracts.NAMES`, where churn is contractual


class Learned(Protocol):
    """What a turn learned, for the registry."""

    @property
    def record(self) -> Version | None: ...
    @property
    def promoted(self) -> bool: ...
    @property
    def card(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Held:
    """The registry as it stands when the turn begins."""

    as_of: date
    entries: Sequence[Entry]
    versions: Sequence[Version]
    guests: Mapping[tuple[str, str], tuple[Guest, ...]]

    def champion(self, ctx: Context, task: str, subject: str) -> Incumbent[Artifact] | None:
        """The champion's artifact from the lake; None where there is none, or it is gone."""
        speaks = champion_on(self._log(task, subject), self.as_of)
        known = [v for v in self.versions if (v.task, v.subject) == (task, subject)]
        for one in known:
            if one.version == speaks:
                rows = kept_rows(ctx.store.read("models"), one).select(c.ARTIFACT).to_pyarrow()
                for content in rows[c.ARTIFACT].to_pylist():
                    return Incumbent(one.version, one.as_of_on, artifact.unpack(content))
        return None

    def incumbent(
        self, ctx: Context, task: str, subject: str, *, features: Sequence[Feature]
    ) -> Incumbent[Fitted] | None:
        """The champion, restored; None where there is none or it asks for unknown features."""
        found = self.champion(ctx, task, subject)
        if found is None:
            return None
        fitted = Fitted.from_artifact(found.fitted)
        known = {feature.name for feature in features}
        if any(name not in known and not name.startswith(TRAIT) for name in fitted.names):
            return None
        return Incumbent(found.version, found.as_of_on, fitted)

    def put_aside(self, task: str, subject: str) -> list[str]:
        """Versions that a rollback put aside."""
        return [e.instead_of for e in self._log(task, subject) if e.instead_of]

    def _log(self, task: str, subject: str) -> list[Entry]:
        return [e for e in self.entries if (e.task, e.subject) == (task, subject)]


def read_held(ctx: Context) -> Held:
    """The registry of the workspace."""
    with ctx.store.begin() as connection:
        return Held(
            ctx.as_of, read_entries(connection), read_versions(connection), read_guests(connection)
        )


def score_tasks(ctx: Context, config: UnderstandSettings, facts: Facts, held: Held) -> list[Scored]:
    """Score the tasks that the workspace asks for, each at days of its own horizon.

    Returns
    -------
    One result a task and subject; where data are missing it says what, and has no scores.
    """
    proposed = propose_horizon(usual_gaps(facts.purchases))
    tasks = _plan(ctx, config, facts, proposed)
    days = sorted({day for task in tasks for day in task.days} | {ctx.as_of})
    features = ctx.store.read("features")
    rows = features.filter(features[c.AS_OF_ON].isin(days)).to_pyarrow().to_pandas()
    if config.attributes:
        rows = rows.merge(read_traits(ctx, days, without=put_out(config)), on=_KEYS, how="left")
    outcomes = _outcomes(ctx, facts, tasks)
    contracts = facts.contracts
    back = facts.purchases.back
    terms = Terms(
        history_days=facts.purchases.span_days,
        silent_days=int(back.min()) if len(back) else 0,
        min_positives=config.min_positives,
        candidates=config.candidates,
        training_rows=config.training_rows,
        margin_rate=ctx.settings.decide.margin_rate,
        promotion=config.promotion,
        protected=_protected(ctx, config),
        attributes=_attributes(ctx, config.protected),
        allowed=config.protected_allowed,
    )
    made = []
    for number, task in enumerate(tasks):
        ctx.progress(f"prediction: {task.name} {task.subject}".rstrip(), number / len(tasks))
        key = (task.name, task.subject)
        seen, holders, own = rows, None, terms
        if task.eligible == "contract_holders" and contracts is not None:
            days = [*task.days, ctx.as_of]
            seen = rows.merge(contract_features(contracts, days=days), on=_KEYS)
            holders = seen[_KEYS]
            own = replace(terms, **_contract_history(contracts, ctx.as_of))
        scored = score_snapshot(
            task, seen, outcomes=outcomes[task], as_of=ctx.as_of, streams=ctx.rng, terms=own,
            holders=holders, incumbent=held.incumbent(ctx, *key, features=KNOWN),
            put_aside=held.put_aside(*key), guests=held.guests.get(key, ()),
        )  # fmt: skip
        scored.card["proposed_horizon"] = asdict(proposed)
        made.append(scored)
    return made


def put_out(config: UnderstandSettings) -> frozenset[str]:
    """Names of features and attributes that no model learns from."""
    allowed = {one.split(":")[0] for one in config.protected_allowed}
    return frozenset(config.protected) - allowed


def _protected(ctx: Context, config: UnderstandSettings) -> frozenset[str]:
    """What is put out of the features and attributes that there are."""
    there = {*(f.name for f in FEATURES), *attribute_names(ctx.store.read("customers"))}
    return put_out(config) & there


def _attributes(ctx: Context, protected: Sequence[str]) -> dict[str, dict[str, str]]:
    """Values of protected customer attributes: columns or properties of table `customers`."""
    made: dict[str, dict[str, str]] = {}
    customers = ctx.store.read("customers", as_of=ctx.as_of)
    for name in attribute_names(customers):
        if name not in protected:
            continue
        rows = customers.select(c.CUSTOMER_ID, **{c.VALUE: attribute_text(customers, name)})
        known = rows.filter(rows[c.VALUE].notnull(), rows[c.CUSTOMER_ID].notnull())
        found = known.group_by(c.CUSTOMER_ID).agg(**{c.VALUE: known[c.VALUE].min()}).to_pyarrow()
        made[name] = dict(
            zip(found[c.CUSTOMER_ID].to_pylist(), found[c.VALUE].to_pylist(), strict=True)
        )
    return made


def register(ctx: Context, made: Sequence[Learned]) -> None:
    """Keep the versions that the turn made, and which of them speak; a rerun replaces them.

    Two campaigns of one kind give one version: it is kept once.
    """
    now = naive_utc(ctx.clock.now())
    records = {(s.record.task, s.record.subject): s for s in made if s.record is not None}
    with ctx.store.begin() as connection:
        forget_day(connection, ctx.as_of)
        for scored in records.values():
            if scored.record is not None:
                keep_version(
                    connection, scored.record, promote=scored.promoted, card=scored.card, now=now
                )


def _plan(
    ctx: Context, config: UnderstandSettings, facts: Facts, proposed: Horizon
) -> tuple[Task, ...]:
    """The tasks with their training days."""
    ahead = config.purchase_horizon_days
    away = config.churn_horizon_days or proposed.days or ahead
    tasks: list[Task] = []
    if NEXT_PURCHASE in config.tasks:
        tasks.append(next_purchase(ahead))
    if CHURN in config.tasks:
        tasks.append(churn(away) if facts.contracts is None else _contract_task(config))
    if CATEGORY_AFFINITY in config.tasks:
        named = top_categories(facts, most=config.affinity_categories)
        tasks += [category_affinity(name, ahead) for name in named]
    whole = _whole_days(ctx, facts.purchases)
    most = ctx.settings.profile.purchase_snapshots
    held = [] if facts.contracts is None else _days_of_holders(ctx, facts.contracts)
    return tuple(
        task.at_days(
            pick_days(
                held if task.subject == CONTRACT else whole,
                as_of=ctx.as_of,
                horizon_days=task.horizon_days or 1,
                most=most,
            )
        )
        for task in tasks
    )


def _contract_task(config: UnderstandSettings) -> Task:
    return contract_churn(config.churn_horizon_days or CONTRACT_DAYS)


def _contract_history(contracts: pa.Table, as_of: date) -> dict[str, int]:
    """Days since the first contract began, and since the last that began or ended."""
    seen = known_contracts(contracts, as_of=as_of).to_pydict()
    days = [day for name in (c.START_ON, c.END_ON) for day in seen[name] if day and day < as_of]
    if not days:
        return {"history_days": 0, "silent_days": 0}
    return {"history_days": (as_of - min(days)).days, "silent_days": (as_of - max(days)).days}


def _days_of_holders(ctx: Context, contracts: pa.Table) -> list[date]:
    """Days before this one with a snapshot of (nearly) everybody who held a contract then."""
    features = ctx.store.read("features")
    past = features.filter(features[c.AS_OF_ON] < ctx.as_of).select(*_KEYS).to_pyarrow()
    there = past.to_pandas()
    known = known_contracts(contracts, as_of=ctx.as_of)
    days = sorted(set(there[c.AS_OF_ON]))
    held = labels.contract_holders(known, days=days).to_pandas()
    met = held.merge(there, on=_KEYS).groupby(c.AS_OF_ON).size()
    everyone = held.groupby(c.AS_OF_ON).size()
    return [day for day in everyone.index if met.get(day, 0) >= WHOLE_SHARE * everyone[day]]


def _whole_days(ctx: Context, purchases: PurchaseDays) -> list[date]:
    """Days before this one with a snapshot of (nearly) everybody who had ordered by then.

    At the first day of a campaign only its recipients have one: learning from them would answer
    for people whom the shop chose.
    """
    features = ctx.store.read("features")
    past = features.filter(features[c.AS_OF_ON] < ctx.as_of)
    counted = past.group_by(c.AS_OF_ON).agg(**{_ORDERED: (_["orders_count"] > 0).sum()})
    first = np.zeros(len(purchases.customer_ids), dtype=np.int64)
    np.maximum.at(first, purchases.customers, purchases.back)
    return [
        row[c.AS_OF_ON]
        for row in counted.to_pyarrow().to_pylist()
        if row[_ORDERED]
        and row[_ORDERED] >= WHOLE_SHARE * (first > (ctx.as_of - row[c.AS_OF_ON]).days).sum()
    ]


def top_categories(facts: Facts, *, most: int) -> list[str]:
    """The categories that most customers bought from, ties by name; none without categories."""
    if most == 0:
        return []
    items = facts.order_lines.filter(_[c.KIND] == "item").select(c.CUSTOMER_ID, c.PRODUCT_ID)
    named = facts.products.filter(_[c.CATEGORY].notnull()).select(c.PRODUCT_ID, c.CATEGORY)
    met = items.distinct().inner_join(named, c.PRODUCT_ID)
    counted = met.group_by(c.CATEGORY).agg(**{_ORDERED: _[c.CUSTOMER_ID].nunique()})
    first = counted.order_by([ibis.desc(_ORDERED), c.CATEGORY]).limit(most)
    return first.to_pyarrow()[c.CATEGORY].to_pylist()


def _outcomes(ctx: Context, facts: Facts, tasks: Sequence[Task]) -> Mapping[Task, pa.Table]:
    """What happened after the training days of each task; one reading a horizon."""
    made: dict[Task, pa.Table] = {}
    orders: dict[tuple[Any, ...], pa.Table] = {}
    for task in tasks:
        key = (task.days, task.horizon_days)
        if task.label == "contract_ends" and facts.contracts is not None:
            known = known_contracts(facts.contracts, as_of=ctx.as_of)
            made[task] = labels.contract_labels(
                known, days=task.days, horizon_days=task.horizon_days or 1, as_of=ctx.as_of
            )
            continue
        if task.label != "orders_category" and key not in orders:
            windows = ctx.store.to_ibis(_windows(ctx, task))
            orders[key] = labels.purchase_labels(facts.order_lines, windows).to_pyarrow()
        if task.label != "orders_category":
            made[task] = orders[key]
    asked = [task for task in tasks if task.label == "orders_category"]
    if asked:
        windows = ctx.store.to_ibis(_windows(ctx, asked[0]))
        names = [task.subject for task in asked]
        every = labels.category_labels(
            facts.order_lines, facts.products, windows, categories=names
        ).to_pyarrow()
        frame: pd.DataFrame = every.to_pandas()
        for task in asked:
            mine = frame[frame[c.CATEGORY] == task.subject].drop(columns=c.CATEGORY)
            made[task] = pa.Table.from_pandas(mine, schema=_LABELS, preserve_index=False)
    return made


_LABELS = pa.schema(
    [(c.AS_OF_ON, pa.date32()), (c.CUSTOMER_ID, pa.string()), (labels.HAPPENED, pa.int64())]
)


def _windows(ctx: Context, task: Task) -> pa.Table:
    return labels.purchase_windows(
        task.days, horizon_days=task.horizon_days or 1, as_of=ctx.as_of, zone=ctx.settings.zone
    )

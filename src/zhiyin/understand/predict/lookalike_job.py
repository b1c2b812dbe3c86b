# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""Look-alikes of stored audiences: a part of the job `understand.models`, or asked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.audience import Rule, compile
from zhiyin.audience.check import lists_of
from zhiyin.audience.formula import SNAPSHOTS
from zhiyin.audience.ledger import list_audiences
from zhiyin.audience.read import last_snapshot, table_names, tables_for
from zhiyin.audience.rule import LOOK_ALIKE
from zhiyin.core import columns as c
from zhiyin.core.artifact import version_of
from zhiyin.core.config import UnderstandSettings
from zhiyin.core.context import Context
from zhiyin.core.features import FEATURES
from zhiyin.core.protocols import Store, Vault
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.lookalike import (
    TOO_CLEAR,
    Alike,
    find_alike,
    refuse,
)
from zhiyin.understand.predict.shortage import OK, Missing
from zhiyin.understand.predict.training import SCORES_SCHEMA, Scored, informative

FEATURE_TABLE = "features"
_WHOLE = frozenset(feature.name for feature in FEATURES if feature.type == "int64")


@dataclass(frozen=True)
class Base:
    """Where look-alikes are looked for: the customers of a day, and the stored audiences.

    `until`: the last day whose tags, scores and segments may say who is a seed. A turn makes those
    of its own day later, so there it is the day before.
    """

    store: Store
    vault: Vault
    as_of: date
    until: date
    zone: str
    config: UnderstandSettings
    streams: Streams
    audiences: Mapping[str, Rule]

    def features(self) -> pd.DataFrame:
        """The features of the newest day, by customer."""
        rows = self.store.read(FEATURE_TABLE)
        today = rows.filter(rows[c.AS_OF_ON] == last_snapshot(self.store, self.as_of))
        return today.order_by(c.CUSTOMER_ID).to_pyarrow().to_pandas()


@dataclass(frozen=True, eq=False)
class Found:
    """A look-alike with its model card."""

    alike: Alike
    card: dict[str, Any]


def score_alike(ctx: Context, config: UnderstandSettings) -> list[Scored]:
    """Rank the look-alikes of every seed audience whose scores a stored audience asks for."""
    with ctx.store.begin() as connection:
        rules = {one.name: one.rule for one in list_audiences(connection)}
    asked = sorted({seed for rule in rules.values() for seed in lists_of(rule)} & set(rules))
    if not asked:
        return []
    base = Base(
        ctx.store, ctx.vault, ctx.as_of, ctx.as_of - timedelta(days=1), ctx.settings.zone, config,
        ctx.rng, rules,
    )  # fmt: skip
    rows = base.features()
    made = []
    for place, seed in enumerate(asked):
        ctx.progress(f"look-alike: {seed}", place / len(asked))
        found = look_for(base, seed, rows)
        scores = _rows(found, seed, ctx.as_of)
        fitted = found.alike.fitted
        kept = None if fitted is None else fitted.to_artifact()
        made.append(Scored(scores, found.card, kept, found.alike.status))
    return made


def look_for(base: Base, seed: str, rows: pd.DataFrame) -> Found:
    """The look-alikes of a stored audience among `rows`, which `base.features()` gives.

    Raises
    ------
    KeyError
        If there is no such audience.
    """
    rule = base.audiences[seed]
    compiled = compile(rule, audiences=base.audiences)
    day = _seeds_day(base, list(compiled.rules.values()))
    allowed = {one.split(":")[0] for one in base.config.protected_allowed}
    protected = frozenset(base.config.protected) - allowed
    if day is None:
        nobody = refuse(_NO_SNAPSHOT)
        return Found(nobody, _card(base, seed, nobody, None, protected))
    tables = tables_for(base.store, base.vault, compiled.rules.values(), as_of=base.as_of)
    members = compiled.members(tables, as_of=base.as_of, zone=base.zone, snapshot_on=day)
    listed = set(members.to_pyarrow()[c.CUSTOMER_ID].to_pylist())
    used = informative(rows, [f for f in FEATURES if f.name not in protected]) if len(rows) else []
    names = [feature.name for feature in used]
    ids = rows[c.CUSTOMER_ID].to_numpy(dtype=object)
    alike = find_alike(
        rows[names].to_numpy(float), np.isin(ids, sorted(listed)), ids, names=names,
        whole=[name in _WHOLE for name in names], listed=len(listed),
        streams=Streams(int(base.streams.generator(f"alike/{seed}").integers(2**31 - 1))),
    )  # fmt: skip
    return Found(alike, _card(base, seed, alike, day, protected))


def _seeds_day(base: Base, rules: Sequence[Rule]) -> date | None:
    """The snapshot that says who is a seed: the newest that has all that the rules ask for."""
    asked = (set(table_names(rules)) & SNAPSHOTS) - {FEATURE_TABLE}
    if not asked:
        return last_snapshot(base.store, base.as_of)
    held: list[set[date]] = []
    for name in sorted({*asked, FEATURE_TABLE}):
        days = base.store.read(name).select(c.AS_OF_ON).distinct()
        held.append(set(days.to_pyarrow()[c.AS_OF_ON].to_pylist()))
    return max((day for day in set.intersection(*held) if day <= base.until), default=None)


def _rows(found: Found, seed: str, day: date) -> pa.Table:
    """Rows of table `scores`: everybody who is no seed."""
    alike, n = found.alike, len(found.alike.ids)
    if alike.fitted is None:
        return SCORES_SCHEMA.empty_table()
    values = [
        [day] * n, alike.ids.tolist(), [LOOK_ALIKE] * n, [seed] * n, alike.score,
        np.arange(1, n + 1), [None] * n, [alike.fitted.name] * n,
        [found.card[c.MODEL_VERSION]] * n, list(alike.reasons),
    ]  # fmt: skip
    return pa.table(values, schema=SCORES_SCHEMA)


def _card(
    base: Base, seed: str, alike: Alike, day: date | None, protected: frozenset[str]
) -> dict[str, Any]:
    """The model card; figures of groups alone."""
    card: dict[str, Any] = {
        "task": LOOK_ALIKE,
        "subject": seed,
        "status": alike.status,
        "as_of_on": base.as_of.isoformat(),
        "predicts": f"how like the people of the audience {seed} she is",
        "predicts_zh": f"与受众“{seed}”中的人有多相似",
        "seeds": {
            "listed": alike.listed,
            "known": alike.seeds,
            "snapshot_on": day.isoformat() if day else None,
        },
        "customers": alike.customers,
        "apart": [asdict(one) for one in alike.apart],
        "left_out": {
            "defines": list(alike.defining),
            "protected": sorted(protected),
            "allowed": list(base.config.protected_allowed),
        },
        "warnings": _warnings(alike),
    }
    if alike.quality is not None:
        card["quality"] = {
            "auc": asdict(alike.quality.auc),
            "recall": {f"{share:g}": found for share, found in alike.quality.recall.items()},
            "lift": {f"{share:g}": found for share, found in alike.quality.lift.items()},
            "candidates": dict(alike.quality.candidates),
        }
    if alike.fitted is not None:
        card |= {
            "model": alike.fitted.name,
            c.MODEL_VERSION: version_of(alike.fitted.to_artifact()),
            "features": list(alike.fitted.names),
            "learned_rows": alike.learned,
            "top_effects": list(alike.top_effects),
        }
    return card


def _warnings(alike: Alike) -> list[dict[str, str]]:
    made = []
    if alike.missing is not None:
        one = alike.missing
        made.append({"code": one.code, "message": one.en, "message_zh": one.zh})
    if alike.status == OK and alike.quality is not None and alike.quality.auc.value > TOO_CLEAR:
        made.append({
            "code": "too_clear",
            "message": "what is known tells nearly all of the list: the first of the others are "
            "those who miss the rule of the list by little",
            "message_zh": "已知信息几乎能完全区分名单：排在最前的其他人只是略微未满足名单规则",
        })  # fmt: skip
    return made


_NO_SNAPSHOT = Missing(
    "no_snapshot",
    "the list asks for tags, scores or segments, and no day has them yet",
    "名单规则用到标签、评分或分群，但尚无任何一天的结果",
)

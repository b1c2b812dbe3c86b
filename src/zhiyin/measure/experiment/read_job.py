# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""A kept experiment read out of the lake: exposures in `decisions`, what was done after them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.decisions import BY_EXPERIMENT
from zhiyin.core.protocols import Store
from zhiyin.measure.experiment import exposures as x
from zhiyin.measure.experiment import measures, words
from zhiyin.measure.experiment.ledger import Stored
from zhiyin.measure.experiment.readout import Reading, ReadOut, read_out, tell


@dataclass(frozen=True)
class Found:
    """A read-out, with how many units were assigned to each arm and how many counted already."""

    readout: ReadOut
    assigned: Mapping[str, int]
    counted: Mapping[str, int]


def read(
    store: Store, held: Stored, *, as_of: date, zone: str, include_shipping: bool
) -> Found:  # fmt: skip
    """What an experiment says on the data before the local day `as_of`.

    A unit counts from her first exposure within the plan's days on, under her customer of
    `as_of`; who was seen in two arms is left out.
    """
    plan = held.experiment
    rows = store.read("decisions", as_of=as_of)
    shown = rows.filter(
        rows[c.DECIDED_BY] == BY_EXPERIMENT,
        rows[c.CAMPAIGN_ID] == f"{BY_EXPERIMENT}:{held.key}",
        rows[c.VERSION] == held.version,
        rows[c.DECIDED_AT] >= naive_utc(start_of_day(plan.starts_on, zone)),
        rows[c.DECIDED_AT] < naive_utc(start_of_day(plan.ends_on + timedelta(days=1), zone)),
    )
    exposures = _name_today(shown, store.read("merges", as_of=as_of))
    grouped = x.group_units(exposures).cache()
    counted = x.count_units(grouped).to_pyarrow().to_pylist()
    assigned = dict.fromkeys(sorted(plan.arms), 0)
    assigned |= {row[c.ARM]: row[c.UNITS] for row in counted}
    units = x.close_windows(
        x.keep_single(grouped), until=naive_utc(start_of_day(as_of, zone)),
        window_days=plan.window_days,
    )  # fmt: skip
    outcomes, column = measures.count_outcomes(
        plan, lambda name: store.read(name, as_of=as_of), include_shipping=include_shipping
    )
    sums = measures.sum_metrics(plan, units, outcomes, column).to_pyarrow().to_pylist()
    made = read_out(
        held.plan, measures.read_arms(plan, sums), assigned, as_of=as_of,
        mixed=sum(row[x.MIXED] for row in counted),
    )  # fmt: skip
    none = dict.fromkeys(assigned, 0)
    return Found(made, assigned, none | {row[c.ARM]: row[c.UNITS] for row in sums})


def _name_today(shown: ir.Table, merges: ir.Table) -> ir.Table:
    """`customer_id`, `arm`, `occurred_at`: decisions keep the customer of their day, outcomes have
    that of the day of the read-out.
    """
    today = merges.select(c.PARTY_ID, **{c.INTO: merges[c.CUSTOMER_ID]}).distinct()
    joined = shown.left_join(today, c.PARTY_ID)
    return joined.select(
        **{
            c.CUSTOMER_ID: ibis.coalesce(joined[c.INTO], joined[c.PARTY_ID]),
            c.ARM: joined[c.ACTION],
            c.OCCURRED_AT: joined[c.DECIDED_AT],
        }
    )


def describe(found: Found) -> dict[str, Any]:
    """A read-out as JSON: figures (None where there is none) and sentences in both languages."""
    made = found.readout
    return {
        "experiment": made.plan.experiment.id,
        "hash": made.plan.hash,
        "as_of": made.as_of.isoformat(),
        "assigned": dict(found.assigned),
        "counted": dict(found.counted),
        "mixed": made.mixed,
        "sample_ratio": {
            "p_value": _number(made.sample_ratio.p_value), "status": made.sample_ratio.status
        },
        "readings": [_describe(one) for one in made.readings],
        **{language: list(tell(made, language)) for language in words.LANGUAGES},
    }  # fmt: skip


def _describe(one: Reading) -> dict[str, Any]:
    result = one.result
    said = {
        "arm": one.arm, "metric": one.metric.name, "role": one.metric.role,
        "relative": one.metric.relative, "verdict": one.verdict, "reason": one.reason,
        "status": result.status, "guard": one.guard.verdict if one.guard else None,
    }  # fmt: skip
    figures = {
        "effect": result.effect, "low": result.low, "high": result.high, "p_value": one.p_value,
        "chance_to_win": result.chance_to_win, "base": result.base,
        "detectable": one.detectable,
    }  # fmt: skip
    return said | {name: _number(value) for name, value in figures.items()}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

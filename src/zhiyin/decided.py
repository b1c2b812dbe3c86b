"""Choices at decision points, arms of experiments that were shown, and what came of them, from the
journal to the tables `decisions` and `outcomes`: each once, however often it was acknowledged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from zhiyin.collect import money
from zhiyin.collect.load import read_rates
from zhiyin.core import columns as c
from zhiyin.core.clock import local_day, naive_utc
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.decisions import BY_EXPERIMENT, BY_LOT, BY_POINT, Decided, Outcome, place_id
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import DECISIONS, OUTCOMES
from zhiyin.store.workspace import WorkspaceStore

NOTHING = "nothing"
AGAIN_DAYS, LATE_DAYS = 30, 400
"""How far back the same id is looked for, and the decision that an outcome is of."""
SOURCE = "zhiyin"
BY = (BY_POINT, BY_EXPERIMENT)
_decided = msgspec.msgpack.Decoder(Decided).decode
_outcome = msgspec.msgpack.Decoder(Outcome).decode
Given = dict[tuple[str, int, str], int]


def write_decided(
    store: WorkspaceStore, unit: str, payloads: Iterable[bytes]
) -> tuple[int, Given]:  # fmt: skip
    """Append the choices that the frames of a unit of the journal tell, exactly once.

    Returns
    -------
    How many rows, and how often each action was given, by point, version and action: the same when
    a unit that was cut off is done again.
    """
    found = list(map(_decided, payloads))
    found.sort(key=lambda one: one.at_us)
    first = {one.decision_id: one for one in reversed(found)}
    if not first:
        return 0, {}
    since = datetime.fromtimestamp(found[0].at_us / 1e6, UTC) - timedelta(days=AGAIN_DAYS)
    held = store.read_stored(DECISIONS.name)
    held = held.filter(
        held[c.DECIDED_BY].isin(BY), held[c.TURN_ID] != unit,
        held[c.DECIDED_AT] >= naive_utc(since),
    )  # fmt: skip
    fresh = [first[one] for one in _absent(store, held, c.DECISION_ID, sorted(first))]
    rows = [row for one in fresh for row in decided_rows(one, turn_id=unit, zone=store.zone)]
    if rows:
        made = pa.Table.from_pylist(rows, schema=arrow_schema(DECISIONS))
        store.append(DECISIONS.name, made, app=f"{unit}:{BY_POINT}")
    given = Counter(
        (one.point, one.version, place.action)
        for one in fresh
        for place in one.places
        if decider_of(one) == BY_POINT
    )
    return len(rows), dict(given)


def decider_of(one: Decided) -> str:
    """Whether a decision point chose, or an experiment's lot."""
    return BY_EXPERIMENT if one.policy == BY_LOT else BY_POINT


def sent_of(payloads: Iterable[bytes]) -> list[Decided]:
    """Those of the choices that a rule sent to a person."""
    return [one for one in map(_decided, payloads) if one.sent]


def decided_rows(one: Decided, *, turn_id: str, zone: str) -> list[dict[str, Any]]:
    """A row for each place of a choice; one without an action where there is none."""
    at = datetime.fromtimestamp(one.at_us / 1_000_000, UTC)
    context = json.dumps(dict(zip(one.names, one.numbers, strict=True))) if one.names else None
    by = decider_of(one)
    shared = {
        c.TURN_ID: turn_id, c.AS_OF_ON: local_day(at, zone),
        c.CAMPAIGN_ID: f"{by}:{one.point}", c.PARTY_ID: one.party_id,
        c.CUSTOMER_ID: one.customer_id, c.DECIDED_AT: naive_utc(at), c.MONTH: f"{at:%Y-%m}",
        c.ARM: one.arm, c.RAMP: one.ramp or None,
        c.PERSONALISED: one.personalised if one.party_id and one.names else None,
        c.POLICY: one.policy,
        c.POLICY_VERSION: one.policy_version, c.REASON: one.reason, c.DECIDED_BY: by,
        c.VERSION: one.version, c.CONTEXT: context,
    }  # fmt: skip
    if not one.places:
        nothing = {c.ELIGIBLE: "[]", c.ACTION: NOTHING, c.PROPENSITY: 1.0, c.EXPLORED: False}
        return [{**shared, **nothing, c.DECISION_ID: one.decision_id, c.RANK: 1}]
    return [
        {
            **shared, c.DECISION_ID: place_id(one.decision_id, place),
            c.ELIGIBLE: json.dumps(list(chosen.eligible)), c.ACTION: chosen.action,
            c.PROPENSITY: chosen.propensity, c.EXPLORED: chosen.explored, c.RANK: place + 1,
        }
        for place, chosen in enumerate(one.places)
    ]  # fmt: skip


def write_outcomes(
    store: WorkspaceStore, unit: str, payloads: Iterable[bytes], *, currency: str, now: datetime
) -> int:
    """Append the outcomes that the frames of a unit tell, exactly once; how many rows.

    Write the unit's choices first: an outcome that names a decision belongs to whom it was about.
    """
    found = list(map(_outcome, payloads))
    found.sort(key=lambda one: one.received_us)
    first = {one.outcome_id: one for one in reversed(found)}
    if not first:
        return 0
    since = datetime.fromtimestamp(found[0].received_us / 1e6, UTC) - timedelta(days=AGAIN_DAYS)
    held = store.read_stored(OUTCOMES.name)
    held = held.filter(held[c.LOAD_ID] != unit, held[c.RECEIVED_AT] >= naive_utc(since))
    fresh = [first[one] for one in _absent(store, held, c.OUTCOME_ID, sorted(first))]
    if not fresh:
        return 0
    whose = _parties(store, fresh)
    rates = read_rates(store, currency)[0]
    loaded = {c.SOURCE: SOURCE, c.LOAD_ID: unit, c.LOADED_AT: naive_utc(now)}
    rows = [
        {
            c.OUTCOME_ID: one.outcome_id, c.KIND: one.kind,
            c.PARTY_ID: one.party_id or whose.get(one.decision_id) or None,
            c.OCCURRED_AT: _moment(one.at_us), c.MONTH: f"{_moment(one.at_us):%Y-%m}",
            c.RECEIVED_AT: _moment(one.received_us), c.DECISION_ID: one.decision_id or None,
            c.ACTION: one.action or None, c.CURRENCY: one.currency or None,
            c.VALUE_MINOR: one.value_minor, c.VALUE_BASE_MINOR: _to_base(one, rates, store.zone),
            **loaded,
        }
        for one in fresh
    ]  # fmt: skip
    made = pa.Table.from_pylist(rows, schema=arrow_schema(OUTCOMES))
    store.append(OUTCOMES.name, made, app=f"{unit}:{OUTCOMES.name}")
    return len(rows)


def _absent(store: WorkspaceStore, held: Any, column: str, ids: Sequence[str]) -> list[str]:
    """Those of the ids that no held row has."""
    wanted = store.to_ibis(pa.table({column: pa.array(ids, pa.string())}))
    there = held.semi_join(wanted, column).select(column).to_pyarrow()
    known = set(there[column].to_pylist())
    return [one for one in ids if one not in known]


def _parties(store: WorkspaceStore, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Decision → party, of outcomes that name a decision alone."""
    asked = sorted({one.decision_id for one in outcomes if one.decision_id and not one.party_id})
    if not asked:
        return {}
    since = _moment(min(one.at_us for one in outcomes)) - timedelta(days=LATE_DAYS)
    held = store.read_stored(DECISIONS.name)
    held = held.filter(held[c.DECIDED_BY].isin(BY), held[c.DECIDED_AT] >= since)
    wanted = store.to_ibis(pa.table({c.DECISION_ID: pa.array(asked, pa.string())}))
    rows = held.semi_join(wanted, c.DECISION_ID).select(c.DECISION_ID, c.PARTY_ID).to_pyarrow()
    return dict(zip(rows[c.DECISION_ID].to_pylist(), rows[c.PARTY_ID].to_pylist(), strict=True))


def _to_base(one: Outcome, rates: money.Rates, zone: str) -> int | None:
    """Its value in the workspace's currency; None: it has none, or there is no rate."""
    rate = rates.on(one.currency, local_day(_moment(one.at_us), zone))
    if one.value_minor is None or rate is None:
        return None
    return money.convert(
        one.value_minor, rate, exponent=EXPONENTS[one.currency],
        base_exponent=EXPONENTS[rates.base],
    )  # fmt: skip


def _moment(us: int) -> datetime:
    return naive_utc(datetime.fromtimestamp(us / 1_000_000, UTC))

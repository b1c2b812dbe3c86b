# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""A decision point asked about many customers at once: one vectorised choice, written as decisions.

Reads, as of a day, what the point sees of every customer and what the gate asks; `decisions`
written before under the same ids are kept, so that the same batch twice is one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.context import Context
from zhiyin.core.decisions import BY_POINT, DEFAULT_POLICY, NO_ARM, Decided, decision_id
from zhiyin.core.errors import NotEnoughData
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import DECISIONS
from zhiyin.decide.actions import choose_in_stock
from zhiyin.decide.candidates.ledger import ramping
from zhiyin.decide.numbers_job import read_numbers
from zhiyin.decide.points import ledger
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.points.many import asked_of, choose_each, reason_of
from zhiyin.decide.points.numbers import kept_names, windows_of
from zhiyin.decide.points.point_policy import PointPolicy, fits, unpack_policy
from zhiyin.decide.points.served import Chosen, Rising, Served
from zhiyin.decide.reasons import (
    BY_POLICY,
    DRAWN,
    EXPLORED,
    NOTHING_ELIGIBLE,
    POINT_PAUSED,
    SENT_TO_PERSON,
)
from zhiyin.decide.reviews.ledger import put
from zhiyin.govern import gate
from zhiyin.govern.facts import gate_terms, read_facts
from zhiyin.govern.ledger import read_consents
from zhiyin.govern.live import read_directory, read_kinship
from zhiyin.govern.people import Kinship

PROFILING = "profiling"
Flags = NDArray[np.bool_]


def run(ctx: Context, key: str, *, customers: Sequence[str] | None = None) -> pa.Table:
    """Choose an action for each customer of the day (or of `customers`, our ids), and write the
    choices; rows of `decisions`, also those that stood there already.

    Raises
    ------
    NotFound
        If there is no such point.
    NotEnoughData
        If it has no policy yet, or the day has no features.
    """
    with ctx.store.begin() as connection:
        point = ledger.find(connection, key)
        spoken = ledger.current(connection, key)
        content = spoken and ledger.artifact_of(connection, key, spoken.number)
        rising = _rising(connection, point)
    if content is None:
        raise NotEnoughData(f"the decision point {key!r} has no policy yet", hint="zhiyin run")
    policy, definition = unpack_policy(content), point.definition
    if policy.policy.actions != definition.catalogue().names:
        raise NotEnoughData(f"the policy of {key!r} is of an earlier version", hint="zhiyin run")
    known = read_numbers(ctx.store, kept_names(definition.features), on=ctx.as_of)
    if not known.customers:
        raise NotEnoughData(
            f"no features were computed for {ctx.as_of}", hint=f"zhiyin run --as-of {ctx.as_of}"
        )
    kinship = read_kinship(ctx.store, as_of=ctx.as_of)
    wanted = None if customers is None else {kinship.chief(one) for one in customers}
    chosen = [n for n, one in enumerate(known.customers) if wanted is None or one in wanted]
    ids = [known.customers[n] for n in chosen]
    numbers = _numbers(ctx, definition, known.names, known.values[chosen], ids)
    generic = _refused(ctx, ids, kinship)
    numbers[generic] = np.nan
    made = _choose(ctx, point, policy, rising, ids, numbers)
    return _write(ctx, point, policy, ids, numbers, generic, made)


def _numbers(
    ctx: Context, point: Definition, names: Sequence[str], values: np.ndarray, ids: Sequence[str]
) -> np.ndarray:
    """(customers, numbers) in the order of the point; what requests would pass is not known."""
    made = np.full((len(ids), len(point.numbers)), np.nan)
    for place, name in enumerate(point.features):
        if name in names:
            made[:, place] = values[:, names.index(name)]
    until = start_of_day(ctx.as_of, ctx.settings.zone)
    places = {one: row for row, one in enumerate(ids)}
    for one in windows_of(point.features):
        made[:, one.place] = 0.0
        since = naive_utc(until - timedelta(hours=one.hours))
        for who, n in _counts(ctx, bought=one.bought, since=since):
            if who in places:
                made[places[who], one.place] = n
    return made


def _counts(ctx: Context, *, bought: bool, since: datetime) -> list[tuple[str, int]]:
    """How many products each customer looked at, or bought, since a moment."""
    table, at, kind = (
        ("order_lines", c.SOLD_AT, "item") if bought else ("item_events", c.OCCURRED_AT, "view")
    )
    rows = ctx.store.read(table, as_of=ctx.as_of)
    rows = rows.filter(rows[at] > ibis.literal(since), rows[c.KIND] == kind)
    counted = rows.group_by(c.CUSTOMER_ID).aggregate(**{c.N: rows[c.PRODUCT_ID].nunique()})
    found = counted.to_pyarrow()
    return list(zip(found[c.CUSTOMER_ID].to_pylist(), found[c.N].to_pylist(), strict=True))


def _refused(ctx: Context, ids: Sequence[str], kinship: Kinship) -> Flags:
    """Of whom nothing may be used: who refused it, or where the shop asks first, did not agree."""
    needs, at = ctx.settings.recommend.consent == "opt_in", ctx.clock.now()
    parties = sorted({party for one in ids for party in kinship.parties(one)})
    with ctx.store.begin() as connection:
        lines = read_consents(connection, parties, purpose=None)
    made = np.zeros(len(ids), bool)
    for row, one in enumerate(ids):
        hers = [line for party in kinship.parties(one) for line in lines.get(party, ())]
        states = [
            gate.use_state(hers, purpose=purpose, at=at, joins=kinship.joins(one))
            for purpose in (gate.PERSONALISATION, PROFILING)
        ]
        made[row] = "refused" in states or (needs and states[0] != "granted")
    return made


def _permitted(ctx: Context, point: Definition, ids: Sequence[str]) -> Flags:
    """(customers, actions) flags of what the gate lets go, the hour apart."""
    made = np.ones((len(ids), len(point.actions)), bool)
    for channel, purpose in sorted({(a.channel, a.purpose) for a in point.actions if a.channel}):
        settings = ctx.settings.act
        directory = read_directory(
            ctx.store, ids, as_of=ctx.as_of, channel=channel, settings=settings
        )
        people = directory.people(ids)
        terms = gate_terms(settings, zone=ctx.settings.zone, purpose=purpose, channel=channel)
        with ctx.store.begin() as connection:
            facts = read_facts(connection, people, terms=terms, vault=ctx.vault, at=ctx.clock.now())
        allowed = np.array([gate.check(one, terms.limits).possible for one in facts], bool)
        for place, one in enumerate(point.actions):
            if (one.channel, one.purpose) == (channel, purpose):
                made[:, place] = allowed
    return made


class _Made:
    """What was chosen: places among the actions (-1: nothing), and what could have been."""

    def __init__(self, places: np.ndarray, chances: np.ndarray, explored: Flags, eligible: Flags):
        self.places, self.chances = places, chances
        self.explored, self.eligible = explored, eligible

    def told(self, row: int, point: Stored, policy: PointPolicy) -> dict[str, Any]:
        """What `decisions` tells of a row's choice."""
        place, some = int(self.places[row]), bool(self.places[row] >= 0)
        names = [one.name for one in point.definition.actions]
        among = [names[n] for n in np.flatnonzero(self.eligible[row])]
        explored, default = bool(self.explored[row]), point.definition.default
        nothing = POINT_PAUSED if point.state == ledger.PAUSED else NOTHING_ELIGIBLE
        return {
            c.ELIGIBLE: json.dumps(among if some else [default]),
            c.ACTION: names[place] if some else default, c.ARM: NO_ARM, c.RAMP: None,
            c.PROPENSITY: float(self.chances[row]) if some else 1.0, c.EXPLORED: explored,
            c.POLICY: policy.policy.name if some else DEFAULT_POLICY,
            c.POLICY_VERSION: policy.version if some else "",
            c.REASON: nothing if not some else EXPLORED if explored else BY_POLICY,
        }  # fmt: skip

    def asked(self, row: int, **_: Any) -> Decided | None:
        """What a person is to decide."""
        return None


class _Each:
    """The same, made one after the other at a point that is governed."""

    def __init__(self, chosen: list[Chosen]) -> None:
        self.chosen = chosen

    def told(self, row: int, point: Stored, policy: PointPolicy) -> dict[str, Any]:
        """What `decisions` tells of a row's choice."""
        chosen = self.chosen[row]
        (place,), by = chosen.places, chosen.policy
        return {
            c.ELIGIBLE: json.dumps(list(place.eligible)), c.ACTION: place.action,
            c.ARM: chosen.arm, c.RAMP: chosen.ramp or None, c.PROPENSITY: place.propensity,
            c.EXPLORED: place.explored, c.POLICY: by.policy.name if by else DEFAULT_POLICY,
            c.POLICY_VERSION: by.version if by else "", c.REASON: reason_of(chosen),
        }  # fmt: skip

    def asked(self, row: int, **values: Any) -> Decided | None:
        """What a person is to decide."""
        return asked_of(self.chosen[row], **values)


def _rising(connection: sa.Connection, point: Stored) -> Rising | None:
    """The policy that is taking over."""
    new = ramping(connection, point.key)
    stand = new and new.stand()
    if new is None or stand is None or stand.share <= 0:
        return None
    policy = unpack_policy(ledger.artifact_of(connection, point.key, new.number))
    if not fits(policy, point.definition):
        return None
    return Rising(new.number, stand.stage, stand.share, policy)


def _choose(
    ctx: Context,
    point: Stored,
    policy: PointPolicy,
    rising: Rising | None,
    ids: Sequence[str],
    numbers: np.ndarray,
) -> _Made | _Each:
    n, k = len(ids), len(point.definition.actions)
    if point.state == ledger.PAUSED:
        nothing = np.full(n, -1)
        return _Made(nothing, np.ones(n), np.zeros(n, bool), np.zeros((n, k), bool))
    given = {
        one.name: min(point.given.get(one.name, 0), one.stock)
        for one in point.definition.actions
        if one.stock is not None
    }
    catalogue = point.definition.catalogue().without(given)
    facts = dict(zip(point.definition.numbers, numbers.T, strict=True))
    eligible = catalogue.eligible(
        ctx.as_of, rows=n, facts=facts, permitted=_permitted(ctx, point.definition, ids)
    )
    rng = ctx.rng.generator(f"{BY_POINT}.{point.key}.{ctx.as_of.isoformat()}")
    if rising is not None or point.definition.holdout or point.definition.review.rules:
        served = Served(
            point.definition, version=point.version, paused=False, policy=policy,
            given=point.given, rising=rising,
        )  # fmt: skip
        return _Each(choose_each(served, numbers, eligible, rngs=repeat(rng, n)))
    contexts = policy.contexts(numbers)
    if given:
        done = choose_in_stock(policy.policy, contexts, eligible, catalogue=catalogue, rng=rng)
        made, eligible = done.choices, done.eligible
    else:
        made = policy.policy.choose_many(contexts, eligible, rng=rng)
    return _Made(made.places, made.propensities, made.explored, eligible)


def _write(
    ctx: Context,
    point: Stored,
    policy: PointPolicy,
    ids: Sequence[str],
    numbers: np.ndarray,
    generic: Flags,
    made: _Made | _Each,
) -> pa.Table:
    campaign = f"{BY_POINT}:{point.key}"
    batch = f"batch:{point.key}:{point.version}:{ctx.as_of}:{policy.version}"
    now = ctx.clock.now()
    at = naive_utc(now)
    asked = [decision_id(batch, campaign, one) for one in ids]
    rows: list[dict[str, Any]] = []
    waiting: list[Decided] = []
    for row, (mark, who) in enumerate(zip(asked, ids, strict=True)):
        told = made.told(row, point, policy)
        held = tuple(x if x == x else None for x in numbers[row].tolist())
        seen = told[c.REASON] in (*DRAWN, SENT_TO_PERSON)
        rows.append(told | {
            c.DECISION_ID: mark, c.TURN_ID: batch, c.AS_OF_ON: ctx.as_of, c.CAMPAIGN_ID: campaign,
            c.PARTY_ID: who, c.CUSTOMER_ID: who, c.DECIDED_AT: at, c.MONTH: f"{at:%Y-%m}",
            c.PERSONALISED: not bool(generic[row]) if seen else None,
            c.DECIDED_BY: BY_POINT, c.RANK: 1, c.VERSION: point.version,
            c.CONTEXT: json.dumps(dict(zip(point.definition.numbers, held, strict=True)))
            if seen else None,
        })  # fmt: skip
        waits = made.asked(
            row, decision_id=mark, point=point.definition, version=point.version, who=who,
            numbers=held, at=now,
        )  # fmt: skip
        if waits is not None:
            waiting.append(waits)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(DECISIONS))
    stored = ctx.store.read(DECISIONS.name)
    stored = stored.filter(stored[c.TURN_ID] == batch).to_pyarrow()
    before = set(stored[c.DECISION_ID].to_pylist())
    fresh = table.filter(pa.array([one not in before for one in asked]))
    if waits_now := [one for one in waiting if one.decision_id not in before]:
        with ctx.store.begin() as connection:
            put(connection, waits_now)  # before the rows: a batch that is cut off loses none
    if fresh.num_rows:
        ctx.store.append(DECISIONS.name, fresh, app=batch, seq=len(before))
        given = Counter(fresh[c.ACTION].to_pylist())
        with ctx.store.begin() as connection:
            counts = {(point.key, point.version, one): n for one, n in given.items()}
            ledger.count_given(connection, counts)
    again = stored.filter(pa.array([one in set(asked) for one in stored[c.DECISION_ID].to_pylist()],
                                   pa.bool_()))  # fmt: skip
    return pa.concat_tables([again.select(table.column_names).cast(table.schema), fresh])

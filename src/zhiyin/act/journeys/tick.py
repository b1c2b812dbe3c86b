"""One tick: what came in is read, those who leave leave, those who enter enter, all go on.

What a tick reads is remembered in the transaction that writes what follows from it, and every step
of it may be done twice, so that a tick that is killed is made good by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from zhiyin.act.journeys import calls, choices, engine, feed, ledger
from zhiyin.act.journeys.definition import (
    START,
    Call,
    Delay,
    Happening,
    Message,
    NextBest,
    OnAudience,
    OnDate,
    OnEvent,
    OnSchedule,
    SetTag,
    Split,
    Wait,
    happenings,
)
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.engine import Candidate
from zhiyin.act.journeys.feed import Done
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.messages import send_due
from zhiyin.core.ledger import journey_people, journey_places, membership_changes
from zhiyin.core.protocols import Store

GOAL, LEFT_AUDIENCE, LATE = "goal", "audience", "late"
SPLIT_BATCH = 20_000
ROUNDS = 500
"""How often one tick follows people through a journey at most; the next one goes on."""
people, places = journey_people.c, journey_places.c


def position_of(graph: Graph, store: Store, today: date) -> dict[str, Any]:
    """How far a version has read when it is published: it looks at nothing that was before."""
    tables = sorted({one.table for one in happenings(graph.definition)})
    with store.begin() as connection:
        newest = connection.scalar(sa.select(sa.func.max(membership_changes.c.change_id))) or 0
    yesterday = date.fromordinal(today.toordinal() - 1)
    every = graph.definition.entry.every_days if isinstance(
        graph.definition.entry, OnSchedule
    ) else 1  # fmt: skip
    day = date.fromordinal(today.toordinal() - every) if every > 1 else yesterday
    return {
        "tables": {name: feed.version_of(store, name) for name in tables},
        "changes": newest,
        "day": day.isoformat(),
    }


def has_work(store: Store, graph: Graph, now_s: int, *, zone: str) -> bool:
    """Whether a tick would do anything for the version; quick."""
    with store.begin() as connection:
        if engine.any_due(connection, graph, now_s):
            return True
        if choices.has_unsettled(connection, graph, now_s):
            return True
        if _audiences(graph):
            if _newest(connection, graph) > graph.position.get("changes", 0):
                return True
    if _days(graph, now_s, zone):
        return True
    known = graph.position.get("tables", {})
    return any(feed.version_of(store, name) != held for name, held in known.items())


def tick(desk: Desk, graph: Graph) -> dict[str, int]:
    """Bring one version up to the moment: how many entered, went on, came too late."""
    counts = {"entered": 0, "moved": 0, LATE: 0}
    _read(desk, graph, counts)
    choices.settle(desk, graph)
    for _ in range(ROUNDS):
        moved = _advance(desk, graph)
        counts["moved"] += moved
        if not moved:
            break
    return counts


def _read(desk: Desk, graph: Graph, counts: dict[str, int]) -> None:
    """Read what is new and write what follows from it, in one transaction."""
    tables = {
        name: (held, feed.version_of(desk.store, name))
        for name, held in graph.position.get("tables", {}).items()
    }
    asked: dict[Happening, list[Done]] = {}
    for one in happenings(graph.definition):
        before, after = tables.get(one.table, (-1, -1))
        if one not in asked:
            new = before != after
            asked[one] = feed.read_new(
                desk.store, one, since=before, now_s=desk.now_s
            ) if new else []  # fmt: skip
    dated = _dated(desk, graph)
    position = dict(graph.position) | {"tables": {name: new for name, (_, new) in tables.items()}}
    with desk.store.begin() as connection:
        changes = _changes(connection, graph)
        position["changes"] = _newest(connection, graph)
        days = _days(graph, desk.now_s, desk.settings.zone)
        if days:
            position["day"] = days[-1].isoformat()
        _leave(connection, desk, graph, asked, changes)
        for name, step in graph.resting():
            if isinstance(step, Wait):
                done = _pairs(desk, asked[step.on])
                engine.happen(connection, graph, name, to=step.then, done=done)
        if graph.entering:
            timely, late = _candidates(desk, graph, asked, changes, dated)
            timely = feed.with_parties(timely, desk.members)
            counts["entered"] += engine.enter(connection, graph, timely)
            counts[LATE] += late
            engine.count(connection, graph, START, {LATE: late})
        if position != dict(graph.position):
            ledger.read_on(connection, graph, position)


def _advance(desk: Desk, graph: Graph) -> int:
    """Everybody whose time has come goes one step on; how many did."""
    begin, now_s = desk.store.begin, desk.now_s
    moved = engine.pass_on(begin, graph, "", to=graph.definition.first(), now_s=now_s)
    for name, step in graph.resting():
        if isinstance(step, Message):
            moved += send_due(desk, graph, name, step)
        elif isinstance(step, Split):
            moved += _split(desk, graph, name, step)
        elif isinstance(step, SetTag):
            moved += _tag(desk, graph, name, step)
        elif isinstance(step, NextBest):
            moved += choices.choose_due(desk, graph, name, step)
        elif isinstance(step, Call):
            moved += calls.plan_due(desk, graph, name, step)
        elif isinstance(step, Wait):
            _settle_wait(desk, graph, name, step)
            moved += engine.pass_on(begin, graph, name, to=step.otherwise, now_s=now_s)
        elif isinstance(step, Delay):
            moved += engine.pass_on(begin, graph, name, to=step.next, now_s=now_s)
    return moved


def _split(desk: Desk, graph: Graph, name: str, step: Split) -> int:
    moved = 0
    while True:
        with desk.store.begin() as connection:
            rows = engine.read_due(
                connection, graph, name, now_s=desk.now_s, limit=SPLIT_BATCH
            )  # fmt: skip
        if not rows:
            return moved
        inside = desk.meets(step.rule, ledger.party_ids(rows))
        yes = [row.entry_id for row in rows if row.party_id in inside]
        no = [row.entry_id for row in rows if row.party_id not in inside]
        with desk.store.begin() as connection:
            moved += engine.move(connection, graph, name, yes, to=step.then)
            moved += engine.move(connection, graph, name, no, to=step.otherwise)


def _tag(desk: Desk, graph: Graph, name: str, step: SetTag) -> int:
    """The tag and the step onwards are one transaction: nobody is given it twice."""
    moved = 0
    while True:
        with desk.store.begin() as connection:
            rows = engine.read_due(
                connection, graph, name, now_s=desk.now_s, limit=SPLIT_BATCH
            )  # fmt: skip
            if not rows:
                return moved
            desk.give_tag(connection, step, ledger.party_ids(rows))
            moved += engine.move(
                connection, graph, name, [row.entry_id for row in rows], to=step.next
            )  # fmt: skip


def _settle_wait(desk: Desk, graph: Graph, name: str, step: Wait) -> None:
    """Before time runs out: did she do it, in rows that were read before she came here?"""
    over = engine.due(graph, name, desk.now_s)
    query = sa.select(sa.func.min(places.since_s), sa.func.max(places.due_s)).where(over)
    with desk.store.begin() as connection:
        first_s, last_s = connection.execute(query).one()
        if first_s is None:
            return
        hers = people.entry_id.in_(sa.select(places.entry_id).where(over))
        parties = list(connection.scalars(sa.select(people.party_id).where(hers)))
    asked = sorted({one for party in parties for one in desk.kin(party)})
    done = feed.read_between(
        desk.store, step.on, first_s=first_s, last_s=last_s, parties=asked
    )  # fmt: skip
    with desk.store.begin() as connection:
        engine.happen(connection, graph, name, to=step.then, done=_pairs(desk, done))


def _leave(
    connection: sa.Connection, desk: Desk, graph: Graph,
    asked: Mapping[Happening, Sequence[Done]], changes: Sequence[sa.Row[Any]],
) -> None:  # fmt: skip
    goal, out = graph.definition.goal, graph.definition.leave
    if goal is not None:
        engine.leave(connection, graph, reason=GOAL, done=_pairs(desk, asked[goal]))
    if out is not None:
        done = [
            (one, ledger.seconds(row.at))
            for row in changes
            if row.audience == out.audience and row.entered == (out.change == "entered")
            for one in desk.kin(row.customer_id)
        ]
        engine.leave(connection, graph, reason=LEFT_AUDIENCE, done=done)


def _candidates(
    desk: Desk, graph: Graph, asked: Mapping[Happening, Sequence[Done]],
    changes: Sequence[sa.Row[Any]], dated: Sequence[Candidate],
) -> tuple[list[Candidate], int]:  # fmt: skip
    """Who may enter now, and how many came too late for it."""
    entry = graph.definition.entry
    if isinstance(entry, OnEvent):
        found = [Candidate(one.party_id, one.occurrence, one.at_s) for one in asked[entry.on]]
    elif isinstance(entry, OnAudience):
        found = [
            Candidate(row.customer_id, f"change {row.change_id}", ledger.seconds(row.at))
            for row in changes
            if row.audience == entry.audience and row.entered == (entry.change == "entered")
        ]
    else:
        return list(dated), 0
    first_s = desk.now_s - entry.window_hours * 3600
    timely = [one for one in found if one.at_s >= first_s]
    return timely, len(found) - len(timely)


def _dated(desk: Desk, graph: Graph) -> list[Candidate]:
    """Whom a date or the schedule brings in, on every day since the last look."""
    entry, zone = graph.definition.entry, desk.settings.zone
    days = _days(graph, desk.now_s, zone) if graph.entering else []
    if not days:
        return []
    if isinstance(entry, OnDate):
        customers = desk.customers(entry.field)
        return feed.read_dates(customers, entry, days, zone=zone, store=desk.store)
    if isinstance(entry, OnSchedule):  # after an outage once: who meets the rule is known for now
        at_s = feed.moment_s(days[-1], entry.hour, zone)
        inside = sorted(desk.meets(entry.rule, None))
        return [Candidate(one, days[-1].isoformat(), at_s) for one in inside]
    return []


def _days(graph: Graph, now_s: int, zone: str) -> list[date]:
    entry = graph.definition.entry
    if not isinstance(entry, OnDate | OnSchedule) or "day" not in graph.position:
        return []
    every = entry.every_days if isinstance(entry, OnSchedule) else 1
    return list(
        feed.days_due(graph.position["day"], hour=entry.hour, now_s=now_s, zone=zone, every=every)
    )


def _audiences(graph: Graph) -> set[str]:
    entry, out = graph.definition.entry, graph.definition.leave
    found = {entry.audience} if isinstance(entry, OnAudience) else set()
    return found | ({out.audience} if out is not None else set())


def _changes(connection: sa.Connection, graph: Graph) -> list[sa.Row[Any]]:
    names = _audiences(graph)
    if not names:
        return []
    t = membership_changes.c
    after = graph.position.get("changes", 0)
    query = sa.select(membership_changes).where(t.change_id > after, t.audience.in_(sorted(names)))
    return list(connection.execute(query.order_by(t.change_id)))


def _newest(connection: sa.Connection, graph: Graph) -> int:
    """Number of the newest change; where the version follows no audience, what it was before."""
    if not _audiences(graph):
        return graph.position.get("changes", 0)
    return connection.scalar(sa.select(sa.func.max(membership_changes.c.change_id))) or 0


def _pairs(desk: Desk, done: Sequence[Done]) -> list[tuple[str, int]]:
    return [(one, did.at_s) for did in done for one in desk.kin(did.party_id)]

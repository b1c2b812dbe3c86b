"""The next-best-action step: it asks in `decision_requests`, goes where the answer says, and looks
a day after the reward's window whether the reward came. An answer that a person is asked for is
waited for.

Nobody chooses an action that begins with a message which she may not get: what is learned of an
action is what it does to those who get it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from zhiyin.act.journeys import engine, feed
from zhiyin.act.journeys.definition import DAY_S, Happening, Message, NextBest
from zhiyin.act.journeys.desk import Desk
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.ledger import campaign_of, party_ids
from zhiyin.act.journeys.messages import TURN, may_get, post_of
from zhiyin.core.decisions import decision_id
from zhiyin.core.ledger import decision_requests

NO_ACTION = "no_action"
NEVER_S = 253_402_300_799
"""The end of the year 9999: when the reward of a step that names none is looked at."""
BATCH = 20_000
HOUR_S = 3_600
Row = dict[str, Any]
r = decision_requests.c


def choose_due(desk: Desk, graph: Graph, name: str, step: NextBest) -> int:
    """Ask and go on with everybody whose time has come at the step; how many."""
    moved, after = 0, (-1, -1)
    while True:
        with desk.store.begin() as connection:
            rows = engine.read_due(
                connection, graph, name, now_s=desk.now_s, limit=BATCH, after=after
            )  # fmt: skip
        if not rows:
            return moved
        moved += _choose(desk, graph, name, step, rows)
        after = (rows[-1].due_s, rows[-1].entry_id)


def _choose(
    desk: Desk, graph: Graph, name: str, step: NextBest, rows: Sequence[sa.Row[Any]]
) -> int:
    ids = {row.entry_id: _id_of(graph, name, row) for row in rows}
    known = {one for one, _ in _answers(desk, list(ids.values()))}
    fresh = [row for row in rows if ids[row.entry_id] not in known]
    possible = _eligible(desk, graph, step, fresh)
    asked = [
        _request(desk, graph, name, step, row) | {"decision_id": ids[row.entry_id], "eligible": may}
        for row, may in zip(fresh, possible, strict=True)
        if may
    ]
    if asked:
        with desk.store.begin() as connection:
            connection.execute(decision_requests.insert(), asked)
    desk.decide(graph.key, name)
    answers = dict(_answers(desk, list(ids.values())))
    onward: dict[str, list[int]] = defaultdict(list)
    for entry_id, one in ids.items():
        action = answers.get(one, "")
        if action is None:
            continue  # a person is asked: she waits at this step
        onward[step.actions[action].next if action else step.otherwise].append(entry_id)
    moved = 0
    none = sum(not may for may in possible) + sum(answers.get(one) == "" for one in ids.values())
    with desk.store.begin() as connection:
        for to, entries in onward.items():
            moved += engine.move(connection, graph, name, entries, to=to)
        engine.count(connection, graph, name, {NO_ACTION: none})
    return moved


def _id_of(graph: Graph, name: str, row: sa.Row[Any]) -> str:
    """Of the decision about one person at one moment of hers."""
    return decision_id(TURN, f"{campaign_of(graph.key)}:{name}:{row.due_s}", row.party_id)


def _answers(desk: Desk, ids: Sequence[str]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    with desk.store.begin() as connection:
        for start in range(0, len(ids), engine.CHUNK):
            part = ids[start : start + engine.CHUNK]
            query = sa.select(r.decision_id, r.action).where(r.decision_id.in_(part))
            found += [(one, action) for one, action in connection.execute(query)]
    return found


def _eligible(
    desk: Desk, graph: Graph, step: NextBest, rows: Sequence[sa.Row[Any]]
) -> list[list[str]]:
    """Names of the actions that each may have."""
    if not rows:
        return []
    parties = party_ids(rows)
    within = {
        name: None if action.rule is None else desk.meets(action.rule, parties)
        for name, action in step.actions.items()
    }
    letters = {
        name: post_of(desk.settings.act, graph.definition, target)
        for name, action in step.actions.items()
        if isinstance(target := graph.definition.steps.get(action.next), Message)
    }
    reached = {post: may_get(desk, graph, rows, post) for post in set(letters.values())}
    return [
        [
            name
            for name, inside in within.items()
            if (inside is None or row.party_id in inside)
            and (name not in letters or row.entry_id in reached[letters[name]])
        ]
        for row in rows
    ]


def _request(desk: Desk, graph: Graph, name: str, step: NextBest, row: sa.Row[Any]) -> Row:
    until_s = desk.now_s + step.days * DAY_S
    later_s = until_s + feed.AHEAD_S  # by then also what comes in late is there
    if not (step.reward or graph.definition.goal):
        later_s = NEVER_S
    return {
        "journey": graph.key, "version": graph.version, "step": name, "entry_id": row.entry_id,
        "party_id": row.party_id, "asked_s": desk.now_s, "explore": step.explore,
        "point": step.point or None,
        "until_s": until_s, "settle_s": -(-later_s // HOUR_S) * HOUR_S,  # all of an hour at once
    }  # fmt: skip


def read_choices(connection: sa.Connection, key: str, name: str) -> list[Row]:
    """Of each action of a step, over all versions: how often it was `chosen`, of how many the
    reward is `known`, how many were `rewarded`.
    """
    query = (
        sa.select(
            r.action, sa.func.count().label("chosen"), sa.func.count(r.reward).label("known"),
            sa.func.coalesce(sa.func.sum(r.reward), 0).label("rewarded"),
        )
        .where(r.journey == key, r.step == name, r.action != "")
        .group_by(r.action)
    )  # fmt: skip
    rows = connection.execute(query.order_by(r.action)).mappings()
    return [dict(row) | {"rewarded": int(row["rewarded"])} for row in rows]


def has_unsettled(connection: sa.Connection, graph: Graph, now_s: int) -> bool:
    """Whether the time of some reward is over."""
    query = sa.select(r.decision_id).where(*_unsettled(graph, now_s)).limit(1)
    return connection.execute(query).first() is not None


def settle(desk: Desk, graph: Graph) -> int:
    """Write whether the reward came, of all whose time is over; how many."""
    settled = 0
    for name, step in graph.definition.steps.items():
        reward = step.reward or graph.definition.goal if isinstance(step, NextBest) else None
        while reward is not None and (n := _settle(desk, graph, name, reward)):
            settled += n
    return settled


def _settle(desk: Desk, graph: Graph, name: str, reward: Happening) -> int:
    query = sa.select(r.decision_id, r.party_id, r.asked_s, r.until_s)
    query = query.where(*_unsettled(graph, desk.now_s), r.step == name)
    with desk.store.begin() as connection:
        rows = connection.execute(query.order_by(r.decision_id).limit(BATCH)).all()
    if not rows:
        return 0
    first_s, last_s = min(one.asked_s for one in rows), max(one.until_s for one in rows)
    asked = sorted({one for row in rows for one in desk.kin(row.party_id)})
    times: dict[str, list[int]] = defaultdict(list)
    for did in feed.read_between(
        desk.store, reward, first_s=first_s, last_s=last_s, parties=asked
    ):  # fmt: skip
        for one in desk.kin(did.party_id):
            times[one].append(did.at_s)
    made: list[Row] = []
    for row in rows:
        came = [at for at in times[row.party_id] if row.asked_s < at <= row.until_s]
        first_s = min(came, default=None)
        made.append({"which": row.decision_id, "came": int(bool(came)), "first_s": first_s})
    update = decision_requests.update().where(r.decision_id == sa.bindparam("which")).values(
        reward=sa.bindparam("came"), rewarded_s=sa.bindparam("first_s"), settle_s=desk.now_s
    )  # fmt: skip
    with desk.store.begin() as connection:
        connection.execute(update, made)
    return len(made)


def _unsettled(graph: Graph, now_s: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        r.journey == graph.key, r.version == graph.version, r.reward.is_(None),
        r.settle_s <= now_s,
    )  # fmt: skip

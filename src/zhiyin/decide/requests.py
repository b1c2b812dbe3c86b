"""Answers what journeys ask for: the next best action of each person (ledger `decision_requests`).

All of what one step asks is answered in one transaction, from what it has learned by then: the
requests whose reward is known. An action keeps what was learned of its name in every version.
Where the step names a decision point, its policy answers (`point_requests`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import sqlalchemy as sa

from zhiyin.core.ledger import decision_requests
from zhiyin.decide.point_requests import Sight, answer_at
from zhiyin.decide.policy.chances import draw, propensities

POLICY, POLICY_FORMAT = "thompson", 1
LOT_BYTES = 7  # a double holds every number of them
Learned = dict[str, tuple[int, int]]
"""Action → how often it was rewarded, and tried, of what is known."""
Begin = Callable[[], AbstractContextManager[sa.Connection]]
r = decision_requests.c


def answer(begin: Begin, *, journey: str, step: str, sight: Callable[[], Sight]) -> int:
    """Choose for everybody whom a step of a journey asks for; how many got their answer.

    The lot of a request is made from its id, so that an answer that was cut short is given alike.
    `sight` is asked for only where a decision point chooses.
    """
    with begin() as connection:
        mine = (r.journey == journey, r.step == step, r.action.is_(None))
        query = sa.select(r.decision_id, r.eligible, r.explore).where(*mine, r.point.is_(None))
        done = _answer_own(connection, journey, step, connection.execute(_ordered(query)).all())
        columns = (r.decision_id, r.eligible, r.point, r.party_id, r.asked_s, r.reason)
        query = sa.select(*columns).where(*mine, r.point.is_not(None))
        asked = connection.execute(_ordered(query)).all()
    by_point: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    for row in asked:
        by_point[row.point].append(row)
    return done + sum(
        answer_at(begin, sight(), key, rows) for key, rows in sorted(by_point.items())
    )


def _ordered(query: Any) -> Any:  # SQLAlchemy types selects of each arity apart
    return query.order_by(r.decision_id)


def _answer_own(
    connection: sa.Connection, journey: str, step: str, asked: Sequence[sa.Row[Any]]
) -> int:
    if not asked:
        return 0
    known = learned(connection, journey, step)
    made: list[dict[str, Any]] = []
    policies: dict[tuple[tuple[str, ...], float], _Policy] = {}
    for row in asked:
        key = tuple(row.eligible), row.explore
        policy = policies.setdefault(key, _Policy(*key, known))
        made.append({"which": row.decision_id, **policy.choose(row.decision_id)})
    update = decision_requests.update().where(r.decision_id == sa.bindparam("which"))
    connection.execute(update, made)
    return len(made)


def learned(connection: sa.Connection, journey: str, step: str) -> Learned:
    """What is known of each action of a step."""
    query = (
        sa.select(r.action, sa.func.sum(r.reward), sa.func.count())
        .where(
            r.journey == journey,
            r.step == step,
            r.point.is_(None),
            r.reward.is_not(None),
            r.action.is_not(None),
        )
        .group_by(r.action)
    )
    return {action: (int(won), tried) for action, won, tried in connection.execute(query)}


class _Policy:
    """The policy of those who may have the same actions."""

    def __init__(self, eligible: Sequence[str], explore: float, known: Learned) -> None:
        counts = [known.get(one, (0, 0)) for one in eligible]
        self._eligible = eligible
        won, tried = [one for one, _ in counts], [n for _, n in counts]
        self._chances = propensities(won, tried, explore=explore)
        rates = (np.array(won) + 1) / (np.array(tried) + 2)
        self._best = rates == rates.max()
        content = json.dumps([POLICY_FORMAT, list(eligible), explore, counts])
        hashed = hashlib.sha256(content.encode()).hexdigest()
        self._version = f"{POLICY}-{POLICY_FORMAT}-{hashed[:12]}"

    def choose(self, decision_id: str) -> dict[str, Any]:
        """Action, propensity, and by which version."""
        hashed = hashlib.sha256(f"lot|{decision_id}".encode()).digest()[:LOT_BYTES]
        lot = (int.from_bytes(hashed) >> 3) / 2**53
        place = draw(self._chances, lot)
        return {
            "action": self._eligible[place], "propensity": float(self._chances[place]),
            "explored": not bool(self._best[place]), "policy_version": self._version,
        }  # fmt: skip

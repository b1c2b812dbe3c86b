"""From what a person defines, and a turn learns, to what a server decides: a second later.

A thread of each server looks whether a decision point or its policy has changed in the ledger and
hands the new ones to the door.
"""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import sqlalchemy as sa

from zhiyin.app import Workspace
from zhiyin.core.errors import ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.decide.live import Door
from zhiyin.decide.points import ledger
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.point_policy import PointPolicy, unpack_policy
from zhiyin.decide.points.served import Served
from zhiyin.store.ledger import reading

LOOK_S = 1.0
"""Between two looks at the ledger."""


class PointWatch:
    """Keeps the points of one server's door as the ledger has them."""

    def __init__(self, shop: Workspace, door: Door) -> None:
        self._shop, self._door = shop, door
        self._seen: list[tuple[Any, ...]] | None = None
        self._policies: dict[tuple[str, int], PointPolicy] = {}
        self._stop = Event()
        self._thread = Thread(target=self._work, name="zhiyin-points", daemon=True)

    def start(self) -> None:
        """Look now, and from now on."""
        self._look_safely()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Hand over the points where one changed; whether one had."""
        with reading(self._shop.store.ledger) as connection:
            marks = ledger.marks(connection)
            if marks == self._seen:
                return False
            held = ledger.in_force(connection)
            made = {one.key: self._serve(connection, one) for one in held}
        kept = {(mark[0], mark[1]) for mark in marks if len(mark) == 2}
        self._policies = {key: one for key, one in self._policies.items() if key in kept}
        self._door.renew(made)
        self._seen = marks
        return True

    def _serve(self, connection: sa.Connection, one: ledger.Stored) -> Served:
        spoken, policy = ledger.current(connection, one.key), None
        if spoken is not None:
            mark = (one.key, spoken.number)
            policy = self._policies.get(mark) or self._open(connection, *mark)
            if policy is not None and not _fits(policy, one.definition):
                policy = None  # the next turn makes one
        return Served(
            one.definition, version=one.version, paused=one.state == ledger.PAUSED, policy=policy,
            given=one.given,
        )  # fmt: skip

    def _open(self, connection: sa.Connection, key: str, number: int) -> PointPolicy | None:
        """The policy of a point; None: this server cannot open it, which stops no other point."""
        try:
            made = unpack_policy(ledger.artifact_of(connection, key, number))
        except ZhiyinError as error:
            get_logger().error("the policy %s of %s cannot be opened: %s", number, key, error.code)
            return None
        self._policies[key, number] = made
        return made

    def _look_safely(self) -> None:
        try:
            self.look()
        except Exception as error:  # noqa: BLE001 - the thread's outermost shell; it looks again
            get_logger().error("decision points cannot be looked at: %s", type(error).__name__)

    def _work(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._look_safely()


def _fits(policy: PointPolicy, point: Definition) -> bool:
    """Whether the policy sees the numbers, and chooses among the actions, that the point has."""
    actions = tuple(one.name for one in point.actions)
    return policy.numbers == point.numbers and policy.policy.actions == actions

"""From what a person defines, and a turn learns, to what a server decides: a second later.

A thread of each server looks whether a decision point or its policy has changed in the ledger and
hands the new ones to the door.
"""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import sqlalchemy as sa

from zhiyin.app import Workspace
from zhiyin.core.log import get_logger
from zhiyin.decide.candidates.serving import open_policy, read_served
from zhiyin.decide.live import Door
from zhiyin.decide.points import ledger
from zhiyin.decide.points.point_policy import PointPolicy
from zhiyin.store.ledger import reading

LOOK_S = 1.0
"""Between two looks at the ledger."""


class PointWatch:
    """Keeps the points of one server's door as the ledger has them."""

    def __init__(self, shop: Workspace, door: Door) -> None:
        self._shop, self._door = shop, door
        self._seen: list[tuple[Any, ...]] | None = None
        self._policies: dict[tuple[str, int], PointPolicy] = {}
        self._used: set[tuple[str, int]] = set()
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
            self._used.clear()
            made = {one.key: read_served(connection, one, open_one=self._open) for one in held}
        self._policies = {key: one for key, one in self._policies.items() if key in self._used}
        self._door.renew(made)
        self._seen = marks
        return True

    def _open(self, connection: sa.Connection, key: str, number: int) -> PointPolicy | None:
        """The policy of a number, as it was opened before."""
        self._used.add((key, number))
        made = self._policies.get((key, number)) or open_policy(connection, key, number)
        if made is not None:
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

"""`GET /v1/assign`: which arm of an experiment a customer or visitor gets.

An exposure is answered when it is on the disk. One a day and unit is kept: its id is a keyed hash
of experiment, unit and day, so asking again writes nothing in this process, and the lake keeps one.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from sqlalchemy.exc import SQLAlchemyError

from zhiyin.api.access import Route
from zhiyin.api.group_commit import GroupCommit
from zhiyin.api.live_reads import LiveReads
from zhiyin.app import Workspace
from zhiyin.collect.received import DECISION
from zhiyin.core.clock import local_day
from zhiyin.decide.live import Door as Choices
from zhiyin.measure.experiment.ledger import listed
from zhiyin.measure.experiment.live import Ask, Assigned, Door
from zhiyin.store.ledger import reading

LOOK_S = 2.0
"""What was started or stopped holds within so long."""
MOST_REMEMBERED = 200_000
"""Exposures that a process remembers to have kept."""
_pack = msgspec.msgpack.Encoder().encode
Name = Annotated[str, Query(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$", description="its key")]
Customer = Annotated[
    str, Query(max_length=256, description="her id in the shop, namespace:id, or ours (p_…)")
]
Visitor = Annotated[str, Query(max_length=256, description="the anonymousId of her events")]


class Assignments:
    """What one server process of a workspace assigns; for one thread.

    `choices` knows which of the parties that an id may be a customer has.
    """

    def __init__(
        self, shop: Workspace, journal: GroupCommit, reads: LiveReads, choices: Choices
    ) -> None:
        self._shop, self._journal, self._reads, self._choices = shop, journal, reads, choices
        self.door = Door(
            salt=shop.vault.salt, zone=shop.settings.zone,
            holdout_share=shop.settings.act.global_holdout_share,
        )  # fmt: skip
        self._until = 0.0
        self._kept: OrderedDict[str, None] = OrderedDict()

    async def assign(self, experiment: str, customer: str, anonymous_id: str) -> Assigned:
        """The arm; what it exposed is on the disk.

        Raises
        ------
        NotFound
            If there is no such experiment.
        Busy
            If it cannot be kept now.
        """
        self._look()
        ask = Ask(experiment, self._parties(customer), self._reads.visitor(anonymous_id))
        now = self._shop.clock.now()
        day = local_day(now, self._shop.settings.zone)
        mark = f"{experiment}|{self.door.unit_of(ask)}|{day}"
        made = self.door.handle(
            ask, now=now, exposure_id="d_" + self._shop.vault.token("id.exposure", mark)[:32]
        )
        exposure = made.exposure
        if exposure is not None and exposure.decision_id not in self._kept:
            await self._journal.append(DECISION, _pack(exposure))
            self._kept[exposure.decision_id] = None
            if len(self._kept) > MOST_REMEMBERED:
                self._kept.popitem(last=False)
        return made

    def _parties(self, customer: str) -> tuple[str, ...]:
        """Parties that the id may be, the known one first."""
        if not customer.strip():
            return ()
        parties = self._reads.parties(customer.strip(), self._choices.spaces())
        known = self._choices.known(parties)
        return (known, *(one for one in parties if one != known)) if known else parties

    def _look(self) -> None:
        now = self._shop.clock.monotonic()
        if now < self._until:
            return
        self._until = now + LOOK_S
        with suppress(SQLAlchemyError), reading(self._shop.store.ledger) as connection:
            self.door.renew(listed(connection))


async def assign(
    request: Request, experiment: Name, customer: Customer = "", anonymous_id: Visitor = ""
) -> dict[str, Any]:
    """Which arm of an experiment she gets, the same whenever it is asked.

    `assigned` is true where she takes part: she counts from now on, so ask where the arms begin to
    differ. Otherwise she gets the control, or what was decided, and `reason` says why.
    """
    held: Assignments = request.app.state.assignments
    return say(await held.assign(experiment, customer, anonymous_id))


def say(made: Assigned) -> dict[str, Any]:
    """An arm as the answer has it."""
    return {
        "experiment": made.experiment, "arm": made.arm, "assigned": made.exposure is not None,
        "reason": made.reason,
        "decision_id": made.exposure.decision_id if made.exposure else None,
    }  # fmt: skip


ROUTES = (Route("GET", "/v1/assign", "decision:ask", assign),)

"""A journey as an engine runs it: steps with numbers, and where the next one lies, as SQL.

People rest at steps that take time or work; a random split and an exit take neither, so that one
statement carries a person through them to her next resting place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from zhiyin.act.journeys.check import cyclic
from zhiyin.act.journeys.definition import (
    START,
    Definition,
    Exit,
    Random,
    Step,
    wait_s,
)
from zhiyin.core.ledger import journey_places

PRIME = 2_147_483_647
"""Lots are numbers below this prime, and so are the products that splits compare."""
FINISHED = "finished"
places = journey_places.c


@dataclass(frozen=True)
class Landing:
    """What a step makes of a row that comes to it: where it stands, and whether it leaves."""

    stands: dict[str, sa.ColumnElement[Any]]
    over: sa.ColumnElement[bool] | None  # none: nobody leaves


@dataclass(frozen=True)
class Graph:
    """One version of a journey, ready to run."""

    key: str
    version: int
    definition: Definition
    position: Mapping[str, Any]
    entering: bool = True  # the version that people enter

    @cached_property
    def places(self) -> dict[str, int]:
        """Name of a step → its number, from 1; 0 is before the first."""
        return {name: place for place, name in enumerate(self.definition.steps, start=1)}

    @cached_property
    def names(self) -> dict[int, str]:
        """Number of a step → its name."""
        return {place: name for name, place in self.places.items()} | {0: START}

    @cached_property
    def circular(self) -> set[str]:
        """Steps that one person may come to more than once."""
        return cyclic(self.definition)

    def resting(self) -> list[tuple[str, Step]]:
        """The steps where people rest, in their order."""
        return [
            (name, step)
            for name, step in self.definition.steps.items()
            if not isinstance(step, Random | Exit)
        ]

    @cached_property
    def any_due(self) -> sa.Select[Any]:
        """Whether the time of somebody at some step is over at `:now`; made once, asked often."""
        now = sa.bindparam("now", type_=sa.BigInteger)
        names = ["", *(name for name, _ in self.resting())]
        return sa.select(
            sa.or_(*(
                sa.exists().where(self.at(name), places.due_s <= now) for name in names
            ))
        )  # fmt: skip

    def at(self, name: str) -> sa.ColumnElement[bool]:
        """Whether a row stands at the step."""
        return sa.and_(
            places.journey == self.key, places.version == self.version,
            places.step == self.places.get(name, 0),
        )  # fmt: skip

    def landing(self, name: str, arrived_s: sa.ColumnElement[Any]) -> Landing:
        """What becomes of a row whose person comes to the step `name` at `arrived_s`."""
        place, stay, over = self._land(name)
        stands = {"step": place, "since_s": arrived_s, "due_s": arrived_s + stay}
        return Landing(stands, None if isinstance(over, sa.False_) else over)

    def lot(self, name: str) -> sa.ColumnElement[Any]:
        """The lot of a row at a split: below `PRIME`, another order of people at every split."""
        factor, shift = factors(self.key, name)
        return (places.lot * factor + shift) % PRIME

    def _land(
        self, name: str
    ) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any], sa.ColumnElement[Any]]:
        step = self.definition.steps.get(name)
        if step is None or isinstance(step, Exit):
            return places.step, sa.literal(0), sa.true()
        if not isinstance(step, Random):
            return sa.literal(self.places[name]), sa.literal(wait_s(step)), sa.false()
        lot, below, parts = self.lot(name), 0.0, []
        for branch in step.branches:
            below += branch.share
            parts.append((lot < round(below * PRIME), self._land(branch.next)))
        last = parts.pop()[1]
        if not parts:
            return last
        place, stay, over = (
            sa.case(*((condition, landed[part]) for condition, landed in parts), else_=last[part])
            for part in range(3)
        )
        ends = any(not isinstance(landed[2], sa.False_) for _, landed in [*parts, (None, last)])
        return place, stay, over if ends else sa.false()


def factors(key: str, step: str) -> tuple[int, int]:
    """Two numbers of a split: they permute the lots, so that splits are independent."""
    made = sha256(f"{key}|{step}".encode()).digest()
    factor = int.from_bytes(made[:8]) % (PRIME - 1) + 1
    return factor, int.from_bytes(made[8:16]) % PRIME


def draw_lot(key: str, party_id: str, occurrence: str) -> int:
    """The lot of one entry: a number below `PRIME` that depends on nothing else."""
    made = sha256(f"{key}|{party_id}|{occurrence}".encode()).digest()
    return int.from_bytes(made[:8]) % PRIME

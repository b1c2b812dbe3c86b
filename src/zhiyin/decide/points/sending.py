"""Which choices are sent to a person (人工审核), worked out once for each version of a point.

A rule that looks at numbers and chances alone holds before the lot is drawn, so that it changes no
chance. One that looks at what was drawn takes these actions out of what is given without a person:
the others then have the chance P(a) / (1 - what a person decides).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.decide.conditions import COMPARE
from zhiyin.decide.points.definition import Ask, Definition

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
SURE = 1e-9
"""What is left to the machine where a person decides nearly all: then she decides all."""


@dataclass(frozen=True)
class Sent:
    """The rule that sends it, what was drawn, how likely, and for how many hours."""

    rule: str
    action: str
    chance: float
    hours: float


@dataclass(frozen=True)
class Sending:
    """The rules of a point; `of`: of each the actions that it is about, (k,) flags."""

    rules: tuple[Ask, ...]
    of: tuple[Flags, ...]
    numbers: tuple[str, ...]

    def held(self, numbers: Floats, likely: float) -> list[int]:
        """The places of the rules that hold, whatever is drawn or for what they are about."""
        return [
            place
            for place, one in enumerate(self.rules)
            if (one.below is None or likely < one.below)
            and all(
                COMPARE[how](numbers[self.numbers.index(name)], x) for name, how, x in one.when
            )  # none holds for a number that is not known
        ]

    @property
    def asks_chances(self) -> bool:
        """Whether any rule needs to know how likely each action is."""
        return any(one.below is not None for one in self.rules) or not all(
            flags.all() for flags in self.of
        )


def sending_of(point: Definition) -> Sending | None:
    """The rules of a point; None: it has none."""
    if not point.review.rules:
        return None
    return Sending(
        point.review.rules, tuple(_about(one, point) for one in point.review.rules), point.numbers
    )


def _about(one: Ask, point: Definition) -> Flags:
    return np.array([
        (not one.actions or action.name in one.actions)
        and (one.above_minor is None or action.cost_minor > one.above_minor)
        for action in point.actions
    ], np.bool_)  # fmt: skip

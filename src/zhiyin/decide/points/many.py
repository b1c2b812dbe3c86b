"""Choices for many at a point that is governed: lots between policies, or rules that ask a person.

One after the other, by the same code as a request: slower than one vectorised call by far.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.decisions import HOLDOUT, Decided
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.served import Chosen, Served
from zhiyin.decide.reasons import (
    BY_POLICY,
    EXPLORED,
    HELD_OUT,
    NOTHING_ELIGIBLE,
    SENT_TO_PERSON,
)


def choose_each(
    served: Served,
    numbers: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> list[Chosen]:
    """A choice for each row of (rows, d) numbers and (rows, k) flags, while stock lasts."""
    left = dict(served.stock)
    places = {name: served.names.index(name) for name in left}
    made: list[Chosen] = []
    for row, flags in zip(numbers, eligible, strict=True):
        among = flags.copy()
        for name, n in left.items():
            among[places[name]] &= n > 0
        chosen = served.choose(row, among, 1, rng) if among.any() else served.default(among)
        action = chosen.places[0].action
        if action in left and chosen.sent is None:
            left[action] -= 1
        made.append(chosen)
    return made


def reason_of(chosen: Chosen) -> str:
    """Why it is as it is, as requests say it."""
    if chosen.sent is not None:
        return SENT_TO_PERSON
    if chosen.policy is None:
        return HELD_OUT if chosen.arm == HOLDOUT else NOTHING_ELIGIBLE
    return EXPLORED if any(one.explored for one in chosen.places) else BY_POLICY


def asked_of(
    chosen: Chosen, decision_id: str, *, point: Definition, version: int, who: str,
    numbers: tuple[float | None, ...], at: datetime,
) -> Decided | None:  # fmt: skip
    """What goes into the queue of reviews; None: no person is asked. `at`: aware."""
    if chosen.sent is None:
        return None
    until = at + timedelta(hours=chosen.sent.hours)
    return Decided(
        decision_id, int(at.timestamp() * 1e6), point.key, chosen.places, SENT_TO_PERSON,
        version=version, party_id=who, customer_id=who, names=point.numbers, numbers=numbers,
        sent=chosen.sent.rule, until_us=int(until.timestamp() * 1e6),
        proposed=chosen.sent.action, chance=chosen.sent.chance,
    )  # fmt: skip

"""Choices for many at a point: in one vectorised call, each by lots of its own, or where rules ask
a person one after the other, by the same code as a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.decisions import HOLDOUT, Decided
from zhiyin.core.rng import as_generator
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.served import Chosen, Served
from zhiyin.decide.policy.chances import draw_many
from zhiyin.decide.reasons import (
    BY_POLICY,
    EXPLORED,
    HELD_OUT,
    NOTHING_ELIGIBLE,
    SENT_TO_PERSON,
)

Places = NDArray[np.int64]


def choose_each(
    served: Served,
    numbers: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    *,
    rngs: Iterable[np.random.Generator],
) -> list[Chosen]:
    """A choice for each row of (rows, d) numbers and (rows, k) flags, while stock lasts.

    `rngs`: the generator of each row, which is drawn from before the next one is asked for.
    """
    left = dict(served.stock)
    places = {name: served.names.index(name) for name in left}
    made: list[Chosen] = []
    for row, flags, rng in zip(numbers, eligible, rngs, strict=True):
        among = flags.copy()
        for name, n in left.items():
            among[places[name]] &= n > 0
        chosen = served.choose(row, among, 1, rng) if among.any() else served.default(among)
        action = chosen.places[0].action
        if action in left and chosen.sent is None:
            left[action] -= 1
        made.append(chosen)
    return made


def choose_together(
    served: Served,
    numbers: NDArray[np.float64],
    eligible: NDArray[np.bool_],
    *,
    lots: NDArray[np.float64],
) -> list[Chosen]:
    """As `choose_each` at a point whose rules ask no person, for all rows at once.

    Parameters
    ----------
    lots
        (rows, 2) numbers in [0, 1), the first two of each row's generator: which of several sides
        decides, and which action it takes; of one side the first is the action's.

    Notes
    -----
    What runs out is no longer eligible for the rows after: they are asked again, by the same lots.
    `explored` where several sides may decide: another action was likelier.
    """
    made: list[Chosen] = []
    stock = np.array([served.stock.get(name, np.inf) for name in served.names])
    row = 0
    while row < len(numbers):
        allowed = eligible[row:] & (stock > 0)
        places, chances, explored, sides = _draw(served, numbers[row:], allowed, lots[row:])
        taken = places[:, None] == np.arange(len(stock))
        over = (taken.cumsum(axis=0) > stock).any(axis=1)
        upto = int(over.argmax()) if over.any() else len(places)
        for at in range(upto):
            if places[at] < 0:
                made.append(served.default(allowed[at]))
                continue
            arm, _, policy = served.sides[int(sides[at])]
            place = served.place(
                int(places[at]), allowed[at], float(chances[at]), explored=bool(explored[at])
            )
            one = len(served.sides) == 1
            made.append(
                Chosen((place,), policy) if one else Chosen((place,), policy, arm, served.ramp)
            )
        stock = stock - taken[:upto].sum(axis=0)
        row += upto
    return made


def _draw(
    served: Served, numbers: NDArray[np.float64], eligible: NDArray[np.bool_],
    lots: NDArray[np.float64],
) -> tuple[Places, NDArray[np.float64], NDArray[np.bool_], Places]:  # fmt: skip
    """Of each row the place of its action (-1: none), its chance in the mixture, whether another
    was likelier, the side that decided.
    """
    if len(served.sides) == 1 and (alone := served.sides[0][2]) is not None:
        one = alone.policy.choose_many(
            alone.contexts(numbers), eligible, rng=as_generator(lots[:, 0])
        )
        return one.places, one.propensities, one.explored, np.zeros(len(numbers), np.int64)
    rows, default = np.arange(len(numbers)), served.names.index(served.point.default)
    weights = np.empty((len(numbers), len(served.sides)))
    chances = np.zeros((len(served.sides), *eligible.shape))
    for at, (_, weight, policy) in enumerate(served.sides):
        if policy is None:
            weights[:, at] = weight * eligible[:, default]
            chances[at, :, default] = eligible[:, default]
        else:
            weights[:, at] = weight
            chances[at] = policy.policy.probabilities(policy.contexts(numbers), eligible)
    weights /= weights.sum(axis=1, keepdims=True)
    sides = draw_many(weights, lots[:, 0])
    own = chances[sides, rows]
    places = draw_many(own, lots[:, 1])
    mixed = np.einsum("ns,snk->nk", weights, chances)[rows, np.maximum(places, 0)]
    return places, np.minimum(mixed, 1.0), places != own.argmax(axis=1), sides


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

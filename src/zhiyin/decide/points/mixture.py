"""One choice where a lot is drawn between policies: the current one, one that is taking over, and
the default action of a holdout.

Which side decides is drawn anew for each choice. What is logged is the chance that the mixture
gave the action, not that of the side that gave it: P(a) = sum of w_i P_i(a). Of several places, the
chance of each given those before it, and that there is one more:

    P(a_j | a_1 … a_j-1) = (sum of w_i P_i(a_1 … a_j)) / (sum of w_i P_i(a_1 … a_j-1))

where the last sum is over sides that go on; a holdout has one place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zhiyin.core.protocols import Policy
from zhiyin.core.values import Choice
from zhiyin.decide.actions import Catalogue
from zhiyin.decide.slates import Slate, choose_slate


class Side(NamedTuple):
    """One of those between whom a lot is drawn, with what it sees of this choice.

    `policy` None: it gives the default action, at place `default`, and nothing more.
    """

    weight: float
    policy: Policy | None
    context: np.ndarray
    default: int


def choose_mixed(
    sides: Sequence[Side],
    eligible: np.ndarray,
    size: int,
    *,
    names: tuple[str, ...],
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> tuple[int, Slate]:
    """The side that decided, and its choices with the chances of the mixture.

    A side that cannot decide, for the default action is not eligible, leaves its share to the
    others; one at least can.
    """
    weights = _weights(sides, eligible)
    drawn = int(np.searchsorted(weights.cumsum(), rng.random(), side="right"))
    drawn = min(drawn, int(np.flatnonzero(weights)[-1]))
    mine = _choose(sides[drawn], eligible, size, names, catalogue, rng)
    made: list[Choice] = []
    reached, before = weights, 1.0
    for step, (choice, among) in enumerate(zip(mine.choices, mine.eligible, strict=True)):
        place = names.index(choice.action or "")
        reached = reached * [
            choice.propensity if at == drawn else _chance(one, place, among, step)
            for at, one in enumerate(sides)
        ]
        made.append(choice._replace(propensity=min(1.0, float(reached.sum()) / before)))
        before = float(sum(reached[at] for at, one in enumerate(sides) if one.policy is not None))
    return drawn, Slate(tuple(made), mine.eligible)


def mixed_chances(sides: Sequence[Side], eligible: np.ndarray) -> np.ndarray:
    """(k,) how likely the mixture takes each action first."""
    weights = _weights(sides, eligible)
    made = np.zeros(eligible.size)
    for weight, one in zip(weights, sides, strict=True):
        if one.policy is None:
            made[one.default] += weight
        elif weight > 0:
            made += weight * one.policy.probabilities(one.context[None, :], eligible[None, :])[0]
    return made


def _weights(sides: Sequence[Side], eligible: np.ndarray) -> np.ndarray:
    made = np.array([
        0.0 if one.policy is None and not eligible[one.default] else one.weight for one in sides
    ])  # fmt: skip
    return made / made.sum()


def _choose(
    side: Side, eligible: np.ndarray, size: int, names: tuple[str, ...], catalogue: Catalogue,
    rng: np.random.Generator,
) -> Slate:  # fmt: skip
    if side.policy is None:
        return Slate((Choice(names[side.default], 1.0, explored=False),), (eligible,))
    return choose_slate(
        side.policy, side.context, size, eligible=eligible, catalogue=catalogue, rng=rng
    )


def _chance(side: Side, place: int, among: np.ndarray, step: int) -> float:
    """How likely a side takes an action at a step, after what was taken."""
    if side.policy is None:
        return float(step == 0 and place == side.default)
    return float(side.policy.probabilities(side.context[None, :], among[None, :])[0, place])

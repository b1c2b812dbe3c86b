"""Several actions for one customer at once: a slate, drawn place by place without replacement.

Each place is a choice of the policy among what is left, so its propensity is true given the places
before it; the propensity of the whole slate in its order is their product. Conflicts and caps of a
catalogue hold within the slate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.protocols import Policy
from zhiyin.core.values import Choice
from zhiyin.decide.actions import Catalogue


@dataclass(frozen=True)
class Slate:
    """Choices in order of their places; fewer than asked for where no more were eligible."""

    choices: tuple[Choice, ...]
    eligible: tuple[np.ndarray, ...] = ()  # of each place, the (k,) flags it was chosen among

    @property
    def actions(self) -> tuple[str, ...]:
        """The chosen actions."""
        return tuple(choice.action for choice in self.choices if choice.action is not None)

    @property
    def propensity(self) -> float:
        """P(these actions in this order | context, eligible actions); 1 where there are none."""
        return math.prod(choice.propensity for choice in self.choices)


def choose_slate(
    policy: Policy,
    context: np.ndarray | Sequence[float],
    size: int,
    *,
    eligible: np.ndarray | None = None,
    catalogue: Catalogue | None = None,
    rng: np.random.Generator,
) -> Slate:
    """Up to `size` different actions for one context.

    `eligible`: (k,) flags, None = all. `catalogue`: whose conflicts and caps hold within the slate,
    with the actions of the policy in its order.
    """
    if size < 1:
        raise InvalidParameter(f"a slate has 1 or more places, not {size}")
    if catalogue is not None and catalogue.names != tuple(policy.actions):
        raise InvalidParameter("the catalogue has other actions than the policy, or another order")
    kinds = len(policy.actions)
    left = np.ones(kinds, bool) if eligible is None else np.array(eligible, bool)
    held = np.zeros((1, kinds), bool)
    made: list[Choice] = []
    among: list[np.ndarray] = []
    while len(made) < size and left.any():
        among.append(left.copy())
        choice = policy.choose(np.asarray(context), left, rng=rng)
        if choice.action is None:
            among.pop()
            break
        made.append(choice)
        place = policy.actions.index(choice.action)
        left[place], held[0, place] = False, True
        if catalogue is not None:
            left &= catalogue.beside(held)[0]
    return Slate(tuple(made), tuple(among))

"""A warm start: what a decision log knows, learned before the first choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.protocols import Policy


@dataclass(frozen=True)
class Taught:
    """How many decisions of a log were learned, and why the others were not."""

    learned: int
    without_reward: int
    other_actions: int


def warm_start(
    policy: Policy,
    contexts: np.ndarray,
    actions: Sequence[str],
    rewards: np.ndarray,
    *,
    strength: float = 1.0,
    ages_days: np.ndarray | None = None,
    half_life_days: float | None = None,
) -> Taught:
    """Teach a policy a log of decisions; what it knew before stays.

    Parameters
    ----------
    contexts, actions, rewards
        Of each decision; those without a reward (NaN), or of an action that the policy does not
        have, are left out.
    strength
        What a decision of the log counts beside one of the policy's own, in (0, 1]: below 1 where
        the log is of other customers, seasons or contents.
    ages_days, half_life_days
        How old each decision is, and after how many days it counts half.

    Notes
    -----
    Each action is learned by itself from the contexts it was chosen in, so no weight by propensity
    is needed, as long as what the earlier policy looked at is part of the context.
    """
    if not 0 < strength <= 1:
        raise InvalidParameter(f"strength must be in (0, 1], not {strength}")
    if (ages_days is None) != (half_life_days is None):
        raise InvalidParameter("ages_days and half_life_days belong together")
    given, told = np.asarray(contexts, np.float64), np.asarray(rewards, np.float64)
    if not len(given) == len(actions) == len(told):
        raise InvalidParameter("contexts, actions and rewards are of one length")
    weights = np.full(len(told), strength)
    if ages_days is not None and half_life_days is not None:
        if not half_life_days > 0:
            raise InvalidParameter(f"half_life_days must be above 0, not {half_life_days}")
        weights = weights * 0.5 ** (np.asarray(ages_days, np.float64) / half_life_days)
    known = np.array([name in policy.actions for name in actions], bool)
    kept = known & ~np.isnan(told)
    chosen = [name for name, keep in zip(actions, kept.tolist(), strict=True) if keep]
    if chosen:
        policy.update(given[kept], chosen, told[kept], weights=weights[kept])
    return Taught(len(chosen), int((known & np.isnan(told)).sum()), int((~known).sum()))

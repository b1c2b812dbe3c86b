"""When a message that the provider did not take for now is tried again."""

from __future__ import annotations

import numpy as np

FIRST_S = 60.0
LONGEST_S = 21_600.0  # six hours; a provider may ask for more


def next_wait_s(tries: int, *, asked_s: float | None, rng: np.random.Generator) -> float:
    """Seconds until the next try after `tries` of them, 1 or more.

    Twice as long from try to try, half of it at random so that messages refused together do not
    come back together, and never sooner than the provider asked.
    """
    longest = min(FIRST_S * 2 ** min(tries - 1, 30), LONGEST_S)
    return max(longest * rng.uniform(0.5, 1.0), asked_s or 0.0)

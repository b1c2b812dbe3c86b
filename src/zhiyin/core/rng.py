"""Chance: named, reproducible streams of random numbers (law 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """Independent numpy generators by name, all derived from one seed.

    The same seed and name give the same numbers, whatever other streams were drawn from before.
    """

    seed: int

    def generator(self, name: str) -> np.random.Generator:
        """A fresh generator for `name`, always at its start."""
        digest = hashlib.sha256(name.encode()).digest()
        words = [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]
        return np.random.default_rng([self.seed, *words])

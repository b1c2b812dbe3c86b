"""Chance: named, reproducible streams of random numbers (law 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

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


class Lots:
    """A generator for each text, always at the same start: Philox, keyed by a hash of the text.

    One object is set anew each time, which takes a fifth of making one: use what `of` gives before
    it is asked again, in one thread.
    """

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def of(self, text: str) -> np.random.Generator:
        """The generator of a text."""
        digest = hashlib.sha256(text.encode()).digest()
        self._state["state"]["key"][:] = np.frombuffer(digest[:16], "<u8")
        self._bits.state = self._state
        return self._generator


def as_generator(lots: np.ndarray) -> np.random.Generator:
    """Lots in [0, 1) that were drawn before, for code that asks a generator for as many at once."""
    return cast("np.random.Generator", _Drawn(lots))


class _Drawn:
    """Hands out the same lots."""

    def __init__(self, lots: np.ndarray) -> None:
        self._lots = lots

    def random(self, size: int) -> np.ndarray:
        if size != len(self._lots):
            raise AssertionError(f"{len(self._lots)} lots were drawn, not {size}")
        return self._lots

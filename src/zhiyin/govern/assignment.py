"""Who is in which experiment and in which arm: by salted hashes, so for good and without a table.

A unit has a place in [0, 1) in each layer, and another, independent one in each experiment. A layer
is divided into slots, one per experiment: as slots do not overlap, nobody is in two experiments of
a layer, and who is in one says nothing of her place in another layer. Within the experiment ranges
of places are its arms.

Who is held out of everything (`holdout.EVERYTHING`) is in no experiment.

`place_of_growthbook` gives the places of GrowthBook's SDKs, for who brings running experiments.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.holdout import EVERYTHING, place_of

Range = tuple[float, float]
Scope = Literal["layer", "arm"]
_WHOLE = 2.0**64


@dataclass(frozen=True)
class Slot:
    """The part of a layer that an experiment has: places from `low` up to `high`."""

    experiment_id: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise InvalidParameter(
                f"the slot of {self.experiment_id} is [{self.low}, {self.high}), not within [0, 1]"
            )


@dataclass(frozen=True)
class Layer:
    """Experiments that share customers and exclude each other."""

    name: str
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        ordered = sorted(self.slots, key=lambda slot: (slot.low, slot.experiment_id))
        for one, other in pairwise(ordered):
            if one.high > other.low:
                raise InvalidParameter(
                    f"{one.experiment_id} and {other.experiment_id} overlap in layer {self.name}",
                    hint="give each a part of [0, 1) of its own, or another layer",
                )

    def find_free(self) -> tuple[Range, ...]:
        """The parts of [0, 1) that no experiment has."""
        free: list[Range] = []
        at = 0.0
        for slot in sorted(self.slots, key=lambda slot: slot.low):
            if slot.low > at:
                free.append((at, slot.low))
            at = slot.high
        return (*free, (at, 1.0)) if at < 1 else tuple(free)

    def find_experiment(self, unit_id: str, *, salt: bytes) -> str | None:
        """The experiment whose slot the unit's place is in."""
        place = find_place("layer", self.name, unit_id, salt=salt)
        return next(
            (slot.experiment_id for slot in self.slots if slot.low <= place < slot.high), None
        )


def find_place(scope: Scope, name: str, unit_id: str, *, salt: bytes) -> float:
    """HMAC-SHA256(salt, scope | name | unit) in [0, 1): the unit's place in a layer or experiment.

    Parameters
    ----------
    salt
        The workspace's assignment salt: nobody outside can tell or choose an arm.
    """
    digest = hmac.digest(salt, f"{scope}|{name}|{unit_id}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") / _WHOLE


def find_ranges(weights: Sequence[float], *, coverage: float = 1.0) -> tuple[Range, ...]:
    """The range of places of each arm: the first `coverage` of its share of [0, 1).

    More coverage leaves everybody where she is and adds others; other weights would move people.

    Parameters
    ----------
    weights
        Positive, any sum.
    coverage
        Share of the units that take part, in [0, 1].
    """
    if not weights or min(weights) <= 0 or not 0 <= coverage <= 1:
        raise InvalidParameter(f"weights {list(weights)} or coverage {coverage} is out of range")
    bounds = [0.0, *(at / sum(weights) for at in accumulate(weights))]
    bounds[-1] = 1.0  # whatever floats add up to
    return tuple((low, low + (high - low) * coverage) for low, high in pairwise(bounds))


def find_range(place: float, ranges: Sequence[Range]) -> int | None:
    """The number of the range that holds a place; None: the unit takes no part."""
    return next((i for i, (low, high) in enumerate(ranges) if low <= place < high), None)


def assign(
    unit_id: str,
    experiment_id: str,
    weights: Mapping[str, float],
    *,
    salt: bytes,
    coverage: float = 1.0,
    layer: Layer | None = None,
    holdout_share: float = 0.0,
) -> str | None:
    """The unit's arm, or None if she takes no part; the same whenever and wherever it is asked.

    Parameters
    ----------
    unit_id
        The party that stands for the customer. Where several records turn out to be one person
        the earliest arm is kept (`decide.holdout.find_earlier_arms`).
    weights
        Arm → weight; arms are ordered by name.
    layer
        The layer with the experiment's slot; None: everybody may take part.
    holdout_share
        Of the global holdout: who is in it takes no part.
    """
    if holdout_share and place_of(salt, EVERYTHING, unit_id) < holdout_share:
        return None
    if layer is not None and layer.find_experiment(unit_id, salt=salt) != experiment_id:
        return None
    arms = sorted(weights)
    ranges = find_ranges([weights[arm] for arm in arms], coverage=coverage)
    found = find_range(find_place("arm", experiment_id, unit_id, salt=salt), ranges)
    return None if found is None else arms[found]


def place_of_growthbook(seed: str, unit_id: str, *, version: Literal[1, 2] = 2) -> float:
    """The place that GrowthBook's SDKs give: FNV-1a (32 bits), with 1,000 places or, of 2, 10,000.

    Not secret: who knows the seed knows the arm.
    """
    if version == 1:
        return _fnv(unit_id + seed) % 1000 / 1000
    return _fnv(str(_fnv(seed + unit_id))) % 10000 / 10000


def _fnv(text: str) -> int:
    """FNV-1a of the UTF-8 bytes, 32 bits (Fowler, Noll and Vo)."""
    found = 0x811C9DC5
    for byte in text.encode():
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    return found

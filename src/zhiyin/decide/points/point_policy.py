"""The policy of a decision point: how it sees the numbers of a choice, as one artifact.

| policy | sees |
|---|---|
| one that takes a `width` | the numbers on one scale (`Scaling`), and the constant 1 |
| one that takes `features` | the numbers as they are |
| `greedy`, `uplift_greedy` | of each action the number that is its `score` |
| any other | the numbers as they are |
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.errors import InputError
from zhiyin.core.protocols import Policy
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.numbers import spread_of
from zhiyin.decide.policy import POLICIES, make, restore, version
from zhiyin.decide.policy.chooser import Chooser
from zhiyin.decide.policy.scaling import Scaling

BY_SCORES = frozenset({"greedy", "uplift_greedy"})
OF_RATES = frozenset({"thompson", "logistic_thompson"})
"""They learn from rewards of 0 or 1."""
FORMAT = 1
_MAY_CHANGE = {"explore", "alpha", "discount", "worth", "cost"}
"""Settings under which what was learned stays true."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PointPolicy:
    """A policy, and what it sees of the numbers of its point.

    `picks`: of each action, the place of its score among the numbers, -1: it has none.
    """

    policy: Policy
    numbers: tuple[str, ...]
    scaling: Scaling | None
    picks: tuple[int, ...]
    version: str

    def context(self, numbers: Floats) -> Floats:
        """What the policy sees of one choice's (d,) numbers."""
        if self.scaling is not None:
            return self.scaling.encode(numbers)
        return np.append(numbers, np.nan)[list(self.picks)] if self.picks else numbers

    def contexts(self, numbers: Floats) -> Floats:
        """The same of (rows, d) numbers."""
        if self.scaling is not None:
            return self.scaling.encode_many(numbers)
        if not self.picks:
            return numbers
        blank = np.full((len(numbers), 1), np.nan)
        return np.hstack([numbers, blank])[:, list(self.picks)]

    def pack(self) -> bytes:
        """All of it as bytes, for `unpack_policy`."""
        return pack({
            "format": FORMAT, "numbers": list(self.numbers), "picks": list(self.picks),
            "scaling": None if self.scaling is None else self.scaling.to_artifact(),
            "policy": self.policy.to_artifact(),
        })  # fmt: skip


def unpack_policy(content: bytes) -> PointPolicy:
    """What `pack` gave; it decides and learns on to the last bit.

    Raises
    ------
    InputError
        If the content is none, or of a newer format.
    """
    held = unpack(content)
    if held.get("format", FORMAT + 1) > FORMAT:
        raise InputError("this is no policy that this version can read", hint="update zhiyin")
    scaling = held["scaling"] and Scaling.from_artifact(held["scaling"])
    return point_policy(
        restore(held["policy"]), tuple(held["numbers"]), scaling or None, tuple(held["picks"])
    )


def point_policy(
    policy: Policy, numbers: tuple[str, ...], scaling: Scaling | None, picks: tuple[int, ...]
) -> PointPolicy:
    """The policy with its version."""
    return PointPolicy(policy, numbers, scaling, picks, version(policy))


def needs_scaling(point: Definition) -> bool:
    """Whether its policy sees the numbers on one scale."""
    return "width" in _parameters(point)


def usual_scaling(point: Definition, columns: Mapping[str, tuple[float, float]]) -> Scaling | None:
    """The scale of the point's numbers: of `columns` the middles and widths that are given, of
    requests' numbers what the point says. None: its policy needs none.
    """
    if not needs_scaling(point):
        return None
    told = {name: (one.middle, one.width) for name, one in point.context.items()}
    spread = spread_of({**columns, **told}, point.numbers)
    return Scaling(point.numbers, spread[:, 0].copy(), spread[:, 1].copy())


def make_policy(point: Definition, scaling: Scaling | None) -> PointPolicy:
    """The policy of a point that knows nothing yet.

    Raises
    ------
    InvalidParameter
        If the point's settings are none of the policy's.
    """
    known, chosen = _parameters(point), point.policy
    catalogue = point.catalogue()
    given: dict[str, Any] = {
        "explore": chosen.explore, "default": point.default, "nothing": point.default,
        "features": list(point.numbers), "width": scaling.width if scaling else 1,
        "worth": catalogue.worths(), "cost": catalogue.costs(),
    }  # fmt: skip
    settings = {name: value for name, value in given.items() if name in known} | chosen.settings
    picks: tuple[int, ...] = ()
    if chosen.name in BY_SCORES:
        picks = tuple(point.numbers.index(one.score) if one.score else -1 for one in point.actions)
    policy = make(chosen.name, catalogue.names, **settings)
    return point_policy(policy, point.numbers, scaling, picks)


def fits(policy: PointPolicy, point: Definition) -> bool:
    """Whether it sees the numbers that the point has, and chooses among its actions."""
    names = tuple(one.name for one in point.actions)
    return policy.numbers == point.numbers and tuple(policy.policy.actions) == names


def learns(policy: Policy) -> bool:
    """Whether anything changes in it when it is told what came of its choices."""
    return not isinstance(policy, Chooser) or type(policy).update is not Chooser.update


def carry_over(old: PointPolicy, fresh: PointPolicy) -> PointPolicy | None:
    """The fresh policy with what the old one learned; None: it sees something else.

    Actions of a kept name keep what was learned of them.
    """
    same = (
        old.policy.name == fresh.policy.name
        and old.numbers == fresh.numbers
        and (old.scaling is None) == (fresh.scaling is None)
    )
    over = getattr(old.policy, "over", None)
    if not same or (over is None and old.policy.actions != fresh.policy.actions):
        return None
    made = cast("Policy", over(fresh.policy.actions)) if over is not None else old.policy
    artifact, wanted = made.to_artifact(), fresh.policy.to_artifact()["settings"]
    held = artifact["settings"]
    if any(wanted[name] != held.get(name) for name in wanted.keys() - _MAY_CHANGE):
        return None
    policy = restore({**artifact, "settings": wanted})
    return point_policy(policy, old.numbers, old.scaling, fresh.picks)


def _parameters(point: Definition) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(POLICIES.load(point.policy.name)).parameters

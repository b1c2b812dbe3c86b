"""What all policies share: eligible actions, unknown numbers, the draw, the artifact.

A choice takes one lot of the generator, whether it needs it or not: `choose` for one row after the
other gives what `choose_many` gives for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.core.values import Choice, Choices
from zhiyin.decide.policy.chances import draw, draw_many

FORMAT = 1
LARGEST = 1e150  # squares of larger numbers are no numbers
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Chooser:
    """A policy over named actions; a subclass says `_judge` and `_judge_one`.

    Parameters
    ----------
    actions
        1 or more names. Where two actions are equally good, the first is chosen.
    width
        How many numbers a context has; None: any, they are not looked at.
    explore
        The share in [0, 1] that is spread evenly over the eligible actions.
    """

    name: ClassVar[str]
    blank: ClassVar[float] = 0.0  # what an unknown number counts as; NaN: it stays unknown

    def __init__(self, actions: Sequence[str], *, width: int | None, explore: float = 0.0) -> None:
        self.actions = tuple(actions)
        self._places = {name: place for place, name in enumerate(self.actions)}
        if not self.actions or len(self._places) < len(self.actions):
            raise InvalidParameter(f"a policy has 1 or more different actions, not {self.actions}")
        if not 0 <= explore <= 1:
            raise InvalidParameter(f"explore must be in [0, 1], not {explore}")
        if width is not None and width < 1:
            raise InvalidParameter(f"a context has 1 or more numbers, not {width}")
        self.width, self.explore = width, float(explore)

    @property
    def explores(self) -> bool:
        """Whether every eligible action has a chance, so that another policy can be judged by the
        log of this one.
        """
        return self.explore > 0 or len(self.actions) == 1

    # what a subclass says
    def _judge(self, contexts: Floats, allowed: Flags) -> tuple[Floats, Floats]:
        """Chances before exploring, and scores, (rows, k); the latter may be of any action."""
        raise NotImplementedError

    def _judge_one(self, context: Floats, allowed: Flags | None) -> tuple[Floats, Floats]:
        """As `_judge` of one row."""
        flags = np.ones(len(self.actions), bool) if allowed is None else allowed
        chances, scores = self._judge(context[None, :], flags[None, :])
        return chances[0], scores[0]

    def settings(self) -> dict[str, Any]:
        """What it was made with beside the actions, as JSON values."""
        return {"explore": self.explore}

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, state: Mapping[str, Any]) -> None:
        pass

    # what all do
    def probabilities(self, contexts: np.ndarray, eligible: np.ndarray | None = None) -> Floats:
        """P(action | context, eligible), (rows, k); 0 throughout where none is eligible."""
        given = self._read(contexts)
        allowed = self._flags(eligible, len(given))
        return self._mix(self._judge(given, allowed)[0], allowed)

    def choose_many(
        self,
        contexts: np.ndarray,
        eligible: np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choices:
        """An action for each context, from what is known now."""
        given = self._read(contexts)
        allowed = self._flags(eligible, len(given))
        chances, scores = self._judge(given, allowed)
        chances = self._mix(chances, allowed)
        places = draw_many(chances, rng.random(len(given)))
        best = np.where(allowed, scores, -np.inf).argmax(axis=1)
        taken = np.take_along_axis(chances, np.maximum(places, 0)[:, None], axis=1)[:, 0]
        some = places >= 0
        return Choices(self.actions, places, np.where(some, taken, 1.0), some & (places != best))

    def choose(
        self,
        context: np.ndarray | Sequence[float],
        actions: Sequence[str] | np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choice:
        """One action for one context; `actions`: the eligible ones, names or flags, None = all."""
        given = self._read_one(context)
        allowed = None if actions is None else self._allowed(actions)
        lot = rng.random()
        if allowed is not None and not allowed.any():
            return Choice(None, 1.0, explored=False)
        chances, scores = self._judge_one(given, allowed)
        if self.explore:
            chances = self._mix_one(chances, allowed)
        place = draw(chances, lot)
        masked = scores if allowed is None else np.where(allowed, scores, -np.inf)
        explored = place != int(masked.argmax())
        return Choice(self.actions[place], float(chances[place]), explored)

    def update(
        self,
        contexts: np.ndarray,
        actions: str | Sequence[str],
        rewards: float | np.ndarray,
        *,
        weights: np.ndarray | None = None,
    ) -> None:
        """Nothing is learned: a rule stays as it is."""

    def to_artifact(self) -> dict[str, Any]:
        """JSON values and numpy arrays that `from_artifact` restores to an equal policy."""
        return {
            "policy": self.name, "format": FORMAT, "actions": list(self.actions),
            "settings": self.settings(), "state": self._state(),
        }  # fmt: skip

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Self:
        """The policy that `to_artifact` described."""
        if artifact["policy"] != cls.name:
            raise InputError(f"this is a policy {artifact['policy']!r}, not {cls.name!r}")
        if artifact["format"] > FORMAT:
            raise InputError(
                f"the policy has format {artifact['format']}, this version reads up to {FORMAT}",
                hint="update zhiyin",
            )
        made = cls(artifact["actions"], **artifact["settings"])
        made._restore(artifact["state"])
        return made

    def place_of(self, action: str) -> int:
        """The place of an action by name."""
        try:
            return self._places[action]
        except KeyError:
            raise InvalidParameter(
                f"the policy has no action {action!r}", hint=f"it has {', '.join(self.actions)}"
            ) from None

    def _read_one(self, context: np.ndarray | Sequence[float]) -> Floats:
        made = _numbers(context)
        if made.ndim != 1 or (self.width is not None and made.size != self.width):
            raise InvalidParameter(
                f"a context of {self.name} has {self.width} numbers, not the shape {made.shape}"
            )
        return made if float(made @ made) < LARGEST else self._known(made)

    def _read(self, contexts: np.ndarray) -> Floats:
        made = _numbers(contexts)
        if made.ndim != 2 or (self.width is not None and made.shape[1] != self.width):
            raise InvalidParameter(
                f"contexts of {self.name} have the shape (rows, {self.width}), not {made.shape}"
            )
        return self._known(made)

    def _known(self, contexts: Floats) -> Floats:
        """Unknown numbers as `blank`; those that are none are refused."""
        unknown = np.isnan(contexts)
        if (np.abs(contexts[~unknown]) > LARGEST).any():
            raise InvalidParameter("a context holds a number that is infinite")
        if not unknown.any() or np.isnan(self.blank):
            return contexts
        return np.where(unknown, self.blank, contexts)

    def _flags(self, eligible: np.ndarray | None, rows: int) -> Flags:
        shape = (rows, len(self.actions))
        if eligible is None:
            return np.ones(shape, bool)
        made = np.asarray(eligible)
        if made.dtype != np.bool_ or made.shape not in {shape, shape[1:]}:
            raise InvalidParameter(
                f"eligible actions are flags of the shape {shape} or {shape[1:]}, "
                f"not {made.dtype} of {made.shape}"
            )
        return np.broadcast_to(made, shape)

    def _allowed(self, actions: Sequence[str] | np.ndarray) -> Flags:
        if isinstance(actions, np.ndarray) and actions.dtype == np.bool_:
            if actions.shape == (len(self.actions),):
                return actions
            return self._flags(actions, 1)[0]
        made = np.zeros(len(self.actions), bool)
        for name in actions:
            made[self.place_of(name)] = True
        return made

    def _mix(self, chances: Floats, allowed: Flags) -> Floats:
        """Chances with the share that is spread evenly."""
        if not self.explore:
            return chances
        each = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        return (1 - self.explore) * chances + self.explore * each

    def _mix_one(self, chances: Floats, allowed: Flags | None) -> Floats:
        if allowed is None:
            return (1 - self.explore) * chances + self.explore / chances.size
        return (1 - self.explore) * chances + allowed * (self.explore / allowed.sum())


def _numbers(values: np.ndarray | Sequence[float]) -> Floats:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise InvalidParameter(
            "a context is made of numbers",
            hint="`Scaling` makes contexts of features; give a text as columns of 0 and 1",
        ) from None

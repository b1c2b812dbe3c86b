"""What can be done for a customer: offers, contents, channels, times, and nothing.

    a catalogue (costs, days, stock, conditions, conflicts, caps) → who may get what today

Every rule that forbids an action has a code (`why_not`), in the order in which they are asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.protocols import Policy
from zhiyin.core.values import Choices
from zhiyin.decide.conditions import Condition, all_hold
from zhiyin.decide.reasons import (
    CATEGORY_FULL,
    CONFLICT,
    ENDED,
    NOT_BEGUN,
    NOT_FOR_HER,
    OUT_OF_STOCK,
)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Action:
    """One thing that can be done.

    `cost_minor`: what doing it costs, whatever comes of it; `worth_minor`: the margin of what it is
    to bring, before that cost. `start_on`, `end_on`: the first and the last day (None: open).
    `stock`: how many are left (None: any number). `needs`: all of these conditions must hold for
    the customer. `conflicts`: actions that nobody gets beside it, named on either side.
    """

    name: str
    channel: str = ""
    category: str = ""
    cost_minor: int = 0
    worth_minor: int = 0
    start_on: date | None = None
    end_on: date | None = None
    stock: int | None = None
    needs: tuple[Condition, ...] = ()
    conflicts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidParameter("an action has a name")
        if self.cost_minor < 0 or (self.stock is not None and self.stock < 0):
            raise InvalidParameter(f"cost and stock of {self.name!r} must be 0 or more")
        if self.start_on and self.end_on and self.end_on < self.start_on:
            raise InvalidParameter(f"{self.name!r} ends on {self.end_on}, before it begins")


@dataclass(frozen=True)
class Catalogue:
    """Actions in order, and how many of a category one customer may have."""

    actions: tuple[Action, ...]
    caps: Mapping[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) < len(names):
            raise InvalidParameter(f"a catalogue has 1 or more different actions, not {names}")
        named = {other for action in self.actions for other in action.conflicts}
        if unknown := named - set(names):
            raise InvalidParameter(f"no action is called {sorted(unknown)}, which conflicts name")
        categories = {action.category for action in self.actions}
        if unknown := set(self.caps) - categories:
            raise InvalidParameter(f"no action is of the category {sorted(unknown)} of a cap")
        if any(cap < 0 for cap in self.caps.values()):
            raise InvalidParameter("a cap of a category must be 0 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in order: what a policy is made with."""
        return tuple(action.name for action in self.actions)

    def __getitem__(self, name: str) -> Action:
        for action in self.actions:
            if action.name == name:
                return action
        raise NotFound(f"no action is called {name!r}", hint=f"known: {', '.join(self.names)}")

    def costs(self) -> dict[str, float]:
        """`cost_minor` by name, as policies take it."""
        return {action.name: float(action.cost_minor) for action in self.actions}

    def worths(self) -> dict[str, float]:
        """`worth_minor` by name, of those that have one."""
        return {a.name: float(a.worth_minor) for a in self.actions if a.worth_minor}

    def eligible(
        self,
        on: date,
        *,
        rows: int,
        facts: Mapping[str, np.ndarray] | None = None,
        held: np.ndarray | None = None,
        permitted: np.ndarray | None = None,
    ) -> Flags:
        """Which actions each of `rows` customers may get on a day.

        Parameters
        ----------
        on
            The local day.
        facts
            What `needs` ask for, by name, (rows,) numbers; no condition holds where it is NaN.
        held
            (rows, k) flags of what each has already: it counts for conflicts and caps.
        permitted
            (rows, k) or (k,) flags of what the gate allows.

        Returns
        -------
        (rows, k) flags; a row without any is a customer for whom nothing can be done.
        """
        known = facts or {}
        if missing := {name for a in self.actions for name, _, _ in a.needs} - set(known):
            raise InvalidParameter(f"the conditions of actions need the facts {sorted(missing)}")
        made = np.empty((rows, len(self.actions)), bool)
        for place, action in enumerate(self.actions):
            open_today = _day_reason(action, on) is None and action.stock != 0
            made[:, place] = all_hold(action.needs, known, rows) if open_today else False
        if permitted is not None:
            made &= np.asarray(permitted, bool)
        return made if held is None else made & self.beside(np.asarray(held, bool))

    def beside(self, held: Flags) -> Flags:
        """What conflicts and caps leave to those who have `held`, (rows, k) flags.

        Having an action does not forbid the same again: caps of its category do.
        """
        clash = self._clashes()
        made = ~(held.astype(np.int64) @ clash).astype(bool)
        for category, cap in self.caps.items():
            mine = np.array([action.category == category for action in self.actions])
            full = held[:, mine].sum(axis=1) >= cap
            made[np.ix_(full, mine)] = False
        return made

    def why_not(
        self,
        name: str,
        on: date,
        *,
        facts: Mapping[str, float] | None = None,
        held: Collection[str] = (),
    ) -> str | None:
        """The first reason why a customer may not get an action, as a code; None: she may."""
        action = self[name]
        if reason := _day_reason(action, on):
            return reason
        if action.stock == 0:
            return OUT_OF_STOCK
        columns = {key: np.array([value]) for key, value in (facts or {}).items()}
        known = {key: columns.get(key, np.array([np.nan])) for key, _, _ in action.needs}
        if not all_hold(action.needs, known, 1)[0]:
            return NOT_FOR_HER
        if action.conflicts & set(held) or any(name in self[other].conflicts for other in held):
            return CONFLICT
        counts = Counter(self[other].category for other in held)
        if counts[action.category] >= self.caps.get(action.category, len(held) + 1):
            return CATEGORY_FULL
        return None

    def without(self, taken: Mapping[str, int]) -> Catalogue:
        """The catalogue after so many of each action were given."""
        left = []
        for action in self.actions:
            number = taken.get(action.name, 0)
            if action.stock is not None and number > action.stock:
                raise InvalidParameter(
                    f"{number} of {action.name!r} were given, of which {action.stock} were left"
                )
            stock = None if action.stock is None else action.stock - number
            left.append(replace(action, stock=stock))
        return replace(self, actions=tuple(left))

    def _clashes(self) -> NDArray[np.int64]:
        places = {name: place for place, name in enumerate(self.names)}
        made = np.zeros((len(places), len(places)), np.int64)
        for action in self.actions:
            for other in action.conflicts:
                made[places[action.name], places[other]] = 1
                made[places[other], places[action.name]] = 1
        return made


@dataclass(frozen=True)
class Given:
    """Choices within stock: `eligible` is what each row could still get when it was its turn."""

    choices: Choices
    eligible: Flags
    left: Catalogue


def choose_in_stock(
    policy: Policy,
    contexts: np.ndarray,
    eligible: np.ndarray,
    *,
    catalogue: Catalogue,
    rng: np.random.Generator,
) -> Given:
    """An action for each row while stock lasts; rows take turns in an order that is drawn.

    What runs out is no longer eligible for the rows that come after: they choose among the rest,
    and their propensity is that of this choice, so it stays true. Rows that come before do not
    know of it. `catalogue` has the actions of the policy, in its order.
    """
    if catalogue.names != tuple(policy.actions):
        raise InvalidParameter("the catalogue has other actions than the policy, or another order")
    rows, kinds = len(contexts), len(policy.actions)
    stock = np.array([np.inf if a.stock is None else a.stock for a in catalogue.actions])
    allowed = np.array(eligible, bool)
    places, told = np.full(rows, -1), np.ones(rows)
    explored = np.zeros(rows, bool)
    turn = rng.permutation(rows)
    while turn.size:
        allowed[turn] &= stock > 0
        made = policy.choose_many(contexts[turn], allowed[turn], rng=rng)
        taken = made.places[:, None] == np.arange(kinds)
        over = (taken.cumsum(axis=0) > stock).any(axis=1)
        upto = int(over.argmax()) if over.any() else len(turn)
        done = turn[:upto]
        places[done], told[done] = made.places[:upto], made.propensities[:upto]
        explored[done] = made.explored[:upto]
        stock -= taken[:upto].sum(axis=0)
        turn = turn[upto:]
    counts = np.bincount(places[places >= 0], minlength=kinds)
    left = catalogue.without(dict(zip(catalogue.names, counts.tolist(), strict=True)))
    return Given(Choices(tuple(policy.actions), places, told, explored), allowed, left)


def _day_reason(action: Action, on: date) -> str | None:
    if action.start_on and on < action.start_on:
        return NOT_BEGUN
    return ENDED if action.end_on and on > action.end_on else None


def read_actions(given: Sequence[Mapping[str, Any]]) -> tuple[Action, ...]:
    """Actions of plain values (JSON, TOML): conditions as lists, days as dates or ISO texts."""
    made = []
    for one in given:
        values = dict(one)
        if unknown := values.keys() - Action.__dataclass_fields__.keys():
            raise InvalidParameter(
                f"an action has no {sorted(unknown)}",
                hint=f"known: {', '.join(Action.__dataclass_fields__)}",
            )
        for day in ("start_on", "end_on"):
            if isinstance(values.get(day), str):
                values[day] = _read_day(values[day])
        values["needs"] = tuple((str(n), str(op), float(x)) for n, op, x in values.get("needs", ()))
        values["conflicts"] = frozenset(values.get("conflicts", ()))
        made.append(Action(**values))
    return tuple(made)


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidParameter(f"{text!r} is no day", hint="write 2026-03-31") from None

"""A decision point as it is written: its actions, what is known when it chooses, its reward and its
policy. `docs/decide-live.md` says what it means, `check.parse` reads one.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

import msgspec

from zhiyin.decide.actions import Action, Catalogue
from zhiyin.decide.conditions import Condition


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that refuses unknown fields."""


class Words(_Node, frozen=True):
    """A text in both languages."""

    en: str = ""
    zh: str = ""


class Option(_Node, frozen=True):
    """One thing that can be chosen; see `decide.actions.Action`.

    `channel`: it is a message, so the gate is asked first, for `purpose`. `score`: the number that
    ranks it, for policies that choose by scores.
    """

    name: str
    words: Words = Words()
    channel: str = ""
    purpose: str = "marketing"
    category: str = ""
    cost_minor: int = 0
    worth_minor: int = 0
    start_on: date | None = None
    end_on: date | None = None
    stock: int | None = None
    needs: tuple[Condition, ...] = ()
    conflicts: tuple[str, ...] = ()
    score: str = ""

    def action(self) -> Action:
        """As a catalogue has it."""
        return Action(
            self.name, self.channel, self.category, self.cost_minor, self.worth_minor,
            self.start_on, self.end_on, self.stock, self.needs, frozenset(self.conflicts),
        )  # fmt: skip


class Told(_Node, frozen=True):
    """A number that requests pass: what is usual of it, for policies that want one scale."""

    middle: float = 0.0
    width: float = 1.0


class Counts(_Node, frozen=True):
    """What counts as the reward; see `decide.rewards.Reward`.

    `outcomes`: kinds of reported outcomes that count (none: all); `orders`: whether orders count;
    `margin_share`: what of an outcome's value, or of an order's amount, is margin.
    """

    kind: Literal["conversion", "margin"] = "conversion"
    window_days: float = 14.0
    settle_days: float = 2.0
    fatigue_minor: float = 0.0
    fatigue_days: float = 30.0
    credit: Literal["last", "every"] = "last"
    outcomes: tuple[str, ...] = ()
    orders: bool = False
    margin_share: float = 1.0


class Chosen(_Node, frozen=True):
    """The policy by name, with its settings beside what the point says already."""

    name: str = "linear_thompson"
    explore: float = 0.02
    settings: dict[str, Any] = {}  # msgspec copies it


class Bound(_Node, frozen=True):
    """What a policy may have of something per choice, on the mean.

    `of`: `contacts` (choices that are a message), `cost` (minor units), or a kind of outcome that
    came within `window_days` (0: the window of the reward). `when`: only choices of which these
    conditions hold, as for a group that fairness protects. `rise`: how much more of an outcome
    than the current policy a candidate may have while it takes over.
    """

    name: str
    of: str
    at_most: float
    when: tuple[Condition, ...] = ()
    window_days: float = 0.0
    rise: float = 0.0


class Rise(_Node, frozen=True):
    """How a candidate takes over; see `decide.ramp.start`.

    `kept`: what the policy before it keeps until as many choices as `planned` have shown that the
    new one stays good.
    """

    shares: tuple[float, ...] = (0.01, 0.05, 0.25)
    kept: float = 0.05
    least: int = 200
    planned: int = 20_000


class Ask(_Node, frozen=True):
    """A rule that sends a choice to a person; it holds where all that it says does.

    `when`: conditions on the numbers; `actions`: one of these was drawn (none: whatever was);
    `above_minor`: what was drawn costs more; `below`: no action is as likely as that.
    """

    name: str
    when: tuple[Condition, ...] = ()
    actions: tuple[str, ...] = ()
    above_minor: int | None = None
    below: float | None = None


class Review(_Node, frozen=True):
    """Which choices a person makes, and within how many hours; after them the default stands."""

    rules: tuple[Ask, ...] = ()
    hours: float = 24.0


class Definition(_Node, frozen=True, dict=True):
    """A decision point.

    `features`: numbers known of customers (`numbers.check_name`), `context`: numbers that requests
    pass; together, in this order, what the policy sees. `k`: how many actions, `deadline_ms`: how
    long a choice may take, unless a request says otherwise. `approval`: another policy begins only
    when a second person has said so; `holdout`: the share of choices that always get the default
    action, so that it is known what the point is worth.
    """

    key: str
    actions: tuple[Option, ...]
    default: str
    name: Words = Words()
    features: tuple[str, ...] = ()
    context: dict[str, Told] = {}  # msgspec copies it
    caps: dict[str, int] = {}
    policy: Chosen = Chosen()
    reward: Counts = Counts()
    k: int = 1
    deadline_ms: int = 50
    approval: bool = True
    holdout: float = 0.0
    limits: tuple[Bound, ...] = ()
    ramp: Rise = Rise()
    review: Review = Review()

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Names of all numbers that a choice sees, in order."""
        return (*self.features, *self.context)

    def catalogue(self) -> Catalogue:
        """Its actions, as rules of eligibility take them."""
        return Catalogue(tuple(one.action() for one in self.actions), caps=dict(self.caps))


def dump(definition: Definition) -> str:
    """The point as JSON; `parse` gives it back."""
    return msgspec.json.encode(definition).decode()


def kept(values: dict[str, Any]) -> Definition:
    """A point that was checked when it was kept."""
    return msgspec.convert(values, type=Definition)


def digest(definition: Definition) -> str:
    """A hash of all that the point says."""
    return sha256(dump(definition).encode()).hexdigest()[:16]

"""An experiment as it is planned, frozen by a hash before the first unit is assigned.

What is compared, how, for how long and with what margin is written down first: whoever chooses the
metric or the day of the end after a look finds an effect where there is none. A changed plan has
another hash, so a read-out always says which plan it answers.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec

from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.measure.experiment.result import Better, Method, Prior

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
Kind = Literal["mean", "share", "ratio", "quantile"]
Role = Literal["goal", "guard", "other"]
GOAL: Role = "goal"
GUARD: Role = "guard"
_HINT = "docs/measure-experiment.md"


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that refuses unknown fields."""


class Metric(_Node, frozen=True):
    """One metric per unit and what it is for.

    `goal`: what the experiment is to move, the first one decides; `guard`: must not lose more than
    `margin` (a lift); `other`: is shown. `adjusted`: by what the unit had before (CUPED). `cap`:
    per unit, 0 = none. `quantile` belongs to that kind alone. `of` and, of a ratio, `per`: what is
    counted in a workspace (`measures`); without `of` it is what the name says.
    """

    name: str
    kind: Kind = "mean"
    role: Role = "goal"
    better: Better = "higher"
    relative: bool = True
    adjusted: bool = False
    margin: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    cap: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    quantile: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    of: str = ""
    per: str = ""


class Belief(_Node, frozen=True):
    """The prior of `bayes`, of the lift."""

    mean: float = 0.0
    deviation: Annotated[float, msgspec.Meta(gt=0)] = 0.3

    def to_prior(self) -> Prior:
        """As tests take it."""
        return Prior(self.mean, self.deviation)


class Experiment(_Node, frozen=True):
    """Who is compared with whom, by what, from when to when.

    `arms`: name → weight; `planned`: units of all arms that are expected; `ends_on`: the last day
    on which units are assigned, whose windows of `window_days` end later; `layer` and `slot`: the
    part of a layer whose experiments exclude each other; `segments`: known before the assignment,
    looked at by name and no others; `unit`: who is assigned, a customer or a visitor.
    """

    id: str
    question: str
    arms: dict[str, float]
    control: str
    starts_on: date
    ends_on: date
    metrics: tuple[Metric, ...]
    planned: Annotated[int, msgspec.Meta(ge=2)]
    window_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 14
    method: Method = "t"
    level: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95
    power: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.8
    coverage: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    layer: str = ""
    slot: tuple[float, float] = (0.0, 1.0)
    belief: Belief | None = None
    segments: tuple[str, ...] = ()
    unit: Literal["customer", "visitor"] = "customer"

    @property
    def goals(self) -> tuple[Metric, ...]:
        """What the experiment is to move; the first one decides."""
        return tuple(metric for metric in self.metrics if metric.role == GOAL)

    @property
    def treatments(self) -> tuple[str, ...]:
        """All arms but the control, by name."""
        return tuple(sorted(set(self.arms) - {self.control}))

    @property
    def over_on(self) -> date:
        """The first day on which every window is over."""
        return self.ends_on + timedelta(days=self.window_days + 1)


@dataclass(frozen=True)
class Plan:
    """An experiment that is not changed any more, and its hash."""

    experiment: Experiment
    hash: str


def parse(value: str | bytes | dict[str, Any]) -> Experiment:
    """Read an experiment from TOML text or its parsed values, and check it.

    Raises
    ------
    InputError
        If it is no TOML.
    InvalidParameter
        If a field is missing, unknown or out of range.
    """
    try:
        if not isinstance(value, dict):
            value = tomllib.loads(value.decode() if isinstance(value, bytes) else value)
        made = msgspec.convert(value, type=Experiment)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"the experiment: {error}", hint=_HINT) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"the experiment cannot be read: {error}", hint="write it as TOML"
        ) from None
    check(made)
    return made


def check(experiment: Experiment) -> None:
    """Refuse what cannot be measured.

    Raises
    ------
    InvalidParameter
        With what is wrong.
    """
    e = experiment
    for name in (e.id, *e.arms, *(metric.name for metric in e.metrics)):
        if not KEY.fullmatch(name):
            raise InvalidParameter(f"{name!r} is no key", hint="letters a-z, digits, - and _")
    wrong = ""
    if len(e.arms) < 2 or min(e.arms.values()) <= 0:
        wrong = "it takes two arms or more, each with a weight above 0"
    elif e.control not in e.arms:
        wrong = f"the control {e.control!r} is none of the arms"
    elif e.ends_on < e.starts_on:
        wrong = f"it ends on {e.ends_on}, before it starts"
    elif not e.goals:
        wrong = "it has no goal: nothing would decide"
    elif len({metric.name for metric in e.metrics}) < len(e.metrics):
        wrong = "two metrics have one name"
    elif not 0 <= e.slot[0] < e.slot[1] <= 1:
        wrong = f"its slot {e.slot} is not within [0, 1]"
    elif e.slot != (0.0, 1.0) and not e.layer:
        wrong = "a slot belongs to a layer"
    elif e.belief is not None and e.method != "bayes":
        wrong = f"a belief belongs to bayes, not to {e.method}"
    for metric in e.metrics:
        if (metric.kind == "quantile") != (metric.quantile > 0):
            wrong = f"{metric.name}: a quantile metric has a quantile in (0, 1), others have none"
        elif metric.adjusted and metric.kind == "quantile":
            wrong = f"{metric.name}: quantiles are not adjusted"
        elif metric.margin and metric.role != GUARD:
            wrong = f"{metric.name}: a margin belongs to a guard"
    if wrong:
        raise InvalidParameter(f"experiment {e.id}: {wrong}", hint=_HINT)


def freeze(experiment: Experiment) -> Plan:
    """The plan with its hash: SHA-256 of its canonical JSON."""
    check(experiment)
    text = msgspec.json.encode(experiment, order="deterministic")
    return Plan(experiment, sha256(text).hexdigest())

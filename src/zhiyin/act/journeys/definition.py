"""A journey as it is written: who enters, the steps, who leaves. `docs/journeys.md` says what it
means, `check.parse` reads one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

import msgspec

from zhiyin.act.campaigns.text import Text, parse_text
from zhiyin.audience.rule import Rule, Where

DAY_S = 86_400
START = "entry"
"""What the place before the first step is called where steps are counted."""


Way = Literal["", "email", "sms", "wecom", "wechat_subscribe", "webhook"]
"""By which channel messages leave; empty: the workspace's usual one."""


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that refuses unknown fields."""


class Happening(_Node, frozen=True):
    """Something she does: a tracked `event` of this name, or a `purchase` of any source, of which
    one row meets all conditions of `where`.
    """

    event: str = ""
    purchase: bool = False
    where: tuple[Where, ...] = ()

    @property
    def table(self) -> str:
        """The table in which it can be seen."""
        return "order_lines" if self.purchase else "events"


class OnEvent(_Node, frozen=True, tag_field="type", tag="event"):
    """Who does `on` enters; never for what happened more than `window_hours` before it came in."""

    on: Happening
    window_hours: int = 24


class OnDate(_Node, frozen=True, tag_field="type", tag="date"):
    """A date of hers, `offset_days` after it (negative: before), at `hour` in the shop's zone.

    Yearly: exactly once a year. Who was born on 29 February celebrates on `leap_day` in other
    years.
    """

    field: str = "birthday"
    repeats: Literal["yearly", "once"] = "yearly"
    offset_days: int = 0
    hour: int = 9
    leap_day: Literal["02-28", "03-01"] = "02-28"


class OnAudience(_Node, frozen=True, tag_field="type", tag="audience"):
    """Who enters, or leaves, an audience."""

    audience: str
    change: Literal["entered", "left"] = "entered"
    window_hours: int = 24


class OnSchedule(_Node, frozen=True, tag_field="type", tag="schedule"):
    """All who meet `rule` at `hour` of the day, every `every_days` days from the publication."""

    rule: Rule
    every_days: int = 7
    hour: int = 9


class OnCall(_Node, frozen=True, tag_field="type", tag="api"):
    """Only whom `zhiyin journey enter` or the API names; that is possible of every journey."""


Entry = OnEvent | OnDate | OnAudience | OnSchedule | OnCall


class Delay(_Node, frozen=True, tag_field="type", tag="delay"):
    """She goes on so much later."""

    days: int = 0
    hours: int = 0
    minutes: int = 0
    next: str = ""


class Wait(_Node, frozen=True, tag_field="type", tag="wait"):
    """She goes on to `then` when she does `on`, to `otherwise` when the time is over."""

    on: Happening
    days: int = 0
    hours: int = 0
    then: str = ""
    otherwise: str = ""


class Split(_Node, frozen=True, tag_field="type", tag="split"):
    """She goes on to `then` if she meets the rule at this moment, otherwise to `otherwise`."""

    rule: Rule
    then: str = ""
    otherwise: str = ""


class Branch(_Node, frozen=True):
    """A share of people, in [0, 1], and their next step."""

    share: float
    next: str = ""


class Random(_Node, frozen=True, tag_field="type", tag="random"):
    """She goes on to one of the branches by lot; the lot is drawn when she enters."""

    branches: tuple[Branch, ...]


class Words(_Node, frozen=True):
    """A text in both languages."""

    en: str
    zh: str


class Letter(_Node, frozen=True):
    """A text of one's own in one language, as a variant of a campaign has it."""

    subject: str = ""
    text: str = ""
    mjml: str = ""
    link: str = ""
    link_text: str = ""
    template: str = ""
    page: str = ""
    data: dict[str, str] = {}  # msgspec copies it


class Message(_Node, frozen=True, tag_field="type", tag="message"):
    """A message is planned for her: the `template` with an `offer`, or texts of one's own.

    It leaves by `channel` (empty: that of the journey). What came due more than `valid_hours` ago
    is skipped.
    """

    offer: Words | None = None
    template: str = ""
    en: Letter | None = None
    zh: Letter | None = None
    channel: Way = ""
    valid_hours: int = 24
    next: str = ""

    @property
    def languages(self) -> tuple[str, ...]:
        """In which it is written."""
        held = {"en": self.en, "zh": self.zh}
        return tuple(one for one in held if self.offer is not None or held[one] is not None)

    @property
    def provider_template(self) -> str:
        """The template of a mini-programme that its texts fill; empty: the workspace's."""
        held = [one.template for one in (self.en, self.zh) if one is not None]
        return next(filter(None, held), "")


class SetTag(_Node, frozen=True, tag_field="type", tag="tag"):
    """She is given a manual tag, for `days` days (0: for good), or it is taken from her."""

    name: str
    value: str = ""
    take: bool = False
    days: int = 0
    next: str = ""


class Action(_Node, frozen=True):
    """One of the things that can be done next; only for those who meet `rule`, where it has one."""

    next: str = ""
    rule: Rule | None = None


class NextBest(_Node, frozen=True, tag_field="type", tag="next_best_action"):
    """She goes on to the action that earns the `reward` most likely, and now and then to another,
    so that it is learned which one that is.

    The reward (none: the journey's goal) counts within `days`. The share `explore` of people is
    spread evenly. Who may have none of the actions goes on to `otherwise`. Where a decision `point`
    is named, its policy chooses, and explores as that says.
    """

    actions: dict[str, Action]
    point: str = ""
    reward: Happening | None = None
    days: int = 14
    explore: float = 0.05
    otherwise: str = ""


class Call(_Node, frozen=True, tag_field="type", tag="webhook"):
    """A system of the shop's is told that she is here, with `properties` of the step's own."""

    hook: str
    properties: dict[str, str | int | float | bool] = {}
    valid_hours: int = 24
    next: str = ""


class Exit(_Node, frozen=True, tag_field="type", tag="exit"):
    """She leaves."""


Step = Delay | Wait | Split | Random | Message | SetTag | NextBest | Call | Exit


class Leave(_Node, frozen=True):
    """Who enters, or leaves, this audience leaves the journey."""

    audience: str
    change: Literal["entered", "left"] = "left"


class Definition(_Node, frozen=True):
    """A journey. Steps are named; the first one is where people begin unless `start` says so.

    Its messages leave by `channel`, unless a step says otherwise.
    """

    key: str
    entry: Entry
    steps: dict[str, Step]
    start: str = ""
    reentry: Literal["never", "after", "always"] = "never"
    reentry_days: int = 0
    goal: Happening | None = None
    leave: Leave | None = None
    channel: Way = ""

    def way_of(self, step: Message) -> str:
        """By which channel a step's message leaves; empty: the workspace's usual one."""
        return step.channel or self.channel

    def first(self) -> str:
        """The step where people begin."""
        return self.start or next(iter(self.steps))

    def texts(self) -> dict[tuple[str, str], Text]:
        """The texts of one's own, by step and language."""
        return {
            (name, language): parse_text(msgspec.structs.asdict(letter))
            for name, step in self.steps.items()
            if isinstance(step, Message)
            for language, letter in (("en", step.en), ("zh", step.zh))
            if letter is not None
        }


def dump(definition: Definition) -> str:
    """The journey as JSON; `parse` gives it back."""
    return msgspec.json.encode(definition).decode()


def digest(definition: Definition) -> str:
    """A hash of all that the journey says."""
    return sha256(dump(definition).encode()).hexdigest()[:16]


def targets(step: Step) -> tuple[str, ...]:
    """Names of the steps that may follow; an empty name is the end."""
    if isinstance(step, Wait | Split):
        return step.then, step.otherwise
    if isinstance(step, Random):
        return tuple(branch.next for branch in step.branches)
    if isinstance(step, NextBest):
        return *(one.next for one in step.actions.values()), step.otherwise
    return () if isinstance(step, Exit) else (step.next,)


def wait_s(step: Step) -> int:
    """How many seconds a person stays at most where nothing happens."""
    if isinstance(step, Delay):
        return step.days * DAY_S + step.hours * 3600 + step.minutes * 60
    return step.days * DAY_S + step.hours * 3600 if isinstance(step, Wait) else 0


def happenings(definition: Definition) -> Iterator[Happening]:
    """Everything the journey looks for in what people do."""
    if isinstance(definition.entry, OnEvent):
        yield definition.entry.on
    if definition.goal is not None:
        yield definition.goal
    for step in definition.steps.values():
        if isinstance(step, Wait):
            yield step.on

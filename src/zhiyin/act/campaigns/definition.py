"""What a campaign is: read from a file or a request, checked, as frozen values."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from zhiyin.act.campaigns.handed import (
    AD_LISTS,
    FILE,
    LISTS,
    TEXTS,
    WEBHOOK,
    Calls,
    FileOf,
    WebhookOf,
    addressed_by,
    medium_of,
)
from zhiyin.act.campaigns.text import CHAT, MEMBER, Text, check_text
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.govern.gate import ADS
from zhiyin.govern.people import EMAIL, SMS

SOURCE = "zhiyin"
"""Source of the ids of planned campaigns: their messages stand under `zhiyin:KEY`."""
MARKETING, TRANSACTIONAL = "marketing", "transactional"
_STRICT = ConfigDict(extra="forbid")
_Share = Annotated[float, Field(ge=0, le=1)]
_Money = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]


@dataclass(frozen=True)
class Variant:
    """One content of the campaign; `share` of those who are written to (none: equal shares)."""

    __pydantic_config__ = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    en: Text | None = None
    zh: Text | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None

    @property
    def texts(self) -> dict[str, Text]:
        """By language."""
        held = {"en": self.en, "zh": self.zh}
        return {language: text for language, text in held.items() if text is not None}


@dataclass(frozen=True)
class Schedule:
    """When: at once, `at` a moment, or at a `local_hour` where each customer is, from day `on`.

    A moment without zone, and a customer without one, are in the workspace's.
    """

    __pydantic_config__ = _STRICT

    at: datetime | None = None
    local_hour: Annotated[int, Field(ge=0, le=23)] | None = None
    on: date | None = None


@dataclass(frozen=True)
class Stop:
    """Pause when, of at least `after` sent, more than a share came to a bad end."""

    __pydantic_config__ = _STRICT

    after: Annotated[int, Field(ge=1)] = 500
    complaints: _Share | None = None
    bounces: _Share | None = None
    unsubscribes: _Share | None = None


@dataclass(frozen=True)
class Goal:
    """What is to be shown: that `change` more (relative) buy within `days`.

    `base_rate`: the share that buys by itself; none: as in the audience before.
    """

    __pydantic_config__ = _STRICT

    days: Annotated[int, Field(ge=1, le=366)] = 14
    change: Annotated[float, Field(gt=0)] = 0.1
    base_rate: _Share | None = None


@dataclass(frozen=True)
class Definition:
    """A whole campaign; money in the workspace's currency."""

    __pydantic_config__ = _STRICT

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=10)]
    choose_by: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,47})?$")] = ""
    """Key of the decision point whose policy chooses each one's variant; empty: it is drawn."""
    name: Annotated[str, Field(max_length=120)] = ""
    audience: Annotated[str, Field(max_length=80)] = ""
    rule: dict[str, Any] | None = None
    channel: Literal[
        "email", "sms", "wecom", "wechat_subscribe", "webhook", "task", "file", "google_ads",
        "meta_ads",
    ] = "email"  # fmt: skip
    purpose: Literal["marketing", "transactional", "ads"] = MARKETING
    holdout_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    caps: tuple[Annotated[str, Field(pattern=r"^[a-z_]+:[1-9]\d{0,3}/[1-9]\d{0,3}d$")], ...] = ()
    cost: _Money = Decimal(0)
    budget: _Money | None = None
    schedule: Schedule = field(default_factory=Schedule)
    stop: Stop | None = None
    goal: Goal = field(default_factory=Goal)
    member: Annotated[str, Field(max_length=64)] = ""
    """Of the channel `wecom`: who confirms messages to customers without a member of theirs."""
    task: Calls = field(default_factory=Calls)
    file: FileOf = field(default_factory=FileOf)
    webhook: WebhookOf = field(default_factory=WebhookOf)

    @property
    def medium(self) -> str:
        """The channel that its messages stand under."""
        return medium_of(self.channel, self.file, self.webhook)

    @property
    def via(self) -> str:
        """The channel that its messages leave by; empty: that of their medium."""
        return WEBHOOK if self.channel == WEBHOOK else ""

    @property
    def form(self) -> str:
        """The medium whose parts its texts have."""
        return EMAIL if self.channel in LISTS else self.medium

    @property
    def template(self) -> str:
        """Of a mini-programme: the template of all its texts; empty: the workspace's."""
        texts = [text for one in self.variants for text in one.texts.values()]
        return texts[0].template if texts and self.form == CHAT else ""

    @property
    def addressed_by(self) -> str:
        """The channel of the addresses, consents, suppressions and caps that it is held to."""
        return addressed_by(self.medium)

    @property
    def campaign_id(self) -> str:
        """Under which its messages stand."""
        return campaign_id(self.key)

    @property
    def languages(self) -> tuple[str, ...]:
        """In which every variant is written; both where it has no text, as a list for ads."""
        return tuple(self.variants[0].texts) or ("en", "zh")

    @property
    def shares(self) -> dict[str, float]:
        """Variant → its share of those who are written to; they sum to 1."""
        equal = 1 / len(self.variants)
        return {one.name: equal if one.share is None else one.share for one in self.variants}

    @property
    def affordable(self) -> int | None:
        """How many messages the budget pays for; None: any number."""
        if self.budget is None or not self.cost:
            return None
        return int(self.budget // self.cost)


_ADAPTER = TypeAdapter(Definition)


def campaign_id(key: str) -> str:
    """The id of the campaign that a person planned under `key`."""
    return f"{SOURCE}:{key}"


def is_planned_by_hand(campaign: str) -> bool:
    """Whether a campaign's id is that of one that a person planned."""
    return campaign.startswith(f"{SOURCE}:")


def read_definition(path: Path) -> Definition:
    """A campaign from a TOML or JSON file; `file:NAME` in place of a `text` or `mjml` is read from
    beside it.

    Raises
    ------
    InputError
        If a file cannot be read.
    InvalidParameter
        As `parse_definition`.
    """
    text = _read(path)
    try:
        values = (
            json.loads(text, parse_float=Decimal)
            if path.suffix == ".json"
            else tomllib.loads(text, parse_float=Decimal)
        )
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path.name} cannot be read: {error}", hint="correct that line"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{path.name} holds no campaign", hint="see docs/campaigns.md")
    return parse_definition(_with_files(values, path.parent))


def parse_definition(values: Mapping[str, Any]) -> Definition:
    """A campaign from plain values.

    Raises
    ------
    InvalidParameter
        With the place and what to do: an unknown or missing field, a value outside its range,
        shares that do not sum to 1, variants in different languages.
    """
    given = dict(values)
    if given.get("channel") in LISTS:  # a list needs no text; the purpose of one for ads is its own
        given.setdefault("variants", [{"name": "all"}])
    if given.get("channel") in AD_LISTS:
        given.setdefault("purpose", ADS)
    try:
        made = _ADAPTER.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "campaign"
        unknown = first["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        hint = "remove it or correct its spelling" if unknown else f"give {place} another value"
        if first["type"] in ("missing", "missing_argument"):
            hint = f"add {place}; see docs/campaigns.md"
        said = "there is no such field" if unknown else first["msg"]
        raise InvalidParameter(f"{place}: {said}", hint=hint) from error
    _check(made)
    return made


def dump_definition(definition: Definition) -> dict[str, Any]:
    """As JSON values, which `parse_definition` reads back."""
    return _ADAPTER.dump_python(definition, mode="json", exclude_none=True)


def definition_schema() -> dict[str, Any]:
    """The JSON Schema of a campaign."""
    return _ADAPTER.json_schema()


def _check(made: Definition) -> None:
    if bool(made.audience) == (made.rule is not None):
        raise InvalidParameter(
            "a campaign needs an audience or a rule, not both",
            hint='audience = "NAME" of zhiyin audience list, or a table [rule]',
        )
    _check_variants(made)
    _check_channel(made)
    schedule = made.schedule
    if schedule.at is not None and (schedule.local_hour is not None or schedule.on is not None):
        raise InvalidParameter(
            "schedule: `at` is a moment for all, `local_hour` an hour for each", hint="give one"
        )
    if schedule.on is not None and schedule.local_hour is None:
        raise InvalidParameter("schedule: `on` needs a `local_hour`", hint="or give `at`")
    if made.purpose == TRANSACTIONAL and made.holdout_share:
        raise InvalidParameter(
            "a transactional message is owed to everybody", hint="set holdout_share = 0"
        )
    if made.budget is not None and not made.cost and made.form != SMS:
        raise InvalidParameter("a budget needs the cost of a message", hint='set cost = "0.01"')


def _check_variants(made: Definition) -> None:
    names = [one.name for one in made.variants]
    if len(set(names)) != len(names):
        raise InvalidParameter("two variants have the same name", hint="name each differently")
    given = [one.share for one in made.variants if one.share is not None]
    if given and (len(given) != len(names) or abs(sum(given) - 1) > 1e-9):
        raise InvalidParameter(
            f"the shares of the variants sum to {sum(given):g}, not to 1",
            hint="give every variant a share, or none: then they are equal",
        )
    if made.choose_by and (given or len(names) < 2 or made.form == SMS):
        raise InvalidParameter(
            "choose_by: a decision point chooses between two variants or more, without shares, of "
            "messages that cost the same whatever they say, so of no text messages",
            hint="leave out choose_by, or the shares",
        )
    spoken = {tuple(one.texts) for one in made.variants}
    if len(spoken) > 1 or (() in spoken and made.channel not in LISTS):
        raise InvalidParameter(
            "every variant needs a text, and all in the same languages",
            hint="otherwise the variants reach different people: [variants.en], [variants.zh]",
        )


def _check_channel(made: Definition) -> None:
    if (made.purpose == ADS) != (made.channel in AD_LISTS):
        raise InvalidParameter(
            f"purpose {made.purpose!r} does not go with the channel {made.channel!r}",
            hint=f"the purpose of {', '.join(AD_LISTS)} is ads, and of nothing else",
        )
    if made.channel in AD_LISTS and (made.budget is not None or made.caps):
        raise InvalidParameter(
            "a list for ads costs no messages: it has no budget and no caps",
            hint="limit the audience, or the spend at the platform",
        )
    written = all(one.texts for one in made.variants)
    if made.channel == FILE and not written and set(TEXTS) & set(made.file.columns):
        raise InvalidParameter(
            f"the columns {', '.join(TEXTS)} need a text in every variant",
            hint="write [variants.en] and [variants.zh], or leave these columns out",
        )
    if made.member and made.form != MEMBER:
        raise InvalidParameter(
            f"nobody confirms what goes by {made.channel}", hint="remove member, or use wecom"
        )
    texts = [(one.name, *pair) for one in made.variants for pair in one.texts.items()]
    for name, language, text in texts:
        check_text(text, made.form, where=f"variant {name} in {language}")
    if made.form == CHAT and len({text.template for *_, text in texts}) > 1:
        raise InvalidParameter(
            "the texts of a mini-programme's campaign name several templates",
            hint="she allows messages of one template: make a campaign for each",
        )


def _with_files(values: Any, folder: Path) -> Any:  # Any: parsed values
    if isinstance(values, dict):
        return {
            name: _read(folder / one.removeprefix("file:")).strip()
            if name in ("text", "mjml") and isinstance(one, str) and one.startswith("file:")
            else _with_files(one, folder)
            for name, one in values.items()
        }
    if isinstance(values, list):
        return [_with_files(one, folder) for one in values]
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read: {error.strerror}",
            hint="give a file that holds the campaign as TOML or JSON",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8", hint="save it as UTF-8") from error

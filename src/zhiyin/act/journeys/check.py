"""Reads a journey from JSON or TOML and checks it as far as it can be checked alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec

from zhiyin.act.campaigns.text import parse_text
from zhiyin.act.journeys.definition import (
    DAY_S,
    START,
    Action,
    Branch,
    Call,
    Definition,
    Delay,
    Happening,
    Leave,
    Letter,
    Message,
    NextBest,
    OnAudience,
    OnDate,
    OnEvent,
    OnSchedule,
    Random,
    SetTag,
    Split,
    Step,
    Wait,
    Words,
    targets,
    wait_s,
)
from zhiyin.audience.check import check as check_rule
from zhiyin.audience.check import check_where
from zhiyin.audience.rule import Where, did_you_mean, explain_invalid
from zhiyin.core.errors import InvalidParameter, InvalidRule

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
TEMPLATES = ("offer",)
MAX_DAYS, MAX_STEPS = 3_650, 100
MAX_ACTIONS, MAX_REWARD_DAYS, LEAST_EXPLORE = 20, 365, 0.01
MAX_PROPERTIES, MAX_TOLD = 20, 2_000
SHARE_TOLERANCE = 1e-9


def parse(value: str | bytes | dict[str, Any], *, toml: bool = False) -> Definition:
    """Read a journey from JSON (or TOML) text or from its parsed values, and check it.

    Raises
    ------
    InvalidRule
        With the place and what to do.
    """
    try:
        if toml and not isinstance(value, dict):
            value = tomllib.loads(value.decode() if isinstance(value, bytes) else value)
        if isinstance(value, dict):
            made = msgspec.convert(value, type=Definition)
        else:
            made = msgspec.json.decode(value, type=Definition)
    except msgspec.ValidationError as error:
        raise explain_invalid(str(error), fields=_FIELDS) from None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise wrong(
            "$",
            f"the journey cannot be read: {error}",
            "no_json",
            "write it as TOML or JSON, in UTF-8; see docs/journeys.md",
        ) from None
    check(made)
    return made


def check(definition: Definition) -> None:
    """Refuse a journey that cannot be meant.

    Raises
    ------
    InvalidRule
        With the place, the reason and what to do.
    """
    if not KEY.fullmatch(definition.key):
        raise wrong(
            "$.key", f"{definition.key[:60]!r} is no key of a journey", "wrong_value",
            "1 to 48 small letters, digits, - or _",
        )  # fmt: skip
    if not 1 <= len(definition.steps) <= MAX_STEPS:
        raise wrong("$.steps", f"a journey has 1 to {MAX_STEPS} steps", "wrong_value")
    _check_entry(definition)
    _known(definition, "$.start", [definition.start])
    for name, step in definition.steps.items():
        where = f"$.steps.{name}"
        if not name or len(name) > 48 or name == START:
            raise wrong(where, f"{name[:60]!r} is no name of a step", "wrong_value")
        _known(definition, where, targets(step))
        _check_step(step, where)
        if isinstance(step, NextBest) and not (step.point or step.reward or definition.goal):
            raise wrong(
                where, "nothing says what its reward is", "wrong_value",
                'give it reward = {purchase = true}, or the journey a goal',
            )  # fmt: skip
    _check_reached(definition)
    cycle = cyclic(definition, without_waits=True)
    if cycle:
        raise wrong(
            "$.steps", f"the steps {', '.join(sorted(cycle))} run in a circle without a delay",
            "cycle", "put a delay of an hour or more into the circle",
        )  # fmt: skip


def cyclic(definition: Definition, *, without_waits: bool = False) -> set[str]:
    """Steps that lie on a circle; `without_waits`: on one that takes less than an hour."""
    follow = {
        name: {one for one in targets(step) if one}
        for name, step in definition.steps.items()
        if not (without_waits and isinstance(step, Delay) and wait_s(step) >= 3600)
    }
    return {name for name in follow if name in _reach(follow, follow[name])}


def _reach(follow: dict[str, set[str]], begin: Iterable[str]) -> set[str]:
    found: set[str] = set()
    todo = list(begin)
    while todo:
        name = todo.pop()
        if name not in found and name in follow:
            found.add(name)
            todo.extend(follow[name])
    return found


def _check_reached(definition: Definition) -> None:
    follow = {name: {one for one in targets(s) if one} for name, s in definition.steps.items()}
    lost = sorted(set(follow) - _reach(follow, [definition.first()]))
    if lost:
        raise wrong(
            f"$.steps.{lost[0]}", f"nobody ever comes to the step {lost[0]!r}", "unreachable",
            "name it as the next of another step, or take it out",
        )  # fmt: skip


def _check_entry(definition: Definition) -> None:
    entry = definition.entry
    if isinstance(entry, OnEvent):
        _check_happening(entry.on, "$.entry.on")
    if isinstance(entry, OnEvent | OnAudience):
        _between(entry.window_hours, 1, MAX_DAYS * 24, "$.entry.window_hours")
    if isinstance(entry, OnDate):
        _between(entry.offset_days, -180, 180, "$.entry.offset_days")
    if isinstance(entry, OnSchedule):
        check_rule(entry.rule, path="$.entry.rule")
        _between(entry.every_days, 1, MAX_DAYS, "$.entry.every_days")
    if isinstance(entry, OnDate | OnSchedule):
        _between(entry.hour, 0, 23, "$.entry.hour")
    if definition.goal is not None:
        _check_happening(definition.goal, "$.goal")
    if definition.reentry == "after":
        _between(definition.reentry_days, 1, MAX_DAYS, "$.reentry_days")
    elif definition.reentry_days:
        raise wrong(
            "$.reentry_days", f"re-entry {definition.reentry!r} takes no days", "wrong_value",
            'set reentry = "after"',
        )  # fmt: skip


def _check_step(step: Step, where: str) -> None:
    if isinstance(step, Delay | Wait):
        for unit in ("days", "hours", "minutes")[: 3 if isinstance(step, Delay) else 2]:
            _between(getattr(step, unit), 0, MAX_DAYS, f"{where}.{unit}")
        _between(wait_s(step), 60, MAX_DAYS * DAY_S, where, unit=" seconds")
    if isinstance(step, Wait):
        _check_happening(step.on, f"{where}.on")
    elif isinstance(step, Split):
        check_rule(step.rule, path=f"{where}.rule")
    elif isinstance(step, Random):
        total = sum(branch.share for branch in step.branches)
        if abs(total - 1) > SHARE_TOLERANCE or any(one.share < 0 for one in step.branches):
            raise wrong(
                f"{where}.branches", f"the shares sum to {total:g}", "wrong_value",
                "shares are not negative and sum to 1",
            )  # fmt: skip
    elif isinstance(step, SetTag):
        _between(step.days, 0, MAX_DAYS, f"{where}.days")
        if step.take and (step.value or step.days):
            raise wrong(
                where, "a tag is taken as a whole", "wrong_value", "leave out value and days"
            )  # fmt: skip
    elif isinstance(step, NextBest):
        _check_next_best(step, where)
    elif isinstance(step, Call):
        _between(step.valid_hours, 1, MAX_DAYS * 24, f"{where}.valid_hours")
        if len(step.properties) > MAX_PROPERTIES or len(str(step.properties)) > MAX_TOLD:
            raise wrong(
                f"{where}.properties", "it tells too much", "wrong_value",
                f"at most {MAX_PROPERTIES} properties of {MAX_TOLD} letters together",
            )  # fmt: skip
    elif isinstance(step, Message):
        _check_message(step, where)


def _check_next_best(step: NextBest, where: str) -> None:
    if not 2 <= len(step.actions) <= MAX_ACTIONS:
        raise wrong(
            f"{where}.actions", f"{len(step.actions)} actions are no choice", "wrong_value",
            f"name 2 to {MAX_ACTIONS}; one without next does nothing",
        )  # fmt: skip
    for name, action in step.actions.items():
        if not KEY.fullmatch(name):
            raise wrong(
                f"{where}.actions", f"{name[:60]!r} is no name of an action", "wrong_value",
                "1 to 48 small letters, digits, - or _",
            )  # fmt: skip
        if action.rule is not None:
            check_rule(action.rule, path=f"{where}.actions.{name}.rule")
    if step.point and not KEY.fullmatch(step.point):
        raise wrong(
            f"{where}.point", f"{step.point[:60]!r} is no key of a decision point", "wrong_value",
            "zhiyin decision list",
        )  # fmt: skip
    if step.point and step.explore != NextBest(step.actions).explore:
        raise wrong(
            f"{where}.explore", "the policy of the decision point says how much it explores",
            "wrong_value", "leave it out, or set explore under the point's policy",
        )  # fmt: skip
    if step.reward is not None:
        _check_happening(step.reward, f"{where}.reward")
    _between(step.days, 1, MAX_REWARD_DAYS, f"{where}.days")
    if not LEAST_EXPLORE <= step.explore <= 1:
        raise wrong(
            f"{where}.explore", f"a share of {step.explore:g} cannot stand here", "wrong_value",
            f"a number from {LEAST_EXPLORE} to 1: who never explores never learns",
        )  # fmt: skip


def _check_message(step: Message, where: str) -> None:
    _between(step.valid_hours, 1, MAX_DAYS * 24, f"{where}.valid_hours")
    if step.en is not None or step.zh is not None:
        if step.template or step.offer is not None:
            raise wrong(
                where, "it has texts of its own and a template", "wrong_value",
                "leave out template and offer, or en and zh",
            )  # fmt: skip
        for language, letter in (("en", step.en), ("zh", step.zh)):
            try:
                if letter is not None:
                    parse_text(msgspec.structs.asdict(letter))
            except InvalidParameter as error:
                raise wrong(f"{where}.{language}", error.message, "wrong_value") from None
        return
    if step.template not in TEMPLATES:
        said = f"there is no template {step.template!r}" if step.template else "no template"
        raise wrong(
            f"{where}.template", said, "unknown_template",
            f"one of: {', '.join(TEMPLATES)}; or write en and zh",
        )  # fmt: skip
    if step.offer is None or not step.offer.en.strip() or not step.offer.zh.strip():
        raise wrong(f"{where}.offer", "a text is empty", "wrong_value", "write en and zh")


def _check_happening(one: Happening, where: str) -> None:
    if bool(one.event.strip()) == one.purchase:
        raise wrong(
            where, "it names neither an event nor a purchase, or both", "wrong_value",
            'for example {"event": "Signed Up"} or {"purchase": true}',
        )  # fmt: skip
    check_where(one.table, one.where, where)


def _known(definition: Definition, where: str, names: Iterable[str]) -> None:
    for name in names:
        if name and name not in definition.steps:
            close = did_you_mean(name, list(definition.steps))
            raise wrong(
                where, f"there is no step {name!r}", "unknown_step",
                close or f"steps: {', '.join(definition.steps)}",
            )  # fmt: skip


def _between(value: int, least: int, most: int, where: str, *, unit: str = "") -> None:
    if not least <= value <= most:
        raise wrong(
            where, f"{value}{unit} cannot stand here", "wrong_value",
            f"a whole number from {least} to {most}",
        )  # fmt: skip


def wrong(where: str, said: str, reason: str, hint: str = "") -> InvalidRule:
    """The error of a place in a journey."""
    return InvalidRule(f"{where}: {said}", reason=reason, where=where, hint=hint)


_FIELDS = sorted(
    {
        name
        for kind in (
            Definition, OnEvent, OnDate, OnAudience, OnSchedule, Delay, Wait, Split, Branch, Random,
            Message, Letter, SetTag, NextBest, Action, Call, Leave, Happening, Words, Where,
        )
        for name in kind.__struct_fields__
    }
    | {"type"}
)  # fmt: skip

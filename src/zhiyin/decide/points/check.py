"""Reads a decision point from JSON or TOML and checks it as far as it can be checked alone."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec

from zhiyin.audience.rule import did_you_mean, explain_invalid
from zhiyin.core.errors import InvalidParameter, InvalidRule, NotFound
from zhiyin.decide.conditions import COMPARE, Condition
from zhiyin.decide.points.definition import (
    Ask,
    Bound,
    Chosen,
    Counts,
    Definition,
    Option,
    Review,
    Rise,
    Told,
    Words,
)
from zhiyin.decide.points.numbers import NUMERIC, check_name
from zhiyin.decide.points.point_policy import BY_SCORES, OF_RATES, make_policy, usual_scaling
from zhiyin.decide.policy import POLICIES
from zhiyin.decide.ramp import Metric, start

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
MOST_ACTIONS, MOST_NUMBERS, MOST_PLACES = 200, 200, 20
MOST_DAYS, MOST_HOURS, MOST_DEADLINE_MS, MOST_HELD_OUT = 365, 720, 10_000, 0.5
PURPOSES = ("marketing", "transactional")
_PLAIN = re.compile(r"[\w.:-]{1,48}")


def parse(value: str | bytes | dict[str, Any], *, toml: bool = False) -> Definition:
    """Read a decision point from JSON (or TOML) text or from its parsed values, and check it.

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
        raise _wrong(
            "$", f"the decision point cannot be read: {error}", "no_json",
            "write it as TOML or JSON, in UTF-8; see docs/decide-live.md",
        ) from None  # fmt: skip
    check(made)
    return made


def check(point: Definition) -> None:
    """Refuse a decision point that cannot be meant.

    Raises
    ------
    InvalidRule
        With the place, the reason and what to do.
    """
    if not KEY.fullmatch(point.key):
        raise _wrong(
            "$.key", f"{point.key[:60]!r} is no key", "wrong_value",
            "1 to 48 small letters, digits, - or _",
        )  # fmt: skip
    if not 1 <= len(point.actions) <= MOST_ACTIONS:
        raise _wrong("$.actions", f"a point has 1 to {MOST_ACTIONS} actions", "wrong_value")
    if not 1 <= point.k <= MOST_PLACES:
        raise _wrong("$.k", f"k must be 1 to {MOST_PLACES}", "wrong_value")
    if not 1 <= point.deadline_ms <= MOST_DEADLINE_MS:
        raise _wrong(
            "$.deadline_ms", f"a deadline is 1 to {MOST_DEADLINE_MS} milliseconds", "wrong_value"
        )
    _check_numbers(point)
    names = [one.name for one in point.actions]
    for place, one in enumerate(point.actions):
        _check_option(point, one, f"$.actions[{place}]")
    default = next((one for one in point.actions if one.name == point.default), None)
    if default is None:
        raise _wrong(
            "$.default", f"no action is called {point.default[:48]!r}", "wrong_value",
            did_you_mean(point.default, names),
        )  # fmt: skip
    if default.channel:
        raise _wrong(
            "$.default", "what is done where nothing can be decided is no message", "wrong_value",
            "an action without a channel, as none",
        )  # fmt: skip
    _tried("$.actions", point.catalogue)
    _check_reward(point.reward)
    _check_policy(point)
    _check_taking_over(point)
    _check_review(point)


def _check_numbers(point: Definition) -> None:
    if len(set(point.numbers)) < len(point.numbers) or len(point.numbers) > MOST_NUMBERS:
        raise _wrong(
            "$.features", f"a point sees up to {MOST_NUMBERS} different numbers", "wrong_value"
        )
    for name in point.features:
        if why := check_name(name):
            raise _wrong(
                "$.features", f"{name[:60]!r}: {why}", "wrong_value",
                did_you_mean(name, [*NUMERIC]) or "see docs/reference/features.md",
            )  # fmt: skip
    for name, told in point.context.items():
        where = f"$.context.{name[:48]}"
        if not _PLAIN.fullmatch(name) or not check_name(name):
            raise _wrong(
                where, "a number of a request has a name of its own", "wrong_value",
                "letters, digits, _ . : or -, and no feature's name",
            )  # fmt: skip
        if not (math.isfinite(told.middle) and math.isfinite(told.width) and told.width > 0):
            raise _wrong(where, "its width must be above 0", "wrong_value")


def _check_option(point: Definition, one: Option, where: str) -> None:
    if not _PLAIN.fullmatch(one.name):
        raise _wrong(
            where, f"{one.name[:60]!r} is no name of an action", "wrong_value",
            "1 to 48 letters, digits, _ . : or -",
        )  # fmt: skip
    _check_conditions(point, one.needs, f"{where}.needs")
    if one.score and one.score not in point.numbers:
        raise _wrong(
            f"{where}.score", f"{one.score[:60]!r} is none of the numbers of the point",
            "wrong_value", did_you_mean(one.score, [*point.numbers]) or "add it to features",
        )  # fmt: skip
    if one.purpose not in PURPOSES:
        raise _wrong(
            f"{where}.purpose", f"no purpose is {one.purpose[:48]!r}", "wrong_value",
            f"one of: {', '.join(PURPOSES)}",
        )  # fmt: skip


def _check_conditions(point: Definition, given: Iterable[Condition], where: str) -> None:
    for name, compare, number in given:
        if name not in point.numbers or compare not in COMPARE or not math.isfinite(number):
            raise _wrong(
                where, f"no condition can be {[name, compare, number]!r}", "wrong_value",
                f"names: {', '.join(point.numbers)}; operators: {' '.join(COMPARE)}",
            )  # fmt: skip


def _check_taking_over(point: Definition) -> None:
    if not 0 <= point.holdout <= MOST_HELD_OUT:
        raise _wrong("$.holdout", f"a holdout is 0 to {MOST_HELD_OUT}", "wrong_value")
    names = [one.name for one in point.limits]
    if len(set(names)) < len(names):
        raise _wrong("$.limits", "two limits have one name", "wrong_value")
    for place, one in enumerate(point.limits):
        where = f"$.limits[{place}]"
        if not (_PLAIN.fullmatch(one.name) and _PLAIN.fullmatch(one.of)):
            raise _wrong(where, "a limit has a short name, and is of a kind of outcome, "
                         "contacts or cost", "wrong_value")  # fmt: skip
        days = point.reward.window_days
        if not (math.isfinite(one.at_most) and 0 <= one.window_days <= days and one.rise >= 0):
            raise _wrong(where, "a rise is 0 or more, its days are within those of the reward",
                         "wrong_value")  # fmt: skip
        _check_conditions(point, one.when, f"{where}.when")
    rise = point.ramp
    _tried(
        "$.ramp",
        lambda: start(
            Metric(1.0), planned=rise.planned, least=rise.least, shares=rise.shares,
            holdout=rise.kept,
        ),
    )  # fmt: skip


def _check_review(point: Definition) -> None:
    names = [one.name for one in point.actions]
    if not 0 < point.review.hours <= MOST_HOURS:
        raise _wrong("$.review.hours", f"a person has up to {MOST_HOURS} hours", "wrong_value")
    if len({one.name for one in point.review.rules}) < len(point.review.rules):
        raise _wrong("$.review.rules", "two rules have one name", "wrong_value")
    for place, one in enumerate(point.review.rules):
        where = f"$.review.rules[{place}]"
        if not _PLAIN.fullmatch(one.name):
            raise _wrong(where, "a rule has a short name", "wrong_value")
        _check_conditions(point, one.when, f"{where}.when")
        for action in one.actions:
            if action not in names:
                raise _wrong(
                    f"{where}.actions", f"no action is called {action[:48]!r}", "wrong_value",
                    did_you_mean(action, names),
                )  # fmt: skip
        if one.below is not None and not 0 < one.below <= 1:
            raise _wrong(f"{where}.below", "a probability is in (0, 1]", "wrong_value")


def _check_reward(reward: Counts) -> None:
    days = (reward.window_days, reward.settle_days, reward.fatigue_days)
    if not (0 < days[0] <= MOST_DAYS and all(0 <= one <= MOST_DAYS for one in days)):
        raise _wrong("$.reward", f"days are 0 to {MOST_DAYS}, a window is above 0", "wrong_value")
    if reward.fatigue_minor < 0 or not 0 < reward.margin_share <= 1:
        raise _wrong("$.reward", "a cost is 0 or more, a share is in (0, 1]", "wrong_value")
    if any(not _PLAIN.fullmatch(one) for one in reward.outcomes):
        raise _wrong("$.reward.outcomes", "a kind of outcome is a short name", "wrong_value")


def _check_policy(point: Definition) -> None:
    chosen = point.policy
    if chosen.name not in POLICIES.names():
        raise _wrong(
            "$.policy.name", f"no policy is called {chosen.name[:48]!r}", "wrong_value",
            did_you_mean(chosen.name, POLICIES.names())
            or f"policies: {', '.join(POLICIES.names())}",
        )  # fmt: skip
    if chosen.name in BY_SCORES and not all(
        one.score for one in point.actions if one.name != point.default
    ):
        raise _wrong(
            "$.actions", f"{chosen.name} ranks actions by a score of each", "missing_field",
            'add score = "score.TASK" to every action but the default',
        )  # fmt: skip
    if chosen.name in OF_RATES and point.reward.kind != "conversion":
        raise _wrong(
            "$.reward.kind", f"{chosen.name} learns from rewards of 0 or 1", "wrong_value",
            "conversion, or take linear_thompson",
        )  # fmt: skip
    _tried("$.policy", lambda: make_policy(point, usual_scaling(point, {})))


def _tried(where: str, make: Any) -> None:  # Any: makes anything
    try:
        make()
    except (InvalidParameter, NotFound) as error:
        raise _wrong(where, error.message, "wrong_value", error.hint) from None


def _wrong(where: str, said: str, reason: str, hint: str = "") -> InvalidRule:
    return InvalidRule(f"{where}: {said}", reason=reason, where=where, hint=hint)


def _fields(kinds: Iterable[type[msgspec.Struct]]) -> list[str]:
    return sorted({name for kind in kinds for name in kind.__struct_fields__})


_FIELDS = _fields((Definition, Option, Told, Counts, Chosen, Words, Bound, Rise, Review, Ask))

"""Models that were brought in, judged like our own.

A guest is a candidate of its task: it takes part in the time-ordered validation, is calibrated,
compared with the champion and promoted as a model of ours is. It is never fitted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES
from zhiyin.understand.predict.candidates import Maker
from zhiyin.understand.predict.onnx_model import OnnxModel
from zhiyin.understand.predict.selection import Group
from zhiyin.understand.predict.task import CATEGORY_AFFINITY, CHURN, NEXT_PURCHASE, RESPONSE

PREFIX = "onnx_"
TASKS = (NEXT_PURCHASE, CHURN, CATEGORY_AFFINITY, RESPONSE)
_NAME = re.compile(r"[a-z0-9_]{1,24}")


@dataclass(frozen=True)
class Guest:
    """A model that was brought in: the features it asks for, in order, and until when it learned.

    `content` is its ONNX file. Only days from `learned_until` on can judge it.
    """

    name: str
    content: bytes
    features: tuple[str, ...]
    learned_until: date


def check_guest(guest: Guest, *, task: str, subject: str) -> None:
    """Whether a model can be run and asks for what is known.

    Raises
    ------
    InvalidParameter
        If its name is none, it asks for a feature that does not exist, or the task takes none.
    InputError
        If it is no ONNX classifier.
    MissingExtra
        If ONNX Runtime is not installed.
    """
    if task not in TASKS:
        raise InvalidParameter(f"no model is brought in for {task!r}", hint=", ".join(TASKS))
    if task != RESPONSE and bool(subject) != (task == CATEGORY_AFFINITY):
        raise InvalidParameter(
            f"{task} has {'a category' if task == CATEGORY_AFFINITY else 'no subject'}",
            hint="--subject names the category of category_affinity, or the kind of campaign",
        )
    if not _NAME.fullmatch(guest.name):
        raise InvalidParameter(
            f"{guest.name[:60]!r} is no name of a model", hint="1 to 24 of a-z, 0-9 and _"
        )
    known = {f.name for f in (*FEATURES, *(CAMPAIGN_FEATURES if task == RESPONSE else ()))}
    unknown = [one for one in guest.features if one not in known]
    if unknown or not guest.features or len(set(guest.features)) < len(guest.features):
        said = (
            f"there is no feature {unknown[0]!r}" if unknown else "features are missing or double"
        )
        raise InvalidParameter(said, hint="docs/reference/features.md lists them")
    OnnxModel(guest.content, range(len(guest.features)))


@dataclass(frozen=True)
class Seats:
    """Makers of the guests that take part, and what is said of each guest."""

    makers: Mapping[str, Maker]
    said: tuple[dict[str, str], ...]


def seat_guests(guests: Sequence[Guest], groups: Sequence[Group], names: Sequence[str]) -> Seats:
    """Which guests can be judged fairly, as candidates.

    Parameters
    ----------
    guests
        Models brought in for the task.
    groups
        The training days, oldest first: all but the first judge.
    names
        The features that are learned from, by place.
    """
    makers: dict[str, Maker] = {}
    said: list[dict[str, str]] = []
    for guest in guests:
        reason = _reason(guest, groups, names)
        said.append({"name": guest.name, "status": reason or "took_part"})
        if not reason:
            columns = [names.index(one) for one in guest.features]
            makers[PREFIX + guest.name] = partial(OnnxModel, guest.content, columns)
    return Seats(makers, tuple(said))


def _reason(guest: Guest, groups: Sequence[Group], names: Sequence[str]) -> str:
    missing = [one for one in guest.features if one not in names]
    if missing:
        return f"not learned from today: {', '.join(missing)}"
    if len(groups) < 2:
        return "no later day could judge it"
    first = groups[1].start_on
    if first < guest.learned_until:
        return f"days from {first.isoformat()} on judge, and it learned until {guest.learned_until}"
    return ""

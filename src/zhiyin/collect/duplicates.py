"""Customers that may be one person: suggestions from names and what else agrees, never merges.

Pairs are looked for within blocks (one birthday, one postcode, one city and start of the name, one
name of an e-mail address); of a large block only neighbours by name. The score is
½ · likeness of the names + ½ · (1 - Π(1 - w)) over the weights of what agrees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

from zhiyin.collect.classify import kind_of_name

MIN_NAME, MIN_SCORE = 0.85, 0.75
LARGE, NEIGHBOURS = 60, 12
WEIGHTS = {"birthday": 0.8, "postcode": 0.6, "email_name": 0.6, "city": 0.35, "phone_end": 0.7}


@dataclass(frozen=True)
class Person:
    """What is compared of a party, normalised; it lives in memory only."""

    party_id: str
    name: str
    birthday: str = ""
    postcode: str = ""
    city: str = ""
    email_name: str = ""
    phone_end: str = ""


@dataclass(frozen=True)
class Suggestion:
    """Two parties that may be one person; `rule` names what agrees, without values."""

    party_id: str
    into: str
    score: float
    rule: str


def person_of(party_id: str, personal: Mapping[str, object], *, city: str = "") -> Person | None:
    """A person from her decrypted fields, None without a name.

    Fields are found by what their names mean: `first_name` and `last_name` make a name.
    """
    found: dict[str, list[str]] = {}
    for key, value in sorted(personal.items()):
        kind = "name" if key.lower() == "name" else kind_of_name(key)
        if kind is not None and value:
            found.setdefault(kind, []).append(str(value))
    name = _plain(" ".join(found.get("name", [])))
    if len(name) < 2:
        return None
    digits = re.sub(r"\D", "", (*found.get("phone", ()), "")[0])
    return Person(
        party_id, name, re.sub(r"\D", "", (*found.get("birthday", ()), "")[0])[:8],
        re.sub(r"\W", "", (*found.get("postcode", ()), "")[0]).upper(), _plain(city),
        _plain((*found.get("email", ()), "")[0].partition("@")[0]),
        digits[-7:] if len(digits) >= 7 else "",
    )  # fmt: skip


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold()
    marks = "".join(mark for mark in folded if not unicodedata.combining(mark))
    return " ".join(sorted(re.findall(r"\w+", marks)))


def find_duplicates(people: Sequence[Person]) -> list[Suggestion]:
    """Pairs whose names are alike and of whom something else agrees, best first.

    Pairs whose birthdays are both known and differ are left out.
    """
    left, right = _pairs(people)
    if not len(left):
        return []
    names = [one.name for one in people]
    alike = process.cpdist(
        [names[i] for i in left], [names[i] for i in right], scorer=fuzz.ratio,
        score_cutoff=100 * MIN_NAME, dtype=np.float32,
    )  # fmt: skip
    made = []
    for place in np.flatnonzero(alike):
        one, other = people[left[place]], people[right[place]]
        suggestion = _weigh(one, other, float(alike[place]) / 100)
        if suggestion is not None:
            made.append(suggestion)
    return sorted(made, key=lambda one: (-one.score, one.party_id, one.into))


def _weigh(one: Person, other: Person, name: float) -> Suggestion | None:
    if one.birthday and other.birthday and one.birthday != other.birthday:
        return None
    agree = [
        field
        for field in WEIGHTS
        if getattr(one, field) and getattr(one, field) == getattr(other, field)
    ]
    if not agree:
        return None
    doubt = float(np.prod([1 - WEIGHTS[field] for field in agree]))
    score = 0.5 * name + 0.5 * (1 - doubt)
    if score < MIN_SCORE:
        return None
    first, second = sorted((one.party_id, other.party_id))
    return Suggestion(first, second, round(score, 4), "+".join(["name", *agree]))


def _pairs(people: Sequence[Person]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the pairs to compare, each once."""
    blocks: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(people):
        keys = (
            ("birthday", one.birthday), ("postcode", one.postcode and one.postcode + one.name[:1]),
            ("city", one.city and one.city + one.name[:2]), ("email", one.email_name),
            ("phone", one.phone_end),
        )  # fmt: skip
        for kind, key in keys:
            if key:
                blocks.setdefault((kind, key), []).append(place)
    count = len(people)
    found: list[np.ndarray] = []
    for places in blocks.values():
        if len(places) < 2:
            continue
        block = np.asarray(sorted(places, key=lambda i: (people[i].name, i)), np.int64)
        reach = len(block) if len(block) <= LARGE else NEIGHBOURS + 1
        for step in range(1, reach):
            a, b = block[:-step], block[step:]
            found.append(np.minimum(a, b) * count + np.maximum(a, b))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    codes = np.unique(np.concatenate(found))
    return codes // count, codes % count

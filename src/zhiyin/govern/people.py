"""Who is behind a customer, as the gate and a message need to know it: parties, address, hour.

One reader for deciding, planning and sending, so that all three know the same of a person.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from zhiyin.core import columns as c
from zhiyin.core.birthday import birthday_of
from zhiyin.core.parties import Join, representatives
from zhiyin.core.protocols import Vault
from zhiyin.govern.identifiers import kind_of, normalise_phone
from zhiyin.govern.suppression import identify_address

EMAIL = "email"  # the personal field that `collect` keeps an e-mail address in
PHONE = "phone"  # … and a phone number
SMS = "sms"
AGE = "age"
MEMBER = "follow_userid"
"""The property that names the member of staff whose contact a customer is (企业微信)."""
ROW_DAYS = 365
"""How far back unanswered messages in a row are counted."""
_NAMES = ("first_name", "given_name", "name", "姓名")


@dataclass(frozen=True)
class Person:
    """One customer, under the merges of a day.

    `party_id` is the party that a message goes to: the first of hers, the representative before
    the others, that has an address of the channel, else the representative. `identities` are
    (party, `identity_id`) of every address of the channel known to be hers. `addresses` and
    `name` are personal, so never in a log, an error or a repr; without `opened` nobody has looked
    for them.
    """

    customer_id: str
    parties: tuple[str, ...]  # the representative first, the others by id
    party_id: str
    identities: tuple[tuple[str, str], ...] = ()
    joins: tuple[Join, ...] = ()  # the merges that make her parties one person
    language: str = ""  # BCP 47, or empty
    zone: str = ""  # IANA, or empty
    answered_at: datetime | None = None  # when she last answered a message, or bought
    sensitive: bool = False  # in a group that the workspace marks so
    age_said: int | None = None  # an age trait, whenever it was said
    member: str = ""  # of staff whose contact she is
    space: str = EMAIL  # namespace of her addresses
    opened: bool = False
    addresses: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # (party, address)
    name: str = field(default="", repr=False)
    born_on: date | None = field(default=None, repr=False)

    def age_at(self, at: datetime, *, default: str) -> int | None:
        """Her age in years where she is, the younger one of two that are said; None: not known."""
        if self.born_on is None:
            return self.age_said
        day, born = at.astimezone(_zone(self.zone, default)).date(), self.born_on
        age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
        return age if self.age_said is None else min(age, self.age_said)

    @property
    def address(self) -> str:
        """Where to write to; empty where there is no address."""
        return self.addresses[0][1] if self.addresses else ""

    @property
    def reachable(self) -> bool:
        """Whether she has an address of the channel, as far as was looked."""
        return bool(self.addresses if self.opened else self.identities)


class Kinship:
    """Which parties are one person, under settled merges."""

    def __init__(self, joins: Iterable[Join]) -> None:
        held = sorted(joins)
        self._chiefs = representatives((one.party_id, one.into) for one in held)
        self._members: dict[str, list[str]] = defaultdict(list)
        for party, chief in sorted(self._chiefs.items()):
            self._members[chief].append(party)
        self._joins: dict[str, list[Join]] = defaultdict(list)
        for one in held:
            self._joins[self.chief(one.party_id)].append(one)

    def chief(self, party: str) -> str:
        """The party that stands for the person."""
        return self._chiefs.get(party, party)

    def parties(self, party: str) -> tuple[str, ...]:
        """All parties of the person, the representative first, the others by id."""
        chief = self.chief(party)
        return (chief, *self._members.get(chief, ()))

    def joins(self, party: str) -> tuple[Join, ...]:
        """The merges among the parties of the person."""
        return tuple(self._joins.get(self.chief(party), ()))


class Directory:
    """The people of a set of parties, from rows of the lake; decrypted only when asked for.

    Parameters
    ----------
    kinship
        Which parties are one person.
    customers
        `party_id`, `language`, `time_zone` and, to open people, `personal`: at least the rows of
        all their parties.
    identities
        `party_id`, `identity_id` of the channel's addresses: at least those of all their parties.
    space
        Namespace of the addresses. Phone numbers are E.164, those without a calling code of
        `calling_code`.
    """

    def __init__(
        self,
        kinship: Kinship,
        *,
        customers: Iterable[Mapping[str, Any]],
        identities: Iterable[Mapping[str, Any]],
        sensitive: Collection[str] = (),
        answered: Mapping[str, datetime] | None = None,
        space: str = EMAIL,
        calling_code: str = "",
    ) -> None:
        self._kinship = kinship
        self._space, self._calling_code = space, calling_code
        self._sensitive = frozenset(sensitive)
        self._answered = answered or {}
        self._rows = {row[c.PARTY_ID]: row for row in customers}
        self._identities: dict[str, set[str]] = defaultdict(set)
        for row in identities:
            self._identities[row[c.PARTY_ID]].add(row[c.IDENTITY_ID])

    def people(self, party_ids: Iterable[str]) -> list[Person]:
        """The person of each party, in order, nothing decrypted."""
        return [self._person(party) for party in party_ids]

    def opened(self, party_ids: Iterable[str], *, vault: Vault) -> list[Person]:
        """The person of each party, in order, with name and addresses; none where erased."""
        people = self.people(party_ids)
        known = sorted({party for one in people for party in one.parties if party in self._rows})
        opened = vault.unseal(known, [self._rows[party][c.PERSONAL] for party in known])
        fields = {party: found or {} for party, found in zip(known, opened, strict=True)}
        return [
            _with_fields(one, fields, vault=vault, calling_code=self._calling_code)
            for one in people
        ]

    def _person(self, party: str) -> Person:
        parties = self._kinship.parties(party)
        held = [
            (one, identity) for one in parties for identity in sorted(self._identities.get(one, ()))
        ]
        addressed = held[0][0] if held else parties[0]
        rows = [self._rows[one] for one in (addressed, *parties) if one in self._rows]
        return Person(
            parties[0],
            parties,
            addressed,
            tuple(held),
            self._kinship.joins(party),
            next((row[c.LANGUAGE] for row in rows if row[c.LANGUAGE]), ""),
            next((row[c.TIME_ZONE] for row in rows if row[c.TIME_ZONE]), ""),
            max((self._answered[one] for one in parties if one in self._answered), default=None),
            not self._sensitive.isdisjoint(parties),
            min((age for row in rows if (age := _age_of(row)) is not None), default=None),
            next((one for row in rows if (one := str(_property(row, MEMBER) or ""))), ""),
            self._space,
        )


def _with_fields(
    person: Person, fields: Mapping[str, Mapping[str, Any]], *, vault: Vault, calling_code: str
) -> Person:
    order = dict.fromkeys((person.party_id, *person.parties))
    held = [(party, fields.get(party, {})) for party in order]
    if person.space == PHONE:
        written = ((party, _number(one.get(PHONE), calling_code)) for party, one in held)
    elif person.space == EMAIL:
        written = ((party, str(one.get(EMAIL) or "").strip()) for party, one in held)
    else:
        written = ((party, _scoped(person, party, one, vault)) for party, one in held)
    names = (str(one.get(key) or "").strip() for _, one in held for key in _NAMES)
    return replace(
        person,
        opened=True,
        addresses=tuple((party, address) for party, address in written if address),
        name=next((name for name in names if name), ""),
        born_on=max((day for _, one in held if (day := _born_on(one))), default=None),
        age_said=min(
            (age for age in (person.age_said, *(_years(one.get(AGE)) for _, one in held))
             if age is not None),
            default=None,
        ),
    )  # fmt: skip


def _scoped(person: Person, party: str, fields: Mapping[str, Any], vault: Vault) -> str:
    """An id of a platform where it is known to be one of the namespace: rows keep openids of
    every app under one name."""
    value = str(fields.get(kind_of(person.space)) or "").strip()
    if not value:
        return ""
    named = (party, identify_address(vault, person.space, value))
    return value if named in person.identities else ""


def _number(value: Any, calling_code: str) -> str:
    """A phone number as E.164; empty where it is none, or of an unknown country."""
    made = normalise_phone(str(value or ""), calling_code=calling_code) or ""
    return made if made.startswith("+") else ""


def _born_on(fields: Mapping[str, Any]) -> date | None:
    try:
        return date.fromisoformat(birthday_of(fields) or "")
    except ValueError:  # none, without a year, or no day of the calendar
        return None


def _age_of(row: Mapping[str, Any]) -> int | None:
    """The age trait among a row's properties."""
    return _years(_property(row, AGE))


def _property(row: Mapping[str, Any], name: str) -> Any:  # Any: a JSON value
    text = row.get(c.PROPERTIES)
    if not text or f'"{name}"' not in text:
        return None
    found: Any = json.loads(text)  # Any: a JSON value
    return cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None


def _years(value: Any) -> int | None:  # Any: a JSON value
    """Whole years of an age or of the lower end of a band (`16-24`)."""
    found = re.match(r"\s*(\d{1,3})(?!\d)", str(value)) if value is not None else None
    return int(found[1]) if found else None


def choose_language(spoken: str, offered: Sequence[str]) -> str:
    """The offered language that `spoken` (BCP 47) is, otherwise the first offered."""
    primary = spoken.replace("_", "-").split("-")[0].lower()
    return primary if primary in offered else offered[0]


def local_hour(at: datetime, zone: str, *, default: str) -> int:
    """The hour, 0..23, of an aware moment in `zone`; in `default` where it is no known zone."""
    return at.astimezone(_zone(zone, default)).hour


@lru_cache(maxsize=4_096)
def next_hour(
    after: datetime, zone: str, hour: int, *, default: str, on: date | None = None
) -> datetime:
    """The next moment (UTC) at which it is `hour` in `zone`, on the local day `on` or later.

    An hour that a change of clocks leaves out is the one after it.
    """
    place = _zone(zone, default)
    day = max(on or date.min, after.astimezone(place).date())
    for _ in range(2):
        moment = datetime.combine(day, time_of_day(hour), tzinfo=place).astimezone(UTC)
        if moment > after:
            return moment
        day += timedelta(days=1)
    return datetime.combine(day, time_of_day(hour), tzinfo=place).astimezone(UTC)


@lru_cache(maxsize=1024)
def _zone(name: str, default: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or default)
    except (KeyError, ValueError, OSError):  # a zone as it was loaded, which nobody knows
        return ZoneInfo(default)

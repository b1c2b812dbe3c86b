"""Who a message is for: all parties of the person, her addresses, language and zone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.parties import representatives
from zhiyin.core.protocols import Vault

EMAIL = "email"  # the personal field that `collect` keeps an e-mail address in
_NAMES = ("first_name", "given_name", "name", "姓名")


@dataclass(frozen=True)
class Person:
    """One person. `addresses` and `name` are personal: never in a log, an error or a repr."""

    customer_id: str
    parties: tuple[str, ...]  # the representative first
    addresses: tuple[str, ...] = field(default=(), repr=False)  # the one to use first
    name: str = field(default="", repr=False)
    identities: tuple[str, ...] = ()  # `identity_id` of every address known to be hers
    language: str = ""  # BCP 47, or empty
    zone: str = ""  # IANA, or empty

    @property
    def address(self) -> str:
        """Where to write to; empty where there is no address."""
        return self.addresses[0] if self.addresses else ""


class Kinship:
    """Which parties are one person, under settled merges."""

    def __init__(self, merges: Iterable[tuple[str, str]]) -> None:
        self._chiefs = representatives(merges)
        self._members: dict[str, list[str]] = defaultdict(list)
        for party, chief in sorted(self._chiefs.items()):
            self._members[chief].append(party)

    def chief(self, party: str) -> str:
        """The party that stands for the person."""
        return self._chiefs.get(party, party)

    def parties(self, party: str) -> tuple[str, ...]:
        """All parties of the person, the representative first, the others by id."""
        chief = self.chief(party)
        return (chief, *self._members.get(chief, ()))


class Directory:
    """The people of a set of messages, from the rows of `customers`; decrypted when asked for.

    Parameters
    ----------
    rows
        `party_id`, `language`, `time_zone`, `personal`: at least the rows of all their parties.
    identities
        `party_id`, `identity_id` of the channel's addresses: at least those of all their parties.
    kinship
        Which parties are one person.
    """

    def __init__(
        self, rows: pa.Table, identities: pa.Table, kinship: Kinship, vault: Vault
    ) -> None:
        self._rows: dict[str, Mapping[str, Any]] = {
            row[c.PARTY_ID]: row for row in rows.to_pylist()
        }
        self._identities: dict[str, list[str]] = defaultdict(list)
        for row in identities.to_pylist():
            self._identities[row[c.PARTY_ID]].append(row[c.IDENTITY_ID])
        self._kinship = kinship
        self._vault = vault

    def people(self, party_ids: Sequence[str]) -> list[Person]:
        """The person of each party, in order; without address where she was erased."""
        kin = [self._kinship.parties(party) for party in party_ids]
        known = sorted({party for parties in kin for party in parties if party in self._rows})
        opened = self._vault.unseal(known, [self._rows[party][c.PERSONAL] for party in known])
        personal = dict(zip(known, opened, strict=True))
        return [self._person(parties, personal) for parties in kin]

    def _person(
        self, parties: tuple[str, ...], personal: Mapping[str, Mapping[str, Any] | None]
    ) -> Person:
        rows = [self._rows[party] for party in parties if party in self._rows]
        fields = [personal.get(party) or {} for party in parties]
        addresses = (str(one.get(EMAIL) or "").strip() for one in fields)
        names = (str(one.get(key) or "").strip() for one in fields for key in _NAMES)
        return Person(
            parties[0],
            parties,
            tuple(dict.fromkeys(address for address in addresses if address)),
            next((name for name in names if name), ""),
            tuple(sorted({one for party in parties for one in self._identities.get(party, ())})),
            next((row[c.LANGUAGE] for row in rows if row[c.LANGUAGE]), ""),
            next((row[c.TIME_ZONE] for row in rows if row[c.TIME_ZONE]), ""),
        )


def choose_language(spoken: str, offered: Sequence[str]) -> str:
    """The offered language that `spoken` (BCP 47) is, otherwise the first offered."""
    primary = spoken.replace("_", "-").split("-")[0].lower()
    return primary if primary in offered else offered[0]

# pyright: standard
# (SQLAlchemy types selects of each arity apart, numpy an array of a file as one of anything)
"""The gate for requests that wait: its facts from a generation and a few look-ups of the ledger.

The generation says what a turn knew of a person (keyed hashes of her addresses, her age, whether
she is in a sensitive group, when she last answered); consents, suppressions and messages are read
as they are now. The hour is left to who sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from zhiyin.core import ledger
from zhiyin.core.clock import Clock
from zhiyin.core.config import ActSettings
from zhiyin.core.generation import PARTY_TYPE, Generation, starts_of
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import Terms, gate_terms, holders
from zhiyin.govern.gate import MARKETING, Consent, Contact, Facts, Limits, Suppression, check
from zhiyin.govern.holdout import EVERYTHING, place_of
from zhiyin.govern.ledger import REACHED
from zhiyin.govern.packed import joins_of
from zhiyin.govern.people import Person
from zhiyin.govern.suppression import Tokens

PERSON = "person"
"""The group that holds what a turn knew of each person, one entry each."""
_NOON = 12
ReadRows = Callable[[str], Sequence[tuple[Any, ...]]]
"""Rows of one bound value, as `store.quick` reads them."""


def group_of(channel: str) -> str:
    """The group that holds the keyed hashes of a channel's addresses."""
    return f"reach_{channel}"


def suppressed_of_one() -> Any:
    """Channel, reason and moment of the keyed hash that is bound to `token`."""
    held = ledger.suppressions.c
    return sa.select(held.channel, held.reason, held.at).where(held.token == sa.bindparam("token"))


def messages_of_one() -> Any:
    """State, purpose, channel, campaign and moments of the messages of the party that is bound to
    `party_id`.
    """
    held = ledger.messages.c
    columns = (
        held.state, held.purpose, held.channel, held.campaign_id, held.sent_at, held.planned_at
    )  # fmt: skip
    return sa.select(*columns).where(held.party_id == sa.bindparam("party_id"))


def pack_reach(
    people: Sequence[Person], *, channel: str, vault: Vault, terms: Terms
) -> dict[str, np.ndarray]:
    """The keyed hashes of the addresses of each of `people`, a row each, and the party that holds
    each (the first, where several do).
    """
    known, rows = Tokens(vault, terms.namespace), list[tuple[int, str, str]]()
    for row, person in enumerate(people):
        held = holders(person, known)
        rows += [(row, token, sorted(parties)[0]) for token, parties in sorted(held.items())]
    group = group_of(channel)
    return {
        f"{group}.starts": starts_of(np.array([row for row, _, _ in rows], np.int64), len(people)),
        f"{group}.token": np.array([token.encode() for _, token, _ in rows], "S64"),
        f"{group}.party": np.array([party.encode() for _, _, party in rows], PARTY_TYPE),
    }


def pack_facts(people: Sequence[Person], *, at: datetime, zone: str) -> dict[str, np.ndarray]:
    """Age (-1: not known), sensitivity and last answer (0: never) of each person."""
    ages = [one.age_at(at, default=zone) for one in people]
    answered = [one.answered_at.timestamp() if one.answered_at else 0.0 for one in people]
    return {
        f"{PERSON}.starts": np.arange(len(people) + 1, dtype=np.int64),
        f"{PERSON}.age": np.array([-1 if one is None else one for one in ages], np.int16),
        f"{PERSON}.sensitive": np.array([one.sensitive for one in people], bool),
        f"{PERSON}.answered": np.array(answered, np.float64),
    }


class QuickGate:
    """Which messages must not be chosen for a person who is asked about."""

    def __init__(
        self,
        settings: ActSettings,
        *,
        zone: str,
        clock: Clock,
        vault: Vault,
        consents: Callable[[Sequence[str]], Iterable[Consent]],
        suppressed: ReadRows,
        sent: ReadRows,
    ) -> None:
        self._settings, self._zone, self._clock, self._vault = settings, zone, clock, vault
        self._consents, self._suppressed, self._sent = consents, suppressed, sent
        self._terms: dict[tuple[str, str], Terms] = {}

    def __call__(
        self,
        ways: Collection[tuple[str, str]],
        parties: Sequence[str],
        held: Generation | None,
        row: int,
    ) -> list[tuple[str, str]]:
        """Those of the ways (channel and purpose) that any rule but the hour forbids.

        Raises
        ------
        Busy
            If the ledger cannot be read now.
        """
        if held is None or row < 0:
            return list(ways)  # nobody whose address is known
        consents, at = list(self._consents(parties)), self._clock.now()
        contacts = [one for party in parties for one in _contacts(self._sent(party))]
        made: list[tuple[str, str]] = []
        for channel, purpose in ways:
            terms = self._terms_of(channel, purpose)
            facts = self._facts(held, row, parties, terms, consents, contacts, at)
            if not check(facts, _awake(terms.limits)).allowed:
                made.append((channel, purpose))
        return made

    def _terms_of(self, channel: str, purpose: str) -> Terms:
        key = (channel, purpose)
        if key not in self._terms:
            self._terms[key] = gate_terms(
                self._settings, zone=self._zone, purpose=purpose, channel=channel
            )
        return self._terms[key]

    def _facts(
        self,
        held: Generation,
        row: int,
        parties: Sequence[str],
        terms: Terms,
        consents: list[Consent],
        contacts: list[Contact],
        at: datetime,
    ) -> Facts:
        group = group_of(terms.channel)
        tokens: list[tuple[bytes, bytes]] = []
        if f"{group}.starts" in held.arrays:  # a turn knew of this channel
            mine = held.people(group, row)
            tokens = list(zip(mine["token"].tolist(), mine["party"].tolist(), strict=True))
        known = f"{PERSON}.starts" in held.arrays
        person = (
            {name: array[0] for name, array in held.people(PERSON, row).items()} if known else {}
        )
        share, salt = terms.global_share, self._vault.salt
        return Facts(
            channel=terms.channel, purpose=terms.purpose, at=at, local_hour=_NOON,
            has_address=bool(tokens), consents=consents,
            suppressions=[
                Suppression((party.decode(),), reason, since.replace(tzinfo=UTC))
                for token, party in tokens
                for channel, reason, since in self._suppressed(token.decode())
                if channel in (terms.channel, "*")
            ],
            joins=joins_of(held, row),
            held_out_of_all=share > 0 and any(
                place_of(salt, EVERYTHING, party) < share for party in parties
            ),
            contacts=contacts,
            answered_at=_moment(float(person.get("answered", 0))),
            age=int(age) if (age := person.get("age", -1)) >= 0 else None,
            sensitive=bool(person.get("sensitive", False)),
        )  # fmt: skip


def _contacts(rows: Iterable[tuple[Any, ...]]) -> list[Contact]:
    return [
        Contact((sent or planned).replace(tzinfo=UTC), channel, campaign)
        for state, purpose, channel, campaign, sent, planned in rows
        if state in REACHED and purpose == MARKETING
    ]


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _awake(limits: Limits) -> Limits:
    """The same limits without quiet hours: who sends keeps them."""
    return Limits(
        limits.cap_messages, limits.cap_days, 0, 0, limits.caps, limits.fatigue_messages,
        limits.fatigue_days, limits.minimum_age,
    )  # fmt: skip

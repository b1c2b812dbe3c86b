"""What a customer chose behind the link of her messages: shown, changed, all refused at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.consents import EMAIL, Consents
from zhiyin.govern.facts import gate_terms, read_facts
from zhiyin.govern.gate import (
    ADS,
    ANY_CHANNEL,
    MARKETING,
    PERSONALISATION,
    consent_state,
    is_suppressed,
    personalisation_state,
    use_state,
)
from zhiyin.govern.ledger import (
    newest_language,
    read_consents,
    read_languages,
    set_language,
)
from zhiyin.govern.people import Person, choose_language
from zhiyin.govern.suppression import KIND_OF
from zhiyin.store.ledger import reading, transaction

PREFERENCE_CENTRE = "preference centre"
"""Source of the lines that it writes."""


@dataclass(frozen=True)
class Choices:
    """What the preference centre shows and takes."""

    channels: Mapping[str, bool]  # channel → whether marketing may come by it
    generic: bool  # no personalised content
    language: str  # en or zh
    ads: bool | None = None  # whether on lists for ad platforms; None: nobody asked her


@dataclass(frozen=True)
class Preferences:
    """The preference centre of a workspace."""

    record: Consents

    def choices(self, party: str, *, spoken: str) -> Choices:
        """What holds now for the person of a party; `spoken` where she chose no language."""
        person, at = self.record.person_of(party), self.record.now()
        with reading(self.record.store.ledger) as connection:
            held = read_consents(connection, person.parties, purpose=None)
            lines = [line for one in held.values() for line in one]
            named = {one.channel for one in lines if one.purpose == MARKETING} & {*KIND_OF}
            channels = {
                channel: self._may_write(connection, person, channel, at)
                for channel in sorted(named | {EMAIL})
            }
            chosen = read_languages(connection, person.parties)
        state = personalisation_state(lines, at=at, joins=person.joins)
        language = newest_language(chosen, person.parties) or spoken
        ads = use_state(lines, purpose=ADS, at=at, joins=person.joins)
        return Choices(
            channels, state == "refused", choose_language(language, ("en", "zh")),
            None if ads == "missing" else ads == "granted",
        )  # fmt: skip

    def choose(
        self, party: str, wanted: Choices, *, held: Choices, proof: Mapping[str, Any]
    ) -> None:
        """Write what differs between what she wants and what held."""
        said = {"source": PREFERENCE_CENTRE, "proof": proof}
        for channel, on in wanted.channels.items():
            if on != held.channels[channel]:
                self.record.put(party, granted=on, purpose=MARKETING, channel=channel, **said)
        if wanted.generic != held.generic:
            self.record.put(
                party, granted=not wanted.generic, purpose=PERSONALISATION, channel=ANY_CHANNEL,
                **said,
            )  # fmt: skip
        if wanted.ads is not None and wanted.ads != held.ads:
            self.record.put(party, granted=wanted.ads, purpose=ADS, channel=ANY_CHANNEL, **said)
        if wanted.language != held.language:
            with transaction(self.record.store.ledger) as connection:
                set_language(connection, party, wanted.language, at=self.record.now())

    def refuse_all(self, party: str, *, proof: Mapping[str, Any]) -> None:
        """Refuse marketing on every channel, personalised content and lists for ad platforms."""
        said = {"granted": False, "channel": ANY_CHANNEL, "source": PREFERENCE_CENTRE}
        for purpose in (MARKETING, PERSONALISATION, ADS):
            self.record.put(party, purpose=purpose, proof=proof, **said)

    def _may_write(
        self, connection: sa.Connection, person: Person, channel: str, at: datetime
    ) -> bool:
        terms = replace(
            gate_terms(self.record.settings.act, zone=self.record.settings.zone), channel=channel
        )
        (facts,) = read_facts(connection, [person], terms=terms, vault=self.record.vault, at=at)
        state = consent_state(
            facts.consents, purpose=MARKETING, channel=channel, at=at, joins=person.joins
        )
        return state == "granted" and not is_suppressed(facts)

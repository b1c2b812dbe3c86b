"""What a customer agreed to, over all her records: asked, confirmed, given, withdrawn, shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from zhiyin.act.confirmation import Confirmation, plan_confirmation
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import audit, consent_requests
from zhiyin.core.parties import joined_parties
from zhiyin.core.protocols import Vault
from zhiyin.govern.facts import gate_terms
from zhiyin.govern.gate import (
    ADS,
    ANY_CHANNEL,
    CONFIRMATION,
    IMPORT,
    MARKETING,
    PERSONALISATION,
    UNSUBSCRIBED,
    Consent,
    Verdict,
    consent_state,
    personalisation_state,
)
from zhiyin.govern.ledger import (
    add_consent,
    add_suppressions,
    read_consents,
)
from zhiyin.govern.live import read_directory
from zhiyin.govern.people import Person, choose_language
from zhiyin.govern.suppression import KIND_OF, suppression_tokens
from zhiyin.person.find import find_person
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

EMAIL = "email"
DOUBLE_OPT_IN = "double opt-in"
TEXT_VERSION = "zhiyin-1"
TEXTS = {
    MARKETING: (
        "I agree that {shop} writes to me about offers by e-mail. I can withdraw at any time.",
        "我同意 {shop} 通过电子邮件向我发送优惠信息，并可随时撤回。",
    ),
    PERSONALISATION: (
        "I agree that {shop} chooses contents for me by what I bought. I can withdraw at any time.",
        "我同意 {shop} 根据我的购买记录为我推荐内容，并可随时撤回。",
    ),
    ADS: (
        "I agree that {shop} gives my e-mail address and phone number, as hashes, to ad platforms "
        "that show me its advertisements. I can withdraw at any time.",
        "我同意 {shop} 将我的邮箱和手机号经哈希处理后提供给广告平台，"
        "用于向我展示其广告，并可随时撤回。",
    ),
}
"""Texts that a person agrees to where the caller has none of its own: purpose → (en, zh)."""


@dataclass(frozen=True)
class Asked:
    """A double opt-in that was asked for; without `allowed` no e-mail goes, for `reason`."""

    request_id: str
    expires_at: datetime
    new: bool
    allowed: bool
    reason: str


@dataclass(frozen=True)
class Request:
    """What a confirmation link is about; `text` is None where the person was erased."""

    request_id: str
    party_id: str
    purpose: str
    channel: str
    language: str
    state: str  # open, confirmed or expired
    text: str | None


@dataclass(frozen=True)
class Consents:
    """The consent record of a workspace."""

    store: WorkspaceStore
    vault: Vault
    clock: Clock
    settings: Settings

    def shown(self, customer: str) -> dict[str, Any]:
        """What holds for a customer now, every line of her record, and what she was asked."""
        person, at = find_person(self.store, self.vault, customer), self.now()
        joins = self.person_of(person.customer_id).joins
        with reading(self.store.ledger) as connection:
            held = read_consents(connection, person.parties, purpose=None)
            query = sa.select(consent_requests).where(
                consent_requests.c.party_id.in_(person.parties)
            )
            asked = connection.execute(query.order_by(consent_requests.c.asked_at)).all()
        lines = sorted(
            (line for one in held.values() for line in one),
            key=lambda line: (line.at, line.purpose, line.channel, line.granted),
        )
        return {
            "customer_id": person.customer_id,
            "states": _states(lines, at=at, joins=joins),
            "lines": [
                {
                    "purpose": one.purpose, "channel": one.channel, "granted": one.granted,
                    "at": one.at.isoformat(), "source": one.source,
                }
                for one in lines
            ],
            "requests": [
                {
                    "request_id": one.request_id, "purpose": one.purpose, "channel": one.channel,
                    "source": one.source, "text_version": one.text_version,
                    "asked_at": one.asked_at.replace(tzinfo=UTC).isoformat(),
                    "state": _request_state(one, naive_utc(at)),
                }
                for one in asked
            ],
        }  # fmt: skip

    def ask(
        self,
        customer: str,
        *,
        source: str,
        by: str,
        purpose: str = MARKETING,
        channel: str = EMAIL,
        text: str = "",
        text_version: str = "",
        language: str = "",
        proof: Mapping[str, str] | None = None,
    ) -> Asked:
        """Ask for a consent by an e-mail whose link confirms it; nothing is granted before.

        While such a request is open, asking again changes nothing and sends nothing.

        Raises
        ------
        NotFound
            If nobody has this identifier.
        InvalidParameter
            If the channel is not e-mail, or there is no text for the purpose.
        """
        if channel != EMAIL:
            raise InvalidParameter(
                f"a consent for {channel!r} cannot be confirmed", hint="channel: email"
            )
        person = self.person_of(find_person(self.store, self.vault, customer).customer_id)
        now = self.now()
        held = self._open_request(person, purpose, channel, now)
        if held is not None:
            return Asked(held.request_id, held.expires_at.replace(tzinfo=UTC), False, True, "")
        spoken = language or choose_language(person.language, self.settings.languages)
        shown = text or _text(purpose, spoken, self.settings)
        version = text_version if text else TEXT_VERSION
        if not version:
            raise InvalidParameter("a text needs its version", hint="give text_version")
        until = now + timedelta(hours=self.settings.act.confirm_hours)
        row = {
            "party_id": person.party_id, "purpose": purpose, "channel": channel,
            "language": spoken, "source": _source(source), "text_version": version,
            "asked_at": naive_utc(now), "asked_by": by[:80], "expires_at": naive_utc(until),
        }  # fmt: skip
        content = json.dumps(row, default=str, sort_keys=True).encode()
        row["request_id"] = hashlib.sha256(content).hexdigest()[:32]
        mail = Confirmation(str(row["request_id"]), spoken, shown, until)
        kept = {"text": shown, "asked": dict(proof or {})}
        row["proof"], sealed = self.vault.seal([person.party_id] * 2, [kept, mail.content()])
        verdict = self._plan(mail, person, sealed, row, now)
        return Asked(mail.request_id, until, verdict.allowed, verdict.allowed, verdict.reason)

    def _plan(
        self, mail: Confirmation, person: Person, sealed: bytes | None, row: dict[str, Any],
        now: datetime,
    ) -> Verdict:  # fmt: skip
        terms = gate_terms(self.settings.act, zone=self.settings.zone, purpose=CONFIRMATION)
        with transaction(self.store.ledger) as connection:
            verdict = plan_confirmation(
                connection, mail, person, sealed=sealed, terms=terms, vault=self.vault, at=now
            )
            if verdict.allowed:
                connection.execute(consent_requests.insert().values(**row))
            detail = {name: row[name] for name in ("purpose", "channel", "source")}
            self._note(connection, "consent.asked", row["asked_by"], detail)
        return verdict

    def request(self, request_id: str) -> Request | None:
        """The request of a confirmation link; None where it is gone with its person."""
        query = sa.select(consent_requests).where(consent_requests.c.request_id == request_id)
        with reading(self.store.ledger) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        (kept,) = self.vault.unseal([row.party_id], [row.proof])
        return Request(
            row.request_id, row.party_id, row.purpose, row.channel, row.language,
            _request_state(row, naive_utc(self.now())), kept["text"] if kept else None,
        )  # fmt: skip

    def confirm(self, request_id: str, *, proof: Mapping[str, str]) -> bool:
        """Grant what an open request asked for, once; whether it is granted."""
        query = sa.select(consent_requests).where(consent_requests.c.request_id == request_id)
        with reading(self.store.ledger) as connection:
            row = connection.execute(query).one_or_none()
        now = self.now()
        if row is None or _request_state(row, naive_utc(now)) == "expired":
            return False
        (kept,) = self.vault.unseal([row.party_id], [row.proof])
        whole = {**(kept or {}), "request_id": request_id, "confirmed": dict(proof)}
        (sealed,) = self.vault.seal([row.party_id], [whole])
        mine = (consent_requests.c.request_id == request_id) & (
            consent_requests.c.confirmed_at.is_(None)
        )
        with transaction(self.store.ledger) as connection:
            update = consent_requests.update().where(mine).values(confirmed_at=naive_utc(now))
            if connection.execute(update).rowcount:
                line = Consent(row.party_id, row.purpose, row.channel, True, now, DOUBLE_OPT_IN)
                add_consent(connection, line, text_version=row.text_version, proof=sealed)
                detail = {"purpose": row.purpose, "channel": row.channel, "source": row.source}
                self._note(connection, "consent.confirmed", "link", detail)
        return True

    def give(
        self, customer: str, *, purpose: str, channel: str, source: str, reason: str, by: str,
        text_version: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Record that a customer agreed, as she said elsewhere (at the counter, on the phone)."""
        return self._write(
            customer, granted=True, purpose=purpose, channel=channel, source=source,
            reason=reason, by=by, text_version=text_version,
        )  # fmt: skip

    def withdraw(
        self, customer: str, *, purpose: str, channel: str, source: str, reason: str, by: str
    ) -> dict[str, Any]:
        """Record that a customer refuses from now on; marketing is suppressed, too."""
        return self._write(
            customer, granted=False, purpose=purpose, channel=channel, source=source,
            reason=reason, by=by,
        )  # fmt: skip

    def _write(
        self, customer: str, *, granted: bool, purpose: str, channel: str, source: str,
        reason: str, by: str, text_version: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        if not reason.strip():
            raise InvalidParameter("a consent by hand needs a reason", hint="say how it came")
        person = self.person_of(find_person(self.store, self.vault, customer).customer_id)
        self._require_known(person, purpose=purpose, channel=channel)
        proof = {"reason": reason, "by": by}
        self.put(
            person.party_id, granted=granted, purpose=purpose, channel=channel,
            source=_source(source), proof=proof, text_version=text_version or None,
        )  # fmt: skip
        detail = {"purpose": purpose, "channel": channel, "source": source}
        with transaction(self.store.ledger) as connection:
            action = "consent.given" if granted else "consent.withdrawn"
            self._note(connection, action, by, detail)
        return {"customer_id": person.customer_id, **detail, "granted": granted}

    def _require_known(self, person: Person, *, purpose: str, channel: str) -> None:
        """Refuse words that nothing asks for: a refusal by e-mial would stop no e-mail.

        Known is what Zhiyin asks for, and what her record already holds.
        """
        with reading(self.store.ledger) as connection:
            held = read_consents(connection, person.parties, purpose=None)
        lines = [line for one in held.values() for line in one]
        purposes = {*TEXTS} | {one.purpose for one in lines}
        channels = {*KIND_OF, ANY_CHANNEL} | {one.channel for one in lines}
        for what, given, known in (("purpose", purpose, purposes), ("channel", channel, channels)):
            if given not in known:
                raise InvalidParameter(
                    f"there is no {what} {given!r}", hint=f"{what}: {', '.join(sorted(known))}"
                )

    def put(
        self, party: str, *, granted: bool, purpose: str, channel: str, source: str,
        proof: Mapping[str, Any] | None = None, text_version: str | None = None,
    ) -> None:  # fmt: skip
        """Append a party's answer; a refusal of marketing suppresses its addresses, too."""
        if not granted and purpose == MARKETING:
            self.unsubscribe(party, channel, source=source, proof=proof)
            return
        (sealed,) = self.vault.seal([party], [proof])
        line = Consent(party, purpose, channel, granted, self.now(), source)
        with transaction(self.store.ledger) as connection:
            add_consent(connection, line, text_version=text_version, proof=sealed)

    def unsubscribe(
        self, party: str, channel: str, *, source: str = "unsubscribe",
        proof: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Record a refusal of marketing by the party, and suppress its addresses on the channel.

        Both hold for the whole person while she is joined with others; undoing a merge gives each
        record its own back. A party without an address got the message at one of the person's:
        then those are suppressed. Doing it again changes nothing.
        """
        (sealed,) = self.vault.seal([party], [proof])
        listed = self._listed(party, channel)
        now = self.now()
        with transaction(self.store.ledger) as connection:
            lines = read_consents(connection, [party], purpose=MARKETING).get(party, [])
            if consent_state(lines, purpose=MARKETING, channel=channel, at=now) != "refused":
                line = Consent(party, MARKETING, channel, False, now, source)
                add_consent(connection, line, proof=sealed)
            add_suppressions(connection, listed, reason=UNSUBSCRIBED, at=now)

    def _listed(self, party: str, channel: str) -> list[tuple[str, str]]:
        """(Token, channel) of each address to suppress; of every channel for *."""
        parties = joined_parties(party, self.store.representatives())
        rows = self.store.read("identities")
        listed: list[tuple[str, str]] = []
        for one in KIND_OF if channel == ANY_CHANNEL else (channel,):
            kind, space = KIND_OF.get(one, one), rows[c.NAMESPACE]
            of_kind = (space == kind) | space.startswith(f"{kind}:")  # pyright: ignore[reportAttributeAccessIssue]
            held = rows.filter(rows[c.PARTY_ID].isin(parties) & of_kind)  # pyright: ignore[reportAttributeAccessIssue]
            found = held.select(c.PARTY_ID, c.IDENTITY_ID).distinct().to_pyarrow().to_pylist()
            mine = [row for row in found if row[c.PARTY_ID] == party] or found
            tokens = suppression_tokens(self.vault, {row[c.IDENTITY_ID] for row in mine})
            listed += [(token, one) for token in tokens]
        return listed

    def _open_request(self, person: Person, purpose: str, channel: str, now: datetime) -> Any:
        table = consent_requests
        query = sa.select(table).where(
            table.c.party_id.in_(person.parties), table.c.purpose == purpose,
            table.c.channel == channel, table.c.confirmed_at.is_(None),
            table.c.expires_at > naive_utc(now),
        )  # fmt: skip
        with reading(self.store.ledger) as connection:
            return connection.execute(query.order_by(table.c.asked_at.desc())).first()

    def person_of(self, party: str) -> Person:
        """The person of a party as she is known now."""
        directory = read_directory(self.store, [party], as_of=None, channel=EMAIL, sealed=True)
        return directory.opened([party], vault=self.vault)[0]

    def _note(
        self, connection: sa.Connection, action: str, by: str, detail: dict[str, Any]
    ) -> None:
        """An entry of the audit log; it names no party."""
        row = {"at": naive_utc(self.now()), "actor": by[:80], "action": action, "detail": detail}
        connection.execute(audit.insert().values(**row))

    def now(self) -> datetime:
        """This moment, aware."""
        now = self.clock.now()
        return now if now.tzinfo else now.replace(tzinfo=UTC)


def _states(lines: list[Consent], *, at: datetime, joins: Any) -> list[dict[str, str]]:
    pairs = {(one.purpose, one.channel) for one in lines} | {(MARKETING, EMAIL)}
    made = [
        {
            "purpose": purpose, "channel": channel,
            "state": consent_state(lines, purpose=purpose, channel=channel, at=at, joins=joins),
        }
        for purpose, channel in sorted(pairs)
        if purpose != PERSONALISATION
    ]  # fmt: skip
    state = personalisation_state(lines, at=at, joins=joins)
    return [*made, {"purpose": PERSONALISATION, "channel": ANY_CHANNEL, "state": state}]


def _request_state(row: Any, now: datetime) -> str:  # Any: a ledger row
    if row.confirmed_at is not None:
        return "confirmed"
    return "expired" if row.expires_at <= now else "open"


def _text(purpose: str, language: str, settings: Settings) -> str:
    if purpose not in TEXTS:
        raise InvalidParameter(
            f"there is no text to ask for {purpose!r}", hint="give text and text_version"
        )
    shop = settings.act.sender_name or settings.name
    return TEXTS[purpose][language == "zh"].format(shop=shop)


def _source(source: str) -> str:
    named = source.strip()
    if not 1 <= len(named) <= 64 or named == IMPORT:
        raise InvalidParameter(
            "a consent needs the place where it was given as its source",
            hint="for example: shop counter, newsletter form",
        )
    return named

"""The gate: gathers what is known of each person and lets `govern.gate` decide (law 4).

Every message passes here twice, when it is planned and when it is handed over. Who calls records
the verdicts; nothing else in this room decides who is written to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from zhiyin.act.people import Person
from zhiyin.core.config import ActSettings
from zhiyin.core.protocols import Vault
from zhiyin.govern import gate
from zhiyin.govern.gate import Consent, Facts, Limits, Verdict
from zhiyin.govern.ledger import read_consents, read_contacts, read_suppressed
from zhiyin.govern.suppression import address_token, suppression_tokens

MARKETING = "marketing"

REASONS = gate.REASONS | {
    "already_planned": ("has a message of this campaign already", "已有本次活动的消息"),
    "superseded": ("not chosen any more by a newer plan", "新的计划中不再选中"),
    "erased": ("erased in the meantime", "个人数据已被删除"),
    "interrupted": ("it may have gone out when the run was cut short", "中断时可能已发出"),
    "no_answer": ("the provider took it and did not answer", "服务商接收后未应答"),
    "refused": ("the provider refused it", "服务商拒收"),
    "bad_address": ("the address is malformed", "地址格式有误"),
    "template": ("its template could not be rendered", "模板无法渲染"),
}
"""What a message's `reason` can be: code → (en, zh); the gate's own come first, in its order."""


@dataclass(frozen=True)
class Terms:
    """What the gate holds for one kind of contact."""

    limits: Limits
    zone: str  # of people whose own is not known
    channel: str = "email"
    purpose: str = MARKETING


def gate_terms(settings: ActSettings, *, zone: str) -> Terms:
    """The terms of marketing e-mail under a workspace's settings."""
    limits = Limits(
        settings.cap_messages, settings.cap_days, settings.quiet_from_hour, settings.quiet_to_hour
    )
    return Terms(limits, zone)


def check_people(
    connection: sa.Connection,
    people: Sequence[Person],
    *,
    terms: Terms,
    vault: Vault,
    at: datetime,
    held_out: Collection[str] = (),
) -> list[Verdict]:
    """The verdict on one contact with each person at `at`, over all parties of hers.

    Parameters
    ----------
    held_out
        Parties in the holdout of the campaign: a person with one of them is not contacted.
    """
    parties = sorted({party for person in people for party in person.parties})
    consents = read_consents(connection, parties, purpose=terms.purpose)
    since = at - timedelta(days=terms.limits.cap_days)
    contacts = read_contacts(connection, parties, since=since, until=at)
    tokens = [_tokens(person, vault=vault, channel=terms.channel) for person in people]
    every = sorted(set().union(*tokens))
    listed = read_suppressed(connection, every, channel=terms.channel)
    return [
        gate.check(
            Facts(
                channel=terms.channel,
                purpose=terms.purpose,
                at=at,
                local_hour=_local_hour(at, person.zone or terms.zone, terms.zone),
                has_address=bool(person.address),
                consents=_of_all(consents, person),
                suppressed=not listed.isdisjoint(hers),
                held_out=any(party in held_out for party in person.parties),
                contacted_at=[
                    moment for party in person.parties for moment in contacts.get(party, ())
                ],
            ),
            terms.limits,
        )
        for person, hers in zip(people, tokens, strict=True)
    ]


def _tokens(person: Person, *, vault: Vault, channel: str) -> set[str]:
    """Tokens of all addresses of hers, those that only an identity tells of included."""
    plain = {address_token(vault, channel, address) for address in person.addresses}
    return plain.union(suppression_tokens(vault, person.identities))


def _of_all(consents: Mapping[str, Sequence[Consent]], person: Person) -> list[Consent]:
    return [line for party in person.parties for line in consents.get(party, ())]


def _local_hour(at: datetime, zone: str, default: str) -> int:
    try:
        return at.astimezone(ZoneInfo(zone)).hour
    except (KeyError, ValueError):  # a zone as it was loaded, which nobody knows
        return at.astimezone(ZoneInfo(default)).hour

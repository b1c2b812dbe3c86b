"""The gate's rules: facts about a person and a planned contact → allowed, or the reason why not.

Pure: `act` gathers the facts, records the verdict and enforces it, at planning and at sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from zhiyin.core.parties import Join, joined_since

UNSUBSCRIBED = "unsubscribed"
"""The one reason of a suppression that a later consent can lift: she asked for it herself."""
IMPORT = "import"
"""Source of consents that a file tells of: they are no new word of hers."""
MARKETING, PERSONALISATION, CONFIRMATION = "marketing", "personalisation", "confirmation"
"""Purposes of a contact or of a consent; a confirmation is the mail of a double opt-in."""
ANY_CHANNEL = "*"

ALLOWED = "allowed"

REASONS = {
    "no_address": ("no address for the channel", "没有该渠道的联系方式"),
    "suppressed": ("on the suppression list", "在屏蔽名单中"),
    "consent_missing": ("never agreed to be contacted so", "未同意接收此类信息"),
    "consent_refused": ("refused to be contacted so", "已拒绝接收此类信息"),
    "personalisation_refused": (
        "refused personalised content, and this was made for her",
        "已拒绝个性化内容，而此消息为个性化内容",
    ),
    "held_out": ("held out to measure the effect", "作为对照组保留，用于衡量效果"),
    "frequency_cap": ("got enough messages lately", "近期已达到发送上限"),
    "quiet_hours": ("it is night where she is", "当地处于免打扰时段"),
}
"""Every reason the gate can give, in the order in which it is looked for: code → (en, zh)."""


@dataclass(frozen=True)
class Consent:
    """One line of the consent record of one party."""

    party_id: str
    purpose: str
    channel: str  # a channel, or * for all
    granted: bool
    at: datetime
    source: str = ""


@dataclass(frozen=True)
class Suppression:
    """One address of the person's on the suppression list of the channel."""

    parties: tuple[str, ...]  # those of hers that hold the address
    reason: str  # unsubscribed, complaint, bounce, erased …
    at: datetime


@dataclass(frozen=True)
class Limits:
    """Caps and quiet hours; hours are local, 0..23; equal hours mean no quiet time."""

    cap_messages: int
    cap_days: int
    quiet_from_hour: int
    quiet_to_hour: int


@dataclass(frozen=True)
class Facts:
    """What the gate needs to know of one person and one planned contact."""

    channel: str
    purpose: str
    at: datetime  # the moment of the contact, aware
    local_hour: int  # its hour where the person is
    has_address: bool
    consents: Sequence[Consent]  # of all parties of the person
    suppressions: Sequence[Suppression] = ()
    joins: Sequence[Join] = ()  # the merges that make her parties one person
    personal: bool = False  # what it shows was chosen for her
    generic: bool = False  # she refused personalised content
    held_out: bool = False
    contacted_at: Sequence[datetime] = ()  # earlier marketing messages to any of her parties


@dataclass(frozen=True)
class Verdict:
    """`reason` is `allowed` or a key of `REASONS`."""

    allowed: bool
    reason: str


def check(facts: Facts, limits: Limits) -> Verdict:
    """The first rule that forbids the contact, or leave to make it.

    A transactional contact (`purpose` other than `marketing`) passes caps and quiet hours but
    never a suppression or a refusal. A confirmation needs no consent, for it asks for one, and is
    not stopped by an unsubscription from something else.
    """
    marketing = facts.purpose == MARKETING
    if not facts.has_address:
        return Verdict(False, "no_address")
    if is_suppressed(facts):
        return Verdict(False, "suppressed")
    consent = consent_state(
        facts.consents,
        purpose=facts.purpose,
        channel=facts.channel,
        at=facts.at,
        joins=facts.joins,
    )
    if consent != "granted" and not (consent == "missing" and facts.purpose == CONFIRMATION):
        return Verdict(False, f"consent_{consent}")
    if marketing and facts.personal and facts.generic:
        return Verdict(False, "personalisation_refused")
    if facts.held_out:
        return Verdict(False, "held_out")
    if marketing and _recent(facts, limits.cap_days) >= limits.cap_messages:
        return Verdict(False, "frequency_cap")
    if marketing and is_quiet(facts.local_hour, limits):
        return Verdict(False, "quiet_hours")
    return Verdict(True, ALLOWED)


def consent_state(
    consents: Sequence[Consent],
    *,
    purpose: str,
    channel: str,
    at: datetime,
    joins: Sequence[Join] = (),
) -> str:
    """`granted`, `refused` or `missing` for a person at a moment.

    Of each party the newest line that fits purpose and channel counts (a refusal wins a tie). A
    refusal of one party holds for the person: the strictest wins. It is lifted by a newer consent
    of the same party, or of another that was the same person by then already.

    Parameters
    ----------
    joins
        The merges that make the parties one person now. A merge that was undone is none of them,
        so each party has its own back.
    """
    lines = _fitting(consents, purpose=purpose, channel=channel, at=at)
    newest: dict[str, Consent] = {}
    for line in lines:
        known = newest.get(line.party_id)
        if known is None or (line.at, not line.granted) > (known.at, not known.granted):
            newest[line.party_id] = line
    grants = [line for line in lines if line.granted]
    for refusal in newest.values():
        if not refusal.granted and not _is_lifted(refusal.at, (refusal.party_id,), grants, joins):
            return "refused"
    return "granted" if newest else "missing"


def personalisation_state(
    consents: Sequence[Consent], *, at: datetime, joins: Sequence[Join] = ()
) -> str:
    """`refused` where she refused personalised content on any channel, else as `consent_state`.

    What she refuses is a use of her data, not a way to reach her: so no channel is apart.
    """
    channels = {one.channel for one in consents if one.purpose == PERSONALISATION}
    states = {
        consent_state(consents, purpose=PERSONALISATION, channel=one, at=at, joins=joins)
        for one in channels
    }
    return next((one for one in ("refused", "granted") if one in states), "missing")


def is_suppressed(facts: Facts) -> bool:
    """Whether an address of hers is on the suppression list, for this contact.

    An unsubscription is lifted by a later consent of the same identifier, or of another that was
    the same person by then already; not by one that a file tells of. Whatever else stands on the
    list (a complaint, a bounce, an erasure) is never lifted.
    """
    if facts.purpose == CONFIRMATION:
        return any(one.reason != UNSUBSCRIBED for one in facts.suppressions)
    if not facts.suppressions:
        return False
    grants = [
        line
        for line in _fitting(
            facts.consents, purpose=facts.purpose, channel=facts.channel, at=facts.at
        )
        if line.granted and line.source != IMPORT
    ]
    return any(
        one.reason != UNSUBSCRIBED or not _is_lifted(one.at, one.parties, grants, facts.joins)
        for one in facts.suppressions
    )


def _fitting(
    consents: Sequence[Consent], *, purpose: str, channel: str, at: datetime
) -> list[Consent]:
    return [
        line
        for line in consents
        if line.purpose == purpose and line.channel in (channel, ANY_CHANNEL) and line.at <= at
    ]


def _is_lifted(
    at: datetime, parties: Sequence[str], grants: Sequence[Consent], joins: Sequence[Join]
) -> bool:
    """Whether a later grant is of one of the parties, or of one joined to them before it."""
    later = [line for line in grants if line.at > at]
    if not later:
        return False
    if any(line.party_id in parties for line in later):
        return True
    for party in parties:
        since = joined_since(party, joins)
        if any(line.party_id in since and line.at > since[line.party_id] for line in later):
            return True
    return False


def is_quiet(local_hour: int, limits: Limits) -> bool:
    """Whether the local hour lies in the quiet time, which may span midnight."""
    begin, end = limits.quiet_from_hour, limits.quiet_to_hour
    if begin <= end:
        return begin <= local_hour < end
    return local_hour >= begin or local_hour < end


def _recent(facts: Facts, days: int) -> int:
    since = facts.at - timedelta(days=days)
    return sum(since < moment <= facts.at for moment in facts.contacted_at)

"""The gate's rules: facts about a person and a planned contact → allowed, or the reason why not.

Pure: `act` gathers the facts, records the verdict and enforces it, at planning and at sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

ALLOWED = "allowed"

REASONS = {
    "no_address": ("no address for the channel", "没有该渠道的联系方式"),
    "suppressed": ("on the suppression list", "在屏蔽名单中"),
    "consent_missing": ("never agreed to be contacted so", "未同意接收此类信息"),
    "consent_refused": ("refused to be contacted so", "已拒绝接收此类信息"),
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
    suppressed: bool = False
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
    never a suppression or a refusal.
    """
    marketing = facts.purpose == "marketing"
    if not facts.has_address:
        return Verdict(False, "no_address")
    if facts.suppressed:
        return Verdict(False, "suppressed")
    consent = consent_state(
        facts.consents, purpose=facts.purpose, channel=facts.channel, at=facts.at
    )
    if consent != "granted":
        return Verdict(False, f"consent_{consent}")
    if facts.held_out:
        return Verdict(False, "held_out")
    if marketing and _recent(facts, limits.cap_days) >= limits.cap_messages:
        return Verdict(False, "frequency_cap")
    if marketing and is_quiet(facts.local_hour, limits):
        return Verdict(False, "quiet_hours")
    return Verdict(True, ALLOWED)


def consent_state(consents: Sequence[Consent], *, purpose: str, channel: str, at: datetime) -> str:
    """`granted`, `refused` or `missing` for a person at a moment.

    Of each party the newest line that fits purpose and channel counts (a refusal wins a tie); one
    party's refusal holds for the person: the strictest wins.
    """
    newest: dict[str, Consent] = {}
    for line in consents:
        fits = line.purpose == purpose and line.channel in (channel, "*") and line.at <= at
        if not fits:
            continue
        known = newest.get(line.party_id)
        if known is None or (line.at, not line.granted) > (known.at, not known.granted):
            newest[line.party_id] = line
    if any(not line.granted for line in newest.values()):
        return "refused"
    return "granted" if newest else "missing"


def is_quiet(local_hour: int, limits: Limits) -> bool:
    """Whether the local hour lies in the quiet time, which may span midnight."""
    begin, end = limits.quiet_from_hour, limits.quiet_to_hour
    if begin <= end:
        return begin <= local_hour < end
    return local_hour >= begin or local_hour < end


def _recent(facts: Facts, days: int) -> int:
    since = facts.at - timedelta(days=days)
    return sum(since < moment <= facts.at for moment in facts.contacted_at)

"""The gate's rules: facts about a person and a planned contact → allowed, or the reason why not.

Pure: `act` gathers the facts, records the verdict and enforces it, at planning and at sending.
Facts and consents are msgspec structs: there is one for every message, and they are made quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from zhiyin.core.parties import Join, joined_since

UNSUBSCRIBED = "unsubscribed"
"""The one reason of a suppression that a later consent can lift: she asked for it herself."""
IMPORT = "import"
"""Source of consents that a file tells of: they are no new word of hers."""
MARKETING, PERSONALISATION, CONFIRMATION = "marketing", "personalisation", "confirmation"
"""Purposes of a contact or of a consent; a confirmation is the mail of a double opt-in."""
ADS = "ads"
"""The purpose of putting somebody on a list for an ad platform: a use of her data, so that no
channel of the consents is apart."""
ANY_CHANNEL = "*"

ALLOWED, QUIET_HOURS = "allowed", "quiet_hours"
NO_AUTHORISATION = "no_authorisation"
GLOBAL_HOLDOUT = "global_holdout"

REASONS = {
    "no_address": ("no address for the channel", "没有该渠道的联系方式"),
    "suppressed": ("on the suppression list", "在屏蔽名单中"),
    "consent_missing": ("never agreed to be contacted so", "未同意接收此类信息"),
    "consent_refused": ("refused to be contacted so", "已拒绝接收此类信息"),
    "minor": ("younger than the age for marketing", "未达到营销所需年龄"),
    "sensitive": ("in a group that is marked sensitive", "属于标记为敏感的群体"),
    "personalisation_refused": (
        "refused personalised content, and this was made for her",
        "已拒绝个性化内容，而此消息为个性化内容",
    ),
    "held_out": ("held out to measure the effect", "作为对照组保留，用于衡量效果"),
    GLOBAL_HOLDOUT: ("held out of all marketing to measure it", "全局对照组，不接收任何营销"),
    "duplicate_address": ("another got this at the same address", "同一地址已有人收到此活动"),
    "campaign_budget": ("the campaign's budget is spent", "活动预算已用完"),
    NO_AUTHORISATION: ("allowed no further message of this template", "已无可用的订阅授权"),
    "frequency_cap": ("got enough messages lately", "近期已达到发送上限"),
    "channel_cap": ("got enough messages on this channel lately", "近期该渠道已达到发送上限"),
    "campaign_cap": ("got enough messages of this campaign lately", "近期该活动已达到发送上限"),
    "fatigue": ("left many messages unanswered: a pause", "多条消息未回应，暂停联系"),
    QUIET_HOURS: ("night where she is, it waits for the morning", "当地处于免打扰时段，早上再发"),
}
"""Every reason the gate can give, in the order in which it is looked for: code → (en, zh)."""
BEFORE_GLOBAL_HOLDOUT = tuple(
    one for one in list(REASONS)[: list(REASONS).index(GLOBAL_HOLDOUT)] if one != "held_out"
)
"""Reasons of rules that are alike for who is in the global holdout and who is not."""


class Consent(msgspec.Struct, frozen=True):
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


ALL, CAMPAIGN = "all", "campaign"


@dataclass(frozen=True)
class Cap:
    """At most `messages` in the last `days`: of a channel, of each `campaign`, or of `all`."""

    scope: str
    messages: int
    days: int


@dataclass(frozen=True)
class Contact:
    """An earlier marketing message to one of her parties."""

    at: datetime
    channel: str = ""
    campaign_id: str = ""


@dataclass(frozen=True)
class Limits:
    """Caps and quiet hours; hours are local, 0..23; equal hours mean no quiet time.

    `fatigue_messages` unanswered in a row make a pause of `fatigue_days`; 0: never. Who is known
    to be younger than `minimum_age` gets no marketing.
    """

    cap_messages: int
    cap_days: int
    quiet_from_hour: int
    quiet_to_hour: int
    caps: tuple[Cap, ...] = ()
    fatigue_messages: int = 0
    fatigue_days: int = 60
    minimum_age: int = 0


class Facts(msgspec.Struct, frozen=True):
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
    held_out: bool = False
    held_out_of_all: bool = False
    contacts: Sequence[Contact] = ()
    answered_at: datetime | None = None  # when she last answered anything, or bought
    age: int | None = None  # in years where she is; None: not known
    sensitive: bool = False
    campaign_id: str = ""
    address_taken: bool = False  # another person got this campaign at her address
    budget_left: int | None = None  # messages that the campaign can pay for; None: any number
    authorised: int | None = None  # messages that she allowed; None: the channel asks for none

    @property
    def generic(self) -> bool:
        """Whether she refused personalised content."""
        state = personalisation_state(self.consents, at=self.at, joins=self.joins)
        return state == "refused"


@dataclass(frozen=True)
class Verdict:
    """`reason` is `allowed` or a key of `REASONS`."""

    allowed: bool
    reason: str

    @property
    def possible(self) -> bool:
        """Whether nothing forbids it, or nothing but the hour: then it waits for the morning."""
        return self.allowed or self.reason == QUIET_HOURS


_LET = Verdict(True, ALLOWED)


def check(facts: Facts, limits: Limits) -> Verdict:
    """The first rule that forbids the contact, or leave to make it.

    A transactional contact (`purpose` other than `marketing`) passes caps and quiet hours but
    never a suppression or a refusal. A confirmation needs no consent, for it asks for one, and is
    not stopped by an unsubscription from something else.
    """
    for reason, forbids in RULES.items():
        if forbids(facts, limits):
            return Verdict(False, reason)
    return _LET


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
    """`use_state` of personalised content."""
    return use_state(consents, purpose=PERSONALISATION, at=at, joins=joins)


def use_state(
    consents: Sequence[Consent], *, purpose: str, at: datetime, joins: Sequence[Join] = ()
) -> str:
    """`refused` where she refused a purpose on any channel, else as `consent_state`.

    What she refuses is a use of her data, not a way to reach her: so no channel is apart.
    """
    channels = {one.channel for one in consents if one.purpose == purpose}
    states = {
        consent_state(consents, purpose=purpose, channel=one, at=at, joins=joins)
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
    channels = {facts.channel}
    if facts.purpose == ADS:
        channels = {one.channel for one in facts.consents}
    grants = [
        line
        for channel in channels
        for line in _fitting(facts.consents, purpose=facts.purpose, channel=channel, at=facts.at)
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


def _lines(facts: Facts) -> list[Consent]:
    """What she said of this contact; of a use of her data, on whatever channel."""
    if facts.purpose == ADS:
        return [one for one in facts.consents if one.purpose == ADS and one.at <= facts.at]
    return _fitting(facts.consents, purpose=facts.purpose, channel=facts.channel, at=facts.at)


def _refused(facts: Facts) -> bool:
    said, at, joins = facts.consents, facts.at, facts.joins
    if facts.purpose == ADS:
        return use_state(said, purpose=ADS, at=at, joins=joins) == "refused"
    state = consent_state(said, purpose=facts.purpose, channel=facts.channel, at=at, joins=joins)
    return state == "refused"


def _too_many(facts: Facts, cap: Cap) -> bool:
    since = facts.at - timedelta(days=cap.days)
    recent = sum(
        since < one.at <= facts.at
        and cap.scope in (ALL, one.channel, CAMPAIGN)
        and (cap.scope != CAMPAIGN or one.campaign_id == facts.campaign_id)
        for one in facts.contacts
    )
    return recent >= cap.messages


def _capped(facts: Facts, limits: Limits, kind: str) -> bool:
    """Whether a cap of a kind (all, campaign, or empty: of her channel) is reached."""
    if not facts.contacts:
        return False
    caps = [*limits.caps, Cap(ALL, limits.cap_messages, limits.cap_days)]
    wanted = kind or facts.channel
    return any(one.scope == wanted and _too_many(facts, one) for one in caps)


def is_tired(facts: Facts, limits: Limits) -> bool:
    """Whether so many messages since her last answer make a pause, counted from the last one."""
    since = facts.answered_at
    unanswered = [
        one.at for one in facts.contacts if one.at <= facts.at and (since is None or one.at > since)
    ]
    if limits.fatigue_messages == 0 or len(unanswered) < limits.fatigue_messages:
        return False
    return facts.at - max(unanswered) < timedelta(days=limits.fatigue_days)


_Forbids = Callable[[Facts, Limits], bool]


def _marketing(forbids: _Forbids) -> _Forbids:
    """The rule for marketing alone."""
    return lambda facts, limits: facts.purpose == MARKETING and forbids(facts, limits)


def _marketing_or_ads(forbids: _Forbids) -> _Forbids:
    return lambda facts, limits: facts.purpose in (MARKETING, ADS) and forbids(facts, limits)


RULES: dict[str, _Forbids] = {
    "no_address": lambda facts, _: not facts.has_address,
    "suppressed": lambda facts, _: is_suppressed(facts),
    "consent_missing": lambda facts, _: facts.purpose != CONFIRMATION and not _lines(facts),
    "consent_refused": lambda facts, _: _refused(facts),
    "minor": lambda facts, limits: (
        facts.purpose in (MARKETING, CONFIRMATION, ADS)
        and facts.age is not None
        and facts.age < limits.minimum_age
    ),
    "sensitive": _marketing_or_ads(lambda facts, _: facts.sensitive),
    "personalisation_refused": _marketing(lambda facts, _: facts.personal and facts.generic),
    "held_out": lambda facts, _: facts.held_out,
    GLOBAL_HOLDOUT: _marketing_or_ads(lambda facts, _: facts.held_out_of_all),
    "duplicate_address": _marketing(lambda facts, _: facts.address_taken),
    "campaign_budget": _marketing(
        lambda facts, _: facts.budget_left is not None and facts.budget_left <= 0
    ),
    NO_AUTHORISATION: lambda facts, _: facts.authorised is not None and facts.authorised <= 0,
    "frequency_cap": _marketing(lambda facts, limits: _capped(facts, limits, ALL)),
    "channel_cap": _marketing(lambda facts, limits: _capped(facts, limits, "")),
    "campaign_cap": _marketing(lambda facts, limits: _capped(facts, limits, CAMPAIGN)),
    "fatigue": _marketing(is_tired),
    QUIET_HOURS: _marketing(lambda facts, limits: is_quiet(facts.local_hour, limits)),
}
"""Every rule: reason → whether it forbids the contact, in the order of `REASONS`."""

"""Statements on the ledger's `campaigns`, and what became of a campaign's messages.

    draft → approved → running ⇄ paused → done
      └──────────────────┴───────┴──────→ cancelled      (a newer version: replaced)

A version is never changed; while it has not started, a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.campaigns.definition import (
    Definition,
    campaign_id,
    dump_definition,
    parse_definition,
)
from zhiyin.act.ledger import FAILED, PLANNED, SENDING, SENT, SKIPPED, UNKNOWN
from zhiyin.act.mass_ledger import doubtful_until
from zhiyin.act.reasons import BOUNCED, UNCONFIRMED
from zhiyin.core.decisions import HOLDOUT
from zhiyin.core.errors import InvalidParameter, NotFound, PermissionDenied
from zhiyin.core.ledger import audit, campaigns, messages, suppressions
from zhiyin.govern.gate import BEFORE_GLOBAL_HOLDOUT, GLOBAL_HOLDOUT, MARKETING

DRAFT, APPROVED, RUNNING, PAUSED = "draft", "approved", "running", "paused"
DONE, CANCELLED, REPLACED = "done", "cancelled", "replaced"
WAITING = (DRAFT, APPROVED)
HELD_OUT, CANCELLED_REASON = "held_out", "cancelled"
_C = campaigns.c


@dataclass(frozen=True)
class Campaign:
    """One version of a campaign; times are naive UTC."""

    key: str
    version: int
    state: str
    reason: str | None
    definition: Definition
    created_by: str
    created_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    started_at: datetime | None
    as_of_on: date | None
    planned_at: datetime | None
    counted_from: datetime | None
    finished_at: datetime | None

    @property
    def campaign_id(self) -> str:
        """Under which its messages stand."""
        return campaign_id(self.key)

    @property
    def turn_id(self) -> str:
        """Stands where the messages of a turn have the turn's."""
        return f"{self.campaign_id}@{self.version}"


@dataclass(frozen=True)
class Ends:
    """How many were sent since a moment, and of them how many complained and so on."""

    sent: int
    complaints: int
    bounces: int
    unsubscribes: int


def add_version(
    connection: sa.Connection, definition: Definition, *, by: str, now: datetime
) -> Campaign:
    """Keep a new version as a draft, in the place of one that has not started.

    Raises
    ------
    InvalidParameter
        If the campaign has started.
    """
    held = _newest(connection, definition.key)
    if held is not None and held.state not in WAITING:
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state}: what it sends cannot change any more",
            hint="give the new one another key",
        )
    version = 1 if held is None else held.version + 1
    if held is not None:
        _update(connection, held, state=REPLACED)
    connection.execute(
        campaigns.insert().values(
            key=definition.key, version=version, state=DRAFT,
            definition=dump_definition(definition), created_by=by[:80], created_at=now,
        )
    )  # fmt: skip
    made = find_campaign(connection, definition.key)
    note(connection, made, "created", by=by, now=now, definition=dump_definition(definition))
    return made


def approve(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Campaign:
    """Approve the newest version: never by who made it.

    Raises
    ------
    PermissionDenied
        If it is one's own.
    InvalidParameter
        If it is no draft.
    """
    held = find_campaign(connection, key)
    _require(held, (DRAFT,), "approved")
    if by == held.created_by:
        raise PermissionDenied(
            f"{by} planned the campaign {key!r} and cannot approve it",
            hint="a second person approves it",
        )
    _update(connection, held, state=APPROVED, approved_by=by[:80], approved_at=now)
    note(connection, held, "approved", by=by, now=now)
    return find_campaign(connection, key)


def start(
    connection: sa.Connection, key: str, *, as_of: date, second_person: bool, by: str, now: datetime
) -> Campaign:
    """Let the campaign run from now on.

    Raises
    ------
    PermissionDenied
        If the workspace asks for a second person and nobody has approved it.
    InvalidParameter
        If it has started already, or was cancelled.
    """
    held = find_campaign(connection, key)
    _require(held, WAITING, "started")
    if second_person and held.state != APPROVED:
        raise PermissionDenied(
            f"the campaign {key!r} is not approved",
            hint=f"a second person approves it: zhiyin campaign approve {key} --by NAME",
        )
    values = {"started_at": now, "counted_from": now, "as_of_on": as_of}
    _update(connection, held, state=RUNNING, **values)
    note(connection, held, "started", by=by, now=now)
    return find_campaign(connection, key)


def pause(
    connection: sa.Connection, key: str, *, by: str, now: datetime, reason: str = ""
) -> Campaign:
    """Send nothing more until it is resumed."""
    held = find_campaign(connection, key)
    _require(held, (RUNNING,), "paused")
    _update(connection, held, state=PAUSED, reason=(reason or f"by {by}")[:80])
    note(connection, held, "paused", by=by, now=now, reason=reason)
    return find_campaign(connection, key)


def resume(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Campaign:
    """Go on; the stop rule counts anew."""
    held = find_campaign(connection, key)
    _require(held, (PAUSED,), "resumed")
    _update(connection, held, state=RUNNING, reason=None, counted_from=now)
    note(connection, held, "resumed", by=by, now=now)
    return find_campaign(connection, key)


def cancel(connection: sa.Connection, key: str, *, by: str, now: datetime) -> Campaign:
    """End it for good: what is planned is skipped, what was sent stays sent.

    One that is done can be cancelled as long as a member of staff has messages to confirm.
    """
    held = find_campaign(connection, key)
    if held.state != DONE or not _has_unconfirmed(connection, held.campaign_id):
        _require(held, (*WAITING, RUNNING, PAUSED), "cancelled")
    _update(connection, held, state=CANCELLED, finished_at=now)
    skip_planned(connection, held.campaign_id)
    note(connection, held, "cancelled", by=by, now=now)
    return find_campaign(connection, key)


def finish(connection: sa.Connection, campaign: Campaign, *, now: datetime) -> None:
    """It is done, where it still runs."""
    mine = _is(campaign) & (_C.state == RUNNING)
    changed = connection.execute(campaigns.update().where(mine).values(state=DONE, finished_at=now))
    if changed.rowcount:
        note(connection, campaign, "done", by="delivery", now=now)


def set_planned(connection: sa.Connection, campaign: Campaign, *, now: datetime) -> None:
    """All its messages are planned."""
    _update(connection, campaign, planned_at=now)


def skip_planned(connection: sa.Connection, campaign: str) -> int:
    """Skip what is planned, as cancelled; how many there were."""
    planned = (messages.c.campaign_id == campaign) & (messages.c.state == PLANNED)
    skipped = messages.update().where(planned).values(state=SKIPPED, reason=CANCELLED_REASON)
    return connection.execute(skipped).rowcount


def find_campaign(connection: sa.Connection, key: str) -> Campaign:
    """The newest version.

    Raises
    ------
    NotFound
        If nobody planned a campaign under this key.
    """
    held = _newest(connection, key)
    if held is None:
        raise NotFound(f"there is no campaign {key!r}", hint="zhiyin campaign list")
    return held


def list_campaigns(connection: sa.Connection) -> list[Campaign]:
    """The newest version of each, by key."""
    query = sa.select(campaigns).where(_C.state != REPLACED).order_by(_C.key)
    return [_campaign(row) for row in connection.execute(query)]


def read_state(connection: sa.Connection, campaign: Campaign) -> str:
    """In which state it is now."""
    return connection.execute(sa.select(_C.state).where(_is(campaign))).scalar_one()


def count_parts(connection: sa.Connection, campaign: str) -> list[dict[str, Any]]:
    """Its messages by state, reason and variant: `state`, `reason`, `variant`, `n`."""
    columns = (messages.c.state, messages.c.reason, messages.c.variant)
    query = sa.select(*columns, sa.func.count().label("n")).where(
        messages.c.campaign_id == campaign
    )
    rows = connection.execute(query.group_by(*columns)).mappings()
    return sorted(
        ({name: value or "" for name, value in row.items()} for row in rows),
        key=lambda row: (row["state"], row["reason"], row["variant"]),
    )


def find_waiting(connection: sa.Connection, *, now: datetime) -> list[Campaign]:
    """Campaigns with something to do: to plan, to send by now, or to end."""
    due = messages.c.not_before.is_(None) | (messages.c.not_before <= now)
    still = messages.c.state.in_((PLANNED, SENDING)) & due
    found: list[Campaign] = []
    for one in list_campaigns(connection):
        if one.state not in (RUNNING, CANCELLED):
            continue
        mine = messages.c.campaign_id == one.campaign_id
        some = sa.select(messages.c.message_id).where(mine, still).limit(1)
        unplanned = one.state == RUNNING and one.planned_at is None
        if (
            unplanned
            or connection.execute(some).first()
            or (one.state == RUNNING and _may_end(connection, one.campaign_id, now))
        ):
            found.append(one)
    return found


def _may_end(connection: sa.Connection, campaign: str, now: datetime) -> bool:
    """Whether nothing is open, and of what is in doubt the platform can tell by now."""
    if _has_open(connection, campaign):
        return False
    sure_at = doubtful_until(connection, campaign)
    return sure_at is None or sure_at <= now


def _has_unconfirmed(connection: sa.Connection, campaign: str) -> bool:
    waits = (messages.c.campaign_id == campaign) & (messages.c.reason == UNCONFIRMED)
    query = sa.select(messages.c.message_id).where(waits, messages.c.state == SENT)
    return connection.execute(query.limit(1)).first() is not None


def _has_open(connection: sa.Connection, campaign: str) -> bool:
    still = messages.c.state.in_((PLANNED, SENDING)) & (messages.c.campaign_id == campaign)
    return (
        connection.execute(sa.select(messages.c.message_id).where(still).limit(1)).first()
        is not None
    )


def read_arms(connection: sa.Connection, campaign: str) -> list[tuple[str, str]]:
    """(customer, arm) of everybody who could be written to: a variant, or `holdout`."""
    arm = sa.func.coalesce(messages.c.variant, HELD_OUT)
    query = sa.select(messages.c.customer_id, arm).where(
        messages.c.campaign_id == campaign,
        messages.c.variant.is_not(None) | (messages.c.reason == HELD_OUT),
    )
    rows = connection.execute(query.order_by(messages.c.message_id))
    return [(customer, HOLDOUT if arm == HELD_OUT else arm) for customer, arm in rows]


def read_global_arms(connection: sa.Connection, campaign: str) -> list[tuple[str, str]]:
    """(Customer, `global_holdout` or `marketing`) of everybody whom no rule before the global
    holdout stopped: whether she is in it. Whatever became of the others, they might be sent
    something.
    """
    reason = sa.func.coalesce(messages.c.reason, "")
    query = sa.select(messages.c.customer_id, messages.c.reason).where(
        messages.c.campaign_id == campaign, messages.c.purpose == MARKETING,
        messages.c.variant.is_not(None) | reason.not_in(BEFORE_GLOBAL_HOLDOUT),
    )  # fmt: skip
    rows = connection.execute(query.order_by(messages.c.message_id))
    return [(one, why if why == GLOBAL_HOLDOUT else MARKETING) for one, why in rows]


def read_customers(connection: sa.Connection, campaign: str) -> frozenset[str]:
    """Customers with a message of the campaign, in whatever state."""
    query = sa.select(messages.c.customer_id).where(messages.c.campaign_id == campaign)
    return frozenset(connection.execute(query).scalars())


def read_held_out(connection: sa.Connection, campaign: str) -> frozenset[str]:
    """Parties in its holdout."""
    query = sa.select(messages.c.party_id, messages.c.customer_id).where(
        messages.c.campaign_id == campaign,
        messages.c.reason == HELD_OUT,
        messages.c.variant.is_(None),
    )
    return frozenset(party for row in connection.execute(query) for party in row)


def count_ends(connection: sa.Connection, campaign: str, *, since: datetime) -> Ends:
    """How what was sent since a moment (naive UTC) ended.

    An address that came onto the suppression list after it got the message counts by the reason;
    a message that the provider refused for good counts as a bounce, and as sent.
    """
    mine = messages.c.campaign_id == campaign
    tried = mine & (messages.c.state.in_((SENT, UNKNOWN)) & (messages.c.sent_at >= since))
    refused = mine & (messages.c.state == FAILED) & (messages.c.reason.in_(["refused", BOUNCED]))
    count = sa.select(sa.func.count())
    sent = connection.execute(count.where(tried)).scalar_one()
    failed = connection.execute(
        count.where(refused, messages.c.sent_at >= since)
    ).scalar_one()  # fmt: skip
    joined = messages.join(suppressions, suppressions.c.token == messages.c.address_token)
    query = (
        sa.select(suppressions.c.reason, sa.func.count(messages.c.message_id.distinct()))
        .select_from(joined)
        .where(tried, suppressions.c.at >= messages.c.sent_at)
        .group_by(suppressions.c.reason)
    )
    ended = {row[0]: row[1] for row in connection.execute(query)}
    return Ends(
        sent + failed, ended.get("complaint", 0), ended.get("bounce", 0) + failed,
        ended.get("unsubscribed", 0),
    )  # fmt: skip


def note(
    connection: sa.Connection, campaign: Campaign, what: str, *, by: str, now: datetime,
    **detail: Any,
) -> None:  # fmt: skip
    """A line of the audit log."""
    said: Mapping[str, Any] = {"key": campaign.key, "version": campaign.version, **detail}
    connection.execute(
        audit.insert().values(at=now, actor=by[:80], action=f"campaign.{what}", detail=dict(said))
    )


def _newest(connection: sa.Connection, key: str) -> Campaign | None:
    query = sa.select(campaigns).where(_C.key == key).order_by(_C.version.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _campaign(row)


def _campaign(row: sa.Row[Any]) -> Campaign:
    return Campaign(**{**row._mapping, "definition": parse_definition(row.definition)})


def _is(campaign: Campaign) -> sa.ColumnElement[bool]:
    return (_C.key == campaign.key) & (_C.version == campaign.version)


def _update(connection: sa.Connection, campaign: Campaign, **values: Any) -> None:
    connection.execute(campaigns.update().where(_is(campaign)).values(**values))


def _require(held: Campaign, states: tuple[str, ...], what: str) -> None:
    if held.state not in states:
        raise InvalidParameter(
            f"the campaign {held.key!r} is {held.state} and cannot be {what}",
            hint=f"zhiyin campaign show {held.key}",
        )

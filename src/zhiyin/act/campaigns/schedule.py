"""When each message of a campaign may go, and which content she gets (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from zhiyin.act.campaigns.definition import Schedule
from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.holdout import place_of
from zhiyin.govern.people import next_hour


def due_at(schedule: Schedule, zone: str, *, default: str, now: datetime) -> datetime | None:
    """The moment (aware) from which a message to somebody in `zone` may go; None: at once.

    A local hour that has passed where she is comes on the next day. An hour that a change of
    clocks leaves out is the one after it.

    Parameters
    ----------
    zone
        Hers; `default`, the workspace's, where it is empty or no zone.
    """
    if schedule.at is not None:
        return with_zone(schedule.at, default)
    if schedule.local_hour is None:
        return None
    return next_hour(
        now.replace(microsecond=0), zone, schedule.local_hour, default=default, on=schedule.on
    )


def check_schedule(schedule: Schedule, *, default: str, now: datetime) -> None:
    """Refuse a schedule that lies in the past.

    Raises
    ------
    InvalidParameter
        With what to do instead.
    """
    if schedule.at is not None and with_zone(schedule.at, default) <= now:
        raise InvalidParameter(
            f"the campaign was to go at {schedule.at.isoformat()}, which is past",
            hint="give a later moment, or no schedule: then it goes at once",
        )
    today = now.astimezone(ZoneInfo(default)).date()
    if schedule.on is not None and schedule.on < today:
        raise InvalidParameter(
            f"the campaign was to go on {schedule.on.isoformat()}, which is past",
            hint="give today or a later day",
        )


def with_zone(moment: datetime, default: str) -> datetime:
    """An aware moment; one without zone is in the workspace's."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(default))


def variant_of(salt: bytes, campaign_id: str, customer_id: str, shares: Mapping[str, float]) -> str:
    """The content that a customer gets: by a salted hash, so the same whenever it is asked.

    Shares are laid end to end on [0, 1) in the order of the variants; the hash says where she is.
    Independent of the holdout, whose scope is the campaign's id alone.
    """
    place, end = place_of(salt, f"{campaign_id}|variant", customer_id), 0.0
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return list(shares)[-1]  # the sum may lie a rounding below 1

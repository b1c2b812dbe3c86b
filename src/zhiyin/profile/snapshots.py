"""Which days get a snapshot of the features: the day itself, and days to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from zhiyin.core import columns as c
from zhiyin.core.errors import NotFound

SMALL_SHARE = 0.05  # of all recipients: the smallest campaigns up to it get no snapshot
MIN_HISTORY_DAYS = 21  # with less, "has not bought lately" cannot be told from "not yet seen"


@dataclass(frozen=True)
class Plan:
    """Days of `features`, and campaigns of `campaign_features` by day, both oldest first."""

    days: tuple[date, ...]
    campaigns: Mapping[date, tuple[str, ...]]
    decided: tuple[str, ...]
    whole: frozenset[date]  # days on which every customer gets a row, not only recipients
    small: tuple[str, ...]  # ended campaigns too small to be worth a snapshot
    dropped: tuple[str, ...]  # ended campaigns with too little history before them


def plan_snapshots(
    campaigns: Sequence[Mapping[str, Any]],
    *,
    as_of: date,
    first_day: date | None,
    chosen: str,
    history_campaigns: int,
    purchase_snapshots: int,
    horizon_days: int,
    recipients: Mapping[str, int] | None = None,
) -> Plan:
    """Plan the snapshots of a turn.

    Parameters
    ----------
    campaigns
        `campaign_id`, `start_on`, `end_on` of every campaign known on the day.
    as_of
        The day of the turn.
    first_day
        Local day of the first sale; None without sales.
    chosen
        Campaign to decide; empty: those that start on the day.
    history_campaigns
        At most so many ended campaigns, the latest, get a snapshot at their first day.
    purchase_snapshots, horizon_days
        So many past days with a row for every customer, `horizon_days` apart, so that the horizon
        of the latest ends where the day begins: predictions learn from them.

    recipients
        Planned recipients by campaign, to leave out the smallest: each day costs a pass over the
        facts, and these few rows teach nothing. None: all ended campaigns are kept.

    Raises
    ------
    NotFound
        If `chosen` is not among the campaigns.
    """
    rows = sorted(campaigns, key=lambda row: (row[c.START_ON], row[c.CAMPAIGN_ID]))
    ids = [str(row[c.CAMPAIGN_ID]) for row in rows]
    if chosen and chosen not in ids:
        raise NotFound(
            f"there is no campaign {chosen!r} on {as_of}",
            hint="set decide.campaign to one of the loaded campaigns, or leave it empty",
        )
    starting = [i for i, row in zip(ids, rows, strict=True) if row[c.START_ON] == as_of]
    decided = (chosen,) if chosen else tuple(starting)
    earliest = None if first_day is None else first_day + timedelta(days=MIN_HISTORY_DAYS)
    ended = [(str(r[c.CAMPAIGN_ID]), r[c.START_ON]) for r in rows if r[c.END_ON] < as_of]
    able = [(i, day) for i, day in ended if earliest is not None and day >= earliest]
    dropped = tuple(i for i, day in ended if (i, day) not in able)
    latest = able[-history_campaigns:]
    small = _smallest({name: recipients.get(name, 0) for name, _ in latest} if recipients else {})
    by_day: dict[date, list[str]] = {}
    for campaign, day in latest:
        if campaign in small:
            continue
        by_day.setdefault(day, []).append(campaign)
    if decided:
        by_day.setdefault(as_of, []).extend(decided)
    whole = {as_of}
    if earliest is not None:
        past = [as_of - timedelta(days=horizon_days * k) for k in range(1, purchase_snapshots + 1)]
        whole |= {day for day in past if day >= earliest}
    kept = {day: tuple(by_day[day]) for day in sorted(by_day)}
    return Plan(tuple(sorted({*whole, *by_day})), kept, decided, frozenset(whole), small, dropped)


def _smallest(recipients: Mapping[str, int]) -> tuple[str, ...]:
    """The smallest campaigns that together hold at most `SMALL_SHARE` of the recipients."""
    limit = SMALL_SHARE * sum(recipients.values())
    held, found = 0, []
    for name in sorted(recipients, key=lambda n: (recipients[n], n)):
        held += recipients[name]
        if held > limit:
            break
        found.append(name)
    return tuple(sorted(found))

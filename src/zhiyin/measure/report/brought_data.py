"""Values of the section *What it brought*: attributed beside caused, campaign by campaign."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caused:
    """An effect in money with its interval; `detectable` is what would have shown."""

    value: float
    low: float
    high: float
    detectable: float | None = None


@dataclass(frozen=True)
class Brought:
    """One campaign. `caused` is in all, `each` per customer; None is *not measured*.

    `plain` is how much more recipients spent than others, before anybody was made alike; `hold_out`
    of `recipients` would show a change of `share` of what they spend.
    """

    campaign_id: str
    name: str
    attributed: float | None
    orders: int
    evidence: str
    verdict: str
    caused: Caused | None = None
    each: Caused | None = None
    plain: float | None = None
    hold_out: int | None = None
    recipients: int = 0
    would_show: float | None = None
    enough: bool = True
    campaigns: int = 1


@dataclass(frozen=True)
class Programme:
    """All marketing of a quarter; `caused` None: not measured, for the reason `status`.

    `customers` were compared with `held_out` (0: with contacts that campaigns' holdouts withheld).
    """

    quarter: str
    status: str
    verdict: str
    caused: Caused | None = None
    customers: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class CountedShare:
    """Earlier `campaigns` caused the share `caused` of what was redeemed of them: expected profit
    counts redeemed money by `counted`.
    """

    caused: float
    counted: float
    campaigns: int


@dataclass(frozen=True)
class BroughtPart:
    """Campaigns, the most attributed first; `shop` is all revenue of the same time, `programme`
    what all of it caused, the latest quarter first.
    """

    rows: tuple[Brought, ...] = ()
    shop: float | None = None
    channels: tuple[tuple[str, float], ...] = ()
    programme: tuple[Programme, ...] = ()


NOTHING_BROUGHT = BroughtPart()

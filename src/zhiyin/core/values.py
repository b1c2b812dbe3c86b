"""Small frozen values that every room shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class JobReport:
    """What one job did.

    `rows` counts rows written by table, `figures` holds named results (JSON values), `notes` are
    sentences for the reader of the report.
    """

    job: str
    rows: Mapping[str, int] = field(default_factory=dict[str, int])
    figures: Mapping[str, object] = field(default_factory=dict[str, object])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty: `status` is `ok` or names why it is not to be trusted."""

    value: float
    low: float
    high: float
    n: int
    status: str = "ok"


@dataclass(frozen=True)
class MassReceipt:
    """What a provider says of a mass message: its id, and the recipients whom it leaves out."""

    provider_id: str
    left_out: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class MassOutcome:
    """What became of a mass message for one recipient.

    `state`: `waiting` (a member has not confirmed it), `sent`, `not_a_contact` any more, or
    `provider_limit`: she has had what the platform lets her have.
    """

    recipient: str = field(repr=False)
    state: str
    at: datetime | None = None  # aware

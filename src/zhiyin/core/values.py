"""Small frozen values that every room shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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

"""Small frozen values that every room shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # heavy imports only for the type checker
    import numpy as np
    from numpy.typing import NDArray


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


class Choice(NamedTuple):
    """What a policy chose for one context: the action (None: none was eligible), how likely."""

    action: str | None
    propensity: float  # P(action | context, eligible actions); 1 where none was eligible
    explored: bool  # another action than the one that is thought best


@dataclass(frozen=True)
class Choices:
    """What a policy chose for many contexts: row by row as `Choice`.

    `places`: of the action among `actions`, -1 where none was eligible.
    """

    actions: tuple[str, ...]
    places: NDArray[np.int64]
    propensities: NDArray[np.float64]
    explored: NDArray[np.bool_]

    def names(self) -> list[str | None]:
        """The chosen actions."""
        named = (*self.actions, None)  # -1 is the last
        return [named[place] for place in self.places.tolist()]


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

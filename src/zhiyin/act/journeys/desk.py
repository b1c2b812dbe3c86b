"""What a tick works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import sqlalchemy as sa

from zhiyin.act.journeys.definition import SetTag
from zhiyin.audience.rule import Rule
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Store, Vault

Meets = Callable[[Rule, Sequence[str] | None], set[str]]
"""Which of some customers (none: of all) meet a rule now."""
Decide = Callable[[str, str], object]
"""Answers what a journey's step asks for: key of the journey, name of the step."""
GiveTag = Callable[[sa.Connection, SetTag, Sequence[str]], object]
"""Gives or takes what a step says, of some parties, in a ledger transaction."""


@dataclass(frozen=True)
class Desk:
    """A workspace at a moment. Who lets a tick run on it holds the workspace's lease.

    `customers` gives `customer_id` with a date of hers, as text, under the name that it is asked
    for; `members` the parties of those who are several.
    """

    store: Store
    vault: Vault
    settings: Settings
    now_s: int
    meets: Meets
    customers: Callable[[str], ibis.Table]
    give_tag: GiveTag
    decide: Decide
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def kin(self, party: str) -> Sequence[str]:
        """All parties of a person."""
        return self.members.get(party) or (party,)

"""Decision points that journeys and campaigns ask: what these may name, and how people are seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from zhiyin.act.campaigns.definition import Definition as Campaign
from zhiyin.act.journeys.definition import Definition, NextBest
from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.decide.point_requests import Sight, check_contents, check_step
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import read_consents
from zhiyin.govern.quick import QuickGate, messages_of_one, suppressed_of_one
from zhiyin.store.ledger import reading
from zhiyin.store.quick import QuickRead
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore


def require_points(connection: sa.Connection, definition: Definition) -> None:
    """Refuse a journey whose steps name decision points that cannot answer them.

    Raises
    ------
    InvalidRule
        With the place and what to do.
    """
    for name, step in definition.steps.items():
        if isinstance(step, NextBest) and step.point:
            rewarded = step.reward or definition.goal
            check_step(
                connection, step.point, list(step.actions), days=step.days if rewarded else None,
                where=f"$.steps.{name}",
            )  # fmt: skip


def require_point(connection: sa.Connection, definition: Campaign) -> None:
    """Refuse a campaign whose decision point cannot choose its variants.

    Raises
    ------
    InvalidRule
        With what to do.
    """
    if definition.choose_by:
        check_contents(connection, definition.choose_by, list(definition.shares))


@contextmanager
def sight_of(
    store: WorkspaceStore, vault: LocalVault, settings: Settings, clock: Clock,
    kin: Callable[[str], Sequence[str]],
) -> Iterator[Sight]:  # fmt: skip
    """How people are seen for a decision point; `kin`: all parties of a person."""
    suppressed = QuickRead(store.ledger, suppressed_of_one(), "token")
    sent = QuickRead(store.ledger, messages_of_one(), "party_id")

    def consents(parties: Sequence[str]) -> list[Consent]:
        with reading(store.ledger) as connection:
            held = read_consents(connection, parties, purpose=None)
        return [line for lines in held.values() for line in lines]

    gate = QuickGate(
        settings.act, zone=settings.zone, clock=clock, vault=vault,
        consents=consents, suppressed=suppressed, sent=sent,
    )  # fmt: skip
    try:
        yield Sight(
            store.numbers, clock.now(), zone=settings.zone,
            needs_consent=settings.recommend.consent == "opt_in",
            kin=kin, touches=store.online.recent.read, gate=gate,
        )  # fmt: skip
    finally:
        suppressed.close()
        sent.close()

"""Decision points that journeys ask: what steps may name, and how people are seen for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from zhiyin.act.journeys.definition import Definition, NextBest
from zhiyin.app import Workspace
from zhiyin.decide.point_requests import Sight, check_step
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import read_consents
from zhiyin.govern.quick import QuickGate, messages_of_one, suppressed_of_one
from zhiyin.store.ledger import reading
from zhiyin.store.quick import QuickRead


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


@contextmanager
def sight_of(shop: Workspace, members: Mapping[str, Sequence[str]]) -> Iterator[Sight]:
    """How a tick sees people for a decision point; `members`: the parties of who has several."""
    suppressed = QuickRead(shop.store.ledger, suppressed_of_one(), "token")
    sent = QuickRead(shop.store.ledger, messages_of_one(), "party_id")

    def consents(parties: Sequence[str]) -> list[Consent]:
        with reading(shop.store.ledger) as connection:
            held = read_consents(connection, parties, purpose=None)
        return [line for lines in held.values() for line in lines]

    gate = QuickGate(
        shop.settings.act, zone=shop.settings.zone, clock=shop.clock, vault=shop.vault,
        consents=consents, suppressed=suppressed, sent=sent,
    )  # fmt: skip
    try:
        yield Sight(
            shop.store.numbers, shop.clock.now(), zone=shop.settings.zone,
            needs_consent=shop.settings.recommend.consent == "opt_in",
            kin=lambda party: members.get(party) or (party,),
            touches=shop.store.online.recent.read, gate=gate,
        )  # fmt: skip
    finally:
        suppressed.close()
        sent.close()

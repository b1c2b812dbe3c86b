"""What a campaign used already: messages, and the addresses that got one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zhiyin.core.ledger import messages
from zhiyin.govern.ledger import REACHED

_CHUNK = 500


@dataclass(frozen=True)
class Spent:
    """`messages`, and what they cost in `micros`, are 0 where nobody counted; `holders`: keyed hash
    of an address → parties that got the campaign there.
    """

    messages: int
    holders: Mapping[str, frozenset[str]]
    micros: int = 0


def read_spent(
    connection: sa.Connection,
    campaign_id: str,
    tokens: Sequence[str],
    *,
    counted: bool,
    turn_id: str = "",
) -> Spent:
    """What may have gone out for a campaign, and what the turn (empty: none) planned for it.

    Parameters
    ----------
    counted
        Whether to count all of it, which takes the longer the more there is.
    """
    if not campaign_id:
        return Spent(0, {})
    gone = messages.c.state.in_(REACHED)
    if turn_id:
        gone |= (messages.c.state == "planned") & (messages.c.turn_id == turn_id)
    mine = (messages.c.campaign_id == campaign_id) & gone
    number = micros = 0
    if counted:
        cost = sa.func.coalesce(sa.func.sum(messages.c.cost_micros), 0)
        row = connection.execute(sa.select(sa.func.count(), cost).where(mine)).one()
        number, micros = row[0], int(row[1])
    holders: dict[str, set[str]] = {}
    wanted = sorted({one for one in tokens if one})
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(messages.c.address_token, messages.c.party_id).where(
            mine, messages.c.address_token.in_(wanted[start : start + _CHUNK])
        )
        for token, party in connection.execute(query):
            holders.setdefault(token, set()).add(party)
    held = {token: frozenset(parties) for token, parties in holders.items()}
    return Spent(number, held, micros)

# pyright: standard
# (SQLAlchemy types rows by their number of columns)
"""What customers allowed a mini-programme to send: one authorisation is one message, as stock.

    granted → spent (by a message, in the transaction that takes it for sending)
       │  ←── given back (the message did not reach the platform, or was refused before spending)
       └────→ void (she refused: nothing that is left may be used)

They belong to an openid, known by the keyed hash of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.core.clock import naive_utc
from zhiyin.core.ledger import authorisations, messages

REFUSED = "refused"
"""Why authorisations are void: the platform says that she does not want any."""
MOST_AT_ONCE = 100
_C = authorisations.c
_CHUNK = 500


@dataclass(frozen=True)
class Grant:
    """`times` messages of a template that an openid allowed; `key` tells repeats of the same."""

    party_id: str
    address_token: str
    template: str
    source: str
    at: datetime  # aware
    times: int = 1
    key: str = ""


def add_grant(connection: sa.Connection, grant: Grant) -> bool:
    """Put a grant into the stock; False where it is known already."""
    key = hashlib.sha256(f"{grant.source}|{grant.key}".encode()).hexdigest() if grant.key else None
    if key is not None:
        known = sa.select(_C.authorisation_id).where(_C.event_key == key)
        if connection.execute(known).first() is not None:
            return False
    row = {
        "party_id": grant.party_id, "address_token": grant.address_token,
        "template": grant.template, "granted_at": naive_utc(grant.at), "source": grant.source,
    }  # fmt: skip
    keys: list[str | None] = [key, *[None] * (grant.times - 1)]
    connection.execute(authorisations.insert(), [{**row, "event_key": one} for one in keys])
    return True


def read_stock(
    connection: sa.Connection, tokens: Sequence[str], *, template: str
) -> dict[str, int]:
    """How many messages of a template each openid (keyed hash) still allows; only where any."""
    found: dict[str, int] = {}
    for some in _chunks(sorted(set(tokens))):
        query = (
            sa.select(_C.address_token, sa.func.count().label("n"))
            .where(_C.address_token.in_(some), _C.template == template, _is_left())
            .group_by(_C.address_token)
        )
        found |= {row.address_token: row.n for row in connection.execute(query)}
    return found


def read_reserved(
    connection: sa.Connection, tokens: Sequence[str], *, template: str, campaign_id: str,
    turn_id: str,
) -> dict[str, int]:  # fmt: skip
    """How many messages that are planned are going to spend each openid's authorisations.

    What another turn planned for the same campaign is not counted: this one plans it anew.
    """
    found: dict[str, int] = {}
    mine = (messages.c.campaign_id != campaign_id) | (messages.c.turn_id == turn_id)
    for some in _chunks(sorted(set(tokens))):
        query = (
            sa.select(messages.c.address_token, sa.func.count().label("n"))
            .where(messages.c.template == template, messages.c.address_token.in_(some))
            .where(messages.c.state == "planned", mine)
            .group_by(messages.c.address_token)
        )
        found |= {row.address_token: row.n for row in connection.execute(query)}
    return found


def spend(
    connection: sa.Connection, token: str, *, template: str, message_id: str, at: datetime
) -> bool:
    """Take the oldest authorisation that is left for a message; False where there is none."""
    oldest = sa.select(sa.func.min(_C.authorisation_id)).where(
        _C.address_token == token, _C.template == template, _is_left()
    )
    one = connection.execute(oldest).scalar_one()
    if one is None:
        return False
    mine = authorisations.update().where(_C.authorisation_id == one, _is_left())
    taken = connection.execute(mine.values(message_id=message_id, spent_at=naive_utc(at)))
    return taken.rowcount == 1


def give_back(connection: sa.Connection, message_ids: Sequence[str]) -> int:
    """Put back what messages spent that the platform did not take; how many there were."""
    changed = 0
    for some in _chunks(sorted(message_ids)):
        mine = authorisations.update().where(_C.message_id.in_(some), _C.void.is_(None))
        changed += connection.execute(mine.values(message_id=None, spent_at=None)).rowcount
    return changed


def empty_stock(
    connection: sa.Connection, tokens: Sequence[str], *, template: str, reason: str,
    message_ids: Sequence[str] = (),
) -> int:  # fmt: skip
    """Make void all that is left of a template for some openids, and what the messages spent."""
    changed = 0
    for some in _chunks(sorted(set(tokens))):
        left = _C.address_token.in_(some) & (_C.template == template) & _is_left()
        mine = authorisations.update().where(left | _C.message_id.in_(sorted(message_ids)))
        changed += connection.execute(mine.values(void=reason)).rowcount
    return changed


def count_authorisations(connection: sa.Connection) -> list[dict[str, Any]]:
    """By template: `granted`, of them `spent`, `void` and `left`."""
    spent = sa.case((_C.message_id.is_not(None) & _C.void.is_(None), 1), else_=0)
    void = sa.case((_C.void.is_not(None), 1), else_=0)
    left = sa.case((_is_left(), 1), else_=0)
    query = sa.select(
        _C.template, sa.func.count().label("granted"), sa.func.sum(spent).label("spent"),
        sa.func.sum(void).label("void"), sa.func.sum(left).label("left"),
    ).group_by(_C.template)  # fmt: skip
    return [dict(row) for row in connection.execute(query.order_by(_C.template)).mappings()]


def read_authorisations(
    connection: sa.Connection, *, parties: Sequence[str], tokens: Sequence[str]
) -> list[dict[str, Any]]:
    """Every row of a person, in the order in which they were granted."""
    hers = _C.party_id.in_(list(parties)) | _C.address_token.in_(list(tokens))
    query = sa.select(authorisations).where(hers).order_by(_C.authorisation_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def erase_authorisations(connection: sa.Connection, tokens: Sequence[str]) -> int:
    """Delete what some openids allowed; how many rows there were."""
    mine = authorisations.delete().where(_C.address_token.in_(list(tokens)))
    return connection.execute(mine).rowcount


def _is_left() -> sa.ColumnElement[bool]:
    return _C.message_id.is_(None) & _C.void.is_(None)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]

"""Statements on messages that leave as lines of a file.

`sending` is committed before a line is written, with where the file stands meanwhile as its
receipt. A file that was never whole still stands there: then its lines are planned again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from zhiyin.act.ledger import PLANNED, SENDING, SENT, UNKNOWN, claim_messages
from zhiyin.core.ledger import messages

_CHUNK = 500


def claim_lines(connection: sa.Connection, ids: Sequence[str], *, receipt: str) -> frozenset[str]:
    """Mark planned messages `sending` with the receipt; those that are now the caller's."""
    claimed = claim_messages(connection, ids)
    held = sorted(claimed)
    for start in range(0, len(held), _CHUNK):
        mine = messages.c.message_id.in_(held[start : start + _CHUNK])
        connection.execute(messages.update().where(mine).values(receipt=receipt))
    return claimed


def settle_lines(
    connection: sa.Connection, campaign_id: str, receipt: str, *, state: str,
    at: datetime | None = None,
) -> int:  # fmt: skip
    """What became of the lines of one file (naive UTC); how many there were."""
    mine = (
        (messages.c.campaign_id == campaign_id)
        & (messages.c.state == SENDING)
        & (messages.c.receipt == receipt)
    )
    values: dict[str, object] = {"state": state}
    if state == PLANNED:
        values |= {"receipt": None}
    elif state == SENT:
        values |= {"sent_at": at, "receipt": "in a file"}
    elif state == UNKNOWN:
        values |= {"reason": "interrupted"}
    return connection.execute(messages.update().where(mine).values(**values)).rowcount


def find_receipts(connection: sa.Connection, campaign_id: str) -> list[str]:
    """Receipts of lines that an export left under way."""
    query = sa.select(messages.c.receipt).where(
        messages.c.campaign_id == campaign_id,
        messages.c.state == SENDING,
        messages.c.receipt.is_not(None),
    )
    return sorted(connection.execute(query.distinct()).scalars())

"""The table of choices that a person decides."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

reviews = sa.Table(
    "reviews", metadata,
    sa.Column("decision_id", sa.String(64), primary_key=True),
    sa.Column("point", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="of the point"),
    sa.Column("party_id", sa.String(40), nullable=False, index=True,
              comment="whom it is about; empty: nobody was named"),
    sa.Column("rule", sa.String(48), nullable=False, comment="the rule that sent it"),
    sa.Column("proposed", sa.String(48), nullable=False, comment="what the policy drew"),
    sa.Column("chance", sa.Float, nullable=False, comment="how likely that was"),
    sa.Column("fallback", sa.String(48), nullable=False,
              comment="the default action, which stands when nobody answers"),
    sa.Column("eligible", sa.JSON, nullable=False, comment="actions that can be given"),
    sa.Column("numbers", sa.JSON, nullable=False, comment="what the policy saw, by name"),
    sa.Column("asked_at", sa.DateTime, nullable=False),
    sa.Column("until", sa.DateTime, nullable=False, comment="after this moment the default stands"),
    sa.Column("state", sa.String(16), nullable=False, comment="open, taken, answered or expired"),
    sa.Column("taken_by", sa.String(80)),
    sa.Column("taken_until", sa.DateTime, comment="so long it is kept for who took it"),
    sa.Column("action", sa.String(48), comment="what a person decided"),
    sa.Column("reason", sa.String(24), comment="why, a code"),
    sa.Column("note", sa.LargeBinary, comment="sealed with the key of whom it is about"),
    sa.Column("answered_by", sa.String(80)),
    sa.Column("answered_at", sa.DateTime),
    sa.Column("unit", sa.BigInteger, comment="with which it goes to the lake"),
    sa.Column("copied", sa.Boolean, nullable=False, server_default=sa.false(),
              comment="whether the answer is in the lake"),
    sa.Index(None, "state", "until"),
)  # fmt: skip

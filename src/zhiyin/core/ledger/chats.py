"""Tables of messages in chats: what customers allowed, what members must confirm."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

authorisations = sa.Table(
    "authorisations", metadata,
    sa.Column("authorisation_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("address_token", sa.String(64), nullable=False,
              comment="keyed hash of the openid that may be written to"),
    sa.Column("template", sa.String(80), nullable=False, comment="that it allows one message of"),
    sa.Column("granted_at", sa.DateTime, nullable=False),
    sa.Column("source", sa.String(64), nullable=False, comment="where she was asked"),
    sa.Column("event_key", sa.String(64), unique=True,
              comment="hash of the sender's id, by which a repeat is recognised"),
    sa.Column("message_id", sa.String(64), index=True, comment="the message that spent it"),
    sa.Column("spent_at", sa.DateTime),
    sa.Column("void", sa.String(24), comment="why it is worth nothing any more, a code"),
    sa.Index(None, "address_token", "template"),
)  # fmt: skip

mass_sends = sa.Table(
    "mass_sends", metadata,
    sa.Column("batch_id", sa.String(64), primary_key=True, comment="hash of its messages' ids"),
    sa.Column("campaign_id", sa.String(160), nullable=False, index=True),
    sa.Column("channel", sa.String(32), nullable=False),
    sa.Column("member", sa.String(64), nullable=False,
              comment="of staff who confirms it; empty: whoever has the customers as contacts"),
    sa.Column("messages", sa.Integer, nullable=False, comment="how many customers it is for"),
    sa.Column("digest", sa.String(64), nullable=False, comment="keyed hash of its text"),
    sa.Column("asked_at", sa.DateTime, nullable=False, comment="before the provider was called"),
    sa.Column("provider_id", sa.String(128), index=True,
              comment="the provider's id; none: it has not answered"),
    sa.Column("looked_at", sa.DateTime, comment="when it was last asked what members did"),
    sa.Column("stopped_at", sa.DateTime,
              comment="when the provider was told that nobody need confirm it any more"),
)  # fmt: skip

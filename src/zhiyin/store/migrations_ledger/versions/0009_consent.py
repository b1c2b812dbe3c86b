"""Proof of consents, double opt-in, chosen languages, and what the gate's rules count."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and columns."""
    op.add_column("consents", sa.Column("proof", sa.LargeBinary(), nullable=True))
    op.add_column(
        "messages",
        sa.Column("purpose", sa.String(32), nullable=False, server_default="marketing"),
    )
    op.add_column("messages", sa.Column("address_token", sa.String(64), nullable=True))
    op.create_index(
        op.f("ix_messages_campaign_id_address_token"),
        "messages",
        ["campaign_id", "address_token"],
        unique=False,
    )
    op.create_table(
        "consent_requests",
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("text_version", sa.String(64), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("asked_by", sa.String(80), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_consent_requests")),
    )
    op.create_index(
        op.f("ix_consent_requests_party_id"), "consent_requests", ["party_id"], unique=False
    )
    op.create_table(
        "languages",
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("party_id", name=op.f("pk_languages")),
    )

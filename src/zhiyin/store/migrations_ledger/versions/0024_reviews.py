"""Choices that a person decides."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "reviews",
        sa.Column("decision_id", sa.String(64), nullable=False),
        sa.Column("point", sa.String(48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("rule", sa.String(48), nullable=False),
        sa.Column("proposed", sa.String(48), nullable=False),
        sa.Column("chance", sa.Float(), nullable=False),
        sa.Column("fallback", sa.String(48), nullable=False),
        sa.Column("eligible", sa.JSON(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("taken_by", sa.String(80), nullable=True),
        sa.Column("taken_until", sa.DateTime(), nullable=True),
        sa.Column("action", sa.String(48), nullable=True),
        sa.Column("reason", sa.String(24), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("answered_by", sa.String(80), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.Column("unit", sa.BigInteger(), nullable=True),
        sa.Column("copied", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_party_id"), "reviews", ["party_id"])
    op.create_index(op.f("ix_reviews_state_until"), "reviews", ["state", "until"])

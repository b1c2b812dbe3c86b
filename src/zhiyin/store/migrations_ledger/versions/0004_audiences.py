"""Audiences, and who entered or left them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audiences",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("evaluated_on", sa.Date()),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_audiences")),
    )
    op.create_table(
        "membership_changes",
        sa.Column("change_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("audience", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(40), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_membership_changes")),
    )
    op.create_index(op.f("ix_membership_changes_audience"), "membership_changes", ["audience"])
    op.create_index(
        op.f("ix_membership_changes_customer_id"), "membership_changes", ["customer_id"]
    )

"""Versions of models, and which of them speaks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_versions",
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("model", sa.String(32), nullable=False),
        sa.Column("data_hash", sa.String(16), nullable=False),
        sa.Column("comparison", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(80), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("task", "subject", "version", name=op.f("pk_model_versions")),
    )
    op.create_index(op.f("ix_model_versions_as_of_on"), "model_versions", ["as_of_on"])
    op.create_table(
        "model_promotions",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("instead_of", sa.String(16)),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("by", sa.String(80), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_promotions")),
    )
    op.create_index(op.f("ix_model_promotions_task"), "model_promotions", ["task"])

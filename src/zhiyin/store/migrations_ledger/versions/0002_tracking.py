"""Write keys of sources, compactions of the journal, tracking plans."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "write_keys",
        sa.Column("write_key", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("user_namespace", sa.String(length=32), nullable=False),
        sa.Column("events_per_s", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("write_key", name=op.f("pk_write_keys")),
    )
    op.create_index(op.f("ix_write_keys_source"), "write_keys", ["source"])
    op.create_table(
        "compactions",
        sa.Column("compaction_id", sa.String(length=64), nullable=False),
        sa.Column("segments", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("compaction_id", name=op.f("pk_compactions")),
    )
    op.create_index(op.f("ix_compactions_state"), "compactions", ["state"])
    op.create_table(
        "tracking_plans",
        sa.Column("source", sa.String(length=48), nullable=False),
        sa.Column("event", sa.String(length=160), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("schema", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("source", "event", "version", name=op.f("pk_tracking_plans")),
    )

"""How far each source was read, and the files and webhooks that arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "pulls",
        sa.Column("source", sa.String(48), nullable=False),
        sa.Column("stream", sa.String(160), nullable=False),
        sa.Column("position", sa.JSON),
        sa.Column("seen", sa.LargeBinary),
        sa.Column("rows_read", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("pulled_at", sa.DateTime, nullable=False),
        sa.Column("error", sa.String(400)),
        sa.PrimaryKeyConstraint("source", "stream", name=op.f("pk_pulls")),
    )
    op.create_table(
        "arrivals",
        sa.Column("source", sa.String(48), nullable=False),
        sa.Column("arrival_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("modified_ns", sa.BigInteger),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.String(400)),
        sa.Column("arrived_at", sa.DateTime, nullable=False),
        sa.Column("key_id", sa.String(64)),
        sa.Column("content", sa.LargeBinary),
        sa.PrimaryKeyConstraint("source", "arrival_id", name=op.f("pk_arrivals")),
    )
    op.create_index(op.f("ix_arrivals_state"), "arrivals", ["state"], unique=False)
    op.create_index(op.f("ix_arrivals_arrived_at"), "arrivals", ["arrived_at"], unique=False)

"""Mass messages that members confirm; of messages their receipts, segments and costs."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, the index and the columns."""
    op.create_table(
        "mass_sends",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("campaign_id", sa.String(160), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("member", sa.String(64), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("provider_id", sa.String(128), nullable=True),
        sa.Column("looked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_mass_sends")),
    )
    for name in ("campaign_id", "provider_id"):
        op.create_index(op.f(f"ix_mass_sends_{name}"), "mass_sends", [name], unique=False)
    op.create_index(op.f("ix_messages_receipt"), "messages", ["receipt"], unique=False)
    op.add_column("messages", sa.Column("segments", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("cost_micros", sa.BigInteger(), nullable=True))

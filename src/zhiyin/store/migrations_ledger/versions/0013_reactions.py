"""What became of messages after they were sent: opened, followed, bounced, complained about."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reactions",
        sa.Column("reaction_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("machine", sa.String(16), nullable=True),
        sa.Column("link", sa.String(400), nullable=True),
        sa.Column("detail", sa.String(64), nullable=True),
        sa.Column("event_key", sa.String(64), nullable=True),
        sa.Column("unit", sa.BigInteger(), nullable=True),
        sa.Column("copied", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("reaction_id", name=op.f("pk_reactions")),
        sa.UniqueConstraint("event_key", name=op.f("uq_reactions_event_key")),
    )
    for name in ("message_id", "party_id", "unit"):
        op.create_index(op.f(f"ix_reactions_{name}"), "reactions", [name], unique=False)

"""Tasks of shop staff: whom to call; and the store of a key."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and add the column."""
    op.create_table(
        "tasks",
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("campaign", sa.String(40), nullable=False),
        sa.Column("store_id", sa.String(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(48), nullable=True),
        sa.Column("put_at", sa.DateTime(), nullable=False),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("taken_by", sa.String(80), nullable=True),
        sa.Column("taken_until", sa.DateTime(), nullable=True),
        sa.Column("answered_by", sa.String(80), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_party_id"), "tasks", ["party_id"], unique=False)
    for names in (["store_id", "state"], ["campaign", "state"]):
        op.create_index(op.f(f"ix_tasks_{'_'.join(names)}"), "tasks", names, unique=False)
    op.add_column("api_keys", sa.Column("store_id", sa.String(160), nullable=True))

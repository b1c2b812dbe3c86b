"""Which sent messages stand in the lake's touches."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was sent before is copied with the next unit."""
    op.add_column("messages", sa.Column("unit", sa.BigInteger(), nullable=True))
    op.add_column(
        "messages", sa.Column("copied", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(op.f("ix_messages_unit"), "messages", ["unit"], unique=False)
    copied, state = sa.column("copied", sa.Boolean()), sa.column("state", sa.String())
    for table, when in (("messages", ~copied & (state == "sent")), ("reactions", ~copied)):
        op.create_index(
            f"ix_{table}_uncopied", table, ["copied"], unique=False,
            sqlite_where=when, postgresql_where=when,
        )  # fmt: skip

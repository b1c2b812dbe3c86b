"""How often a message was tried, when it may be tried again, and what goes first."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name, default in (("tries", "0"), ("priority", "1")):
        column = sa.Column(name, sa.Integer(), nullable=False, server_default=default)
        op.add_column("messages", column)
    op.add_column("messages", sa.Column("not_before", sa.DateTime()))

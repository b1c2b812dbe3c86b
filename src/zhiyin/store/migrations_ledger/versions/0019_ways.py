"""By which channel a message leaves, which authorisation it spends, which calls were stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was planned before leaves by the channel of its medium."""
    op.add_column("messages", sa.Column("via", sa.String(32), nullable=True))
    op.add_column("messages", sa.Column("template", sa.String(80), nullable=True))
    op.add_column("mass_sends", sa.Column("stopped_at", sa.DateTime(), nullable=True))
    held = sa.column("template", sa.String()).is_not(None)
    op.create_index(
        "ix_messages_stock", "messages", ["template", "address_token"], unique=False,
        sqlite_where=held, postgresql_where=held,
    )  # fmt: skip

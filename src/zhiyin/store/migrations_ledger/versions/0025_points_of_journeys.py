"""Decision points that choose for journeys' steps, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was asked before is answered by the step's own policy."""
    name = "decision_requests"
    for column in (
        sa.Column("point", sa.String(48), nullable=True),
        sa.Column("reason", sa.String(24), nullable=True),
        sa.Column("decided", sa.JSON(), nullable=True),
        sa.Column("rewarded_s", sa.BigInteger(), nullable=True),
        sa.Column("outcome_unit", sa.BigInteger(), nullable=True),
        sa.Column("outcome_copied", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column(name, column)
    op.drop_index(f"ix_{name}_learned", name)
    learned = ["journey", "step", "action", "reward", "point"]
    op.create_index(f"ix_{name}_learned", name, learned)
    point, reward = sa.column("point", sa.String()), sa.column("reward", sa.Integer())
    when = (reward == 1) & point.is_not(None) & ~sa.column("outcome_copied", sa.Boolean())
    op.create_index(
        f"ix_{name}_untold", name, ["outcome_unit"], sqlite_where=when, postgresql_where=when
    )

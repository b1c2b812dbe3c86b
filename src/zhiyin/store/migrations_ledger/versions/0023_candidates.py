"""What the gate found of a policy, who approved it, and how far it took over."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name, kind in (
        ("verdict", sa.JSON()), ("judged_at", sa.DateTime()), ("answered_by", sa.String(80)),
        ("answered_at", sa.DateTime()), ("ramp", sa.JSON()), ("share", sa.Float()),
        ("looked_at", sa.DateTime()),
    ):  # fmt: skip
        op.add_column("policies", sa.Column(name, kind, nullable=True))

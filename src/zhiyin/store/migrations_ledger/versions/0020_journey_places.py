"""Where people of a journey stand, apart from who entered: a tick changes two indexes, not five."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
MOVED = ("lot", "step", "since_s", "due_s")


def upgrade() -> None:
    """Move the columns of those who are inside."""
    op.create_table(
        "journey_places",
        sa.Column(
            "entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False
        ),
        sa.Column("journey", sa.String(48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.Column("due_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_journey_places")),
    )
    names = ["entry_id", "journey", "version", "step", "lot", "since_s", "due_s"]
    held = sa.table("journey_people", *(sa.column(one) for one in [*names, "reason"]))
    places = sa.table("journey_places", *(sa.column(one) for one in names))
    inside = sa.select(*(held.c[one] for one in names)).where(held.c.reason.is_(None))
    op.execute(places.insert().from_select(names, inside))
    op.create_index(
        "ix_journey_places_due", "journey_places",
        ["journey", "version", "step", "due_s", "entry_id"],
    )  # fmt: skip
    op.drop_index("ix_journey_people_due", "journey_people")
    for name in MOVED:
        op.drop_column("journey_people", name)

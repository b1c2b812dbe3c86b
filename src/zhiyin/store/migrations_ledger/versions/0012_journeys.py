"""Journeys: their versions, who is where in them, and what was counted."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    _journeys()
    _people()
    op.create_table(
        "journey_counts",
        sa.Column("journey", sa.String(48)),
        sa.Column("version", sa.Integer(), autoincrement=False),
        sa.Column("step", sa.String(48)),
        sa.Column("what", sa.String(24)),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "journey", "version", "step", "what", name=op.f("pk_journey_counts")
        ),
    )


def _journeys() -> None:
    op.create_table(
        "journeys",
        sa.Column("key", sa.String(48)),
        sa.Column("version", sa.Integer(), autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("position", sa.JSON()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.Column("changed_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name=op.f("pk_journeys")),
    )


def _people() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "journey_people",
        sa.Column("entry_id", number, autoincrement=True),
        sa.Column("journey", sa.String(48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("occurrence", sa.String(64), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("entered_s", sa.BigInteger(), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.Column("due_s", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(24)),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_journey_people")),
        sa.UniqueConstraint(
            "journey", "party_id", "occurrence",
            name=op.f("uq_journey_people_journey_party_id_occurrence"),
        ),
    )  # fmt: skip
    inside = sa.text("reason IS NULL")
    op.create_index(
        "ix_journey_people_due", "journey_people", ["journey", "version", "step", "due_s"],
        sqlite_where=inside, postgresql_where=inside,
    )  # fmt: skip
    op.create_index(
        "uq_journey_people_inside", "journey_people", ["journey", "party_id"], unique=True,
        sqlite_where=inside, postgresql_where=inside,
    )  # fmt: skip
    op.create_index(op.f("ix_journey_people_party_id"), "journey_people", ["party_id"])

"""What customers allow a mini-programme to send them: one message each."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "authorisations",
        sa.Column("authorisation_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("address_token", sa.String(64), nullable=False),
        sa.Column("template", sa.String(80), nullable=False),
        sa.Column("granted_at", sa.DateTime(), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("event_key", sa.String(64), nullable=True),
        sa.Column("message_id", sa.String(64), nullable=True),
        sa.Column("spent_at", sa.DateTime(), nullable=True),
        sa.Column("void", sa.String(24), nullable=True),
        sa.PrimaryKeyConstraint("authorisation_id", name=op.f("pk_authorisations")),
        sa.UniqueConstraint("event_key", name=op.f("uq_authorisations_event_key")),
    )
    for names in (["party_id"], ["message_id"], ["address_token", "template"]):
        name = op.f("ix_authorisations_" + "_".join(names))
        op.create_index(name, "authorisations", names, unique=False)

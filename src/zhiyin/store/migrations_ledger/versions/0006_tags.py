"""The catalogue of tags, and tags given by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tag_definitions",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(120), nullable=False),
        sa.Column("label_zh", sa.String(120), nullable=False),
        sa.Column("path", sa.String(160), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("start_on", sa.Date()),
        sa.Column("end_on", sa.Date()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_tag_definitions")),
    )
    op.create_table(
        "manual_tags",
        sa.Column("entry_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tag", sa.String(80), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("value", sa.String(120)),
        sa.Column("start_on", sa.Date(), nullable=False),
        sa.Column("end_on", sa.Date()),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_manual_tags")),
    )
    op.create_index(op.f("ix_manual_tags_tag"), "manual_tags", ["tag"])
    op.create_index(op.f("ix_manual_tags_party_id"), "manual_tags", ["party_id"])

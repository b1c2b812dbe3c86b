"""What journeys ask of others: decisions, and calls to systems."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    _requests()
    op.create_table(
        "journey_calls",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("journey", sa.String(48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(48), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(24), nullable=True),
        sa.Column("planned_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_journey_calls")),
    )
    op.create_index(op.f("ix_journey_calls_party_id"), "journey_calls", ["party_id"])
    op.create_index(op.f("ix_journey_calls_journey_state"), "journey_calls", ["journey", "state"])


def _requests() -> None:
    name = "decision_requests"
    op.create_table(
        name,
        sa.Column("decision_id", sa.String(40), nullable=False),
        sa.Column("journey", sa.String(48), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(48), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.String(40), nullable=False),
        sa.Column("asked_s", sa.BigInteger(), nullable=False),
        sa.Column("eligible", sa.JSON(), nullable=False),
        sa.Column("explore", sa.Float(), nullable=False),
        sa.Column("action", sa.String(48), nullable=True),
        sa.Column("propensity", sa.Float(), nullable=True),
        sa.Column("explored", sa.Boolean(), nullable=True),
        sa.Column("policy_version", sa.String(32), nullable=True),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.Column("settle_s", sa.BigInteger(), nullable=False),
        sa.Column("reward", sa.Integer(), nullable=True),
        sa.Column("unit", sa.BigInteger(), nullable=True),
        sa.Column("copied", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decision_requests")),
    )
    for column in ("entry_id", "party_id", "unit"):
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column])
    op.create_index(f"ix_{name}_learned", name, ["journey", "step", "action", "reward"])
    action, reward = sa.column("action", sa.String()), sa.column("reward", sa.Integer())
    for end, columns, when in (
        ("open", ["journey", "step"], action.is_(None)),
        ("unsettled", ["journey", "version", "settle_s"], reward.is_(None)),
        ("uncopied", ["copied"], ~sa.column("copied", sa.Boolean())),
    ):
        op.create_index(f"ix_{name}_{end}", name, columns, sqlite_where=when, postgresql_where=when)

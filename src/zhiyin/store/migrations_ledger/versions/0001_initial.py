"""The first ledger: keys, leases, turns, jobs, loads, consents, messages, API keys, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "api_keys",
        sa.Column(
            "key_id", sa.String(length=16), nullable=False, comment="public prefix of the key"
        ),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the key"),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "audit",
        sa.Column("entry_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False, comment="no personal data, no party id"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit")),
    )
    op.create_table(
        "consents",
        sa.Column(
            "consent_id", sa.String(length=64), nullable=False, comment="hash of the row's content"
        ),
        sa.Column("party_id", sa.String(length=40), nullable=False),
        sa.Column(
            "purpose", sa.String(length=32), nullable=False, comment="marketing, personalisation …"
        ),
        sa.Column(
            "channel", sa.String(length=32), nullable=False, comment="email, sms … or * for all"
        ),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("text_version", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_party_id"), "consents", ["party_id"], unique=False)
    op.create_table(
        "data_keys",
        sa.Column(
            "key_id", sa.String(length=64), nullable=False, comment="party or load the key is for"
        ),
        sa.Column(
            "wrapped", sa.LargeBinary(), nullable=False, comment="key wrapped by the vault's"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_data_keys")),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column(
            "kind", sa.String(length=32), nullable=False, comment="turn, load, report or erase"
        ),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="waiting, running, done or failed",
        ),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("leased_until", sa.DateTime(), nullable=True),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.String(length=400), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "loads",
        sa.Column(
            "load_id", sa.String(length=64), nullable=False, comment="hash of content and mapping"
        ),
        sa.Column("table_name", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column(
            "file", sa.String(length=255), nullable=False, comment="file name without folder"
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="running or done"),
        sa.Column("rows_read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_loaded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows_quarantined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reconciliation", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("load_id", name=op.f("pk_loads")),
    )
    op.create_table(
        "messages",
        sa.Column(
            "message_id",
            sa.String(length=64),
            nullable=False,
            comment="hash of campaign, step, customer and occurrence",
        ),
        sa.Column("campaign_id", sa.String(length=160), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("party_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("decision_id", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="planned, sending, sent, unknown, failed or skipped",
        ),
        sa.Column(
            "reason", sa.String(length=48), nullable=True, comment="why skipped or failed, a code"
        ),
        sa.Column("planned_at", sa.DateTime(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("receipt", sa.String(length=255), nullable=True),
        sa.Column(
            "content",
            sa.LargeBinary(),
            nullable=True,
            comment="what to render, encrypted with the party's key",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_messages")),
    )
    op.create_index(op.f("ix_messages_campaign_id"), "messages", ["campaign_id"], unique=False)
    op.create_index(op.f("ix_messages_customer_id"), "messages", ["customer_id"], unique=False)
    op.create_index(op.f("ix_messages_party_id"), "messages", ["party_id"], unique=False)
    op.create_table(
        "steps",
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="running or done"),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("turn_id", "job", name=op.f("pk_steps")),
    )
    op.create_table(
        "suppressions",
        sa.Column(
            "token", sa.String(length=64), nullable=False, comment="keyed hash; survives erasure"
        ),
        sa.Column("channel", sa.String(length=32), nullable=False, comment="email, sms … or *"),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token", "channel", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("as_of_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="running or done"),
        sa.Column(
            "inputs", sa.JSON(), nullable=False, comment="Delta version of every input table"
        ),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("turn_id", name=op.f("pk_turns")),
    )
    op.create_index(op.f("ix_turns_as_of_on"), "turns", ["as_of_on"], unique=False)

"""The table of experiments. It names no customer: who is in which arm is a hash."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

experiments = sa.Table(
    "experiments", metadata,
    sa.Column("key", sa.String(48), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False,
              comment="running number from 1; drafts before the last one are replaced"),
    sa.Column("state", sa.String(16), nullable=False,
              comment="draft, running, stopped, decided or replaced"),
    sa.Column("hash", sa.String(64), nullable=False, comment="of the plan; frozen at the start"),
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False),
    sa.Column("changed_by", sa.String(80), nullable=False),
    sa.Column("started_at", sa.DateTime),
    sa.Column("stopped_at", sa.DateTime, comment="nobody was assigned from then on"),
    sa.Column("decision", sa.JSON,
              comment="what was decided, by whom, why, and what the evidence said then"),
    sa.Index(None, "key", "state"),
)  # fmt: skip

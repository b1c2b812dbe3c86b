"""Tables of audiences, models and tags."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

audiences = sa.Table(
    "audiences", metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False,
              comment="scheduled (every turn), static (once), live or removed"),
    sa.Column("rule", sa.JSON, nullable=False, comment="rule tree"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("evaluated_on", sa.Date, comment="last day that was evaluated"),
    sa.Column("asked", sa.JSON, comment="of a live one: moment, snapshot and table versions"),
)  # fmt: skip

membership_changes = sa.Table(
    "membership_changes", metadata,
    sa.Column("change_id", sa.Integer, primary_key=True, autoincrement=True,
              comment="running number: a reader remembers how far it came"),
    sa.Column("audience", sa.String(80), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False, comment="version of the audience's rule"),
    sa.Column("customer_id", sa.String(40), nullable=False, index=True),
    sa.Column("entered", sa.Boolean, nullable=False, comment="entered, otherwise left"),
    sa.Column("as_of_on", sa.Date, nullable=False, comment="day that was evaluated"),
    sa.Column("at", sa.DateTime, nullable=False),
)  # fmt: skip

model_versions = sa.Table(
    "model_versions", metadata,
    sa.Column("task", sa.String(32), primary_key=True, comment="churn, next_purchase …"),
    sa.Column("subject", sa.String(200), primary_key=True, comment="category, or empty"),
    sa.Column("version", sa.String(16), primary_key=True, comment="hash of the artifact"),
    sa.Column("as_of_on", sa.Date, nullable=False, index=True,
              comment="day it was made on; its artifact and card stand in the lake's models"),
    sa.Column("model", sa.String(32), nullable=False, comment="kind of model"),
    sa.Column("data_hash", sa.String(16), nullable=False, comment="of what it learned from"),
    sa.Column("comparison", sa.JSON, nullable=False, comment="with the champion of its day"),
    sa.Column("made_by", sa.String(80), nullable=False),
    sa.Column("made_at", sa.DateTime, nullable=False),
)  # fmt: skip

model_promotions = sa.Table(
    "model_promotions", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task", sa.String(32), nullable=False, index=True),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("version", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, comment="requested, promoted or rolled_back"),
    sa.Column("instead_of", sa.String(16), comment="the version that a rollback put aside"),
    sa.Column("on_day", sa.Date, nullable=False, comment="first day for whose turn it holds"),
    sa.Column("by", sa.String(80), nullable=False, comment="turn, or a person"),
    sa.Column("at", sa.DateTime, nullable=False),
)  # fmt: skip

guest_models = sa.Table(
    "guest_models", metadata,
    sa.Column("task", sa.String(32), primary_key=True, comment="churn, next_purchase …"),
    sa.Column("subject", sa.String(200), primary_key=True, comment="category, or empty"),
    sa.Column("name", sa.String(24), primary_key=True, comment="given by who brought it"),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="ONNX file"),
    sa.Column("features", sa.JSON, nullable=False, comment="names of its inputs, in order"),
    sa.Column("learned_until", sa.Date, nullable=False, comment="only later days can judge it"),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)  # fmt: skip

tag_definitions = sa.Table(
    "tag_definitions", metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False,
              comment="running number from 1; every change is a version, old ones stay"),
    sa.Column("label", sa.String(120), nullable=False),
    sa.Column("label_zh", sa.String(120), nullable=False),
    sa.Column("path", sa.String(160), nullable=False, comment="place in the tree: group/category"),
    sa.Column("kind", sa.String(16), nullable=False, comment="fact, rule, model or manual"),
    sa.Column("body", sa.JSON, nullable=False, comment="where its values come from"),
    sa.Column("owner", sa.String(80), nullable=False),
    sa.Column("status", sa.String(16), nullable=False, comment="draft, active or retired"),
    sa.Column("start_on", sa.Date, comment="first local day on which it is computed"),
    sa.Column("end_on", sa.Date, comment="last local day on which it is computed"),
    sa.Column("created_at", sa.DateTime, nullable=False, comment="when this version was made"),
    sa.Column("created_by", sa.String(80), nullable=False),
)  # fmt: skip

manual_tags = sa.Table(
    "manual_tags", metadata,
    sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True,
              comment="running number: the last entry of a day counts"),
    sa.Column("tag", sa.String(80), nullable=False, index=True),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("given", sa.Boolean, nullable=False, comment="given, otherwise taken away"),
    sa.Column("value", sa.String(120)),
    sa.Column("start_on", sa.Date, nullable=False, comment="local day from which it holds"),
    sa.Column("end_on", sa.Date, comment="last local day on which she has it"),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
)  # fmt: skip

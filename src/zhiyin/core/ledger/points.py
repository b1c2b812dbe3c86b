"""Tables of decision points and of the policies that choose at them. Neither names a person."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

decision_points = sa.Table(
    "decision_points", metadata,
    sa.Column("key", sa.String(48), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False,
              comment="running number from 1; every change is a version, old ones stay"),
    sa.Column("state", sa.String(16), nullable=False,
              comment="active, paused (only the default action) or replaced"),
    sa.Column("digest", sa.String(16), nullable=False, comment="hash of the definition"),
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("given", sa.JSON, nullable=False,
              comment="action with a stock: how many were given under this version"),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("created_by", sa.String(80), nullable=False),
    sa.Column("changed_at", sa.DateTime, nullable=False),
    sa.Column("changed_by", sa.String(80), nullable=False),
    sa.Index(None, "key", "state"),
)  # fmt: skip

policies = sa.Table(
    "policies", metadata,
    sa.Column("point", sa.String(48), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False,
              comment="running number from 1"),
    sa.Column("point_version", sa.Integer, nullable=False, comment="version it was made for"),
    sa.Column("state", sa.String(16), nullable=False,
              comment="candidate, refused, passed, declined, ramping, rolled_back, withdrawn, "
              "current or retired; one of a point is current, one at most ramping"),
    sa.Column("policy_version", sa.String(64), nullable=False, comment="as decisions name it"),
    sa.Column("artifact", sa.LargeBinary, nullable=False,
              comment="npz of core.artifact: policy, scale and names of its numbers"),
    sa.Column("parent", sa.Integer, comment="number of the one that it learned on from"),
    sa.Column("learned_until", sa.DateTime,
              comment="what was settled by then is in it; none: nothing yet"),
    sa.Column("figures", sa.JSON, nullable=False, comment="what it learned from, in numbers"),
    sa.Column("words", sa.Text, nullable=False, comment="why it was made"),
    sa.Column("made_at", sa.DateTime, nullable=False),
    sa.Column("made_by", sa.String(80), nullable=False),
    sa.Column("verdict", sa.JSON, comment="of the gate, which found it; none: never judged"),
    sa.Column("judged_at", sa.DateTime),
    sa.Column("answered_by", sa.String(80), comment="who approved or declined it"),
    sa.Column("answered_at", sa.DateTime),
    sa.Column("ramp", sa.JSON, comment="how far it took over, as decide.ramp has it"),
    sa.Column("share", sa.Float, comment="of choices that it makes now, while it takes over"),
    sa.Column("looked_at", sa.DateTime, comment="what was settled by then is in the ramp"),
    sa.Index(None, "point", "state"),
)  # fmt: skip

"""Tables of journeys' steps that others answer: decisions that are asked for, calls to systems."""

from __future__ import annotations

import sqlalchemy as sa

from zhiyin.core.ledger.tables import metadata

decision_requests = sa.Table(
    "decision_requests", metadata,
    sa.Column("decision_id", sa.String(40), primary_key=True),
    sa.Column("journey", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("step", sa.String(48), nullable=False),
    sa.Column("entry_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("asked_s", sa.BigInteger, nullable=False, comment="seconds since 1970, UTC"),
    sa.Column("eligible", sa.JSON, nullable=False, comment="names of the actions, in their order"),
    sa.Column("explore", sa.Float, nullable=False, comment="share that is spread evenly"),
    sa.Column("point", sa.String(48), comment="decision point that chooses; none: the step's own"),
    sa.Column("action", sa.String(48),
              comment="name of the one that was chosen; none: it waits, empty: none is for her"),
    sa.Column("propensity", sa.Float, comment="P(action)"),
    sa.Column("explored", sa.Boolean, comment="another action had the higher expected rate"),
    sa.Column("policy_version", sa.String(32),
              comment="hash of what the policy had learned; a point's stands in the lake"),
    sa.Column("reason", sa.String(24), comment="why a point answered so, a code"),
    sa.Column("decided", sa.JSON(none_as_null=True),
              comment="what a point chose from what, until it stands in the lake"),
    sa.Column("until_s", sa.BigInteger, nullable=False, comment="end of the reward's window"),
    sa.Column("settle_s", sa.BigInteger, nullable=False,
              comment="when the reward is looked at: a day later, for what comes in late"),
    sa.Column("reward", sa.Integer, comment="1, 0; none: not known yet"),
    sa.Column("rewarded_s", sa.BigInteger, comment="when it came; seconds since 1970, UTC"),
    sa.Column("unit", sa.BigInteger, index=True, comment="commit to the lake that it goes with"),
    sa.Column("copied", sa.Boolean, nullable=False, server_default=sa.false(),
              comment="whether it stands in the lake"),
    sa.Column("outcome_unit", sa.BigInteger, comment="commit that a point's reward goes with"),
    sa.Column("outcome_copied", sa.Boolean, nullable=False, server_default=sa.false(),
              comment="whether a point's reward stands in the lake"),
)  # fmt: skip
_d = decision_requests.c
_unanswered, _unsettled, _uncopied = _d.action.is_(None), _d.reward.is_(None), ~_d.copied
sa.Index("ix_decision_requests_open", _d.journey, _d.step,
         sqlite_where=_unanswered, postgresql_where=_unanswered)  # fmt: skip
sa.Index("ix_decision_requests_unsettled", _d.journey, _d.version, _d.settle_s,
         sqlite_where=_unsettled, postgresql_where=_unsettled)  # fmt: skip
sa.Index("ix_decision_requests_learned", _d.journey, _d.step, _d.action, _d.reward, _d.point)
sa.Index("ix_decision_requests_uncopied", _d.copied,
         sqlite_where=_uncopied, postgresql_where=_uncopied)  # fmt: skip
_untold = (_d.reward == 1) & _d.point.is_not(None) & ~_d.outcome_copied
sa.Index("ix_decision_requests_untold", _d.outcome_unit,
         sqlite_where=_untold, postgresql_where=_untold)  # fmt: skip

journey_calls = sa.Table(
    "journey_calls", metadata,
    sa.Column("call_id", sa.String(64), primary_key=True,
              comment="by which the receiver recognises a repeat"),
    sa.Column("journey", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("step", sa.String(48), nullable=False),
    sa.Column("party_id", sa.String(40), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False, comment="planned, sent, failed or skipped"),
    sa.Column("reason", sa.String(24), comment="why it failed or was skipped, a code"),
    sa.Column("planned_at", sa.DateTime, nullable=False),
    sa.Column("sent_at", sa.DateTime),
    sa.Column("not_before", sa.DateTime, comment="when it is tried again"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Index(None, "journey", "state"),
)  # fmt: skip

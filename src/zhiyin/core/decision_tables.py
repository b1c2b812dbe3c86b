"""What was decided, and what came of it."""

from __future__ import annotations

from zhiyin.core import columns as c
from zhiyin.core.schema import Table, col, req
from zhiyin.core.table_parts import A_PARTY, CUSTOMER, LOADED, MONTH, PARTY, money

DECISIONS = Table(
    "decisions", "fact", "Every decision: what could be done, what was chosen, how likely, why.",
    "decide", (c.DECISION_ID,),
    (
        req(c.DECISION_ID, "string", "hash of turn, campaign and customer"),
        req(c.TURN_ID, "string", "the turn"), req(c.AS_OF_ON, "date", "day of the decision"),
        req(c.CAMPAIGN_ID, "string", "campaign"), A_PARTY, CUSTOMER,
        req(c.DECIDED_AT, "timestamp", "09:00 local of the day"), MONTH,
        req(c.ELIGIBLE, "json", "actions that were possible"),
        req(c.ACTION, "string", "contact or none; of a journey or a point the name of the action, "
            "of an experiment the arm"),
        req(c.ARM, "string", "treat, holdout or none; of a point candidate, current or holdout, "
            "where lots are drawn between them"),
        req(c.PROPENSITY, "float64", "P(action | context)", "[0, 1]"),
        req(c.EXPLORED, "bool", "chosen at random"), col(c.PERSONALISED, "bool", "made for her"),
        col(c.OFFER_ID, "string", "offer"), col(c.PRODUCT_IDS, "json", "products to show"),
        req(c.POLICY, "string", "policy"), req(c.POLICY_VERSION, "string", "its version"),
        col(c.SCORE, "float64", "response probability", "[0, 1]"),
        col(c.EXPECTED_PROFIT_MINOR, "float64", "expected profit", "minor units"),
        req(c.REASON, "string", "why, as a code of govern.gate or decide"),
        col(c.DECIDED_BY, "string", "campaign: one that a person planned; journey: its "
            "next-best-action step; placement: a request for recommendations; point: a request "
             "for a decision; experiment: who was shown which arm; none: the turn"),
        col(c.VARIANT, "string",
            "content of a planned campaign that she gets; of a journey its step"),
        col(c.RANK, "int64", "of several actions of a point its place, from 1"),
        col(c.VERSION, "int64", "version of the point or the experiment"),
        col(c.CONTEXT, "json", "numbers that the policy of a point saw, by name; null: not known"),
        col(c.RAMP, "string", "of a choice while a policy takes over: its number.stage"),
    ),
    time=c.DECIDED_AT, scope=(c.AS_OF_ON, c.DECIDED_BY),
)  # fmt: skip

OUTCOMES = Table(
    "outcomes", "fact", "What was reported to have come of decisions.", "collect.outcomes",
    (c.OUTCOME_ID,),
    (
        req(c.OUTCOME_ID, "string", "keyed hash of the id that it was reported under"), PARTY,
        req(c.OCCURRED_AT, "timestamp", "when it happened"), MONTH,
        req(c.RECEIVED_AT, "timestamp", "when it was acknowledged"),
        req(c.KIND, "string", "what came: purchase, click …, as the shop calls it"),
        col(c.DECISION_ID, "string", "the decision that it came of, where that was told"),
        col(c.ACTION, "string", "of several actions the one that it came of"),
        col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.VALUE_MINOR, c.VALUE_BASE_MINOR, "what it is worth")), *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

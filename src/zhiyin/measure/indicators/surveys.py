# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis types every column of a table as plain `Column`)
"""Answers to surveys, from the events that tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir

from zhiyin.core import columns as c
from zhiyin.core.survey import ANSWERED, CSAT, NPS, PROPERTY, SCALES
from zhiyin.measure.indicators import definitions as d

SATISFIED: Final = 4
PROMOTER, DETRACTOR = 9, 6


def find_answers(events: ir.Table, *, since: datetime, period: str) -> ir.Table:
    """One row per answer: `customer_id`, `campaign_id`, `channel` (empty: none), its moment as
    `period`, and the sums of surveys.

    An answer is an event `survey_answered` of a known customer whose properties are `survey` (csat
    or nps), `score` on its scale, and perhaps `message_id`, `campaign_id`, `channel`. A message
    counts once for each survey: its first answer. What is off the scale is no answer.
    """
    rows = events.filter(
        events[c.NAME] == ANSWERED, events[c.CUSTOMER_ID].notnull(), events[c.OCCURRED_AT] >= since
    )
    told = rows[c.PROPERTIES].cast("json")[PROPERTY]
    rows = rows.select(
        c.CUSTOMER_ID, c.EVENT_ID,
        **{
            period: rows[c.OCCURRED_AT],
            c.CAMPAIGN_ID: told[c.CAMPAIGN_ID].str.fill_null(""),
            c.CHANNEL: told[c.CHANNEL].str.fill_null(""),
            c.KEY: ibis.coalesce(told[c.MESSAGE_ID].str, rows[c.EVENT_ID]),
            c.KIND: told["survey"].str,
            c.SCORE: told[c.SCORE].float,
        },
    )  # fmt: skip
    kind, score = rows[c.KIND], rows[c.SCORE]
    on_scale = [(kind == one) & score.between(*SCALES[one]) for one in (CSAT, NPS)]
    rows = rows.filter((on_scale[0] | on_scale[1]) & (score == score.round()))
    first = ibis.window(group_by=[c.KEY, c.KIND], order_by=[rows[period], rows[c.EVENT_ID]])
    rows = rows.mutate(place=ibis.row_number().over(first))
    rows = rows.filter(rows.place == 0)
    kind, score = rows[c.KIND], rows[c.SCORE]
    csat, nps = (kind == CSAT).cast("int64"), (kind == NPS).cast("int64")
    balance = (score >= PROMOTER).cast("int64") - (score <= DETRACTOR).cast("int64")
    return rows.mutate(
        **{
            d.CSAT_ANSWERS: csat,
            d.CSAT_SATISFIED: csat * (score >= SATISFIED).cast("int64"),
            d.NPS_ANSWERS: nps,
            d.NPS_BALANCE: nps * balance,
        }
    )

"""Tables about the data itself, who is in which audience, what a day's features are made from, and
what models and measurement say; part of `core/tables.py`.
"""

from __future__ import annotations

from zhiyin.core import columns as c
from zhiyin.core.features import MOMENTS
from zhiyin.core.schema import Table, col, req

_DAY = req(c.AS_OF_ON, "date", "the day the row is for")
_CUSTOMER = req(c.CUSTOMER_ID, "string", "the person, as of the row's day", pii="pseudonym")

QUARANTINE = Table(
    "quarantine", "fact", "Every refused row, with its reason.", "collect.facts",
    (c.LOAD_ID, c.LINE_NO, c.REASON),
    (
        req(c.SOURCE, "string", "source"), req(c.LOAD_ID, "string", "load"),
        req(c.TABLE, "string", "table it was meant for"),
        req(c.LINE_NO, "int64", "line of the file, header = 1"),
        req(c.REASON, "string", "code, for example unknown_currency"),
        req(c.MESSAGE, "string", "sentence without personal data"),
        req(c.PARTY_IDS, "json", "parties named in the row", pii="pseudonym"),
        req(c.KEY_ID, "string", "key of the content"),
        req(c.CONTENT, "binary", "the raw row, encrypted", pii="encrypted"),
        req(c.QUARANTINED_AT, "timestamp", "when", volatile=True),
    ),
)  # fmt: skip

QUALITY = Table(
    "quality", "derived", "How good the data of each table and source is, as of a day.",
    "collect.quality", (c.AS_OF_ON, c.TABLE, c.SOURCE, c.COLUMN, c.METRIC),
    (
        _DAY, req(c.TABLE, "string", "table that was looked at"),
        req(c.SOURCE, "string", "source of its rows"),
        req(c.COLUMN, "string", "column; empty: the table as a whole"),
        req(c.METRIC, "string", "completeness, validity, uniqueness, outliers, freshness, volume "
            "or drift"),
        col(c.VALUE, "float64", "share in [0, 1]; freshness: days; volume: ratio; drift: PSI"),
        col(c.THRESHOLD, "float64", "where a warning begins"),
        req(c.STATUS, "string", "ok, warn or bad"), req(c.N, "int64", "rows behind it"),
        req(c.WORDS_EN, "string", "the finding in English"),
        req(c.WORDS_ZH, "string", "the finding in Chinese"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

DUPLICATES = Table(
    "duplicates", "derived", "Parties that may be one person: suggestions, nothing is merged.",
    "collect.duplicates", (c.AS_OF_ON, c.PARTY_ID, c.INTO),
    (
        _DAY, req(c.PARTY_ID, "string", "identifier of a person", pii="pseudonym"),
        req(c.INTO, "string", "the party she may be the same person as", pii="pseudonym"),
        req(c.SCORE, "float64", "how alike they are", "[0, 1]"),
        req(c.RULE, "string", "what was compared, without its values"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

AUDIENCE_MEMBERS = Table(
    "audience_members", "derived", "Who is in which audience on a day.", "audience",
    (c.AS_OF_ON, c.AUDIENCE, c.CUSTOMER_ID),
    (
        _DAY, req(c.AUDIENCE, "string", "name of the audience"),
        req(c.VERSION, "int64", "version of its rule"),
        _CUSTOMER,
    ),
    scope=(c.AS_OF_ON, c.AUDIENCE),
)  # fmt: skip

FEATURE_MOMENT_TABLE = Table(
    "feature_moments", "derived",
    "One row per customer and day with features of everyone: what the next day's are made from.",
    "profile.features", (c.AS_OF_ON, c.CUSTOMER_ID),
    (_DAY, _CUSTOMER, *(col(m.name, m.type, m.meaning) for m in MOMENTS)), scope=(c.AS_OF_ON,),
)  # fmt: skip

FEATURE_STATES = Table(
    "feature_states", "derived", "What a day's features of everyone were made from.",
    "profile.features", (c.AS_OF_ON,),
    (_DAY, req(c.BODY, "json", "versions of the tables read, revenue of the shop's departments")),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

MODELS = Table(
    "models", "derived", "Fitted models of a day: what restores them, and their cards.",
    "understand.models", (c.AS_OF_ON, c.TASK, c.SUBJECT),
    (
        _DAY, req(c.TASK, "string", "as in scores; value stands for all that it gives"),
        req(c.SUBJECT, "string", "campaign, category or seed audience, or empty"),
        req(c.MODEL, "string", "kind of model"), req(c.MODEL_VERSION, "string", "artifact hash"),
        req(c.ARTIFACT, "binary", "JSON and arrays; never a pickle"),
        req(c.CARD, "json", "model card: data, validation, effects, warnings"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

INSIGHTS = Table(
    "insights", "derived", "What a day's models say in words and numbers, about groups only.",
    "understand.models", (c.AS_OF_ON, c.KIND, c.KEY),
    (
        _DAY, req(c.KIND, "string", "segment, movement, searches, model_card, value, "
            "value_decay, warning …"),
        req(c.KEY, "string", "which one"), req(c.BODY, "json", "content"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

RESULTS = Table(
    "results", "derived", "What was measured after the day.", "measure",
    (c.AS_OF_ON, c.KIND, c.SUBJECT, c.METRIC),
    (
        _DAY, req(c.MEASURED_UNTIL_ON, "date", "day after the last one seen"),
        req(c.KIND, "string", "response, next_purchase, churn, profit, increment, marketing, "
            "observed, programme, attributed, recommend, delivery, indicator, cohort, funnel, "
            "route, trend, anomaly, change, forecast or rising"),
        req(c.SUBJECT, "string", "campaign, quarter, month of a cohort, grouping:group of an "
            "indicator, day, product, group; or empty"), req(c.METRIC, "string", "metric"),
        col(c.VALUE, "float64", "value"), col(c.LOW, "float64", "lower 95 % bound"),
        col(c.HIGH, "float64", "upper 95 % bound"), req(c.N, "int64", "units behind it"),
        req(c.STATUS, "string", "ok, or why it is not to be trusted"),
        col(c.BODY, "json", "curves and further detail"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

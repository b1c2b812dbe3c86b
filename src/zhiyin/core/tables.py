"""Every table of the lake: schema, meaning, units, personal-data class and its one writing job.

The reference page `docs/reference/tables.md` is generated from this file.
"""

from __future__ import annotations

from zhiyin.core import columns as c
from zhiyin.core.data_tables import (
    AUDIENCE_MEMBERS,
    DUPLICATES,
    FEATURE_MOMENT_TABLE,
    FEATURE_STATES,
    INSIGHTS,
    MODELS,
    QUALITY,
    QUARANTINE,
    RESULTS,
)
from zhiyin.core.decision_tables import DECISIONS, OUTCOMES
from zhiyin.core.errors import NotFound
from zhiyin.core.features import CAMPAIGN_FEATURES, FEATURES, Feature
from zhiyin.core.schema import Column, Table, col, req
from zhiyin.core.table_parts import (
    A_PARTY,
    CUSTOMER,
    LOADED,
    MONTH,
    OPEN,
    PARTY,
    REVISED,
    money,
)

_AMOUNTS = (
    (c.GROSS_MINOR, c.GROSS_BASE_MINOR, "list price x quantity, before discounts"),
    (c.DISCOUNT_MINOR, c.DISCOUNT_BASE_MINOR, "shop discount, positive = less to pay"),
    (c.COUPON_MINOR, c.COUPON_BASE_MINOR, "coupons, positive = less to pay"),
    (c.TAX_MINOR, c.TAX_BASE_MINOR, "tax"),
    (c.SHIPPING_MINOR, c.SHIPPING_BASE_MINOR, "shipping"),
    (c.AMOUNT_MINOR, c.AMOUNT_BASE_MINOR, "revenue: paid, net of discounts; returns negative"),
)

ORDERS = Table(
    "orders", "fact", "One row per order (revision).", "collect.facts",
    (c.ORDER_ID,),
    (
        req(c.ORDER_ID, "string", "source:id"), *REVISED, PARTY,
        req(c.ORDERED_AT, "timestamp", "when the order was placed"), MONTH,
        col(c.STORE_ID, "string", "shop or branch"), col(c.CHANNEL, "string", "web, shop, app …"),
        req(c.STATUS, "string", "completed, cancelled or returned"),
        req(c.CURRENCY, "string", "ISO 4217"), *money(*_AMOUNTS), *OPEN, *LOADED,
    ),
    time=c.ORDERED_AT, partition=c.MONTH, revisions=True,
)  # fmt: skip

CONTRACTS = Table(
    "contracts", "fact", "One row per contract or subscription (revision).", "collect.facts",
    (c.CONTRACT_ID,),
    (
        req(c.CONTRACT_ID, "string", "source:id"), *REVISED, A_PARTY,
        req(c.OCCURRED_AT, "timestamp", "00:00 of the first day in the source's zone"), MONTH,
        col(c.KIND, "string", "plan, tariff"), req(c.START_ON, "date", "first local day"),
        col(c.END_ON, "date", "first local day on which it no longer runs; empty: it runs on"),
        col(c.CANCELLED_ON, "date", "local day on which notice was given"), *OPEN, *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH, revisions=True,
)  # fmt: skip

ORDER_LINES = Table(
    "order_lines", "fact", "One row per order line (revision); returns are own negative lines.",
    "collect.facts", (c.LINE_ID,),
    (
        req(c.LINE_ID, "string", "source:order:line"), *REVISED, PARTY,
        req(c.ORDER_ID, "string", "source:id of the order"),
        req(c.SOLD_AT, "timestamp", "when it was sold or returned"), MONTH,
        col(c.PRODUCT_ID, "string", "source:id"), col(c.STORE_ID, "string", "shop or branch"),
        req(c.KIND, "string", "item, return, shipping, fee, discount, sample (quantity 0) or "
            "adjustment (of stock or by hand)"),
        req(c.QUANTITY, "float64", "units; negative = returned"),
        req(c.CURRENCY, "string", "ISO 4217"), *money(*_AMOUNTS),
        req(c.SUSPECT, "bool", "an exact repeat of an earlier line of the same order"),
        col(c.RETURNS_LINE_ID, "string", "the sold line that this return takes back"),
        *OPEN, *LOADED,
    ),
    time=c.SOLD_AT, partition=c.MONTH, revisions=True,
)  # fmt: skip

TOUCHES = Table(
    "touches", "fact", "What reached, or was planned for, a person, and what she did with it.",
    "collect.facts", (c.TOUCH_ID,),
    (
        req(c.TOUCH_ID, "string", "source:id"), A_PARTY,
        req(c.OCCURRED_AT, "timestamp", "when"), MONTH,
        req(c.KIND, "string", "planned, sent, delivered, impression, open, click, machine_open, "
             "machine_click, bounce, complaint, unsubscribe, redemption, reached or "
             "not_reached (by a call)"),
        col(c.CAMPAIGN_ID, "string", "source:id"), col(c.OFFER_ID, "string", "source:id"),
        col(c.CHANNEL, "string", "email, sms, mail …"), col(c.MESSAGE_ID, "string", "message"),
        col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.COST_MINOR, c.COST_BASE_MINOR, "cost of the contact")), *OPEN, *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

TEXTS = Table(
    "texts", "fact", "Reviews, chats and tickets; `body` is masked.", "collect.facts",
    (c.TEXT_ID,),
    (
        req(c.TEXT_ID, "string", "source:id"), PARTY, req(c.OCCURRED_AT, "timestamp", "when"),
        MONTH, req(c.KIND, "string", "review, chat or ticket"),
        col(c.PRODUCT_ID, "string", "what it is about"), col(c.RATING, "float64", "stars", "1..5"),
        col(c.LANGUAGE, "string", "BCP 47"), req(c.BODY, "string", "text, personal data masked"),
        *OPEN, *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

SPEND = Table(
    "spend", "fact", "Media cost by day, channel and campaign.", "collect.facts",
    (c.SPENT_ON, c.CHANNEL, c.CAMPAIGN_ID, c.SOURCE),
    (
        req(c.SPENT_ON, "date", "local day"), req(c.OCCURRED_AT, "timestamp", "its 00:00"), MONTH,
        req(c.CHANNEL, "string", "channel"), col(c.CAMPAIGN_ID, "string", "source:id"),
        req(c.CURRENCY, "string", "ISO 4217"),
        *money((c.COST_MINOR, c.COST_BASE_MINOR, "cost")),
        col(c.IMPRESSIONS, "int64", "shown"), col(c.CLICKS, "int64", "clicked"), *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

EVENTS = Table(
    "events", "fact", "What people did on a site, in an app or elsewhere, as it was tracked.",
    "collect.events", (c.EVENT_ID,),
    (
        req(c.EVENT_ID, "string", "keyed hash of source and message id"), PARTY,
        req(c.OCCURRED_AT, "timestamp", "when, on the server's clock"), MONTH,
        req(c.RECEIVED_AT, "timestamp", "when it was acknowledged"),
        req(c.KIND, "string", "track, page, screen, identify, group or alias"),
        col(c.NAME, "string", "name of the event or page"),
        col(c.CHANNEL, "string", "browser, mobile or server"),
        col(c.PRODUCT_ID, "string", "source:id, of an event about one product"),
        col(c.ORDER_ID, "string", "source:id"), col(c.CART_ID, "string", "the source's cart"),
        col(c.QUERY, "string", "what was searched for"),
        col(c.PAGE, "string", "address without its query"),
        col(c.REFERRER, "string", "host that sent the visitor"),
        col(c.UTM_SOURCE, "string", "campaign source"),
        col(c.UTM_MEDIUM, "string", "campaign medium"),
        col(c.UTM_CAMPAIGN, "string", "campaign name"),
        col(c.UTM_CONTENT, "string", "campaign content"),
        col(c.UTM_TERM, "string", "campaign term"),
        col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.VALUE_MINOR, c.VALUE_BASE_MINOR, "value of the event")),
        col(c.FINDINGS, "json", "what validation found, as codes with the property's name"),
        *OPEN, *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

ITEM_EVENTS = Table(
    "item_events", "fact", "One row per product of a tracked shop event: views, carts, lists.",
    "collect.events", (c.ITEM_EVENT_ID,),
    (
        req(c.ITEM_EVENT_ID, "string", "event:place of the product in it"),
        req(c.EVENT_ID, "string", "the event"), PARTY,
        req(c.OCCURRED_AT, "timestamp", "when, on the server's clock"), MONTH,
        req(c.KIND, "string", "view, list, click, add, remove, cart, checkout, wish, unwish, "
            "share or review"),
        req(c.PRODUCT_ID, "string", "source:id"), col(c.CART_ID, "string", "the source's cart"),
        col(c.ORDER_ID, "string", "source:id"), col(c.LIST_ID, "string", "list or category shown"),
        col(c.POSITION, "int64", "place in the list, from 1"),
        col(c.QUANTITY, "float64", "units"), col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.PRICE_MINOR, c.PRICE_BASE_MINOR, "price of one unit")), *LOADED,
    ),
    time=c.OCCURRED_AT, partition=c.MONTH,
)  # fmt: skip

CUSTOMERS = Table(
    "customers", "dimension", "One row per party (revision).", "collect.facts", (c.PARTY_ID,),
    (
        A_PARTY, *REVISED, col(c.LANGUAGE, "string", "BCP 47"),
        col(c.COUNTRY, "string", "ISO 3166"), col(c.REGION, "string", "region"),
        col(c.CITY, "string", "city"), col(c.TIME_ZONE, "string", "IANA zone"),
        req(c.UNDATED, "bool", "attributes without history"), *OPEN, *LOADED,
    ),
    revisions=True,
)  # fmt: skip

IDENTITIES = Table(
    "identities", "dimension", "Every identifier that names a party.", "collect.facts",
    (c.IDENTITY_ID, c.PARTY_ID),
    (
        req(c.IDENTITY_ID, "string", "keyed hash of namespace and value", pii="pseudonym"),
        req(c.NAMESPACE, "string", "a source's user ids, email, phone, unionid, openid:<app>, "
            "ouid:<shop>, card_id, device_id or anonymous_id"), A_PARTY,
        req(c.VALID_AT, "timestamp", "since when it is known"), *LOADED,
    ),
    time=c.VALID_AT,
)  # fmt: skip

MERGES = Table(
    "merges", "dimension", "Dated: this party is the same person as that one.", "collect.identity",
    (c.PARTY_ID, c.INTO, c.AT),
    (
        A_PARTY, req(c.INTO, "string", "the party it is joined to", pii="pseudonym"),
        req(c.AT, "timestamp", "from when"), req(c.RULE, "string", "rule or person"),
        col(c.EVIDENCE, "json", "what the rule saw, without personal data"),
        col(c.UNDONE_AT, "timestamp", "from when it no longer holds"),
    ),
    time=c.AT,
)  # fmt: skip

IDENTITY_CONFLICTS = Table(
    "identity_conflicts", "dimension", "Records that an identifier would have joined, and why not.",
    "collect.identity", (c.CONFLICT_ID,),
    (
        req(c.CONFLICT_ID, "string", "hash of reason, identifier and records"), A_PARTY,
        req(c.INTO, "string", "the other record, or the second of several", pii="pseudonym"),
        req(c.IDENTITY_ID, "string", "the identifier they share", pii="pseudonym"),
        req(c.NAMESPACE, "string", "its kind"),
        req(c.AT, "timestamp", "when both had been seen with it"),
        req(c.REASON, "string", "shared, ambiguous, apart, two_ids or too_many"),
        col(c.N, "int64", "records that share it, where it joins none of them"),
        req(c.SOURCE, "string", "source of the later row"),
    ),
    time=c.AT,
)  # fmt: skip

PRODUCTS = Table(
    "products", "dimension", "One row per product (revision).", "collect.facts", (c.PRODUCT_ID,),
    (
        req(c.PRODUCT_ID, "string", "source:id"), *REVISED, col(c.NAME, "string", "name"),
        col(c.DEPARTMENT, "string", "widest group"), col(c.CATEGORY, "string", "group"),
        col(c.SUBCATEGORY, "string", "narrow group"), col(c.BRAND, "string", "brand"),
        col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.PRICE_MINOR, c.PRICE_BASE_MINOR, "list price")),
        col(c.URL, "string", "page"), col(c.PROPERTIES, "json", "further fields"), *LOADED,
    ),
    revisions=True,
)  # fmt: skip

STORES = Table(
    "stores", "dimension", "One row per shop or branch (revision).", "collect.facts",
    (c.STORE_ID,),
    (
        req(c.STORE_ID, "string", "source:id"), *REVISED, col(c.NAME, "string", "name"),
        col(c.COUNTRY, "string", "ISO 3166"), col(c.REGION, "string", "region"),
        col(c.CITY, "string", "city"), col(c.PROPERTIES, "json", "further fields"), *LOADED,
    ),
    revisions=True,
)  # fmt: skip

CAMPAIGNS = Table(
    "campaigns", "dimension", "One row per campaign (revision).", "collect.facts",
    (c.CAMPAIGN_ID,),
    (
        req(c.CAMPAIGN_ID, "string", "source:id"), *REVISED, col(c.NAME, "string", "name"),
        col(c.KIND, "string", "the business's own type"), col(c.CHANNEL, "string", "channel"),
        req(c.START_ON, "date", "first local day"), req(c.END_ON, "date", "last local day"),
        col(c.PROPERTIES, "json", "further fields"), *LOADED,
    ),
    revisions=True,
)  # fmt: skip

OFFERS = Table(
    "offers", "dimension", "One row per offer and product it is good for (revision).",
    "collect.facts", (c.OFFER_ID, c.CAMPAIGN_ID, c.PRODUCT_ID),
    (
        req(c.OFFER_ID, "string", "source:id"), *REVISED,
        col(c.CAMPAIGN_ID, "string", "source:id"),
        col(c.PRODUCT_ID, "string", "source:id; empty: any product"),
        col(c.NAME, "string", "name"), col(c.KIND, "string", "coupon, percent, gift …"),
        col(c.CURRENCY, "string", "ISO 4217"),
        *money((c.VALUE_MINOR, c.VALUE_BASE_MINOR, "face value")),
        col(c.START_ON, "date", "first local day"), col(c.END_ON, "date", "last local day"),
        col(c.PROPERTIES, "json", "further fields"), *LOADED,
    ),
    revisions=True,
)  # fmt: skip

RATES = Table(
    "rates", "dimension", "Workspace currency per unit of a currency, by day.", "collect.facts",
    (c.CURRENCY, c.RATE_ON),
    (
        req(c.CURRENCY, "string", "ISO 4217"), req(c.RATE_ON, "date", "local day"),
        req(c.RATE, "string", "exact decimal"), *LOADED,
    ),
)  # fmt: skip

_DAY = req(c.AS_OF_ON, "date", "the day the row is for")

TAGS = Table(
    "tags", "derived", "Tags (标签) of a customer.", "profile.tags",
    (c.AS_OF_ON, c.CUSTOMER_ID, c.TAG),
    (
        _DAY, CUSTOMER, req(c.TAG, "string", "tag"), col(c.VALUE, "string", "its value, if any"),
        req(c.KIND, "string", "rule, fact, model or manual"),
        req(c.VERSION, "int64", "version of the tag's definition"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

MEMBERSHIPS = Table(
    "memberships", "derived", "Which computed group a customer is in.", "understand.models",
    (c.AS_OF_ON, c.SCHEME, c.CUSTOMER_ID),
    (
        _DAY, CUSTOMER, req(c.SCHEME, "string", "rfm or clusters"),
        req(c.SEGMENT, "string", "the group"),
        col(c.SCORE, "float64", "RFM: r·100+f·10+m; clusters: distance to the centre"),
        col(c.PROPERTIES, "json", "scores and values behind it"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

SCORES = Table(
    "scores", "derived", "What models expect of a customer.", "understand.models",
    (c.AS_OF_ON, c.TASK, c.SUBJECT, c.CUSTOMER_ID),
    (
        _DAY, CUSTOMER,
        req(c.TASK, "string", "response, next_purchase, churn, category_affinity, look_alike, "
            "p_alive, expected_purchases or value"),
        req(c.SUBJECT, "string", "campaign, category or seed audience, or empty"),
        req(c.SCORE, "float64", "a probability; purchase days expected; value in minor units"),
        req(c.RANK, "int64", "1 = highest; ties by id"),
        col(c.EXPECTED_PROFIT_MINOR, "float64", "expected margin if she responds", "minor units"),
        req(c.MODEL, "string", "model"), req(c.MODEL_VERSION, "string", "artifact hash"),
        req(c.REASONS, "json", "feature, value and effect on the log-odds, strongest first"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

RECOMMENDATIONS = Table(
    "recommendations", "derived", "Products for a customer, best first.", "understand.models",
    (c.AS_OF_ON, c.CUSTOMER_ID, c.RANK),
    (
        _DAY, CUSTOMER, req(c.RANK, "int64", "1 = best"), req(c.PRODUCT_ID, "string", "source:id"),
        req(c.SCORE, "float64", "model score"),
        req(c.MODEL, "string", "model; explore: little known; check.*: lists of a check day"),
        req(c.REASON, "json", "products of hers that speak for it"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip


TOGETHER = Table(
    "together", "derived", "Products that share orders more often than chance has it, best first.",
    "understand.models", (c.AS_OF_ON, c.PRODUCT_ID, c.RANK),
    (
        _DAY, req(c.PRODUCT_ID, "string", "source:id"),
        req(c.RANK, "int64", "1 = the largest lift_low"),
        req(c.OTHER_ID, "string", "source:id of what goes with it"),
        req(c.ORDERS_TOGETHER, "int64", "orders that hold both"),
        req(c.SUPPORT, "float64", "share of all orders that hold both"),
        req(c.CONFIDENCE, "float64", "share of orders with the product that hold the other"),
        req(c.LIFT, "float64", "confidence over the other's share of all orders"),
        req(c.LIFT_LOW, "float64", "lower end of the lift's 95 % interval"),
        req(c.P_VALUE, "float64", "Fisher's exact one-sided test"),
        req(c.Q_VALUE, "float64", "p after Benjamini and Hochberg"),
    ),
    scope=(c.AS_OF_ON,),
)  # fmt: skip


def _feature_columns(features: tuple[Feature, ...]) -> tuple[Column, ...]:
    return tuple(col(f.name, f.type, f.meaning, f.unit) for f in features)


FEATURE_TABLE = Table(
    "features", "derived", "One row per customer and day: what was known before that day.",
    "profile.features", (c.AS_OF_ON, c.CUSTOMER_ID),
    (_DAY, CUSTOMER, *_feature_columns(FEATURES)), scope=(c.AS_OF_ON,),
)  # fmt: skip

CAMPAIGN_FEATURE_TABLE = Table(
    "campaign_features", "derived",
    "One row per day, campaign and planned recipient: what ties her to its offers.",
    "profile.features", (c.AS_OF_ON, c.CAMPAIGN_ID, c.CUSTOMER_ID),
    (_DAY, req(c.CAMPAIGN_ID, "string", "source:id"), CUSTOMER,
     *_feature_columns(CAMPAIGN_FEATURES)),
    scope=(c.AS_OF_ON,),
)  # fmt: skip

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        EVENTS, ITEM_EVENTS, ORDERS, ORDER_LINES, CONTRACTS, TOUCHES, TEXTS, SPEND, DECISIONS,
        OUTCOMES,
        CUSTOMERS, IDENTITIES, MERGES, IDENTITY_CONFLICTS, PRODUCTS, STORES, CAMPAIGNS, OFFERS,
        RATES, QUARANTINE, QUALITY, DUPLICATES, FEATURE_TABLE, FEATURE_MOMENT_TABLE, FEATURE_STATES,
        CAMPAIGN_FEATURE_TABLE, TAGS, MEMBERSHIPS, AUDIENCE_MEMBERS, SCORES, RECOMMENDATIONS,
        TOGETHER, MODELS, INSIGHTS, RESULTS,
    )
}  # fmt: skip


def table(name: str) -> Table:
    """The table called `name`.

    Raises
    ------
    NotFound
        If there is none.
    """
    if name not in TABLES:
        raise NotFound(f"there is no table {name!r}", hint=f"tables: {', '.join(TABLES)}")
    return TABLES[name]

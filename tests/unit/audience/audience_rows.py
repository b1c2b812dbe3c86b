"""A small shop in Shanghai for audiences: rows as `store.read` gives them, and random ones."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import ibis
import pyarrow as pa
from hypothesis import strategies as st

from zhiyin.audience import rule as r
from zhiyin.audience.evaluator import Facts
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day

ZONE = "Asia/Shanghai"
DAY = date(2024, 2, 27)
BOUNDARY = naive_utc(start_of_day(DAY, ZONE))
PEOPLE = ("a", "b", "c", "d")
TS = pa.timestamp("us")
S, I64, F64 = pa.string(), pa.int64(), pa.float64()

SCHEMAS = {
    "customers": {
        c.CUSTOMER_ID: S, c.PARTY_ID: S, c.VALID_AT: TS, c.CITY: S, c.LANGUAGE: S, c.TIME_ZONE: S,
        c.BIRTHDAY: S, c.PROPERTIES: S,
    },
    "order_lines": {
        c.CUSTOMER_ID: S, c.ORDER_ID: S, c.SOLD_AT: TS, c.VALID_AT: TS, c.PRODUCT_ID: S, c.KIND: S,
        c.QUANTITY: F64, c.AMOUNT_BASE_MINOR: I64, c.SUSPECT: pa.bool_(), c.PROPERTIES: S,
    },
    "events": {
        c.CUSTOMER_ID: S, c.EVENT_ID: S, c.OCCURRED_AT: TS, c.KIND: S, c.NAME: S, c.PRODUCT_ID: S,
        c.PROPERTIES: S,
    },
    "touches": {c.CUSTOMER_ID: S, c.OCCURRED_AT: TS, c.KIND: S, c.CHANNEL: S, c.PROPERTIES: S},
    "products": {c.PRODUCT_ID: S, c.VALID_AT: TS, c.CATEGORY: S, c.BRAND: S},
    "features": {c.AS_OF_ON: pa.date32(), c.CUSTOMER_ID: S, "recency_days": I64},
    "tags": {c.AS_OF_ON: pa.date32(), c.CUSTOMER_ID: S, c.TAG: S, c.VALUE: S},
    "memberships": {c.AS_OF_ON: pa.date32(), c.CUSTOMER_ID: S, c.SCHEME: S, c.SEGMENT: S},
    "scores": {
        c.AS_OF_ON: pa.date32(), c.CUSTOMER_ID: S, c.TASK: S, c.SUBJECT: S, c.SCORE: F64,
        c.RANK: I64,
    },
}  # fmt: skip
SNAPSHOTS = ("features", "tags", "memberships", "scores")


def ago(days: float = 0, **more) -> datetime:
    """Naive UTC, so long before 00:00 of the day."""
    return BOUNDARY - timedelta(days=days, **more)


def tables_of(rows: dict[str, list[dict]]) -> dict[str, ibis.Table]:
    """Ibis tables of all kinds, those without rows included."""
    return {
        name: ibis.memtable(
            pa.Table.from_pylist(
                [{column: row.get(column) for column in schema} for row in rows.get(name, [])],
                schema=pa.schema(list(schema.items())),
            )
        )
        for name, schema in SCHEMAS.items()
    }


def facts_of(rows: dict[str, list[dict]], customer: str, *, on: date = DAY) -> Facts:
    """What the rows say of one customer."""
    mine = {
        name: [
            row
            for row in found
            if row.get(c.CUSTOMER_ID) == customer
            and (name not in SNAPSHOTS or row[c.AS_OF_ON] == on)
        ]
        for name, found in rows.items()
        if name != "products"
    }
    products = {row[c.PRODUCT_ID]: row for row in rows.get("products", [])}
    return Facts(customer, mine, products)


WHO = st.sampled_from(PEOPLE)
_SECONDS = st.integers(-3 * 86_400, 40 * 86_400)
_EDGES = st.builds(lambda n, s: n * 86_400 + s, st.integers(-1, 32), st.sampled_from([-1, 0, 1]))
WHEN = st.one_of(_SECONDS, _EDGES).map(lambda s: BOUNDARY - timedelta(seconds=s))
WHAT = st.sampled_from(["p1", "p2", "p3", None])
KIND = st.sampled_from(["item", "return"])
NAME = st.sampled_from(["view", "cart", "buy", None])
PROPERTIES = st.sampled_from(
    [None, "{}", json.dumps({"x": "tea", "n": 3}), json.dumps({"x": True, "n": 2.5}),
     json.dumps({"x": 1, "n": "3"}), json.dumps({"x": None, "n": [1]})]
)  # fmt: skip
TRACKED = PROPERTIES.map(lambda text: text and json.dumps({"properties": json.loads(text)}))
BIRTHDAYS = st.sampled_from(
    [None, "1990-02-27", "1988-02-29", "02-28", "2001-03-01", "1979-03-02", "soon", "01-18",
     "1984-02-20", "1995-02-17"]
)  # fmt: skip
ZONES = st.sampled_from(
    [None, "Pacific/Honolulu", "America/New_York", "Pacific/Kiritimati", "No/Where"]
)


def _rows(most: int, **columns: st.SearchStrategy) -> st.SearchStrategy[list[dict]]:
    return st.lists(st.fixed_dictionaries(columns), max_size=most)


ON = st.sampled_from([DAY, DAY, DAY, DAY - timedelta(days=1)])
ROWS = st.fixed_dictionaries(
    {
        "customers": _rows(6, customer_id=WHO, party_id=WHO, valid_at=WHEN,
                           city=st.sampled_from(["sh", "bj", None]), language=st.just("zh"),
                           time_zone=ZONES, birthday=BIRTHDAYS, properties=PROPERTIES),
        "order_lines": _rows(10, customer_id=st.one_of(WHO, st.none()),
                             order_id=st.sampled_from("xyz"), sold_at=WHEN,
                             valid_at=st.one_of(st.just(ago(50)), WHEN), product_id=WHAT,
                             kind=KIND, quantity=st.sampled_from([1.0, 0.5, -1.0]),
                             amount_base_minor=st.integers(-300, 900),
                             suspect=st.booleans(), properties=PROPERTIES),
        "events": _rows(10, customer_id=WHO, event_id=st.sampled_from("ef"), occurred_at=WHEN,
                        kind=st.just("track"), name=NAME, product_id=WHAT,
                        properties=PROPERTIES | TRACKED),
        "touches": _rows(5, customer_id=WHO, occurred_at=WHEN,
                         kind=st.sampled_from(["sent", "open"]), channel=st.just("email"),
                         properties=st.none()),
        "products": st.just([
            {"product_id": "p1", "valid_at": ago(60), "category": "tea", "brand": None},
            {"product_id": "p2", "valid_at": ago(60), "category": "cup", "brand": "b"},
            {"product_id": "p3", "valid_at": ago(-1), "category": "tea", "brand": "b"},
        ]),
        "features": st.lists(st.fixed_dictionaries(
            {"customer_id": WHO, "as_of_on": ON,
             "recency_days": st.one_of(st.none(), st.integers(0, 9))}),
            max_size=4, unique_by=lambda row: (row["as_of_on"], row["customer_id"])),
        "tags": _rows(
            4, customer_id=WHO, as_of_on=ON, tag=st.sampled_from(["new", "vip"]),
            value=st.sampled_from([None, "gold", "plain"]),
        ),
        "memberships": _rows(3, customer_id=WHO, as_of_on=ON, scheme=st.just("rfm"),
                             segment=st.sampled_from(["best", "lost"])),
        "scores": _rows(3, customer_id=WHO, as_of_on=ON,
                        task=st.sampled_from(["response", "next_purchase"]),
                        subject=st.sampled_from(["", "s"]), score=st.sampled_from([0.1, 0.5, 0.9]),
                        rank=st.integers(1, 3)),
    }
)  # fmt: skip

NUMBER_OP = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])
TEXT = st.sampled_from(["sh", "tea", "view", "e", ""])


def _where(column: str, values: st.SearchStrategy, ops: tuple[str, ...]) -> st.SearchStrategy:
    def one(op: str) -> st.SearchStrategy:
        if op in ("exists", "missing"):
            return st.just((column, op, None))
        many = st.lists(values, min_size=1, max_size=2).map(tuple)
        return (many if op in ("in", "not_in") else values).map(lambda v: (column, op, v))

    return st.sampled_from(ops).flatmap(one)


_SAME = ("eq", "ne", "in", "not_in", "exists", "missing")
_TEXTS = (*_SAME, "contains", "starts_with")
_ORDER = (*_SAME, "gt", "ge", "lt", "le")


def _texts(column: str, *values: str) -> st.SearchStrategy:
    return _where(column, st.sampled_from([*values, ""]), _TEXTS)


_PROPERTY = st.one_of(
    _texts("properties.x", "tea", "t"), _where("properties.x", st.booleans(), _SAME),
    _where("properties.n", st.sampled_from([3, 2.5, 3.0]), _ORDER),
)  # fmt: skip
_LINES = st.one_of(
    _texts("kind", "item"), _texts("category", "tea", "te"), _texts("brand", "b"), _PROPERTY,
    _where("quantity", st.sampled_from([1, 0.5]), _ORDER), _where("suspect", st.booleans(), _SAME),
)  # fmt: skip
_EVENTS = st.one_of(_texts("name", "view", "cart", "v"), _texts("category", "tea"), _PROPERTY)
WHERES = {
    "order_lines": _LINES, "events": _EVENTS, "touches": _texts("kind", "sent", "open"),
}  # fmt: skip
DAYS = st.one_of(st.none(), st.integers(1, 32))


def _conditions(table: str, least: int = 0) -> st.SearchStrategy:
    made = WHERES[table].map(lambda found: r.Where(*found))
    return st.lists(made, min_size=least, max_size=2).map(tuple)


@st.composite
def behaviours(draw) -> r.Behaviour:
    table = draw(st.sampled_from(sorted(WHERES)))
    columns = {"order_lines": {"sum": ["amount_base_minor", "quantity", "properties.n"],
                               "distinct": ["order_id", "product_id", "properties.x"]},
               "events": {"sum": ["properties.n"], "distinct": ["name"]},
               "touches": {"distinct": ["channel"]}}[table]  # fmt: skip
    measure = draw(st.sampled_from(["count", *columns]))
    days = draw(DAYS)
    return r.Behaviour(
        table, draw(NUMBER_OP), draw(st.integers(-1, 4)), measure=measure,
        column="" if measure == "count" else draw(st.sampled_from(columns[measure])),
        where=draw(_conditions(table)), days=days,
        before_days=draw(st.integers(0, (days or 33) - 1)) if draw(st.booleans()) else 0,
    )  # fmt: skip


@st.composite
def steps(draw) -> r.Step:
    table = draw(st.sampled_from(sorted(WHERES)))
    return r.Step(table, draw(_conditions(table)))


@st.composite
def recencies(draw) -> r.Recency:
    table = draw(st.sampled_from(sorted(WHERES)))
    return r.Recency(
        table, draw(st.sampled_from(["more_than", "at_most"])), draw(st.integers(0, 32)),
        where=draw(_conditions(table)), which=draw(st.sampled_from(["last", "first"])),
    )  # fmt: skip


@st.composite
def yearlies(draw) -> r.Yearly:
    start = draw(st.integers(0, 4))
    return r.Yearly(
        "birthday", from_days=start, to_days=draw(st.sampled_from([None, start, start + 3])),
        calendar=draw(st.sampled_from(["solar", "lunar"])),
        leap_day=draw(st.sampled_from(["02-28", "03-01"])),
    )  # fmt: skip


TRAITS = st.one_of(
    _texts("city", "sh", "s"), _PROPERTY, _where("recency_days", st.integers(0, 9), _ORDER),
).map(lambda found: r.Trait(*found))  # fmt: skip
LEAVES = st.one_of(
    behaviours(), behaviours(), recencies(), TRAITS, yearlies(),
    st.builds(r.Sequence, steps(), steps(), st.integers(1, 9), st.booleans(), DAYS),
    st.builds(
        r.Tag, st.sampled_from(["new", "vip"]),
        st.sampled_from([(), ("gold",), ("gold", "plain"), ("none",)]),
    ),
    st.builds(r.Segment, st.just("rfm"), st.sampled_from(["best", "lost"])),
    st.builds(
        r.Score, st.sampled_from(["response", "next_purchase"]), NUMBER_OP,
        st.sampled_from([0.1, 0.5, 2]), st.sampled_from(["", "s"]),
        st.sampled_from(["score", "rank"]),
    ),
    st.builds(r.Upload, st.lists(WHO, min_size=1, max_size=2).map(tuple)),
)  # fmt: skip
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(r.And),
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(r.Or),
        inner.map(r.Not),
    ),
    max_leaves=4,
)

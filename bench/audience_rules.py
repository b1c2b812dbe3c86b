"""A hundred typical audiences, and the SQL that a person would write for each."""

from __future__ import annotations

from datetime import date, timedelta

from bench.audience_data import AS_OF, CATEGORIES, CITIES, TAGS, ZONE
from zhiyin.audience import rule as r
from zhiyin.audience.fields import PRODUCT_COLUMNS, time_of
from zhiyin.audience.yearly import celebrated
from zhiyin.core.clock import naive_utc, start_of_day

_OPS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_ITEM = r.Where("kind", "eq", "item")


def bought(category: str, *, times: int, days: int) -> r.Rule:
    where = (_ITEM, r.Where("category", "eq", category))
    return r.Behaviour("order_lines", "ge", times, where=where, days=days)


def spent(minor: int, *, days: int) -> r.Rule:
    return r.Behaviour(
        "order_lines", "ge", minor, measure="sum", column="amount_base_minor", days=days
    )


def did(name: str, *, times: int, days: int, op: str = "ge", category: str = "") -> r.Rule:
    where = (r.Where("name", "eq", name),)
    where += (r.Where("category", "eq", category),) if category else ()
    return r.Behaviour("events", op, times, where=where, days=days)


def left_cart(days: int) -> r.Rule:
    steps = [
        r.Step("events", (r.Where("name", "eq", n),)) for n in ("Product Added", "Order Completed")
    ]
    return r.Sequence(steps[0], steps[1], within_days=7, happens=False, days=days)


def audiences() -> dict[str, r.Rule]:
    """A hundred: ten of each of ten kinds."""
    made: list[r.Rule] = []
    for n in range(10):
        category, other, city, tag = CATEGORIES[n], CATEGORIES[n + 10], CITIES[n], TAGS[n % 5]
        days = (7, 14, 30, 60, 90, 90, 180, 30, 60, 365)[n]
        in_city = r.Trait("city", "in", (city, CITIES[n + 10]))
        made += [
            bought(category, times=1 + n % 2, days=days),
            r.And((spent(10_000 + 1000 * n, days=days), in_city)),
            r.And((did("Product Viewed", times=2 + n % 3, days=days, category=category),
                   r.Not(bought(category, times=1, days=days)))),
            r.And((left_cart((7, 14, 30)[n % 3] + 7), r.Trait("language", "eq", "zh"))),
            r.And((r.Recency("order_lines", "more_than", 30 + 10 * n, where=(_ITEM,)), r.Tag(tag))),
            r.And((r.Yearly("birthday", from_days=n, to_days=n + 6), spent(1, days=365))),
            r.And((in_city, r.Trait("orders_count", "ge", 2),
                   did("Order Completed", times=1, days=90), spent(20_000, days=90),
                   r.Not(did("Page Viewed", times=1, days=30)))),
            r.Or((bought(category, times=1, days=90), bought(other, times=1, days=90),
                  did("Products Searched", times=3 + n % 2, days=days))),
            r.And((r.Trait("recency_days", "le", 30 + n), r.Trait("revenue_minor", "ge", 5000 * n),
                   r.Not(r.Tag(tag)))),
            did("Product Viewed", times=5 + n, days=days),
        ]  # fmt: skip
    return {f"a{n:03d}": rule for n, rule in enumerate(made)}


def _start(days: int) -> str:
    return f"TIMESTAMP '{naive_utc(start_of_day(AS_OF - timedelta(days=days), ZONE))}'"


def sql_of(rule: r.Rule) -> str:
    """A query over the raw rows for the customers of a rule, as one would write it by hand."""
    return f"SELECT customer_id FROM customers AS u WHERE {_condition(rule)}"


def _condition(rule: r.Rule) -> str:
    if isinstance(rule, r.And | r.Or):
        word = " AND " if isinstance(rule, r.And) else " OR "
        return "(" + word.join(_condition(inner) for inner in rule.rules) + ")"
    if isinstance(rule, r.Not):
        return f"NOT {_condition(rule.rule)}"
    if isinstance(rule, r.Trait):
        return _trait(rule)
    if isinstance(rule, r.Tag):
        return _among(f"SELECT customer_id FROM tags WHERE tag = '{rule.tag}'")
    if isinstance(rule, r.Behaviour):
        value = "count(*)" if rule.measure == "count" else f"sum({rule.column})"
        rows = _rows(rule.table, rule.where, rule.days)
        having = f"GROUP BY customer_id HAVING {value} {_OPS[rule.op]} {rule.value}"
        return _among(f"SELECT customer_id {rows} {having}")
    if isinstance(rule, r.Recency):
        rows = _rows(rule.table, rule.where, None)
        last = f"max({time_of(rule.table)}) < {_start(rule.days)}"
        return _among(f"SELECT customer_id {rows} GROUP BY customer_id HAVING {last}")
    if isinstance(rule, r.Yearly):
        texts = ", ".join(f"'{text}'" for text in sorted(celebrated(rule, AS_OF).short))
        return f"right(u.birthday, 5) IN ({texts})"
    if isinstance(rule, r.Sequence):
        return _sequence(rule)
    raise TypeError(type(rule).__name__)


def _trait(rule: r.Trait) -> str:
    if isinstance(rule.value, tuple):
        return f"u.{rule.field} IN ({', '.join(repr(one) for one in rule.value)})"
    if isinstance(rule.value, str):
        return f"u.{rule.field} = {rule.value!r}"
    features = f"SELECT customer_id FROM features WHERE {rule.field} {_OPS[rule.op]} {rule.value}"
    return _among(features)


def _among(query: str) -> str:
    return f"u.customer_id IN ({query})"


def _rows(table: str, where: tuple[r.Where, ...], days: int | None, until: date = AS_OF) -> str:
    time = time_of(table)
    tests = [f"{time} < {_start((AS_OF - until).days)}"]
    tests += [f"{time} >= {_start(days)}"] if days else []
    joined = ""
    for one in where:
        tests.append(f"{one.column} = '{one.value}'")
        if one.column in PRODUCT_COLUMNS:
            joined = " JOIN products USING (product_id)"
    named = [test.replace("kind =", f"{table}.kind =") for test in tests]
    return f"FROM {table}{joined} WHERE {' AND '.join(named)}"


def _sequence(rule: r.Sequence) -> str:
    first, then = (step.where[0].value for step in (rule.first, rule.then))
    within = f"INTERVAL {rule.within_days} DAY"
    return _among(
        f"SELECT a.customer_id FROM events a WHERE a.name = '{first}' "
        f"AND a.occurred_at >= {_start(rule.days or 0)} "
        f"AND a.occurred_at + {within} <= {_start(0)} "
        f"AND NOT EXISTS (SELECT 1 FROM events b WHERE b.name = '{then}' "
        f"AND b.customer_id = a.customer_id AND b.occurred_at > a.occurred_at "
        f"AND b.occurred_at <= a.occurred_at + {within})"
    )

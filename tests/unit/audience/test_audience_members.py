"""Who is in, why, and until when: cases worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.unit.audience.audience_rows import BOUNDARY, DAY, ZONE, ago, facts_of, tables_of
from zhiyin.audience import compile, compile_many, evaluate, next_change, overlaps, parse
from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter

TEA_TWICE = {
    "type": "behaviour", "table": "order_lines", "op": "ge", "value": 2, "days": 90,
    "measure": "distinct", "column": "order_id",
    "where": [{"column": "kind", "value": "item"}, {"column": "category", "value": "tea"}],
}  # fmt: skip
SPENT = {
    "type": "behaviour", "table": "order_lines", "op": "ge", "value": 10_000, "days": 30,
    "measure": "sum", "column": "amount_base_minor",
}  # fmt: skip
CART = {"table": "events", "where": [{"column": "name", "value": "cart"}]}
BUY = {"table": "events", "where": [{"column": "name", "value": "buy"}]}
ABANDONED = {
    "type": "sequence", "first": CART, "then": BUY, "within_days": 7, "happens": False, "days": 30,
}  # fmt: skip
AWAY = {"type": "recency", "table": "order_lines", "op": "more_than", "days": 60}


def line(customer, order, at, *, product="p1", amount=1000, kind="item") -> dict:
    return {
        c.CUSTOMER_ID: customer, c.ORDER_ID: order, c.SOLD_AT: at, c.VALID_AT: ago(400),
        c.PRODUCT_ID: product, c.KIND: kind, c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: amount,
    }  # fmt: skip


def event(customer, name, at) -> dict:
    return {c.CUSTOMER_ID: customer, c.NAME: name, c.OCCURRED_AT: at, c.KIND: "track"}


PRODUCTS = [
    {c.PRODUCT_ID: "p1", c.VALID_AT: ago(400), c.CATEGORY: "tea"},
    {c.PRODUCT_ID: "p2", c.VALID_AT: ago(400), c.CATEGORY: "cup"},
]


def members(rule: dict, *, as_of: date = DAY, **rows) -> list[str]:
    found = compile(parse(rule)).members(
        tables_of({"products": PRODUCTS} | rows), as_of=as_of, zone=ZONE
    )
    return sorted(found.to_pyarrow()[c.CUSTOMER_ID].to_pylist())


def test_orders_of_a_category_are_counted_once_each():
    rows = [
        line("two", "o1", ago(3)), line("two", "o2", ago(89)), line("once", "o3", ago(3)),
        line("once", "o3", ago(3)), line("cups", "o4", ago(3), product="p2"),
        line("cups", "o5", ago(4), product="p2"), line("old", "o6", ago(3)),
        line("old", "o7", ago(90, seconds=1)), line("back", "o8", ago(3)),
        line("back", "o9", ago(2), kind="return"),
    ]  # fmt: skip
    assert members(TEA_TWICE, order_lines=rows) == ["two"]


def test_returns_lower_what_was_spent_and_the_day_itself_is_not_seen():
    rows = [
        line("spent", "o1", ago(30), amount=10_000), line("late", "o2", ago(0), amount=10_000),
        line("back", "o3", ago(9), amount=10_000), line("back", "o3", ago(8), amount=-1),
    ]  # fmt: skip
    assert members(SPENT, order_lines=rows) == ["spent"]
    assert members(SPENT, order_lines=rows, as_of=DAY + timedelta(days=1)) == ["late"]


def test_a_sequence_waits_until_the_time_is_over():
    rows = [
        event("left", "cart", ago(8)), event("bought", "cart", ago(8)),
        event("bought", "buy", ago(1)), event("waits", "cart", ago(6)),
        event("before", "cart", ago(8)), event("before", "buy", ago(8)),
        event("late", "cart", ago(9)), event("late", "buy", ago(1)),
    ]  # fmt: skip
    rows += [event("earlier", "buy", ago(9)), event("earlier", "cart", ago(8))]
    found = ["before", "earlier", "late", "left"]
    assert members(ABANDONED, events=rows) == found
    everybody = {row[c.CUSTOMER_ID] for row in rows}
    facts = {who: facts_of({"events": rows}, who) for who in everybody}
    judged = {who: evaluate(parse(ABANDONED), facts[who], at=DAY, zone=ZONE) for who in everybody}
    assert sorted(who for who in everybody if judged[who].inside) == found
    assert members(ABANDONED | {"happens": True}, events=rows) == ["bought"]


def test_more_than_n_days_ago_needs_a_last_time():
    rows = [line("away", "o1", ago(60, seconds=1)), line("near", "o2", ago(60))]
    people = [{c.CUSTOMER_ID: "never", c.VALID_AT: ago(9)}]
    assert members(AWAY, order_lines=rows, customers=people) == ["away"]


def test_who_did_not_is_asked_among_known_people_only():
    people = [{c.CUSTOMER_ID: who, c.VALID_AT: ago(9)} for who in ("quiet", "buys")]
    later = [{c.CUSTOMER_ID: "tomorrow", c.VALID_AT: ago(-1)}]
    rule = {"type": "not", "rule": SPENT | {"value": 1}}
    rows = [line("buys", "o1", ago(2)), line("stranger", "o2", ago(2), amount=0)]
    assert members(rule, order_lines=rows, customers=people + later) == ["quiet"]


def test_an_attribute_is_met_by_one_record_and_denied_by_all():
    people = [
        {c.CUSTOMER_ID: "two", c.PARTY_ID: "p", c.VALID_AT: ago(9), c.CITY: "sh"},
        {c.CUSTOMER_ID: "two", c.PARTY_ID: "q", c.VALID_AT: ago(9), c.CITY: "bj"},
        {c.CUSTOMER_ID: "bj", c.VALID_AT: ago(9), c.CITY: "bj"},
        {c.CUSTOMER_ID: "none", c.VALID_AT: ago(9)},
    ]
    trait = {"type": "trait", "field": "city", "value": "sh"}
    assert members(trait, customers=people) == ["two"]
    assert members(trait | {"op": "ne"}, customers=people) == ["bj"]
    missing = {"type": "trait", "field": "city", "op": "missing"}
    assert members(missing, customers=people) == ["none"]


def test_many_rules_read_every_table_once():
    rules = {f"r{n}": parse(TEA_TWICE | {"days": n}) for n in range(1, 40)}
    text = compile_many(rules).sql(tables_of({}), as_of=DAY, zone=ZONE)
    assert text.count('FROM "') == 2  # the order lines and the products
    assert text.count("GROUP BY") == 1


def test_audiences_name_each_other_and_keep_their_meaning():
    rows = [line("spent", "o1", ago(3), amount=10_000), line("tea", "o2", ago(3), amount=1)]
    rules = {
        "big": parse(SPENT),
        "small": parse({"type": "and", "rules": [
            {"type": "not", "rule": {"type": "audience", "name": "big"}}, SPENT | {"value": 1},
        ]}),
    }  # fmt: skip
    compiled = compile_many(rules)
    tables = tables_of({"order_lines": rows, "products": PRODUCTS})
    assert compiled.sizes(tables, as_of=DAY, zone=ZONE) == {"big": 1, "small": 1}
    named = compiled.rows(tables, as_of=DAY, zone=ZONE).to_pyarrow().to_pylist()
    assert sorted((row[c.SEGMENT], row[c.CUSTOMER_ID]) for row in named) == [
        ("big", "spent"), ("small", "tea"),
    ]  # fmt: skip


def test_size_and_sample_come_from_one_query():
    rows = [line(f"c{n:02d}", f"o{n}", ago(3), amount=10_000) for n in range(25)]
    tables = tables_of({"order_lines": rows})
    compiled = compile(parse(SPENT))
    seen = compiled.preview(tables, as_of=DAY, zone=ZONE, n=3)
    assert (seen.size, seen.sample) == (25, ("c00", "c01", "c02"))
    assert seen.sql.startswith("SELECT")
    assert compiled.size(tables, as_of=DAY, zone=ZONE) == 25
    assert compiled.sample(tables, as_of=DAY, zone=ZONE, n=1) == ("c00",)
    assert compiled.preview(tables_of({}), as_of=DAY, zone=ZONE).size == 0


def test_the_reasons_are_those_that_decide():
    rows = {
        "order_lines": [line("a", "o1", ago(3)), line("a", "o2", ago(70))],
        "products": PRODUCTS,
    }
    rule = parse({"type": "and", "rules": [TEA_TWICE, SPENT]})
    out = evaluate(rule, facts_of(rows, "a"), at=DAY, zone=ZONE)
    assert not out.inside
    assert [(one.path, one.holds) for one in out.because] == [("$.rules[1]", False)]
    assert out.words("en") == (
        "out because not: order lines in the last 30 days: sum of amount_base_minor 1000, "
        "asked: at least 10000"
    )
    assert out.words("zh") == (
        "不在受众内，因为不满足：近30天订单行：金额（最小单位）合计 1000，要求至少 10000"
    )
    tea = evaluate(parse(TEA_TWICE), facts_of(rows, "a"), at=DAY, zone=ZONE)
    assert tea.words("en") == (
        "in because order lines (kind = item, category = tea) in the last 90 days: "
        "different order_id 2, asked: at least 2"
    )


@pytest.mark.parametrize(
    ("rule", "rows", "day"),
    [
        # the order of 70 days ago is in the window of 90 until 20 days from now, and a day more
        (TEA_TWICE, [line("a", "o1", ago(3)), line("a", "o2", ago(69.5))], 21),
        (SPENT, [line("a", "o1", ago(29.5), amount=10_000)], 1),
        (AWAY, [line("a", "o1", ago(10.5))], 50),
        (SPENT, [line("a", "o1", ago(3), amount=1)], None),
    ],
)
def test_an_event_leaves_its_window_without_a_new_event(rule, rows, day):
    facts = facts_of({"order_lines": rows, "products": PRODUCTS}, "a")
    before = evaluate(parse(rule), facts, at=DAY, zone=ZONE).inside
    change = next_change(parse(rule), facts, DAY, zone=ZONE)
    assert change == (None if day is None else DAY + timedelta(days=day))
    if change is not None:
        tables = {"order_lines": rows}
        assert (members(rule, **tables) == ["a"]) is before
        assert (members(rule, as_of=change - timedelta(days=1), **tables) == ["a"]) is before
        assert (members(rule, as_of=change, **tables) == ["a"]) is not before


def test_a_live_sequence_changes_at_the_very_moment():
    at = datetime(2024, 2, 27, 3, 30, tzinfo=UTC)
    cart = {"events": [event("a", "cart", at.replace(tzinfo=None) - timedelta(hours=1))]}
    change = next_change(parse(ABANDONED), facts_of(cart, "a"), at, zone=ZONE)
    assert change == at - timedelta(hours=1) + timedelta(days=7)


@pytest.mark.parametrize(("rule", "days"), [(SPENT, 1), (AWAY, 31)])
def test_windows_move_at_midnight_of_the_shop(rule, days):
    facts = facts_of({"order_lines": [line("a", "o1", ago(29.5), amount=10_000)]}, "a")
    now = BOUNDARY.replace(tzinfo=UTC) + timedelta(hours=5)
    inside = evaluate(parse(rule), facts, at=now, zone=ZONE).inside
    change = next_change(parse(rule), facts, now, zone=ZONE)
    assert change == BOUNDARY.replace(tzinfo=UTC) + timedelta(days=days)
    almost = change - timedelta(microseconds=1)
    assert evaluate(parse(rule), facts, at=almost, zone=ZONE).inside is inside
    assert evaluate(parse(rule), facts, at=change, zone=ZONE).inside is not inside


def test_one_event_of_today_counts_at_once():
    facts = facts_of({"order_lines": [line("a", "o1", ago(hours=-5), amount=10_000)]}, "a")
    now = BOUNDARY.replace(tzinfo=UTC) + timedelta(hours=5, seconds=1)
    assert evaluate(parse(SPENT), facts, at=now, zone=ZONE).inside
    assert not evaluate(parse(SPENT), facts, at=DAY, zone=ZONE).inside


def test_a_birthday_comes_round_on_her_own_calendar():
    rule = parse({"type": "yearly", "field": "birthday", "from_days": 3})
    people = {"customers": [{
        c.CUSTOMER_ID: "a", c.VALID_AT: ago(9), c.BIRTHDAY: "1990-03-10",
        c.TIME_ZONE: "America/New_York",
    }]}  # fmt: skip
    # 09:00 of the 8th in Shanghai is still the 7th in New York: three days before
    assert next_change(rule, facts_of(people, "a"), DAY, zone=ZONE) == date(2024, 3, 8)


def test_overlaps_count_both_and_either():
    rules = {
        name: parse({"type": "upload", "customers": list(who)})
        for name, who in (("x", "abc"), ("y", "bcd"), ("z", "e"))
    }
    people = [{c.CUSTOMER_ID: who, c.VALID_AT: ago(9)} for who in "abcde"]
    flags = compile_many(rules).flags(tables_of({"customers": people}), as_of=DAY, zone=ZONE)
    found = overlaps(flags)
    assert [(one.one, one.other, one.both, one.only_one, one.only_other) for one in found] == [
        ("x", "y", 2, 1, 1), ("x", "z", 0, 3, 1), ("y", "z", 0, 3, 1),
    ]  # fmt: skip
    assert found[0].jaccard == 0.5
    with pytest.raises(InvalidParameter, match="1 audiences"):
        overlaps(flags.select(c.CUSTOMER_ID, "x"))


def test_a_state_answers_other_limits_and_other_joins_of_the_same_conditions():
    rows = [line("a", "o1", ago(3), amount=500), line("b", "o2", ago(3), amount=9000)]
    tables = tables_of({"order_lines": rows, "products": PRODUCTS})
    state = compile(parse(SPENT)).state(tables, as_of=DAY, zone=ZONE)
    lower = compile(parse(SPENT | {"value": 1000})).of_state(state, as_of=DAY, zone=ZONE)
    found = lower.to_pyarrow().to_pylist()
    assert {row[c.CUSTOMER_ID]: row["audience"] for row in found} == {"a": False, "b": True}
    for rule in (TEA_TWICE, {"type": "not", "rule": SPENT}):
        with pytest.raises(InvalidParameter, match="lacks something"):
            compile(parse(rule)).of_state(state, as_of=DAY, zone=ZONE)
    with pytest.raises(InvalidParameter, match="lacks something"):
        compile(parse(SPENT)).of_state(state, as_of=DAY + timedelta(days=1), zone=ZONE)

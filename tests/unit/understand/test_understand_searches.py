"""What customers search for: spelled once, of several people only, with what they bought after."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from zhiyin.understand.searches import LEAST, find_terms, normalise_term, searches_body

DAY = date(2026, 3, 31)
NOON = datetime(2026, 3, 20, 12)
EVENTS = pa.schema(
    [("customer_id", pa.string()), ("occurred_at", pa.timestamp("us")), ("query", pa.string())]
)
LINES = pa.schema(
    [("customer_id", pa.string()), ("sold_at", pa.timestamp("us")), ("kind", pa.string())]
)


def searches(term, people, at=NOON):
    return [{"customer_id": f"c{n}", "occurred_at": at, "query": term} for n in people]


def bought(people, at, kind="item"):
    return [{"customer_id": f"c{n}", "sold_at": at, "kind": kind} for n in people]


def terms_of(rows, lines=(), **more):
    events = ibis.memtable(pa.Table.from_pylist(list(rows), schema=EVENTS))
    items = ibis.memtable(pa.Table.from_pylist(list(lines), schema=LINES))
    return find_terms(events, items, as_of=DAY, zone="UTC", **more)


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ("  Gold   RING ", "gold ring"),
        ("Ｒｉｎｇ", "ring"),
        ("戒指\u3000金", "戒指 金"),
        ("  ", ""),
    ],
)
def test_spellings_of_one_search_are_one_term(typed, term):
    assert normalise_term(typed) == term


def test_terms_are_counted_by_customers_most_first():
    rows = searches("Ring", range(6)) + searches(" ring", range(4, 9)) + searches("茶", range(7))
    found = terms_of(rows)
    assert [(one.term, one.customers, one.searches) for one in found] == [
        ("ring", 9, 11), ("茶", 7, 7),
    ]  # fmt: skip


def test_what_few_people_searched_for_is_not_told():
    rows = searches("ann lee, 5 high street", range(LEAST - 1)) + searches("tea", range(LEAST))
    assert [one.term for one in terms_of(rows)] == ["tea"]


def test_a_purchase_counts_in_the_days_after_the_first_search():
    rows = searches("tea", range(10)) + searches("tea", [0], NOON + timedelta(days=5))
    lines = [
        *bought([0, 1], NOON + timedelta(days=7)), *bought([0], NOON + timedelta(days=1)),
        *bought([2], NOON + timedelta(days=7, seconds=1)),  # too late
        *bought([3], NOON - timedelta(minutes=1)),  # before
        *bought([4], NOON + timedelta(days=1), kind="return"),
        *bought([99], NOON + timedelta(days=1)),
    ]  # fmt: skip
    (tea,) = terms_of(rows, lines)
    assert (tea.settled, tea.buyers, tea.searches) == (10, 2, 11)
    late = terms_of(searches("tea", range(6), datetime(2026, 3, 28)), lines)
    assert (late[0].customers, late[0].settled, late[0].buyers) == (6, 0, 0)


def test_what_more_customers_search_for_than_before_by_more_than_chance_rises():
    before = datetime(2026, 2, 20)
    rows = searches("rose", range(40)) + searches("rose", range(10), before)
    rows += searches("tulip", range(40)) + searches("tulip", range(30), before)
    assert {one.term: (one.before, one.rises) for one in terms_of(rows)} == {
        "rose": (10, True), "tulip": (30, False),
    }  # fmt: skip


def test_rows_from_the_day_on_and_unknown_people_never_matter():
    day = datetime(2026, 3, 31)
    nobody = [{"customer_id": None, "occurred_at": NOON, "query": "tea"}] * 9
    rows = searches("tea", range(6))
    lines = bought(range(6), day + timedelta(hours=1))
    assert terms_of([*rows, *nobody, *searches("tea", range(9), day)], lines) == terms_of(rows)
    assert terms_of(nobody) == ()
    assert terms_of([]) == ()


def test_words_in_both_languages():
    rows = searches("茶", range(10)) + searches("new", range(6), datetime(2026, 3, 29))
    body = searches_body(terms_of(rows, bought([1], NOON + timedelta(days=1))))
    assert body["words"] == {
        "en": "searched most in 30 days: 茶 (10 customers, 10% bought within 7 days); "
        "new (6 customers). Rising: 茶",
        "zh": "近 30 天搜索最多：茶（10 位客户，7 天内购买 10%）；new（6 位客户）。上升中：茶",
    }

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.profile.shop_rows import DAY, ZONE, Shop, line, look, step
from zhiyin.core.features import FEATURES
from zhiyin.profile.facts import gather
from zhiyin.profile.features import build, build_days, everyone
from zhiyin.profile.visible import Days

SHOP = Shop()
NOON = datetime(2017, 5, 30, 16)
BROWSING = [f.name for f in FEATURES[-24:]]


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def features(**rows):
    made = SHOP.features(customers=["a"], **rows).to_pylist()
    return {row["customer_id"]: row for row in made}["a"]


def test_a_pause_of_more_than_half_an_hour_begins_a_new_visit():
    made = features(events=[step("a", NOON + minutes(m)) for m in (0, 30, 61, 200)])
    assert (made["visits_count"], made["visits_7d"]) == (3, 3)
    assert made["visit_steps_mean"] == pytest.approx(4 / 3)
    assert made["visit_minutes_mean"] == pytest.approx(10)
    assert made["bounce_share"] == pytest.approx(2 / 3)


def test_what_a_server_or_an_identify_says_is_no_visit():
    made = features(
        events=[
            step("a", NOON),
            step("a", NOON + minutes(60), kind="track", channel="server"),
            step("a", NOON + minutes(120), kind="identify"),
        ]
    )
    assert made["visits_count"] == 1


def test_windows_of_visits_and_searches_are_local_days():
    edge = datetime(2017, 5, 25, 4)  # 00:00 of the 7th day before in New York
    made = features(
        events=[
            step("a", edge - timedelta(seconds=1), query="ring"),
            step("a", edge + minutes(60), query="gold ring", channel="mobile"),
            step("a", NOON, kind="track", utm_source="mail"),
        ]
    )
    assert (made["visits_7d"], made["visits_30d"], made["visit_days_30d"]) == (2, 3, 3)
    assert (made["searches_30d"], made["visit_recency_days"]) == (2, 1)
    assert made["mobile_visit_share"] == pytest.approx(1 / 3)
    assert made["paid_visit_share"] == pytest.approx(1 / 3)


def test_a_cart_waits_until_she_orders():
    items = [
        look("a", NOON - timedelta(days=3)),
        look("a", NOON - timedelta(days=3), kind="add"),
        look("a", NOON, "p2", kind="add"),
        look("a", NOON, "p2", kind="wish"),
        look("a", NOON, "p2", kind="review"),
    ]
    before = features(items=items)
    after = features(items=items, lines=[line("a", "o1", NOON - timedelta(days=1))])
    assert (before["cart_waiting_products"], after["cart_waiting_products"]) == (2, 1)
    assert (after["views_7d"], after["viewed_products_90d"], after["view_recency_days"]) == (
        1,
        1,
        4,
    )
    assert (after["cart_adds_30d"], after["cart_recency_days"]) == (2, 1)
    assert (after["wished_products"], after["reviews_count"]) == (1, 1)


def test_a_shop_that_tracks_nothing_has_no_browsing_and_one_that_does_has_zeros():
    SHOP.fill(customers=["a"])
    without = {n: t for n, t in SHOP.tables.items() if n not in ("events", "item_events")}
    row = build(without, as_of=DAY, zone=ZONE).to_pyarrow().to_pylist()[0]
    assert all(row[name] is None for name in BROWSING)
    assert features()["visits_count"] == 0
    assert features()["bounce_share"] is None


TWO_DAYS = (DAY - timedelta(days=9), DAY)
MOMENTS = st.integers(0, 40 * 24 * 60).map(lambda m: datetime(2017, 4, 25) + minutes(m))
STEPS = st.lists(
    st.builds(
        step,
        st.sampled_from(["a", "b"]),
        MOMENTS,
        kind=st.sampled_from(["page", "track", "identify"]),
        query=st.sampled_from([None, "ring"]),
    ),
    max_size=12,
    unique_by=lambda row: row["occurred_at"],
)
LOOKS = st.lists(
    st.builds(
        look,
        st.sampled_from(["a", "b"]),
        MOMENTS,
        st.sampled_from(["p1", "p2"]),
        st.sampled_from(["view", "add", "wish"]),
    ),
    max_size=8,
)


@settings(max_examples=examples(3), deadline=None)
@given(events=STEPS, items=LOOKS)
def test_no_day_sees_its_future_and_days_at_once_are_days_alone(events, items):
    lines = [line("a", "o1", datetime(2017, 5, 20, 12))]
    SHOP.fill(customers=["a", "b"], events=events, items=items, lines=lines)
    at_once = _run(_at_once())
    for day in TWO_DAYS:
        start = Days((day,), ZONE).start(0)
        SHOP.fill(
            customers=["a", "b"],
            events=[row for row in events if row["occurred_at"] < start],
            items=[row for row in items if row["occurred_at"] < start],
            lines=lines,
        )
        assert _run(_alone(day)) == [row for row in at_once if row["as_of_on"] == day]


@cache
def _at_once() -> str:
    facts = gather(SHOP.tables, Days(TWO_DAYS, ZONE))
    return SHOP.con.compile(build_days(facts, people=everyone(facts)))


@cache
def _alone(day: date) -> str:
    return SHOP.con.compile(build(SHOP.tables, as_of=day, zone=ZONE))


def _run(sql: str) -> list[dict]:
    made = SHOP.con.raw_sql(sql).to_arrow_table().to_pylist()
    return sorted(made, key=lambda row: (row["as_of_on"], row["customer_id"]))

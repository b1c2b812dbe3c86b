"""Law 1: rows on or after the day never change a feature."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.profile.shop_rows import (
    DAY,
    ZONE,
    Shop,
    campaign,
    line,
    offer,
    product,
    touch,
)
from zhiyin.core.clock import naive_utc, start_of_day

SHOP = Shop()
BOUNDARY = naive_utc(start_of_day(DAY, ZONE))
PAST = st.integers(1, 400 * 86_400).map(lambda s: BOUNDARY - timedelta(seconds=s))
FUTURE = st.integers(0, 90 * 86_400).map(lambda s: BOUNDARY + timedelta(seconds=s))
WHO = st.sampled_from(["a", "b", "c"])
WHAT = st.sampled_from(["p1", "p2", "p3"])
KIND = st.sampled_from(["item", "item", "return", "shipping", "sample"])


def lines(when: st.SearchStrategy[datetime], *, most: int):
    return st.lists(
        st.builds(
            line,
            WHO,
            st.sampled_from(["o1", "o2", "o3", "o4"]),
            when,
            product=WHAT,
            amount=st.integers(-500, 5000),
            kind=KIND,
        ),
        max_size=most,
    )


def touches(when: st.SearchStrategy[datetime], *, most: int):
    return st.lists(
        st.builds(
            touch,
            WHO,
            st.sampled_from(["now", "old"]),
            when,
            kind=st.sampled_from(["planned", "redemption"]),
            offer=st.sampled_from(["f1", "f2"]),
        ),
        max_size=most,
    )


STATIC = {
    "products": [product("p1"), product("p2", category="bread"), product("p3", department="drug")],
    "campaigns": [
        campaign("now", DAY, DAY + timedelta(days=20)),
        campaign("old", date(2017, 3, 1), date(2017, 3, 20)),
    ],
    "offers": [offer("f1", "now", "p1"), offer("f2", "old", "p1"), offer("f2", "now", "p2")],
}


def both(**rows) -> tuple[pa.Table, pa.Table]:
    return SHOP.features(**rows, **STATIC), SHOP.campaign_features(**rows, **STATIC)


@settings(max_examples=examples(3), deadline=None)
@given(lines(PAST, most=8), lines(FUTURE, most=4), touches(PAST, most=5), touches(FUTURE, most=4))
def test_the_future_changes_no_feature(past, future, touched, touched_later):
    known = both(lines=past, touches=touched)
    later = both(lines=past + future, touches=touched + touched_later)
    assert known == later


@settings(max_examples=examples(2), deadline=None)
@given(lines(PAST, most=8), touches(PAST, most=5), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_feature(past, touched, random):
    shuffled, shuffled_touches = list(past), list(touched)
    random.shuffle(shuffled)
    random.shuffle(shuffled_touches)
    assert both(lines=past, touches=touched) == both(lines=shuffled, touches=shuffled_touches)

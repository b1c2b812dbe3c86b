from __future__ import annotations

import math
from datetime import datetime

import pytest

from tests.unit.profile.shop_rows import Shop, line, product, touch
from zhiyin.core.features import FEATURES
from zhiyin.core.schema import Column
from zhiyin.core.tables import FEATURE_TABLE
from zhiyin.profile.features import COUNTS

SHOP = Shop()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def features(**rows):
    return {row["customer_id"]: row for row in SHOP.features(**rows).to_pylist()}


def test_columns_are_those_of_the_table():
    table = SHOP.features()
    assert tuple(table.column_names) == FEATURE_TABLE.names
    kinds = {"date": "date32[day]", "string": "string", "int64": "int64", "float64": "double"}
    wanted: tuple[Column, ...] = FEATURE_TABLE.columns
    assert [str(f.type) for f in table.schema] == [kinds[column.type] for column in wanted]


def test_the_catalogue_speaks_both_languages_and_is_long_enough():
    assert len(FEATURES) >= 80
    assert len({f.name for f in FEATURES}) == len(FEATURES)
    assert all(any("\u4e00" <= ch <= "\u9fff" for ch in f.meaning_zh) for f in FEATURES)
    assert {f.name for f in FEATURES} >= COUNTS


def test_a_window_begins_at_local_midnight():
    # 30 local days before 1 June begin on 2 May 00:00 in New York, 04:00 UTC
    made = features(
        lines=[
            line("a", "o1", at("2017-05-02 03:59:59")),
            line("a", "o2", at("2017-05-02 04:00:00")),
        ]
    )["a"]
    assert (made["orders_30d"], made["orders_90d"], made["revenue_30d_minor"]) == (1, 2, 1000)


def test_the_last_evening_counts_although_utc_is_already_the_next_day():
    made = features(
        lines=[
            line("a", "o1", at("2017-06-01 03:59:59")),  # 31 May, 23:59:59 in New York
            line("a", "o2", at("2017-06-01 04:00:00")),  # 1 June: not yet visible
        ]
    )["a"]
    assert (made["orders_count"], made["recency_days"]) == (1, 0)


def test_hours_are_those_of_the_shop_on_both_sides_of_the_clock_change():
    made = features(
        lines=[
            line("a", "o1", at("2017-03-11 21:30:00")),  # winter time: 16:30
            line("a", "o2", at("2017-03-13 21:30:00")),  # summer time: 17:30
        ]
    )["a"]
    assert (made["afternoon_share"], made["evening_share"]) == (0.5, 0.5)
    assert made["weekend_share"] == 0.5  # 11 March 2017 was a Saturday


def test_postage_is_no_product_and_no_revenue():
    made = features(
        lines=[
            line("a", "o1", at("2017-05-20 12:00:00"), product="p1"),
            line("a", "o1", at("2017-05-20 12:00:00"), product="post", kind="shipping"),
        ]
    )["a"]
    assert (made["products_count"], made["revenue_minor"], made["lines_per_order"]) == (1, 1000, 1)


def test_a_return_lowers_revenue_and_is_no_order():
    made = features(
        lines=[
            line("a", "o1", at("2017-05-20 12:00:00"), amount=1000),
            line("a", "o2", at("2017-05-22 12:00:00"), amount=-250, kind="return"),
        ]
    )["a"]
    assert (made["orders_count"], made["revenue_minor"], made["returns_count"]) == (1, 750, 1)
    assert made["return_share"] == 0.25


def test_a_coupon_on_a_line_of_quantity_zero_counts():
    row = line("a", "o1", at("2017-05-20 12:00:00"), kind="sample", amount=0)
    made = features(
        lines=[line("a", "o1", at("2017-05-20 12:00:00")), row | {"coupon_base_minor": 100}]
    )["a"]
    assert (made["coupon_minor"], made["coupon_orders_count"]) == (100, 1)


def test_gaps_and_their_regularity():
    days = ["2017-05-01", "2017-05-08", "2017-05-15", "2017-05-22"]
    made = features(lines=[line("a", d, at(f"{d} 12:00:00")) for d in days])["a"]
    assert made["gap_mean_days"] == 7
    assert made["gap_cv"] == pytest.approx(0, abs=1e-9)


def test_entropy_is_that_of_lines_over_categories():
    made = features(
        lines=[
            line("a", "o1", at("2017-05-20 12:00:00"), product="p1"),
            line("a", "o1", at("2017-05-20 12:00:00"), product="p2"),
        ],
        products=[product("p1", category="milk"), product("p2", category="bread")],
    )["a"]
    assert made["category_entropy"] == pytest.approx(math.log(2))
    assert made["top_department_share"] == 1


def test_who_never_bought_has_zero_orders_and_no_recency():
    made = features(customers=["a"])["a"]
    assert (made["orders_count"], made["recency_days"], made["discount_share"]) == (0, None, None)


def test_orders_without_a_customer_are_in_no_profile():
    assert features(lines=[line(None, "o1", at("2017-05-20 12:00:00"))]) == {}


def test_the_response_rate_is_drawn_to_the_shops_mean():
    planned, redeemed = at("2017-04-01 12:00:00"), at("2017-04-03 12:00:00")
    made = features(
        touches=[
            touch("a", "c1", planned),
            touch("b", "c1", planned),
            touch("a", "c1", redeemed, kind="redemption", offer="f1"),
        ]
    )
    assert made["a"]["response_rate"] == pytest.approx((1 + 4 * 0.5) / 5)
    assert made["b"]["response_rate"] == pytest.approx((0 + 4 * 0.5) / 5)
    assert (made["a"]["redemptions_count"], made["a"]["redemption_recency_days"]) == (1, 58)


def test_a_product_described_later_is_not_known_yet():
    made = features(
        lines=[line("a", "o1", at("2017-05-20 12:00:00"))],
        products=[product("p1", valid_at=at("2017-07-01 00:00:00"))],
    )["a"]
    assert (made["products_count"], made["departments_count"]) == (1, 0)


def test_days_with_an_order_are_local_days_also_years_ago():
    shop = Shop()
    two_days = [at("2014-01-10 04:30:00"), at("2014-01-10 05:30:00")]  # 23:30 and 00:30, in winter
    one_day = [at("2014-07-10 04:30:00"), at("2014-07-10 05:30:00")]  # 00:30 and 01:30, in summer
    made = shop.features(
        lines=[line("a", f"o{i}", moment) for i, moment in enumerate(two_days + one_day)]
    )
    assert made["active_days"].to_pylist() == [3]

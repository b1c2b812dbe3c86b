from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from tests.unit.profile.growing_shop import ZONE, GrowingShop, moment
from zhiyin.profile import features
from zhiyin.store.lake import Lake
from zhiyin.store.workspace import WorkspaceStore

DAY = date(2017, 3, 10)
NEXT = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def computed() -> GrowingShop:
    """Ten customers with one old order each, and the features of a day."""
    made = GrowingShop()
    made.products(moment(date(2016, 1, 1), 0), p1="tea", p2="milk")
    long_ago = moment(DAY - timedelta(days=500), 12)
    made.add("order_lines", *(made.line(who, f"o{who}", long_ago) for who in "abcdefghij"))
    made.run(DAY)
    return made


@pytest.fixture
def shop(computed) -> GrowingShop:
    return computed.copy()


def test_only_who_bought_is_computed_again(shop):
    shop.add("order_lines", shop.line("a", "new", moment(DAY, 12)))
    figures = shop.run(NEXT).figures
    assert figures["made_from"] == {"2017-03-11": "2017-03-10"}
    assert figures["touched"] == {"2017-03-11": 1}
    recency = {row["customer_id"]: row["recency_days"] for row in shop.features(NEXT)}
    assert recency["a"] == 0
    assert recency["b"] == 500


def test_a_late_row_touches_its_customer(shop):
    shop.add("order_lines", shop.line("c", "late", moment(DAY - timedelta(days=40), 12)))
    shop.run(NEXT)
    orders = {row["customer_id"]: row["orders_90d"] for row in shop.features(NEXT)}
    assert (orders["c"], orders["d"]) == (1, 0)


def test_a_state_too_old_is_not_built_upon(shop):
    assert shop.roll(DAY + timedelta(days=8)).reason == "no day shortly before is remembered"


def test_a_merge_of_customers_computes_everyone_anew(shop):
    shop.add("merges", {"party_id": "a", "into": "b", "at": moment(DAY, 5), "rule": "email"})
    assert shop.run(NEXT).figures["computed_anew"] == {"2017-03-11": "customers were merged"}
    assert len(shop.features(NEXT)) == 9


def test_rewritten_rows_compute_everyone_anew(shop):
    rows = shop.store.read("touches").drop("customer_id").to_pyarrow()
    shop.store.replace("touches", rows, scope={})
    assert shop.roll(NEXT).reason == "rows of touches were rewritten"


def test_another_order_of_the_departments_computes_everyone_anew(shop):
    shop.add("order_lines", shop.line("a", "x", moment(DAY, 3), product_id="p2"))
    shop.add(
        "order_lines", shop.line("a", "y", moment(DAY, 4), amount_base_minor=10**9, product_id="p2")
    )
    assert shop.roll(NEXT).reason == "the shop's first departments changed"


def test_with_many_touched_everyone_is_computed_anew(shop):
    shop.add("order_lines", *(shop.line(who, f"n{who}", moment(DAY, 5)) for who in "abcd"))
    assert shop.roll(NEXT).reason == "4 of 10 customers are touched"


def test_the_first_event_ever_computes_everyone_anew(shop):
    shop.add("events", shop.step("a", moment(DAY, 5)))
    assert shop.roll(NEXT, tracked=True).reason == "events are tracked since"


def test_turned_off_no_day_is_made_from_another(shop):
    figures = shop.run(NEXT, incremental=False).figures
    assert figures["made_from"] == figures["computed_anew"] == {}
    assert shop.store.read("feature_states").count().to_pyarrow().as_py() == 1


def test_what_leaves_a_window_is_taken_away_without_computing_her_anew(shop):
    leaves = moment(DAY - timedelta(days=90), 9)
    more = {"gross_base_minor": 4000, "discount_base_minor": 500, "amount_base_minor": 3500}
    shop.add("order_lines", shop.line("a", "old", leaves, **more))
    shop.add("order_lines", shop.line("a", "young", moment(DAY - timedelta(days=50), 9)))
    shop.run(DAY)
    (before,) = (row for row in shop.features(DAY) if row["customer_id"] == "a")
    assert (before["orders_90d"], before["discount_90d_share"]) == (2, 0.1)
    assert shop.run(NEXT).figures["touched"] == {"2017-03-11": 0}
    (after,) = (row for row in shop.features(NEXT) if row["customer_id"] == "a")
    assert (after["orders_90d"], after["revenue_90d_minor"]) == (1, 1000)
    assert (after["discount_90d_share"], after["revenue_trend_90d"]) == (0.0, -0.555555556)


def test_an_order_of_several_days_that_leaves_a_window_computes_its_customer_anew(shop):
    first = moment(DAY - timedelta(days=90), 9)
    shop.add("order_lines", shop.line("b", "long", first))
    shop.add("order_lines", shop.line("b", "long", first + timedelta(days=3)))
    shop.run(DAY)
    assert shop.run(NEXT).figures["touched"] == {"2017-03-11": 1}
    (after,) = (row for row in shop.features(NEXT) if row["customer_id"] == "b")
    assert (after["orders_90d"], after["revenue_90d_minor"]) == (0, 0)


def test_a_large_shop_whose_parts_are_computed_one_by_one_gets_the_same_features(shop, monkeypatch):
    at_once = shop.features(DAY)
    monkeypatch.setattr(features, "MANY_LINES", 0)
    shop.run(DAY, incremental=False)
    assert shop.features(DAY) == at_once


def test_a_day_is_made_from_what_the_lake_keeps_of_the_day_before(tmp_path):
    """Features and moments read from Delta have the types of those that are computed."""
    store = WorkspaceStore(Lake(tmp_path), sa.create_engine("sqlite://"), zone=ZONE)
    shop = GrowingShop(store=store)
    shop.products(moment(date(2016, 1, 1), 0), p1="tea")
    long_ago = moment(DAY - timedelta(days=500), 12)
    shop.add("order_lines", *(shop.line(who, f"o{who}", long_ago) for who in "abcdefgh"))
    shop.run(DAY)
    shop.add("order_lines", shop.line("a", "new", moment(DAY, 12)))
    assert shop.run(NEXT).figures["touched"] == {"2017-03-11": 1}
    daily = shop.features(NEXT)
    shop.run(NEXT, incremental=False)
    assert (shop.features(NEXT), len(daily)) == (daily, 8)
    store.close()

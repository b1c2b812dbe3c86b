from __future__ import annotations

from datetime import date, datetime

import pytest

from tests.unit.profile.shop_rows import DAY, Shop, campaign, line, offer, touch
from zhiyin.core.tables import CAMPAIGN_FEATURE_TABLE

SHOP = Shop()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


PLANNED = at("2017-05-31 16:00:00")
NOW = campaign("now", DAY, date(2017, 6, 30))


def features(**rows):
    rows = {"campaigns": [NOW]} | rows
    return {row["customer_id"]: row for row in SHOP.campaign_features(**rows).to_pylist()}


def test_columns_are_those_of_the_table():
    table = SHOP.campaign_features()
    assert tuple(table.column_names) == CAMPAIGN_FEATURE_TABLE.names


def test_only_recipients_get_a_row():
    made = features(
        touches=[touch("a", "now", PLANNED), touch("b", "other", PLANNED)],
        lines=[line("c", "o1", at("2017-05-20 12:00:00"))],
    )
    assert set(made) == {"a"}


def test_affinity_counts_what_the_offers_are_good_for():
    made = features(
        touches=[touch("a", "now", PLANNED)],
        offers=[offer("f1", "now", "p1"), offer("f1", "now", "p2"), offer("f2", "now", "p9")],
        lines=[
            line("a", "o1", at("2017-01-20 12:00:00"), product="p1", amount=300),
            line("a", "o2", at("2017-05-20 12:00:00"), product="p1", amount=200),
            line("a", "o2", at("2017-05-20 12:00:00"), product="p7", amount=500),
        ],
    )["a"]
    assert (made["campaign_offers"], made["campaign_products"]) == (2, 3)
    assert (made["offer_spend_minor"], made["offer_spend_90d_minor"]) == (500, 200)
    assert made["offer_spend_share"] == 0.5
    assert (made["offer_products_count"], made["offer_lines_count"]) == (1, 2)
    assert (made["offers_usable_count"], made["offers_usable_90d"]) == (1, 1)
    assert (made["offer_best_lines"], made["offer_recency_days"]) == (2, 11)


def test_an_offer_without_a_product_is_good_for_anything():
    made = features(
        touches=[touch("a", "now", PLANNED), touch("b", "now", PLANNED)],
        offers=[offer("f1", "now", None)],
        lines=[line("a", "o1", at("2017-05-20 12:00:00"), amount=300)],
    )
    assert (made["a"]["offer_spend_minor"], made["a"]["offers_usable_count"]) == (300, 1)
    assert (made["b"]["offer_spend_minor"], made["b"]["offers_usable_count"]) == (0, 0)


def test_history_is_that_of_campaigns_of_the_same_kind():
    april, march = at("2017-04-01 12:00:00"), at("2017-03-01 12:00:00")
    made = features(
        campaigns=[
            NOW,
            campaign("a1", date(2017, 3, 2), date(2017, 3, 20)),
            campaign("a2", date(2017, 4, 2), date(2017, 6, 20)),
            campaign("b1", date(2017, 4, 2), date(2017, 4, 20), kind="B"),
        ],
        touches=[
            touch("a", "now", PLANNED),
            touch("a", "a1", march),
            touch("a", "a2", april),
            touch("a", "b1", april),
            touch("a", "a1", at("2017-03-05 12:00:00"), kind="redemption", offer="f1"),
            touch("a", "b1", at("2017-04-05 12:00:00"), kind="redemption", offer="f2"),
        ],
    )["a"]
    assert (made["same_kind_count"], made["same_kind_responded"]) == (2, 1)
    assert (made["same_kind_redemptions"], made["last_same_kind_redemptions"]) == (1, 0)
    assert made["kind_response_rate"] == pytest.approx(0.5)
    assert made["running_campaigns"] == 1


def test_redemptions_of_offers_for_the_same_products_are_counted():
    made = features(
        touches=[
            touch("a", "now", PLANNED),
            touch("a", "old", at("2017-03-05 12:00:00"), kind="redemption", offer="f0"),
            touch("a", "old", at("2017-03-06 12:00:00"), kind="redemption", offer="f9"),
        ],
        offers=[
            offer("f1", "now", "p1"),
            offer("f0", "old", "p1"),
            offer("f9", "old", "p9"),
        ],
    )["a"]
    assert made["redeemed_same_products"] == 1

"""The shop's rules over lists: what is left out, what is moved, and that no person pays for it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.understand.recommend.conftest import UNTIL
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import ConfigError, InvalidParameter
from zhiyin.core.placements import RecommendSettings
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import PRODUCTS, RECOMMENDATIONS
from zhiyin.understand import recommend
from zhiyin.understand.recommend import Candidates, Rules, Shelf, arrange, merge_candidates
from zhiyin.understand.recommend.batch import recommend_batch
from zhiyin.understand.recommend.goods import Goods, read_goods
from zhiyin.understand.recommend.scorer import Ranking
from zhiyin.understand.recommend.wishes import Wishes, read_wishes

ITEMS = 6


def _one(products, scores, fresh=None, barred=None) -> Candidates:
    none = [False] * len(products)
    return Candidates(
        np.array([products]), np.array([scores], float),
        np.array([fresh or none]), np.array([barred or none]),
    )  # fmt: skip


def _shelf(**changes) -> Shelf:
    yes = np.ones(ITEMS, dtype=bool)
    known = {
        "allowed": yes, "pays": yes, "category": np.array([0, 0, 0, 1, 1, -1]),
        "buyers": np.array([90, 50, 20, 10, 5, 1]),
    }  # fmt: skip
    return Shelf(**(known | changes))


LISTED = _one([0, 1, 2, 3, 4, 5], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def _list(rules: Rules | None = None, shelf: Shelf | None = None, mine=LISTED, k=4):
    return arrange(mine, shelf or _shelf(), rules or Rules(), k=k).products[0].tolist()


def test_reserved_places_push_out_the_last_and_stay_in_order():
    everything = Ranking(np.array([[5, 4, 3, 9]]), np.array([[0.9, 0.8, 0.7, 0.2]], np.float32))
    new = Ranking(np.array([[9, 8, 7, -1]]), np.array([[0.2, 0.1, 0.05, 0]], np.float32))
    candidates = merge_candidates(everything, new)
    kept = arrange(candidates, Shelf.plain(10), Rules(min_new=2), k=4)
    assert kept.products.tolist() == [[5, 4, 9, 8]]
    np.testing.assert_allclose(kept.scores, [[0.9, 0.8, 0.2, 0.1]])
    assert arrange(candidates, Shelf.plain(10), Rules(), k=4).products.tolist() == [[5, 4, 3, 9]]


def test_what_is_not_allowed_or_pays_too_little_is_left_out():
    allowed, pays = np.ones(ITEMS, dtype=bool), np.ones(ITEMS, dtype=bool)
    allowed[0] = pays[2] = False
    assert _list(shelf=_shelf(allowed=allowed, pays=pays)) == [1, 3, 4, 5]


def test_what_is_barred_for_one_person_stays_for_another():
    barred = np.zeros((2, ITEMS), dtype=bool)
    barred[0, :2] = True
    both = Candidates(
        *(np.repeat(part, 2, axis=0) for part in (LISTED.products, LISTED.scores, LISTED.fresh)),
        barred,
    )
    found = arrange(both, _shelf(), Rules(), k=3)
    assert found.products.tolist() == [[2, 3, 4], [0, 1, 2]]


def test_a_cap_counts_items_of_a_category_and_unknown_ones_share_none():
    assert _list(Rules(category_cap=1)) == [0, 3, 5, -1]
    unknown = _shelf(category=np.full(ITEMS, -1))
    assert _list(Rules(category_cap=1), unknown) == [0, 1, 2, 3]


def test_diversity_moves_up_what_is_unlike_those_above():
    assert _list(Rules(diversity=0.5)) == [0, 3, 5, 1]
    vectors = np.zeros((ITEMS, 2))
    vectors[[0, 3], 0] = vectors[[1, 2], 1] = 1  # 0 and 3 are alike, whatever their categories
    assert _list(Rules(diversity=0.5), _shelf(vectors=vectors))[:2] == [0, 1]


def test_novelty_moves_up_what_few_have():
    assert _list(Rules(novelty=1.0))[0] == 5
    assert _list(Rules(novelty=0.0))[0] == 0


def test_a_pin_stands_at_its_place_once_and_counts_for_the_cap():
    assert _list(Rules(pins={2: 3})) == [0, 3, 1, 2]
    assert _list(Rules(pins={1: 3}, category_cap=1)) == [3, 0, 5, -1]
    found = arrange(_one([0, 1], [0.6, 0.5]), _shelf(), Rules(pins={1: 4}), k=2)
    assert found.products.tolist() == [[4, 0]]
    np.testing.assert_allclose(found.scores, [[0, 0.6]])


def test_a_pin_is_stronger_than_margin_but_not_than_stock_or_what_is_barred():
    poor, gone = np.ones(ITEMS, dtype=bool), np.ones(ITEMS, dtype=bool)
    poor[3] = gone[3] = False
    assert _list(Rules(pins={1: 3}), _shelf(pays=poor)) == [3, 0, 1, 2]
    assert _list(Rules(pins={1: 3}), _shelf(allowed=gone)) == [0, 1, 2, 4]
    barred = _one([0, 3], [0.6, 0.5], barred=[False, True])
    assert _list(Rules(pins={1: 3}), mine=barred, k=2) == [0, -1]


def test_fresh_places_are_kept_under_a_cap():
    mine = _one([0, 1, 3, 2], [0.6, 0.5, 0.4, 0.1], fresh=[False, False, False, True])
    assert _list(Rules(min_new=1), mine=mine, k=2) == [0, 2]
    assert _list(Rules(min_new=1, category_cap=1), mine=mine, k=2) == [0, 3]  # the cap is harder


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_new": 9}, {"category_cap": 0}, {"diversity": 1.0}, {"novelty": -0.1},
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        _list(Rules(**wrong))


def test_people_with_the_same_candidates_get_the_same_list():
    """No price discrimination: who she is, what she earns and what she paid cannot enter."""
    rng = np.random.default_rng(5)
    products = np.argsort(rng.random((40, ITEMS)), axis=1)
    scores = -np.sort(-rng.random((40, ITEMS)), axis=1)
    fresh, barred = rng.random((40, ITEMS)) < 0.5, rng.random((40, ITEMS)) < 0.2
    rules = Rules(min_new=1, category_cap=2, diversity=0.3, novelty=0.2, pins={2: 4})
    parts = (products, scores, fresh, barred)
    found = arrange(Candidates(*parts), _shelf(), rules, k=4).products
    order = rng.permutation(40)
    moved = arrange(Candidates(*(part[order] for part in parts)), _shelf(), rules, k=4).products
    assert (moved == found[order]).all()
    for row in range(0, 40, 7):
        alone = arrange(
            Candidates(*(part[row : row + 1] for part in parts)), _shelf(), rules, k=4
        ).products
        assert (alone[0] == found[row]).all()


def test_nothing_that_recommends_reads_a_price_or_an_income():
    """A model that knows what she pays could choose dear items for those who pay more."""
    money = ("PRICE", "PAID", "AMOUNT_MINOR", "INCOME", "DISCOUNT", "_MINOR", "MONETARY")
    folder = Path(recommend.__file__).parent
    shows = {"catalogue.py", "goods.py", "online_job.py"}  # what a product costs everybody
    for module in sorted(one for one in folder.glob("*.py") if one.name not in shows):
        named = [word for word in money if f"c.{word}" in module.read_text(encoding="utf-8")]
        assert named == [], module.name
    assert not [column.name for column in RECOMMENDATIONS.columns if "minor" in column.name]
    assert not [key for key in RecommendSettings.model_fields if "price" in key]


def _product(number: int, **properties) -> dict:
    return {
        "product_id": f"s:{number}", "department": "FOOD", "category": f"c{number % 2}",
        "subcategory": "any", "properties": json.dumps(properties) if properties else None,
    }  # fmt: skip


def _goods(products: list[dict], **rules) -> Goods:
    rows = pa.Table.from_pylist(products, arrow_schema(PRODUCTS))
    return read_goods(rows, RecommendSettings(**rules), exponent=2)


def _wishes(products: list[dict], **rules) -> Wishes:
    return read_wishes(RecommendSettings(**rules), _goods(products, **rules))


def test_wishes_read_stock_and_margin_and_leave_what_is_not_known():
    products = [
        _product(1, stock=0, margin_rate=0.5), _product(2, stock="7", margin_rate="0.05"),
        _product(3), _product(4, stock="plenty"),
    ]  # fmt: skip
    found = _wishes(products, min_stock=1, min_margin=0.1)
    assert (found.hidden, found.poor) == ({"s:1"}, {"s:2"})
    found = _wishes(products, sensitive=("c1",))
    assert found.hidden == {"s:1", "s:3"}


def test_shops_name_stock_and_cost_in_their_own_ways():
    products = [
        _product(1, Inventory="0"), _product(2, 库存=5, cost=1), _product(3, in_stock=False),
        _product(4, units=0, stock=9), _product(5, availability="售罄", margin=2, unit_cost="3"),
        _product(6),
    ]  # fmt: skip
    for one in products:
        one["price_base_minor"] = 400
    found = _goods(products, stock_property="Units", min_stock=6)
    np.testing.assert_equal(found.stock, [0, 5, np.nan, 0, np.nan, np.nan])
    assert found.offered.tolist() == [False, True, False, False, False, True]
    np.testing.assert_allclose(found.margin, [np.nan, 0.75, np.nan, np.nan, 0.25, np.nan])
    assert found.hidden.tolist() == [True, True, False, True, False, False]


def test_a_loss_is_no_reason_where_no_margin_is_asked_for():
    assert _wishes([_product(1, margin=-0.2, stock=3)], min_stock=1) == Wishes(
        pins={}, rules=Rules()
    )


def test_the_batch_follows_the_wishes(shop):
    day = {"as_of": date(2026, 6, 1), "until": UNTIL, "top": 6, "min_new": 2, "min_buyers": 5}
    returned = frozenset({("c001", "coffee_7")})
    wishes = Wishes(
        hidden=frozenset({"tea_1"}), returned=returned, rest_days=3,
        pins={2: "gift_1", 3: "no such"},
    )  # fmt: skip
    made = recommend_batch(shop, wishes=wishes, **day)
    rows = made.rows.to_pandas()
    assert made.card["pins_left_out"] == ["no such"]
    assert "tea_1" not in set(rows["product_id"])
    assert (rows.groupby("customer_id")["rank"].max() == 6).all()
    mine = rows[rows["customer_id"] == "c001"]
    assert "coffee_7" not in set(mine["product_id"])
    late = shop.to_pandas()
    late = late[late["sold_at"] > UNTIL - timedelta(days=3)]
    bought = set(zip(late["customer_id"], late["product_id"], strict=True))
    told = set(zip(rows["customer_id"], rows["product_id"], strict=True))
    assert bought
    assert not bought & told
    second = rows[rows["rank"] == 2].set_index("customer_id")
    had = {customer for customer, product in bought if product == "gift_1"}
    assert (second.drop(index=list(had))["product_id"] == "gift_1").all()
    assert set(second.drop(index=list(had))["model"]) == {"pin"}


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        (["first:a"], "place:product_id"), (["1:a", "1:b"], "place 1"), (["1:a", "2:a"], "two"),
        (["0:a"], "no pin"),
    ],
)  # fmt: skip
def test_wrong_pins_are_refused_with_the_field(pins, said):
    with pytest.raises(ConfigError, match=said) as refused:
        validate_settings({"name": "shop", "recommend": {"pins": pins}}, where="zhiyin.toml")
    assert "recommend.pins" in str(refused.value)
    assert refused.value.hint


def test_ids_with_colons_can_be_pinned():
    assert RecommendSettings(pins=("1:shop:sku-7", "12:b")).pinned == {1: "shop:sku-7", 12: "b"}

"""What a turn knows of customers and products is what the online store gives."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.generation import Texts
from zhiyin.core.placements import PlacementSettings, RecommendSettings
from zhiyin.core.rng import Streams
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import PRODUCTS
from zhiyin.store.online import OnlineStore
from zhiyin.testing.contract_store import LOADED, merge, put
from zhiyin.testing.store import MemoryStore
from zhiyin.understand.recommend.catalogue import renew
from zhiyin.understand.recommend.online_job import KINDS, run
from zhiyin.understand.recommend.shelf import Shelf

DAY = date(2024, 6, 1)
AT = datetime(2024, 5, 20, 12)
BASKETS = {"p_a": "12", "p_b": "12", "p_c": "123", "p_d": "3"}


def product(key, **more):
    return {
        c.PRODUCT_ID: f"s:{key}", c.REVISION: 1, c.VALID_AT: AT, c.RECORDED_AT: LOADED,
        c.OP: "upsert", c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: LOADED, **more,
    }  # fmt: skip


def line(number, who, key, at=AT):
    return {
        c.LINE_ID: f"s:{number}", c.ORDER_ID: f"s:o{number}", c.REVISION: 1, c.VALID_AT: at,
        c.RECORDED_AT: LOADED, c.OP: "upsert", c.KIND: "item", c.PARTY_ID: who, c.SOLD_AT: at,
        c.PRODUCT_ID: f"s:{key}", c.QUANTITY: 1.0, c.CURRENCY: "EUR", c.SOURCE: "s",
        c.LOAD_ID: "l", c.LOADED_AT: LOADED, c.SUSPECT: False,
    }  # fmt: skip


def listed(who, rank, key, reason, model="blend.new", day=DAY):
    return {
        c.AS_OF_ON: day, c.CUSTOMER_ID: who, c.RANK: rank, c.PRODUCT_ID: f"s:{key}",
        c.SCORE: 1 / rank, c.MODEL: model, c.REASON: json.dumps(reason, sort_keys=True),
    }  # fmt: skip


@pytest.fixture
def ctx(tmp_path):
    store = MemoryStore()
    rows = [(who, key) for who, keys in BASKETS.items() for key in keys]
    put(store, "order_lines", *(line(n, who, key) for n, (who, key) in enumerate(rows)),
        line(99, "p_a", "1", datetime(2024, 6, 1, 1)))  # fmt: skip
    put(store, "products",
        product("1", name="Tea", category="drinks", price_base_minor=500,
                properties=json.dumps({"cost": 2, "Stock": 0})),
        product("2", name="Bread", category="food",
                properties=json.dumps({"available": "sold out"})),
        product("3", name='Say "cheese"', category="food", url="https://shop/3", brand="B"),
    )  # fmt: skip
    put(store, "merges", merge("p_e", "p_a", AT))
    because = {"kind": "because", "products": [
        {"product_id": 's:"', "share": 0.7}, {"product_id": "s:1", "share": 0.3}]}  # fmt: skip
    lists = [
        listed("p_a", 1, "3", {"kind": "repeat", "times": 4, "last_days": 3, "every_days": None}),
        listed("p_a", 2, '"', because),
        listed("p_d", 1, "1", {"kind": "popular", "buyers": 3}, "popularity"),
        listed("p_a", 1, "1", {}, "check.all.blend"),
        listed("p_b", 1, "1", {"kind": "popular", "buyers": 3}, day=DAY - timedelta(days=1)),
    ]
    for day in (DAY, DAY - timedelta(days=1)):
        mine = [one for one in lists if one[c.AS_OF_ON] == day]
        store.replace("recommendations", pa.Table.from_pylist(mine), scope={c.AS_OF_ON: day})
    settings = validate_settings(
        {"name": "s", "currency": "EUR", "understand": {"recommend_min_buyers": 1}}, where="test"
    )
    clock = FrozenClock(datetime(2024, 6, 1, 9, tzinfo=UTC))
    return Context(
        settings, store, None, clock, Streams(1), DAY, "t", online=OnlineStore(tmp_path / "online")
    )


@pytest.fixture
def made(ctx):
    report = run(ctx, ctx.settings.understand)
    assert report.figures["status"] == "ok"
    assert report.figures["candidates"] == 3, "neither of a check day nor of another day"
    return ctx.online.generation()


def ids_of(made, codes):
    texts = Texts(made, "item.id")
    return [texts[code].decode() for code in codes]


def test_a_customer_finds_her_list_with_its_reasons_under_each_of_her_parties(made):
    for party in ("p_a", "p_e"):
        mine = made.people("candidates", made.row_of(party))
        assert ids_of(made, mine["item"]) == ["s:3", 's:"']
        assert [KINDS[kind] for kind in mine["kind"]] == ["repeat", "because"]
        assert (mine["count"][0], mine["last_days"][0], mine["every_days"][0]) == (4, 3, -1)
        assert ids_of(made, mine["said"][1:]) == ['s:"'], "what speaks for it most"
    assert sorted(made.parties_of(made.row_of("p_a"))) == ["p_a", "p_e"]
    assert made.people("joins", made.row_of("p_e"))["party"].tolist() == [b"p_e"]


def test_purchases_end_before_the_day(made):
    bought = made.people("bought", made.row_of("p_a"))
    assert ids_of(made, bought["item"]) == ["s:1", "s:2"]
    assert {datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at in bought["at"]} == {AT}


def test_products_say_what_they_cost_and_whether_they_can_be_bought(made):
    known = dict(zip(ids_of(made, range(4)), range(4), strict=True))
    buyable = {key: bool(made.arrays["item.buyable"][code]) for key, code in known.items()}
    assert buyable == {"s:1": False, "s:2": False, "s:3": True, 's:"': False}
    assert made.arrays["item.price"][known["s:1"]] == 500
    assert made.arrays["item.margin"][known["s:1"]] == pytest.approx(0.6)
    shown = json.loads(b"{" + Texts(made, "item.json")[known["s:3"]] + b"}")
    assert shown["name"] == 'Say "cheese"'
    assert shown["url"] == "https://shop/3"
    assert shown["currency"] is None


def test_neighbours_have_buyers_in_common(made):
    near = made.people("near", ids_of(made, range(4)).index("s:1"))
    assert ids_of(made, near["item"]) == ["s:2", "s:3"]
    assert near["score"][0] == pytest.approx(3 / (3 + 10))


def test_what_goes_with_a_product_is_there_the_surest_first(ctx):
    shares = dict.fromkeys(("support", "lift", "lift_low", "p_value", "q_value"), 0.5)
    goes = [
        {c.AS_OF_ON: DAY, c.PRODUCT_ID: "s:1", c.RANK: rank, c.OTHER_ID: other,
         "orders_together": 5, c.CONFIDENCE: confidence, **shares}
        for rank, (other, confidence) in enumerate((("s:3", 0.2), ("s:guests", 0.4)), start=1)
    ]  # fmt: skip
    ctx.store.replace("together", pa.Table.from_pylist(goes), scope={c.AS_OF_ON: DAY})
    run(ctx, ctx.settings.understand)
    made = ctx.online.generation()
    size = len(made.arrays["item.price"])
    goes = made.people("together", ids_of(made, range(size)).index("s:1"))
    assert ids_of(made, goes["item"]) == ["s:guests", "s:3"], "also what only guests bought"
    assert goes["score"].tolist() == pytest.approx([0.4, 0.2])


def test_only_what_can_be_bought_is_popular(made):
    assert ids_of(made, Shelf(made).popular(PlacementSettings())) == ["s:3"]
    assert made.arrays["item.buyers"].sum() == sum(map(len, BASKETS.values()))


def test_what_the_shop_never_shows_is_let_in_by_no_placement(ctx):
    sensitive = ctx.settings.model_copy(
        update={"recommend": RecommendSettings(sensitive=("food",))}
    )
    run(replace(ctx, settings=sensitive), ctx.settings.understand)
    made = ctx.online.generation()
    allowed = Shelf(made).allowed(PlacementSettings(in_stock=False))
    known = ids_of(made, range(4))
    assert [one for one, may in zip(known, allowed, strict=True) if may] == ['s:"', "s:1"]
    assert ids_of(made, Shelf(made).popular(PlacementSettings())) == []


def test_products_loaded_since_change_price_and_stock_and_nothing_else(ctx, made):
    rows = [
        product("1", name="Tea!", category="drinks", price_base_minor=650, properties=None),
        product("2", name="Bread", category="new", price_base_minor=100, properties=None),
        product("9", name="Unknown to the turn"),
    ]
    table = pa.Table.from_pylist(rows, arrow_schema(PRODUCTS))
    fresh = renew(made, table, settings=RecommendSettings(sensitive=("new",)), currency="EUR")
    known = dict(zip(ids_of(fresh, range(4)), range(4), strict=True))
    assert list(known) == ['s:"', "s:1", "s:2", "s:3"]
    assert fresh.arrays["item.price"][known["s:1"]] == 650
    assert json.loads(b"{" + Texts(fresh, "item.json")[known["s:1"]] + b"}")["name"] == "Tea!"
    assert fresh.arrays["item.buyable"].tolist() == [False, True, True, False], "s:3 is gone"
    assert fresh.arrays["item.hidden"].tolist() == [False, False, True, False]
    assert ids_of(fresh, Shelf(fresh).popular(PlacementSettings())) == ["s:1"], "it is there again"
    same = {"candidates.item", "party.id", "near.item", "item.category", "popular.item"}
    assert all(fresh.arrays[name] is made.arrays[name] for name in same)


def test_an_earlier_day_does_not_take_the_place_of_a_later_one(ctx, made):
    report = run(replace(ctx, as_of=DAY - timedelta(days=1)), ctx.settings.understand)
    assert report.figures == {"status": "kept_newer"}
    assert ctx.online.generation() is made


def test_the_same_run_gives_the_same_arrays(ctx, made):
    run(ctx, ctx.settings.understand)
    again = ctx.online.generation()
    assert again.number == 2
    for name, array in made.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name


def test_a_shop_without_anything_has_an_empty_generation(ctx):
    empty = replace(ctx, store=MemoryStore())
    assert run(empty, ctx.settings.understand).figures["customers"] == 0
    assert ctx.online.generation().row_of("p_a") == -1

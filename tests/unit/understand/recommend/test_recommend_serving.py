"""What a request gets: who answers, what the rules leave out, and what may be used of her."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.clock import FrozenClock
from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.core.generation import PEOPLE, Generation, pack_people, starts_of
from zhiyin.core.placements import PlacementSettings, RecommendSettings
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import PRODUCTS as TABLE
from zhiyin.govern.gate import Consent
from zhiyin.govern.packed import JOINS
from zhiyin.understand.recommend.catalogue import COLUMNS, pack_catalogue
from zhiyin.understand.recommend.live import Door, Recent, Request
from zhiyin.understand.recommend.shelf import BOUGHT, CANDIDATES

NOW = datetime(2024, 6, 10, 12, tzinfo=UTC)
PRODUCTS = {  # id → category, price, margin, stock; ids sort as they stand
    "a": ("tea", 100, 0.5, 1), "b": ("tea", 200, 0.1, 1), "c": ("tea", 300, None, 1),
    "d": ("tea", 400, 0.5, 0), "e": ("food", None, 0.9, 1), "f": ("food", 900, 0.9, 1),
    "g": (None, 50, 0.5, 1),
}  # fmt: skip
CODE = {one: place for place, one in enumerate(PRODUCTS)}
BUYERS = {"b": 9, "f": 8, "c": 7, "g": 6, "a": 5, "e": 4, "d": 3}
NEAR = {"a": [("b", 0.5), ("e", 0.4)], "e": [("f", 0.6), ("b", 0.3)], "g": []}
LIST = "dcba"  # of Ana: with d out of stock
ANA, PHONE, BEA = "p_ana", "p_phone", "p_bea"
WORDS = {"because": (2, "g", -1, -1), "repeat": (1, "", 3, 30), "popular": (3, "", 9, -1)}


def group(name, rows, **columns):
    """Arrays of a group from one list of entries a row."""
    codes = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    flat = [entry for one in rows for entry in one]
    return {f"{name}.starts": starts_of(codes, len(rows))} | {
        f"{name}.{key}": np.array([entry[place] for entry in flat], kind)
        for place, (key, kind) in enumerate(columns.items())
    }


def make_generation(number=1):
    rows = [
        {"product_id": one, "name": one.upper(), "category": category, "price_base_minor": price,
         "properties": json.dumps({"stock": stock, "margin": margin})}
        for one, (category, price, margin, stock) in PRODUCTS.items()
    ]  # fmt: skip
    popular = [CODE[one] for one in BUYERS if one != "d"]
    products = pa.Table.from_pylist(rows, arrow_schema(TABLE).empty_table().select(COLUMNS).schema)
    arrays = pack_catalogue(
        products, pa.array(PRODUCTS), exponent=2, currency="EUR", settings=RecommendSettings()
    )
    category = arrays["item.category"]
    shelf = sorted((one for one in popular if category[one] >= 0), key=lambda one: category[one])
    reasons = [WORDS["because"], WORDS["repeat"], WORDS["popular"], (0, "", -1, -1)]
    listed = [
        (CODE[one], 1 - place / 10, kind, CODE.get(said, -1), count, every)
        for place, (one, (kind, said, count, every)) in enumerate(zip(LIST, reasons, strict=True))
    ]
    arrays |= pack_people([(ANA, 0), (PHONE, 0), (BEA, 1)], 2)
    arrays |= group(CANDIDATES, [listed, []], item=np.int32, score=np.float32, kind=np.uint8,
                    said=np.int32, count=np.int32, every_days=np.int16)  # fmt: skip
    days = [("c", 5), ("b", 50)]
    bought = [(CODE[one], (NOW - timedelta(days=ago)).timestamp()) for one, ago in days]
    arrays |= group(BOUGHT, [bought, []], item=np.int32, at=np.int64)
    joins = [(PHONE.encode(), ANA.encode(), (NOW - timedelta(days=90)).timestamp())]
    arrays |= group(JOINS, [joins, []], party="S40", into="S40", at=np.float64)
    near = [[(CODE[to], score) for to, score in NEAR.get(one, [])] for one in PRODUCTS]
    arrays |= group("near", near, item=np.int32, score=np.float32)
    arrays |= {
        "item.buyers": np.array([BUYERS[one] for one in PRODUCTS], np.int32),
        "popular.item": np.array(popular, np.int32), "shelf.item": np.array(shelf, np.int32),
        "shelf.starts": starts_of(category[shelf], 2),
    }  # fmt: skip
    about = {PEOPLE: [CANDIDATES, BOUGHT, JOINS], "as_of_on": "2024-06-10"}
    return Generation(number, about, arrays)


NOTHING, JUST = Recent(), NOW.timestamp() - 1


class Online:
    def __init__(self, held):
        self.held = held

    def generation(self):
        return self.held


def door(rules=None, *, lines=(), recent=NOTHING, **settings):
    places = {"home": PlacementSettings(**(rules or {}))}
    settings = RecommendSettings(placements=places, **settings)
    return Door(
        Online(make_generation()), settings, currency="EUR", clock=FrozenClock(NOW),
        consents=lambda parties: [one for one in lines if one.party_id in parties],
        recent=lambda parties: recent,
    )  # fmt: skip


def ask(made, **request):
    answer = made.handle(Request(placement="home", **request), "d_1")
    return json.loads(answer.body)


def ids(answer):
    return "".join(one["product_id"] for one in answer["items"])


def sources(answer):
    return [one["source"] for one in answer["items"]]


ANA_ASKS = {"customer": (ANA,)}


def test_a_customer_gets_her_list_then_what_is_popular_each_product_once_with_its_reason():
    answer = ask(door(), **ANA_ASKS)
    assert ids(answer) == "cbafge"
    assert sources(answer) == ["customer"] * 3 + ["popular"] * 3
    assert answer["source"] == "customer"
    assert answer["personalised"]
    assert answer["recommendation_id"] == "d_1"
    assert [one["rank"] for one in answer["items"]] == [1, 2, 3, 4, 5, 6]
    reasons = [(one["reason"]["en"], one["reason"]["zh"]) for one in answer["items"]]
    assert reasons[:4] == [
        ("bought 3 times before, about every 30 days", "您买过 3 次，约每 30 天一次"),
        ("bought by 9 people", "已有 9 人购买"),
        ("chosen for you", "为您精选"),
        ("bought by 8 people", "已有 8 人购买"),
    ]


def test_what_is_not_in_stock_is_left_out_unless_the_place_shows_it():
    assert ids(ask(door({"in_stock": False, "k": 2}), **ANA_ASKS)) == "dc"
    first = ask(door({"in_stock": False, "k": 1}), **ANA_ASKS)["items"][0]
    assert first["reason"]["en"] == "because you bought G"


@pytest.mark.parametrize(
    ("request_", "links", "found"),
    [
        ({"item": "a"}, ["item", "item", "category"], "bec"),
        ({"basket": ("e", "a")}, ["basket", "basket", "category"], "bfc"),
        ({"item": "g"}, ["popular"] * 3, "bfc"),
        ({"item": "never heard of"}, ["popular"] * 3, "bfc"),
        ({"basket": ("never heard of",)}, ["popular"] * 3, "bfc"),
        ({"customer": ("p_stranger",)}, ["popular"] * 3, "bfc"),
        ({"customer": (BEA,)}, ["popular"] * 3, "bfc"),
        ({}, ["popular"] * 3, "bfc"),
    ],
)
def test_where_one_link_of_the_chain_knows_nothing_the_next_one_answers(request_, links, found):
    answer = ask(door({"k": 3}), **request_)
    assert (sources(answer), ids(answer)) == (links, found)
    assert not answer["personalised"]


def test_a_visitor_gets_what_stands_beside_what_she_looked_at_last():
    made = door(
        {"k": 3},
        recent=Recent(seen=[("e", JUST), ("a", JUST - 9), ("unknown", JUST), ("f", JUST - 90_000)]),
    )
    answer = ask(made, session="p_visitor")
    assert ids(answer)[:2] == "bf", "b speaks twice: .3 + .85 x .5"
    assert answer["items"][0]["score"] == pytest.approx(0.3 + 0.85 * 0.5)
    assert answer["items"][0]["reason"]["en"] == "because you looked at A"
    assert answer["personalised"]


def test_what_a_stranger_just_bought_speaks_for_her_as_what_she_looked_at_does():
    made = door({"k": 3}, recent=Recent(seen=[("e", JUST - 9)], bought=[("a", JUST)]))
    answer = ask(made, customer=("p_first_day",))
    assert (ids(answer)[0], sources(answer)[0]) == ("b", "session")
    reasons = {one["product_id"]: one["reason"] for one in answer["items"]}
    assert reasons["b"] == {
        "kind": "because", "en": "because you bought A", "zh": "因为您买过A"
    }  # fmt: skip
    assert reasons["f"]["en"] == "because you looked at E"
    assert answer["personalised"]


def test_the_chain_of_a_place_says_who_is_asked_first():
    answer = ask(door({"chain": ["item", "customer"], "k": 4}), item="a", **ANA_ASKS)
    assert (ids(answer), sources(answer)) == ("bec", ["item", "item", "customer"])


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({"exclude_bought_days": 30}, "bafge"),
        ({"exclude_bought_days": 60}, "afge"),
        ({"categories": ["food"]}, "fe"),
        ({"categories": ["no such"]}, ""),
        ({"min_price_minor": 300}, "cf"),
        ({"min_margin": 0.5}, "afge"),
        ({"pins": ["e", "d", "unknown"]}, "ecbafg"),
        ({"exclude": ["c", "f"]}, "bage"),
        ({"category_cap": 1}, "cfg"),
        ({"k": 2}, "cb"),
        ({"diversity": 1.0, "k": 4}, "cbaf"),
        ({"personalised": False}, "bfcgae"),
    ],
)
def test_the_rules_of_the_place_hold_when_it_is_asked(rules, found):
    assert ids(ask(door(rules), **ANA_ASKS)) == found


def test_diversity_lets_another_category_pass_by():
    rules = {"chain": ["popular"], "in_stock": False}
    assert ids(ask(door(rules), k=4)) == "bfcg"
    assert ids(ask(door({**rules, "diversity": 0.5}), k=4)) == "bfgc"


def test_what_was_bought_since_the_generation_was_made_counts_too():
    made = door({"exclude_bought_days": 30}, recent=Recent(bought=[("a", NOW.timestamp())]))
    answer = ask(made, **ANA_ASKS)
    assert ids(answer) == "befg", "not a itself; e stands beside it"
    assert sources(answer)[:3] == ["customer", "session", "popular"]


def test_what_is_in_the_basket_or_looked_at_is_not_recommended():
    assert ids(ask(door(), basket=("c",), item="b", **ANA_ASKS)) == "afge"


def consent(party, purpose, *, granted, days=0):
    return Consent(party, purpose, "*", granted, NOW - timedelta(days=10 - days))


@pytest.mark.parametrize("purpose", ["personalisation", "profiling"])
@pytest.mark.parametrize("party", [ANA, PHONE])
def test_who_refused_with_any_of_her_records_gets_what_everybody_gets(purpose, party):
    seen = Recent(seen=[("e", JUST)], bought=[("f", NOW.timestamp())])
    made = door({"exclude_bought_days": 30}, lines=[consent(party, purpose, granted=False)],
                recent=seen)  # fmt: skip
    answer = ask(made, **ANA_ASKS)
    assert ids(answer) == "bfcgae"
    assert not answer["personalised"]


def test_a_refusal_is_lifted_by_a_later_consent_of_another_record_of_hers():
    lines = [consent(PHONE, "personalisation", granted=False),
             consent(ANA, "personalisation", granted=True, days=1)]  # fmt: skip
    assert ask(door(lines=lines), **ANA_ASKS)["source"] == "customer"


def test_a_visitor_who_refused_is_refused_though_the_customer_did_not():
    made = door(lines=[consent("p_visitor", "personalisation", granted=False)])
    assert ask(made, session="p_visitor", **ANA_ASKS)["source"] == "popular"


def test_under_opt_in_only_who_agreed_gets_a_list_of_her_own():
    assert ask(door(consent="opt_in"), **ANA_ASKS)["source"] == "popular"
    lines = [consent(ANA, "personalisation", granted=True)]
    assert ask(door(consent="opt_in", lines=lines), **ANA_ASKS)["source"] == "customer"


def test_what_was_decided_about_somebody_is_kept_and_about_nobody_is_not():
    made = door({"k": 2})
    shown = made.handle(Request(placement="home", customer=("p_x", PHONE)), "d_2").shown
    assert (shown.party_id, shown.customer_id) == (PHONE, ANA)
    assert (shown.product_ids, shown.source, shown.personalised) == (("c", "b"), "customer", True)
    assert made.handle(Request(placement="home"), "d_3").shown is None


def test_a_new_generation_is_taken_between_two_requests():
    made = door()
    assert ask(made)["generation"] == 1
    made._online.held = make_generation(2)
    assert ask(made)["generation"] == 2


def test_while_a_new_generation_is_made_ready_the_old_one_answers():
    made, waiting = door(), []
    made._aside = waiting.append
    assert ask(made)["generation"] == 1
    made._online.held = make_generation(2)
    assert ask(made)["generation"] == 1
    assert ask(made)["generation"] == 1
    (ready,) = waiting
    ready()
    assert ask(made)["generation"] == 2


def test_wrong_requests_are_told_what_is_wrong():
    with pytest.raises(NotFound, match="default, home"):
        door().handle(Request(placement="cellar"), "d")
    for wrong in ({"k": 0}, {"k": 101}, {"basket": ("a",) * 101}):
        with pytest.raises(InvalidParameter):
            door().handle(Request(**wrong), "d")
    empty = door()
    empty._online.held = None
    with pytest.raises(NotEnoughData, match="zhiyin run"):
        empty.handle(Request(), "d")


def test_a_basket_asks_orders_before_buyers_in_common():
    made = door({"chain": ["basket"]})
    assert ids(ask(made, basket=("a",))) == "be"
    held = make_generation()
    goes = [[(CODE["g"], 0.3), (CODE["e"], 0.1)] if one == "a" else [] for one in PRODUCTS]
    made._online.held = replace(
        held, arrays=held.arrays | group("together", goes, item=np.int32, score=np.float32)
    )
    found = ask(made, basket=("a",))
    assert ids(found) == "geb", "then those beside it, each once"
    assert found["items"][0]["reason"]["en"] == "goes with A in your basket"


def test_products_that_are_renewed_are_so_in_later_generations_too():
    made = door()
    assert "a" in ids(ask(made, **ANA_ASKS))
    rows = [{"product_id": one, "price_base_minor": 999, "properties": json.dumps({"stock": 1})}
            for one in PRODUCTS if one != "a"]  # fmt: skip
    made.renew(pa.Table.from_pylist(rows, arrow_schema(TABLE)))
    for number in (1, 2):
        made._online.held = make_generation(number)
        found = ask(made, **ANA_ASKS)
        assert found["generation"] == number
        assert "a" not in ids(found), "it is sold no more"
        assert "d" in ids(found), "it is in stock again"
        assert {one["price_minor"] for one in found["items"]} == {999}

"""The offer that suits a customer, and the products she is shown."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest

from zhiyin.core import columns as c
from zhiyin.decide.offer import choose_offers
from zhiyin.testing.store import MemoryStore

DAY = date(2026, 5, 1)
SCHEMAS = {
    "customers": {c.CUSTOMER_ID: pa.string()},
    "offers": {c.OFFER_ID: pa.string(), c.PRODUCT_ID: pa.string(), c.END_ON: pa.date32()},
    "order_lines": {
        c.CUSTOMER_ID: pa.string(), c.PRODUCT_ID: pa.string(), c.KIND: pa.string(),
        c.AMOUNT_BASE_MINOR: pa.int64(), c.SOLD_AT: pa.timestamp("us"),
    },
    "recommendations": {
        c.CUSTOMER_ID: pa.string(), c.PRODUCT_ID: pa.string(), c.RANK: pa.int64(),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    made = MemoryStore()
    yield made
    made.close()


@pytest.fixture
def choose(engine):
    """`choose(customers, offers=…, bought=…, recommended=…)` → {customer: (offer, products)}."""

    def table(name, rows):
        schema = pa.schema(list(SCHEMAS[name].items()))
        made = pa.Table.from_pylist([dict(zip(schema.names, r, strict=True)) for r in rows], schema)
        return engine.to_ibis(made)

    def run(customers, *, offers=(), bought=(), recommended=(), generic=(), shown=3):
        lines = [
            (who, what, kind, amount, datetime(2026, 4, 1)) for who, what, amount, kind in bought
        ]
        made = choose_offers(
            table("customers", [(one,) for one in customers]),
            offers=table("offers", [(o, p, date(2026, 5, 9) if e is None else e)
                                    for o, p, e in offers]),
            order_lines=table("order_lines", lines),
            recommendations=table("recommendations", recommended),
            generic=table("customers", [(one,) for one in generic]) if generic else None,
            as_of=DAY, shown=shown,
        )  # fmt: skip
        return {one.customer_id: (one.offer_id, list(one.product_ids)) for one in made}

    return run


def buy(who, what, amount=100, *, times=1, kind="item"):
    return [(who, what, amount, kind)] * times


def offer(name, *products, ends=None):
    return [(name, product, ends) for product in products]


def test_the_offer_on_which_she_spent_most_is_hers(choose):
    made = choose(
        ["p_a", "p_b"],
        offers=offer("o1", "tea") + offer("o2", "soap", "milk"),
        bought=buy("p_a", "tea", 900)
        + buy("p_a", "soap", 100, times=5)
        + buy("p_b", "soap", 500)
        + buy("p_b", "tea", 100, times=4),
    )
    assert made["p_a"] == ("o1", ["tea"])
    assert made["p_b"][0] == "o2"


def test_at_equal_spend_the_number_of_purchases_decides(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea") + offer("o2", "soap"),
        bought=buy("p_a", "tea", 400) + buy("p_a", "soap", 100, times=4),
    )
    assert made["p_a"][0] == "o2"


def test_who_bought_nothing_of_it_gets_the_most_popular_offer(choose):
    offers = offer("o1", "tea") + offer("o2", "soap") + offer("o3", "milk")
    bought = buy("p_x", "soap", 1, times=3) + buy("p_y", "tea", 999)
    assert choose(["p_a"], offers=offers, bought=bought)["p_a"] == ("o2", ["soap"])


def test_offers_that_nothing_sets_apart_go_by_id(choose):
    assert choose(["p_a"], offers=offer("o2", "tea") + offer("o1", "soap"))["p_a"] == (
        "o1", ["soap"],
    )  # fmt: skip


def test_recommendations_come_first_then_her_own_then_what_everybody_buys(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea", "soap", "milk", "rice", "salt"),
        bought=buy("p_a", "tea", 100, times=2) + buy("p_a", "soap", 500)
        + buy("p_x", "milk", 1, times=9) + buy("p_a", "fish", 9000, times=9),
        recommended=[("p_a", "fish", 1), ("p_a", "salt", 2), ("p_a", "soap", 3)],
        shown=4,
    )  # fmt: skip
    assert made["p_a"] == ("o1", ["salt", "soap", "tea", "milk"])


def test_only_products_of_her_offer_are_shown_and_each_once(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea", "soap") + offer("o2", "milk"),
        bought=buy("p_a", "tea", 100, times=2) + buy("p_a", "milk", 50),
        recommended=[("p_a", "tea", 1), ("p_a", "milk", 2)],
    )
    assert made["p_a"] == ("o1", ["tea", "soap"])


def test_an_offer_that_names_no_product_is_good_for_any(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea") + offer("any", None),
        bought=buy("p_a", "soap", 100) + buy("p_a", "tea", 50),
    )
    assert made["p_a"] == ("any", ["soap", "tea"])


def test_a_campaign_without_offers_shows_products_only(choose):
    made = choose(
        ["p_a", "p_b"],
        bought=buy("p_a", "soap", 100) + buy("p_x", "milk", 1, times=5),
        recommended=[("p_b", "soap", 1)],
    )
    assert made == {"p_a": (None, ["soap", "milk"]), "p_b": (None, ["soap", "milk"])}


def test_nothing_known_gives_no_offer_and_no_product(choose):
    assert choose(["p_a"]) == {"p_a": (None, [])}


def test_an_offer_that_has_ended_is_not_made(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea", ends=date(2026, 4, 30)) + offer("o2", "soap", ends=DAY),
        bought=buy("p_a", "tea"),
    )
    assert made["p_a"] == ("o2", ["soap"])


def test_returns_and_postage_are_no_purchases(choose):
    made = choose(
        ["p_a"],
        offers=offer("o1", "tea") + offer("o2", "soap"),
        bought=buy("p_a", "soap", 10) + buy("p_a", "tea", 900, kind="return")
        + buy("p_a", "tea", 900, kind="shipping"),
    )  # fmt: skip
    assert made["p_a"][0] == "o2"


def test_the_order_of_rows_changes_nothing(choose):
    offers = offer("o1", "tea", "soap") + offer("o2", "milk", "tea") + offer("o3", None)
    bought = [
        line
        for n in range(6)
        for line in buy(f"p_{n}", ["tea", "soap", "milk"][n % 3], 100 * (n % 2), times=n % 3 + 1)
    ]
    people = [f"p_{n}" for n in range(8)]
    one = choose(people, offers=offers, bought=bought)
    other = choose(people[::-1], offers=offers[::-1], bought=bought[::-1])
    assert one == other
    assert list(one) == sorted(people)


def test_who_refused_personalised_content_gets_what_everybody_buys(choose):
    planted = {
        "offers": offer("a", "tea", "soap") + offer("b", "bread"),
        "bought": buy("ann", "bread", 900, times=2) + buy("bob", "tea", times=3)
        + buy("bob", "soap"),
        "recommended": [("ann", "soap", 1)],
    }  # fmt: skip
    assert choose(["ann"], **planted)["ann"][0] == "b"
    generic = choose(["ann", "cai"], **planted, generic=["ann"])
    assert generic["ann"] == generic["cai"] == ("a", ["tea", "soap"])

"""What a newcomer hands in by mistake is named, with what to do; never an error of a library."""

from datetime import date, datetime

import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.profile.features import build
from zhiyin.profile.persona import Share, describe

LINE = {
    "customer_id": "ann", "order_id": "1", "sold_at": datetime(2026, 3, 2, 9), "product_id": "ring",
    "store_id": "web", "kind": "item", "quantity": 1.0, "gross_base_minor": 900,
    "discount_base_minor": 0, "coupon_base_minor": 0, "amount_base_minor": 900,
}  # fmt: skip
TOUCHES = pa.schema([
    *((name, pa.string()) for name in ("customer_id", "campaign_id", "offer_id", "kind")),
    ("occurred_at", pa.timestamp("us")),
])  # fmt: skip
PRODUCTS = [{"product_id": "ring", "department": "d", "category": "c", "brand": "b"}]


def make(lines=None, *, tables=None, **more):
    given = {
        "order_lines": pd.DataFrame([LINE | (lines or {})]), "products": pd.DataFrame(PRODUCTS),
        "touches": TOUCHES.empty_table(), "customers": pd.DataFrame([{"customer_id": "cat"}]),
    }  # fmt: skip
    return build(given if tables is None else tables, as_of=date(2026, 4, 1), zone="UTC", **more)


def tell(**change):
    tea = {"kind": "tag", "name": "tea", "value": "", "k": 60, "n": 100, "k_base": 20,
           "n_base": 900} | change  # fmt: skip
    return describe([], [Share(**tea)], n=100, n_base=900)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: make({"customer_id": 17}), r"customer_id of order_lines is int64.*astype\(str\)"),
        (lambda: make({"product_id": 5}), "product_id of order_lines is int64"),
        (lambda: make({"amount_base_minor": "9.00"}), "amount_base_minor .*not a number"),
        (lambda: make({"quantity": "two"}), "quantity of order_lines is string.*to_numeric"),
        (lambda: make(tables=[LINE]), "tables is of type list"),
        (lambda: make(people=["ann"]), "people is of type list"),
        (lambda: describe([], [], n="100", n_base=900), "n is '100', a text"),
        (lambda: describe([], [], n=100, n_base=900, q="5 %"), "q is '5 %', a text"),
        (lambda: describe([], ["tea"], n=100, n_base=900), "shares holds 'tea', a text"),
        (lambda: describe(None, [], n=100, n_base=900), "numbers is None"),
        (lambda: tell(k=101), "k of tea is 101, it must be at most 100"),
        (lambda: tell(k_base="20"), "k_base of tea is '20', a text"),
        (lambda: tell(n=-1), "n of tea is -1"),
    ],
)
def test_it_is_named_with_what_to_do(call, match):
    with pytest.raises(InvalidParameter, match=match):
        call()


def test_lines_that_all_lack_a_customer_leave_the_known_ones():
    made = make({"customer_id": None}).to_pyarrow()
    assert made["customer_id"].to_pylist() == ["cat"]

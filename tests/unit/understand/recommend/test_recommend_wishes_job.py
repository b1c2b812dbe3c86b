"""What a turn reads for the shop's rules: returns, stock and categories as of the day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast

import pyarrow as pa

from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.testing.store import MemoryStore
from zhiyin.understand.recommend.job import ask_wishes
from zhiyin.understand.recommend.tries import Tries
from zhiyin.understand.recommend.wishes import Wishes

DAY = date(2026, 6, 1)
BEFORE, AFTER = datetime(2026, 5, 1), datetime(2026, 7, 1)
MADE = {
    "revision": 1, "recorded_at": BEFORE, "op": "upsert", "source": "s", "load_id": "l",
    "loaded_at": BEFORE,
}  # fmt: skip


def _line(number: int, who: str | None, product: str, kind: str, at: datetime) -> dict:
    return {
        "line_id": f"s:{number}", "party_id": who, "order_id": "s:o", "sold_at": at,
        "valid_at": at, "product_id": product, "kind": kind, "quantity": 1.0, "currency": "USD",
        "suspect": False, **MADE,
    }  # fmt: skip


def _ask(**rules: object) -> tuple[Wishes, Tries | None]:
    store = MemoryStore()
    lines = [
        _line(1, "p_a", "s:tea", "item", BEFORE), _line(2, "p_a", "s:tea", "return", BEFORE),
        _line(3, "p_b", "s:cup", "return", AFTER), _line(4, None, "s:cup", "return", BEFORE),
    ]  # fmt: skip
    products = [
        {"product_id": "s:tea", "valid_at": BEFORE, "properties": '{"stock": 0}'},
        {"product_id": "s:gin", "valid_at": BEFORE, "category": "SPIRITS"},
        {"product_id": "s:cup", "valid_at": AFTER, "properties": '{"stock": 0}'},
    ]
    store.append("order_lines", pa.Table.from_pylist(lines), app="lines")
    described = [{"properties": None, "category": None, **row, **MADE} for row in products]
    store.append("products", pa.Table.from_pylist(described), app="products")
    settings = validate_settings({"name": "shop", "recommend": rules}, where="test")
    clock = FrozenClock(datetime(2026, 6, 1, tzinfo=UTC))
    ctx = Context(settings, cast("Any", store), cast("Any", None), clock, Streams(1), DAY, "t")
    return ask_wishes(ctx, store.read("order_lines", as_of=DAY), DAY)


def _wishes(**rules: object) -> Wishes:
    return _ask(**rules)[0]


def test_what_came_back_before_the_day_is_known_by_customer():
    assert _wishes() == Wishes(returned=frozenset({("p_a", "s:tea")}))
    assert _wishes(skip_returned=False) == Wishes()


def test_stock_and_categories_are_those_of_the_day():
    assert _wishes(min_stock=1, sensitive=["SPIRITS"]).hidden == {"s:tea", "s:gin"}


def test_what_is_sold_out_or_hidden_is_not_tried():
    _, tries = _ask(sensitive=["SPIRITS"])
    assert tries is not None
    assert tries.closed == {"s:tea", "s:gin"}
    assert tries.products["product_id"].to_pylist() == ["s:tea", "s:gin"]
    assert _ask(explore_share=0)[1] is None

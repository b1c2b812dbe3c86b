"""A small shop in New York for the contract of engines: seeded rows with what engines differ in.

Nulls in every place that may hold one, names in several scripts, quotes and percent signs,
revised, deleted and late rows, merges that are undone, returns, both changes of the clock, and
moments on the very boundaries of days.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.protocols import Store
from zhiyin.core.rng import Streams
from zhiyin.testing.contract_store import LOADED, Row, merge, put

ZONE = "America/New_York"
DAY = date(2024, 3, 12)  # two days after a change to summer time
BOUNDARY = naive_utc(start_of_day(DAY, ZONE))
EARLIER = DAY - timedelta(days=130)  # before the change to winter time
PARTIES = tuple(f"p_{n:02d}" for n in range(30))
PRODUCTS = tuple(f"s:{n}" for n in range(14))
CAMPAIGNS = tuple(f"s:k{n}" for n in range(5))
_EDGES = (0, 1, -1, 86_400, 86_399, 7 * 86_400, 30 * 86_400 - 1, -3600, 2 * 86_400 - 3600)
_NAMES = ("tea", "茶", "café", "O'Neil's", "50% off", "", "Ω ", None)
_LOAD = {c.SOURCE: "s", c.LOAD_ID: "l", c.LOADED_AT: LOADED}


class _Chance:
    """Draws of one seed."""

    def __init__(self, seed: int) -> None:
        self.rng: np.random.Generator = Streams(seed).generator("engine rows")

    def pick(self, values: tuple[Any, ...]) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def often(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def at(self, days: int = 400) -> datetime:
        """A moment before the day (or a little after), often on a boundary of a local day."""
        if self.often(0.2):
            return BOUNDARY - timedelta(seconds=self.pick(_EDGES))
        back = self.rng.integers(-2 * 86_400, days * 86_400) * 1_000_000
        return BOUNDARY - timedelta(microseconds=int(back) + self.whole(0, 999_999))


def fill(store: Store, *, seed: int = 5) -> None:
    """Append the shop's rows to an empty store, in two commits where files shall differ."""
    for name, rows in shop_rows(seed=seed).items():
        half = (len(rows) + 1) // 2
        put(store, name, *rows[:half], app="a")
        if rows[half:]:
            put(store, name, *rows[half:], app="b")


def shop_rows(*, seed: int = 5) -> dict[str, list[Row]]:
    """The rows of each table."""
    chance = _Chance(seed)
    return {
        "customers": list(_customers(chance)),
        "products": list(_products(chance)),
        "campaigns": list(_campaigns()),
        "offers": list(_offers(chance)),
        "order_lines": list(_lines(chance)),
        "touches": list(_touches(chance)),
        "events": list(_events(chance)),
        "item_events": list(_item_events(chance)),
        "merges": list(_merges(chance)),
    }


def _revision(valid: datetime, number: int = 1, *, op: str = "upsert") -> Row:
    return {c.REVISION: number, c.VALID_AT: valid, c.RECORDED_AT: LOADED, c.OP: op, **_LOAD}


def _customers(chance: _Chance) -> Iterator[Row]:
    for party in PARTIES:
        first = chance.at(380)
        yield {
            c.PARTY_ID: party, c.UNDATED: False, c.CITY: chance.pick(_NAMES),
            c.LANGUAGE: chance.pick(("en", "zh", None)),
            c.TIME_ZONE: chance.pick((None, "Asia/Shanghai", "Pacific/Honolulu", "No/Where")),
            c.PROPERTIES: chance.pick((None, "{}", '{"tier": "gold", "n": 3}', '{"n": 2.5}')),
            **_revision(first),
        }  # fmt: skip
        if chance.often(0.3):
            op = chance.pick(("upsert", "delete"))
            later = first + timedelta(days=chance.whole(1, 90))
            yield {
                c.PARTY_ID: party, c.UNDATED: False, c.CITY: chance.pick(_NAMES),
                c.LANGUAGE: None, c.TIME_ZONE: None, c.PROPERTIES: None,
                **_revision(later, 2, op=op),
            }  # fmt: skip


def _products(chance: _Chance) -> Iterator[Row]:
    for number, product in enumerate(PRODUCTS[:-2]):  # the last two are never described
        yield {
            c.PRODUCT_ID: product, c.NAME: chance.pick(_NAMES), c.BRAND: chance.pick(_NAMES),
            c.DEPARTMENT: chance.pick(("grocery", "日用", None)),
            c.CATEGORY: chance.pick(_NAMES), c.PRICE_BASE_MINOR: 100 * number,
            **_revision(BOUNDARY - timedelta(days=chance.pick((400, 400, 60)))),
        }  # fmt: skip


def _campaigns() -> Iterator[Row]:
    for number, name in enumerate(CAMPAIGNS):
        start = DAY - timedelta(days=30 * (len(CAMPAIGNS) - number - 1))
        yield {
            c.CAMPAIGN_ID: name, c.NAME: f"活动 {number}", c.KIND: ("A", "B", None)[number % 3],
            c.START_ON: start, c.END_ON: start + timedelta(days=13),
            **_revision(BOUNDARY - timedelta(days=390)),
        }  # fmt: skip


def _offers(chance: _Chance) -> Iterator[Row]:
    for number, name in enumerate(CAMPAIGNS):
        for place in range(2 + number % 2):
            yield {
                c.OFFER_ID: f"s:f{number}{place}", c.CAMPAIGN_ID: name,
                c.PRODUCT_ID: PRODUCTS[(3 * number + place) % len(PRODUCTS)] if place else None,
                c.VALUE_BASE_MINOR: chance.pick((None, 100)),
                **_revision(BOUNDARY - timedelta(days=390)),
            }  # fmt: skip


def _lines(chance: _Chance) -> Iterator[Row]:
    for order in range(160):
        at, party = chance.at(), chance.pick((*PARTIES, None))
        for line in range(chance.whole(1, 4)):
            kind = chance.pick(("item", "item", "item", "item", "return", "fee"))
            sign = -1 if kind == "return" else 1
            gross = chance.whole(1, 90_000)
            row = {
                c.LINE_ID: f"s:{order}-{line}", c.ORDER_ID: f"s:{order}", c.PARTY_ID: party,
                c.SOLD_AT: at + timedelta(seconds=chance.pick((0, 0, 40))), c.KIND: kind,
                c.PRODUCT_ID: chance.pick((*PRODUCTS, None)), c.CURRENCY: "USD",
                c.STORE_ID: chance.pick(("s:1", "s:2", None)), c.SUSPECT: chance.often(0.05),
                c.QUANTITY: sign * chance.pick((1.0, 2.0, 0.333)),
                c.GROSS_BASE_MINOR: sign * gross,
                c.DISCOUNT_BASE_MINOR: chance.pick((0, None, gross // 7)),
                c.COUPON_BASE_MINOR: chance.pick((0, 0, None, gross // 9)),
                c.AMOUNT_BASE_MINOR: sign * (gross - gross // 5),
                c.PROPERTIES: chance.pick((None, '{"gift": true}', '{"gift": "yes"}')),
                **_revision(at),
            }  # fmt: skip
            yield row
            if chance.often(0.05):
                later = at + timedelta(days=chance.whole(1, 40))
                yield {**row, **_revision(later, 2, op=chance.pick(("upsert", "delete")))}


def _touches(chance: _Chance) -> Iterator[Row]:
    number = 0
    for place, name in enumerate(CAMPAIGNS):
        start = BOUNDARY - timedelta(days=30 * (len(CAMPAIGNS) - place - 1), hours=5)
        for party in PARTIES:
            if not chance.often(0.6):
                continue
            kinds = ["planned", *(["sent"] if place < len(CAMPAIGNS) - 1 else [])]
            if place < len(CAMPAIGNS) - 1 and chance.often(0.4):
                kinds += [chance.pick(("open", "click", "redemption"))]
            for step, kind in enumerate(kinds):
                number += 1
                yield {
                    c.TOUCH_ID: f"s:{number}", c.PARTY_ID: party, c.CAMPAIGN_ID: name,
                    c.OCCURRED_AT: start + timedelta(days=step, minutes=chance.whole(0, 500)),
                    c.KIND: kind, c.CHANNEL: "email", **_LOAD,
                    c.OFFER_ID: f"s:f{place}0" if kind == "redemption" else None,
                    c.COST_BASE_MINOR: chance.pick((None, 12)),
                }  # fmt: skip


def _events(chance: _Chance) -> Iterator[Row]:
    for number in range(260):
        at = chance.at(120)
        yield {
            c.EVENT_ID: f"e:{number}", c.PARTY_ID: chance.pick((*PARTIES[:20], None)),
            c.OCCURRED_AT: at, c.RECEIVED_AT: at, c.NAME: chance.pick(("view", "cart", None)),
            c.KIND: chance.pick(("page", "page", "track", "screen", "identify")),
            c.CHANNEL: chance.pick(("browser", "mobile", "server", None)),
            c.QUERY: chance.pick((*_NAMES, None, None)),
            c.UTM_SOURCE: chance.pick(("mail", None, None)), c.UTM_CAMPAIGN: None,
            c.PRODUCT_ID: chance.pick((*PRODUCTS, None)),
            c.PROPERTIES: chance.pick((None, '{"x": "tea", "n": 3}', '{"x": true, "n": 2.5}')),
            **_LOAD,
        }  # fmt: skip


def _item_events(chance: _Chance) -> Iterator[Row]:
    for number in range(200):
        yield {
            c.ITEM_EVENT_ID: f"i:{number}", c.EVENT_ID: f"e:{number}",
            c.PARTY_ID: chance.pick((*PARTIES[:20], None)), c.OCCURRED_AT: chance.at(120),
            c.KIND: chance.pick(("view", "click", "add", "wish", "review")),
            c.PRODUCT_ID: chance.pick(PRODUCTS), **_LOAD,
        }  # fmt: skip


def _merges(chance: _Chance) -> Iterator[Row]:
    for number in range(4):
        at = BOUNDARY - timedelta(days=chance.whole(5, 200))
        pair = PARTIES[number], PARTIES[number + 20 if number % 2 else number + 1]
        yield merge(*pair, at)
        if number == 2:  # undone later, which an earlier day does not know
            yield merge(*pair, at, undone=BOUNDARY - timedelta(days=2))

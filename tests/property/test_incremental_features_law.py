"""Features made from the day before are those computed anew, whatever happened in between."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.profile.growing_shop import GrowingShop, moment
from zhiyin.profile import incremental_job

FIRST = date(2017, 3, 10)  # clocks change on the 12th; windows reach to other changes
PEOPLE = "abcdefgh"
BACK = (0, 1, 7, 8, 29, 30, 31, 60, 61, 89, 90, 91, 180, 181, 364, 365, 366, 400, 700)
HOURS = st.sampled_from([0, 1.5, 2.5, 12, 22.99])

_when = st.tuples(st.sampled_from([-1, *[-1] * 6, *BACK]), HOURS)  # days before; -1: the new day
_line = st.fixed_dictionaries(
    {
        "who": st.sampled_from([*PEOPLE, "new", None]),
        "order": st.sampled_from(["o1", "o2", "o3"]),
        "when": _when,
        "kind": st.sampled_from(["item", "item", "return", "shipping"]),
        "amount": st.integers(-500, 5000),
        "product": st.sampled_from(["p1", "p2", "p3", None]),
        "coupon": st.sampled_from([0, 50]),
        "discount": st.sampled_from([0, 70]),
    }
)
_touch = st.tuples(
    st.sampled_from(PEOPLE), st.sampled_from(["planned", "redemption"]), _when,
    st.sampled_from(["c1", "c2"]),
)  # fmt: skip
_step = st.tuples(st.sampled_from(PEOPLE), _when)
_look = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["view", "add", "wish"]), _when)
_day = st.fixed_dictionaries(
    {
        "gap": st.sampled_from([1, 1, 1, 3]),
        "lines": st.lists(_line, max_size=3),
        "touches": st.lists(_touch, max_size=2),
        "steps": st.lists(_step, max_size=2),
        "looks": st.lists(_look, max_size=2),
        "described": st.sampled_from([None, None, None, "milk", "bread"]),
        "merged": st.sampled_from([None, None, None, None, "ab"]),
    }
)


def rows_of(shop: GrowingShop, day: date, made: dict) -> dict[str, list[dict]]:
    """The rows of one day of the strategy; all are before the day after `day`."""

    def at(when: tuple[int, float]):
        return moment(day - timedelta(days=when[0] + 1), when[1])

    lines = [
        shop.line(
            one["who"], one["order"], at(one["when"]), kind=one["kind"],
            amount_base_minor=one["amount"], product_id=one["product"],
            coupon_base_minor=one["coupon"], discount_base_minor=one["discount"],
        )
        for one in made["lines"]
    ]  # fmt: skip
    return {
        "order_lines": lines,
        "touches": [shop.touch(who, kind, at(w), of) for who, kind, w, of in made["touches"]],
        "events": [shop.step(who, at(w), query="tea") for who, w in made["steps"]],
        "item_events": [shop.look(who, at(w), kind) for who, kind, w in made["looks"]],
    }


@cache
def first_day() -> GrowingShop:
    """Two years of a few customers, with something at the edge of every window, computed once."""
    shop = GrowingShop()
    shop.products(moment(date(2016, 1, 1), 0), p1="tea", p2="milk")
    add((shop,), base(shop))
    shop.run(FIRST)
    return shop


def base(shop: GrowingShop) -> dict[str, list[dict]]:
    """The rows before the first day."""
    lines, touches, steps = [], [], []
    for place, who in enumerate(PEOPLE):
        for days in BACK[place::3]:
            when = moment(FIRST - timedelta(days=days + 1), (1.5, 2.5, 12, 22.99)[place % 4])
            lines.append(
                shop.line(
                    who, f"{who}{days}", when, product_id=f"p{1 + days % 2}",
                    discount_base_minor=days * place,
                )
            )  # fmt: skip
        touches.append(shop.touch(who, "planned", moment(FIRST - timedelta(days=91), 9)))
        steps.append(shop.step(who, moment(FIRST - timedelta(days=30 + place), 9)))
    return {"order_lines": lines, "touches": touches, "events": steps}


def add(shops, rows: dict[str, list[dict]]) -> None:
    for table, some in rows.items():
        for shop in shops:
            shop.add(table, *some)


@pytest.fixture(autouse=True)
def _all_may_be_touched(monkeypatch):
    monkeypatch.setattr(incremental_job, "MOST_TOUCHED", 1.0)


@settings(max_examples=examples(2), deadline=None)
@given(st.lists(_day, min_size=1, max_size=3))
def test_a_day_made_from_the_day_before_is_the_day_computed_anew(days):
    daily, anew = first_day().copy(), first_day().copy()
    day = FIRST
    for made in days:
        day += timedelta(days=made["gap"])
        add((daily, anew), rows_of(daily, day, made))
        if made["described"]:
            for shop in (daily, anew):
                shop.products(moment(day - timedelta(days=1), 5), p3=made["described"])
        if made["merged"]:
            one, other = made["merged"]
            merge = {"party_id": one, "into": other, "at": moment(day, -5), "rule": "email"}
            add((daily, anew), {"merges": [merge]})
        daily.run(day)
    anew.run(day, incremental=False)
    assert daily.features(day) == anew.features(day)

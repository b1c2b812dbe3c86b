"""Indicators on a shop so small that every number can be worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import sqrt

import ibis
import numpy as np
import pyarrow as pa
import pytest

from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.measure.indicators.definitions import INDICATORS, SUMS, find_indicator
from zhiyin.measure.indicators.estimates import PAIRS, estimate, estimate_all
from zhiyin.measure.indicators.funnels import name_visits, read_funnel, sum_funnel
from zhiyin.measure.indicators.messages import find_orders
from zhiyin.measure.indicators.routes import read_routes, sum_routes
from zhiyin.measure.indicators.sums import (
    GROUPED_BY,
    GroupSums,
    Span,
    read_groups,
    sum_cells,
    sum_groups,
    sum_spend,
)
from zhiyin.measure.intervals import critical_z, wilson_interval

FIRST = datetime(2026, 2, 1, 12)
SPAN = Span(date(2026, 2, 1), date(2026, 3, 15), "America/New_York")
EVERY_WAY = ("all", "campaign", "channel", "segment", "month")


def at(days: float) -> datetime:
    return FIRST + timedelta(days=days)


def table(schema: dict[str, pa.DataType], rows: list[tuple]) -> ibis.Table:
    """Rows as the store gives them; columns at the end that are left out are null."""
    names = [*schema]
    made = [dict(zip(names, row, strict=False)) for row in rows]
    return ibis.memtable(pa.Table.from_pylist(made, schema=pa.schema(list(schema.items()))))


TEXT, WHOLE, MOMENT = pa.string(), pa.int64(), pa.timestamp("us")
TOUCH = {"customer_id": TEXT, "occurred_at": MOMENT, "kind": TEXT, "campaign_id": TEXT,
         "channel": TEXT, "message_id": TEXT, "cost_base_minor": WHOLE}  # fmt: skip
LINE = {"customer_id": TEXT, "sold_at": MOMENT, "order_id": TEXT, "kind": TEXT,
        "quantity": pa.float64(), "amount_base_minor": WHOLE}  # fmt: skip
EVENT = {"customer_id": TEXT, "occurred_at": MOMENT, "event_id": TEXT, "name": TEXT,
         "properties": TEXT}  # fmt: skip
SPEND = {"spent_on": pa.date32(), "channel": TEXT, "campaign_id": TEXT, "cost_base_minor": WHOLE,
         "clicks": WHOLE, "impressions": WHOLE}  # fmt: skip
# one letter each to a, b, c, d, of which d's bounced; then a text message to a
TOUCHES = [
    *((who, at(1), "sent", "k1", "email", f"m_{who}", 5) for who in "abcd"),
    ("d", at(1.1), "bounce", "k1", "email", "m_d"),
    ("a", at(1.2), "open", "k1", "email", "m_a"), ("a", at(1.3), "open", "k1", "email", "m_a"),
    ("a", at(1.3), "click", "k1", "email", "m_a"),
    ("a", at(1.4), "unsubscribe", "k1", "email", "m_a"),
    ("b", at(1.1), "machine_open", "k1", "email", "m_b"),
    ("b", at(1.1), "machine_click", "k1", "email", "m_b"),
    ("c", at(1.5), "click", "k1", "email", "m_c"),  # its picture was not shown
    ("a", at(3), "sent", "k2", "sms", "m_sms", 10),
    ("a", at(4), "redemption", "k1", None, None),  # by its offer, without the message
    ("a", at(5), "redemption", "k1", None, None),
    ("y", at(-3), "sent", "k9", "email", "m_y"),  # before the span, its order within
    ("z", at(-60), "sent", "k0", "email", "m_old"), ("z", at(2), "open", "k0", "email", "m_old"),
]  # fmt: skip
LINES = [
    ("a", at(4), "o1", "item", 1.0, 1_000),  # after both messages: the last one has it
    ("b", at(2), "o2", "item", 2.0, 500), ("b", at(9), "o2", "return", -1.0, -200),
    ("c", at(20), "o3", "item", 1.0, 300),  # later than the window
    ("a", at(27.65), "o4", "item", 1.0, 700),  # 28 February in New York, 1 March in UTC
    ("y", at(1), "o7", "item", 1.0, 50), ("e", at(30), "o5", "item", 1.0, 900),
    (None, at(30), "o6", "item", 1.0, 99),
]  # fmt: skip


def answer(who: str | None, day: float, survey: str, score: object, message: str = "") -> tuple:
    """An answer to the question of a letter of k1."""
    told = f'"survey": "{survey}", "score": {score}'
    if message:
        told += f', "message_id": "{message}", "campaign_id": "k1", "channel": "email"'
    event = f"e_{who}{day}{survey}"
    return (who, at(day), event, "survey_answered", f'{{"properties": {{{told}}}}}')


EVENTS = [
    answer("a", 2, "nps", 10, "m_a"), answer("a", 3, "nps", 0, "m_a"),  # the first one counts
    answer("b", 2, "nps", 6, "m_b"), answer("c", 2, "nps", 9, "m_c"), answer("c", 3, "csat", 4),
    answer("b", 3, "csat", 3), answer("b", 4, "csat", 6), answer("b", 4.5, "nps", 7.5),
    answer("b", 5, "nps", '"9"'), answer(None, 5, "nps", 9),  # off the scale, or nobody
]  # fmt: skip
MEDIA = [
    (date(2026, 2, 10), "search", "ads", 400, 30, 1_000),
    (date(2026, 3, 1), "email", "k1", 80, None, None), (date(2026, 1, 31), "search", "ads", 9_999),
]  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> dict[str, dict[str, GroupSums]]:
    """Sums of the small shop in every way of grouping."""
    con = ibis.duckdb.connect()
    orders = find_orders(table(LINE, LINES), include_shipping=True)
    made = sum_cells(table(TOUCH, TOUCHES), orders, table(EVENT, EVENTS), span=SPAN)
    rows = [("a", "gold"), ("b", "gold"), ("c", "new")]
    segments = table({"customer_id": TEXT, "segment": TEXT}, rows)
    found = con.to_pyarrow(sum_groups(made, EVERY_WAY, PAIRS, segments=segments)).to_pylist()
    spend = table(SPEND, MEDIA)
    return {
        by: read_groups(
            [row for row in found if row[GROUPED_BY] == by], PAIRS,
            sum_spend(spend, by, span=SPAN),
        )
        for by in EVERY_WAY
    }  # fmt: skip


def totals(group: GroupSums, *names: str) -> list[int]:
    return [group.totals[name] for name in names]


def test_what_people_did_is_counted_once_a_message_and_machines_apart(shop):
    mail = shop["campaign"]["k1"]
    assert totals(mail, "sent", "bounced", "delivered", "opened", "clicked") == [4, 1, 3, 2, 2]
    assert totals(mail, "machine_opened", "machine_clicked", "unsubscribed") == [1, 1, 1]
    assert totals(mail, "redeemed", "redemptions_counted", "addressed") == [1, 2, 4]
    assert "k0" not in shop["campaign"]  # it went out before the span


def test_an_order_is_credited_to_the_last_message_before_it_and_to_no_other(shop):
    sent = {group: totals(sums, "credited_orders", "credited_minor", "converted")
            for group, sums in shop["campaign"].items()}  # fmt: skip
    assert sent == {
        "": [0, 0, 0], "ads": [0, 0, 0], "k1": [1, 300, 1], "k2": [1, 1_000, 1], "k9": [1, 50, 0],
    }  # fmt: skip
    assert shop["campaign"]["k9"].totals["sent"] == 0
    assert shop["campaign"][""].totals["revenue_minor_sum"] == 300 + 700 + 900


@pytest.mark.parametrize("by", EVERY_WAY)
def test_the_parts_add_up_to_the_whole(shop, by):
    whole = shop["all"][""]
    of_groups = {"buyers", "repeaters", "earlier_buyers", "kept_buyers"}  # people are in several
    for name in {*whole.totals} - of_groups:
        assert sum(one.totals[name] for one in shop[by].values()) == whole.totals[name], name
    assert sum(one.spent for one in shop[by].values()) == whole.spent == 480


def test_months_are_those_of_the_shops_clock(shop):
    months = {group: totals(one, "orders_counted", "revenue_minor_sum", "sent")
              for group, one in shop["month"].items()}  # fmt: skip
    assert months == {"2026-02-01": [5, 2_350, 5], "2026-03-01": [1, 900, 0]}


def test_segments_part_the_customers_and_the_rest_has_no_name(shop):
    assert {group: one.totals["revenue_minor_sum"] for group, one in shop["segment"].items()} == {
        "": 950, "gold": 2_000, "new": 300,
    }  # fmt: skip


def test_an_answer_counts_once_a_message_and_survey(shop):
    whole = shop["all"][""]
    assert totals(whole, "nps_answers", "nps_balance", "csat_answers", "csat_satisfied") == [
        3, 1, 2, 1,
    ]  # fmt: skip
    assert totals(shop["channel"]["email"], "nps_answers", "csat_answers") == [3, 0]


def test_every_indicator_of_the_shop(shop):
    made = estimate_all(shop["all"][""], margin_rate=0.25)
    told = {key: one.value for key, one in made.items()}
    cost = 4 * 5 + 10 + 480
    assert told == pytest.approx(
        {
            "sent": 5, "delivered": 4, "delivery_rate": 4 / 5, "opens": 2, "open_rate": 2 / 4,
            "machine_opens": 1, "clicks": 2, "ctr": 2 / 4, "ctor": 1, "machine_clicks": 1,
            "ad_ctr": 0.03, "cvr": 2 / 4, "redemptions": 2, "redemption_rate": 1 / 5,
            "bounce_rate": 1 / 5, "complaint_rate": 0, "unsubscribe_rate": 1 / 4, "cost": cost,
            "revenue": 3_250, "margin": 812.5, "orders": 6, "credited_revenue": 1_350,
            "roas": 1_350 / cost, "roi": 0.25 * 1_350 / cost - 1, "cost_per_click": cost / 32,
            "cost_per_order": cost / 3, "average_order": 3_250 / 6, "customer_value": 650,
            "repeat_rate": 1 / 5, "retention": float("nan"), "csat": 1 / 2, "nps": 1 / 3,
        },
        nan_ok=True,
    )  # fmt: skip
    assert made["retention"].status == "no_units"
    assert made["ctr"].status == "too_few_units"
    assert made["sent"].low != made["sent"].low  # what happened has no interval


def group(rows: list[dict[str, int]]) -> GroupSums:
    """Sums of customers whose columns are given; the others are 0."""
    names = {name for name in SUMS if name not in ("ad_clicks", "ad_shown")}
    full = [dict.fromkeys(names, 0) | row for row in rows]
    return GroupSums(
        len(full), {name: sum(one[name] for one in full) for name in names},
        {(a, b): sum(one[a] * one[b] for one in full) for a, b in PAIRS},
    )  # fmt: skip


def test_with_one_message_for_each_the_interval_is_wilsons_own():
    sums = group([{"delivered": 1, "clicked": int(n < 30)} for n in range(200)])
    made = estimate(INDICATORS["ctr"], sums)
    low, high = wilson_interval(np.array([0.15]), np.array([200]))
    # n / (n - 1) of the variance is the only difference
    assert (made.low, made.high) == pytest.approx((low[0], high[0]), abs=3e-4)
    assert (made.value, made.n, made.status) == (0.15, 200, "ok")


def test_messages_of_one_customer_are_no_independent_draws():
    """Ten messages each, all clicked or none: there is as much to learn as from one each."""
    one = group([{"delivered": 1, "clicked": int(n < 30)} for n in range(200)])
    ten = group([{"delivered": 10, "clicked": 10 * int(n < 30)} for n in range(200)])
    narrow, wide = (estimate(INDICATORS["ctr"], sums) for sums in (one, ten))
    assert (wide.low, wide.high) == pytest.approx((narrow.low, narrow.high))


def test_the_interval_of_a_quotient_is_that_of_the_delta_method():
    orders, revenue = (1, 2, 1, 4) * 5, (100, 150, 90, 500) * 5
    pairs = list(zip(revenue, orders, strict=True))
    made = estimate(
        INDICATORS["average_order"],
        group([{"orders_counted": y, "revenue_minor_sum": x} for x, y in pairs]),
    )
    ratio = sum(revenue) / sum(orders)
    variance = 20 / 19 * sum((x - ratio * y) ** 2 for x, y in pairs) / sum(orders) ** 2
    assert made.value == ratio == 105
    assert made.high - ratio == pytest.approx(critical_z(0.95) * sqrt(variance))


def test_nps_varies_as_its_answers_do():
    answers = [1] * 30 + [0] * 50 + [-1] * 20
    made = estimate(
        INDICATORS["nps"], group([{"nps_answers": 1, "nps_balance": one} for one in answers])
    )
    half = critical_z(0.95) * sqrt((0.5 - 0.1**2) / 99)
    assert (made.value, made.high - made.value) == pytest.approx((0.1, half))


def test_media_cost_is_in_the_quotient_and_adds_no_chance_of_its_own():
    sums = group([{"credited_minor": 100 * (n % 3), "cost_minor_sum": 0} for n in range(30)])
    spent = GroupSums(sums.n, sums.totals, sums.products, spent=1_000)
    made = estimate(INDICATORS["roas"], spent)
    assert made.value == 3
    variance = 30 * (200**2 + 100**2 + 0) * 10 / 30 - 3_000**2 / 30
    assert made.high - made.value == pytest.approx(
        critical_z(0.95) * sqrt(30 / 29 * variance) / 1_000
    )


def test_the_registry_is_whole():
    assert find_indicator("roi").means_zh
    with pytest.raises(NotFound, match="no indicator 'likes'"):
        find_indicator("likes")
    for key, one in INDICATORS.items():
        assert key == one.key
        assert {one.numerator, one.denominator} <= {*SUMS, ""}
        assert all((one.en, one.zh, one.means_en.endswith("."), one.means_zh.endswith("。")))


def test_no_day_and_no_such_period_are_refused():
    with pytest.raises(InvalidParameter, match="no day"):
        Span(date(2026, 1, 2), date(2026, 1, 2), "UTC")
    with pytest.raises(InvalidParameter, match="'year' is no period"):
        Span(date(2026, 1, 1), date(2026, 1, 2), "UTC", "year")


STEPS = ("view", "add", "buy")


def walk(who: str, *steps: tuple[float, str]) -> list[tuple]:
    return [(who, at(minutes / 1440), name) for minutes, name in steps]


WALKS = [
    *walk("a", (0, "view"), (1, "add"), (2, "buy")),
    *walk("b", (0, "view"), (70, "view"), (71, "add"), (125, "buy")),  # the second view begins it
    *walk("c", (0, "view"), (1, "add"), (61, "buy")),  # too late
    *walk("d", (0, "add"), (1, "view"), (2, "buy")),  # not in order
    *walk("e", (0, "buy")), *walk("f", (0, "view"), (0, "add")),
]  # fmt: skip


@pytest.fixture(scope="module")
def walks():
    return table({"customer_id": TEXT, "occurred_at": MOMENT, "name": TEXT}, WALKS)


def reached(found: ibis.Table) -> list[int]:
    return list(found.to_pyarrow().to_pylist()[0].values())


def test_a_funnel_takes_the_best_way_through_in_order_and_in_time(walks):
    assert reached(sum_funnel(walks, STEPS, within_minutes=60)) == [5, 4, 2]
    view, add, buy = read_funnel(STEPS, [5, 4, 2])
    assert (view.of_first.value, add.of_first.value, buy.of_previous.value) == (1, 0.8, 0.5)
    assert buy.of_previous.low < 0.5 < buy.of_previous.high


def test_a_funnel_of_visits_begins_anew_after_a_pause(walks):
    visits = name_visits(walks)
    made = sum_funnel(visits, STEPS, within_minutes=60, by_visit=True)
    # b: 0 | 70, 71 | 125; c: 0, 1 | 61
    assert reached(made) == [6, 4, 1]


def test_a_funnel_nobody_entered_has_no_shares():
    assert [one.of_first.status for one in read_funnel(STEPS, [None] * 3)] == ["no_units"] * 3


@pytest.mark.parametrize("steps", [("view",), ("view", "add", "view")])
def test_what_is_no_funnel_is_refused(walks, steps):
    with pytest.raises(InvalidParameter, match="no funnel"):
        sum_funnel(walks, steps, within_minutes=60)


def test_routes_hide_what_few_did_and_repeats(walks):
    many = [(f"p{n}", at(0), "home") for n in range(12)]
    many += [(f"p{n}", at(0.001 * place), "tea") for n in range(11) for place in (1, 2)]
    schema = {"customer_id": TEXT, "occurred_at": MOMENT, "name": TEXT}
    found = read_routes(sum_routes(table(schema, [*WALKS, *many])))
    assert [(one.steps, one.visits, one.customers) for one in found] == [
        (("home", "tea"), 11, 11)
    ]  # fmt: skip

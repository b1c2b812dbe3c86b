"""Reading a workspace: sums, groups and bodies of other jobs, also where they are absent."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.config import validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TABLES
from zhiyin.measure.report import adapt
from zhiyin.measure.report.job import collect_data
from zhiyin.measure.report.render import render
from zhiyin.testing.store import MemoryStore

DAY = date(2017, 10, 30)


def at(*parts: int) -> datetime:
    """A moment as the lake keeps it."""
    return datetime(*parts)


class TableStore:
    """Tables of plain rows and an empty ledger; `read` shows what it is given, as of any day."""

    def __init__(self, rows: dict[str, list[dict]]) -> None:
        self.engine = sa.create_engine("sqlite://")
        ledger.metadata.create_all(self.engine)
        self.duck = MemoryStore()
        self.rows = rows
        self.tables = {}

    def read(self, table, *, as_of=None):
        if table not in self.tables:
            schema = arrow_schema(TABLES[table])
            made = pa.Table.from_pylist(self.rows.get(table, []), schema=schema)
            if c.PARTY_ID in schema.names and c.CUSTOMER_ID not in schema.names:
                made = made.append_column(c.CUSTOMER_ID, made[c.PARTY_ID])
            self.tables[table] = self.duck.to_ibis(made)
        return self.tables[table]

    @contextmanager
    def begin(self):
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()
        self.duck.close()


@pytest.fixture
def collect():
    """Calls `collect_data` on rows by table; the `ledger` hook may fill the ledger first."""
    stores = []

    def run(rows, *, turn=None, fill=None, **settings):
        store = TableStore(rows)
        stores.append(store)
        if fill:
            with store.begin() as connection:
                fill(connection)
        values = {"name": "Tea house", "currency": "CNY", "zone": "Asia/Shanghai"} | settings
        context = Context(
            validate_settings(values, where="test"), store, None,
            FrozenClock(run_moment(DAY, "Asia/Shanghai")), Streams(7), DAY, "t_1",
        )  # fmt: skip
        return collect_data(context, turn=turn or {})

    yield run
    for store in stores:
        store.close()


def line(number: int, party: str | None, amount: int, **more) -> dict:
    day = more.pop("day", at(2017, 9, 5, 12))
    return {
        c.LINE_ID: f"l{number}", c.PARTY_ID: party, c.ORDER_ID: f"o{number}", c.SOLD_AT: day,
        c.MONTH: f"{day:%Y-%m}", c.KIND: "item", c.QUANTITY: 1.0, c.AMOUNT_BASE_MINOR: amount,
    } | more  # fmt: skip


def insight(kind: str, key: str, body: dict) -> dict:
    return {c.AS_OF_ON: DAY, c.KIND: kind, c.KEY: key, c.BODY: json.dumps(body)}


def result(kind: str, metric: str, value: float | None, body: dict | None = None) -> dict:
    return {
        c.AS_OF_ON: DAY, c.MEASURED_UNTIL_ON: date(2017, 12, 25), c.KIND: kind,
        c.SUBJECT: "shop:18", c.METRIC: metric, c.VALUE: value, c.N: 100, c.STATUS: "ok",
        c.BODY: None if body is None else json.dumps(body),
    }  # fmt: skip


def test_empty_workspace_gives_a_report(collect):
    data = collect({})
    assert data.data.orders == 0
    assert data.model is None
    assert "no orders before" in render(data)


def test_sales_are_summed_by_month_with_unknown_customers_and_returns_apart(collect):
    rows = [
        line(1, "p_a", 1000),
        line(2, "p_b", 500),
        line(3, None, 300, day=at(2017, 10, 3)),
        line(4, "p_a", -200, day=at(2017, 10, 9), kind="return", quantity=-1.0, order_id="o1"),
    ]
    data = collect({"order_lines": rows}).data
    assert [(m.month, m.net_minor, m.orders, m.no_customer_minor) for m in data.months] == [
        ("2017-09", 1500, 2, 0),
        ("2017-10", 100, 1, 300),
    ]
    assert (data.customers, data.orders, data.net_minor) == (2, 3, 1600)
    assert (data.no_customer_minor, data.no_customer_orders, data.returns_minor) == (300, 1, -200)


def test_days_are_those_of_the_shop_not_of_utc(collect):
    late = line(1, "p_a", 1, day=at(2017, 9, 5, 20))  # 04:00 next day in Shanghai
    assert collect({"order_lines": [late]}).data.first_on == date(2017, 9, 6)


def test_loads_are_added_up_and_the_demo_source_is_recognised(collect):
    def fill(connection):
        for load, read in (("a", 10), ("b", 5)):
            connection.execute(
                ledger.loads.insert().values(
                    load_id=load, table_name="orders", source="complete_journey", file="f",
                    state="done", rows_read=read, rows_loaded=read - 1, rows_quarantined=1,
                    started_at=at(2017, 1, 1),
                )
            )  # fmt: skip

    data = collect({}, fill=fill)
    (load,) = data.data.loads
    assert (load.read, load.loaded, load.quarantined) == (15, 13, 2)
    assert data.complete_journey


def test_segments_take_their_numbers_from_features_and_words_from_insights(collect):
    members = [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: p, c.SCHEME: "rfm", c.SEGMENT: s}
        for p, s in (("p_a", "champions"), ("p_b", "champions"), ("p_c", "lost"))
    ]
    features = [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: p, "recency_days": d, "orders_count": n,
         "revenue_minor": money}
        for p, d, n, money in (("p_a", 2, 9, 700), ("p_b", 4, 5, 300))
    ]  # fmt: skip
    words = insight("segment", "rfm:champions", {"name": {"en": "Best", "zh": "最佳"}})
    moved = insight("movement", "rfm", {"words": {"en": "1 left", "zh": "1 位转出"}})
    regrouped = insight(
        "movement", "clusters", {"words": {"en": "new group: A", "zh": "新客群：A"}}
    )
    searched = insight("searches", "terms", {"words": {"en": "searched tea", "zh": "搜索了茶"}})
    told = [words, moved, regrouped, searched]
    parts = collect({"memberships": members, "features": features, "insights": told}).segments
    assert (parts.movement.en, parts.movement.zh) == ("1 left", "1 位转出")
    assert parts.cluster_movement.zh == "新客群：A"
    assert (parts.searches.en, parts.searches.zh) == ("searched tea", "搜索了茶")
    best, lost = parts.rfm
    assert (best.name.zh, best.customers, best.revenue_minor, best.recency_days) == (
        "最佳", 2, 1000, 3.0,
    )  # fmt: skip
    assert (lost.key, lost.customers, lost.revenue_minor) == ("lost", 1, None)


def test_decisions_become_a_waterfall_that_adds_up(collect):
    def decision(number, action, arm, reason, *, explored=False, offer=None):
        return {
            c.DECISION_ID: f"d{number}", c.AS_OF_ON: DAY, c.CAMPAIGN_ID: "shop:18",
            c.CUSTOMER_ID: f"p_{number}", c.ACTION: action, c.ARM: arm, c.REASON: reason,
            c.EXPLORED: explored, c.OFFER_ID: offer, c.EXPECTED_PROFIT_MINOR: 10.0,
        }  # fmt: skip

    rows = [
        decision(1, "contact", "treat", "chosen", offer="shop:o1"),
        decision(2, "contact", "treat", "chosen", offer="shop:o1", explored=True),
        decision(3, "none", "holdout", "held_out"),
        decision(4, "none", "none", "outranked"),
        decision(5, "none", "none", "suppressed"),
    ]
    (choice,) = collect({"decisions": rows}).choices
    assert choice.considered == 5
    assert [(x.code, x.n) for x in choice.left_out] == [("suppressed", 1), ("outranked", 1)]
    assert (choice.holdout, choice.contacted, choice.explored) == (1, 2, 1)
    assert [(x.code, x.n, x.name.en) for x in choice.offers] == [("shop:o1", 2, "o1")]
    lost = sum(x.n for x in choice.left_out) + choice.holdout
    assert choice.considered - lost == choice.contacted


def test_messages_are_counted_from_the_ledger(collect):
    def fill(connection):
        for number, (state, reason) in enumerate(
            [("sent", None), ("sent", None), ("skipped", "quiet_hours")]
        ):
            connection.execute(
                ledger.messages.insert().values(
                    message_id=str(number), campaign_id="shop:18", turn_id="t_1", party_id="p",
                    customer_id="p", channel="email", language="en", state=state, reason=reason,
                    planned_at=at(2017, 10, 30),
                )
            )  # fmt: skip

    messages = collect({}, fill=fill).messages
    assert [(s.code, s.n) for s in messages.states] == [("sent", 2), ("skipped", 1)]
    assert [(s.code, s.n) for s in messages.skipped] == [("quiet_hours", 1)]


def test_measured_bodies_become_curves_and_profits(collect):
    share = [i / 10 for i in range(11)]
    rows = [
        result("response", "auc", 0.8, {"positives": 20}),
        result("response", "gains", 0.7, {"share": share, "captured": [x**0.5 for x in share]}),
        result("response", "calibration", 0.02,
               {"bins": [{"n": 10, "mean_score": 0.1, "rate": 0.2, "low": 0.1, "high": 0.3}]}),
        result("profit", "profit_model_minor", 500.0, {"contacted": 30.0}),
        result("profit", "profit_by_depth", 500.0, {"share": share, "profit_minor": share}),
        result("profit", "profit_by_cost", 500.0,
               {"contact_cost_minor": [0, 50], "model_minor": [9, 5], "rfm_minor": [],
                "all_minor": [8, 1]}),
    ]  # fmt: skip
    data = collect({"results": rows})
    (measured,) = data.measured
    assert (measured.recipients, measured.responders) == (100, 20)
    assert measured.decile_lifts[0] == pytest.approx(10 * 0.1**0.5)
    assert sum(measured.decile_lifts) == pytest.approx(10)
    assert [curve.name for curve in measured.profit_by_depth] == ["model", "random"]
    assert [curve.name for curve in measured.profit_by_cost] == ["model", "all"]
    assert [(p.name, p.minor, p.contacted) for p in measured.profits] == [("model", 500.0, 30)]
    profit = next(m for m in data.metrics if m.kind == "profit")
    assert profit.status == "upper_bound"
    assert render(data)


def test_model_card_is_read_with_reasons_and_the_way_effects_lean(collect):
    card = {
        "task": "response", "subject": "shop:18", "model": "logistic", "status": "ok",
        "data": [{"name": "shop:8", "rows": 100, "positives": 12}],
        "validation": {"candidates": {"logistic": {"auc": 0.8}, "tree": {"auc": None}}},
        "top_effects": [{"feature": "recency_days", "mean_abs_effect": 0.4}],
        "calibration": {"slope": 1.0, "intercept": 0.0},
        "warnings": [{"code": "few_folds", "message": "few"}],
    }  # fmt: skip
    scores = [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: f"p_{rank}", c.TASK: "response", c.SUBJECT: "shop:18",
         c.SCORE: 1 / rank, c.RANK: rank, c.REASONS: json.dumps(
             [{"feature": "recency_days", "value": rank, "effect": 2.5 - rank}])}
        for rank in (1, 2, 3, 4)
    ]  # fmt: skip
    card_row = insight("model_card", "response:shop:18", card)
    model = collect({"insights": [card_row], "scores": scores}).model
    assert model is not None
    assert (model.scored, model.trained_on, model.trained_rows) == (4, ("8",), 100)
    assert model.effects[0].effect == -0.4  # longer away, lower score
    assert [c.model for c in model.candidates] == ["logistic", "tree"]
    assert [sample.rank for sample in model.samples] == [1, 3, 4]
    assert model.calibration == "platt"


def test_scores_are_read_from_the_lake_by_segment(collect):
    def score(customer: str, value: float, rank: int, effect: float) -> dict:
        reasons = [{"feature": "recency_days", "value": 10 * rank, "effect": effect}]
        return {
            c.AS_OF_ON: DAY, c.CUSTOMER_ID: customer, c.TASK: "churn", c.SUBJECT: "",
            c.SCORE: value, c.RANK: rank, c.REASONS: json.dumps(reasons),
        }  # fmt: skip

    card = {"task": "churn", "model": "logistic", "status": "ok",
            "top_effects": [{"feature": "recency_days", "mean_abs_effect": 0.4}]}  # fmt: skip
    rows = {
        "insights": [insight("model_card", "churn:", card)],
        "memberships": [{c.AS_OF_ON: DAY, c.CUSTOMER_ID: "p_a", c.SCHEME: "rfm",
                         c.SEGMENT: "lost"}],
        "scores": [score("p_a", 0.75, 1, 0.5), score("p_b", 0.25, 2, -0.5)],
    }  # fmt: skip
    (churn,) = collect(rows).predictions
    assert [(s.key, s.customers, s.expected) for s in churn.segments] == [
        ("lost", 1, 0.75),
        ("", 1, 0.25),
    ]
    assert churn.effects[0].effect == -0.4  # a longer recency goes with a lower score


def test_card_without_a_model_says_why(collect):
    body = {"task": "response", "subject": "s", "status": "too_few_positives",
            "warnings": [{"code": "too_few_positives", "message": "9 responses"}]}  # fmt: skip
    data = collect({"insights": [insight("model_card", "response:s", body)]})
    assert data.model is None
    assert "too few responses to learn from" in render(data)


def test_recommendations_name_products_and_what_speaks_for_them(collect):
    rows = [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: "p_a", c.RANK: rank, c.PRODUCT_ID: f"shop:{rank}",
         c.SCORE: 1.0, c.REASON: json.dumps(["shop:9"])}
        for rank in (1, 2)
    ]  # fmt: skip
    products = [
        {c.PRODUCT_ID: "shop:1", c.NAME: "Oolong"},
        {c.PRODUCT_ID: "shop:2", c.CATEGORY: "GREEN TEA"},
        {c.PRODUCT_ID: "shop:9", c.NAME: "Pot"},
    ]
    part = collect({"recommendations": rows, "products": products}).recommend
    assert part.customers == 1
    assert part.examples[0].products == (("Oolong", "Pot"), ("GREEN TEA · 2", "Pot"))


def test_what_is_bought_together_is_shown_surest_first_each_product_once(collect):
    def pair(one, other, low, confidence, day=DAY):
        return {
            c.AS_OF_ON: day, c.PRODUCT_ID: f"shop:{one}", c.RANK: 1, c.OTHER_ID: f"shop:{other}",
            c.ORDERS_TOGETHER: 40, c.SUPPORT: 0.1, c.CONFIDENCE: confidence, c.LIFT: 2 * low,
            c.LIFT_LOW: low, c.P_VALUE: 0.0, c.Q_VALUE: 0.0004,
        }  # fmt: skip

    rows = [
        pair("tea", "pot", 3.0, 0.2), pair("pot", "tea", 3.0, 0.6),
        pair("tea", "cup", 2.5, 0.9), pair("milk", "bread", 1.5, 0.3),
        pair("old", "news", 9.0, 0.9, date(2017, 10, 29)),
    ]  # fmt: skip
    names = [{c.PRODUCT_ID: f"shop:{one}", c.NAME: one.title()} for one in ("tea", "pot", "milk")]
    data = collect({"together": rows, "products": names})
    pairs = data.recommend.pairs
    assert [(one.product, one.other, one.orders) for one in pairs] == [
        ("Pot", "Tea", 40),  # of its orders more hold the other than the other way round
        ("Milk", "bread", 40),
    ]
    assert (pairs[0].lift_low, pairs[0].lift, pairs[0].lift_high) == (3.0, 6.0, 12.0)
    page = render(data)
    for words in (
        "Bought together",
        "常一起购买的商品",
        "3.0 to 12.0",
        "3.0 至 12.0",
        "&lt;0.1%",
        "60%",
    ):
        assert words in page


def test_turn_gives_timings_rows_and_notes(collect):
    turn = {"decide": {"rows": {"decisions": 5}, "figures": {}, "notes": ("so",), "seconds": 1.5}}
    run = collect({}, turn=turn).run
    assert (run.steps[0].seconds, run.steps[0].notes) == (1.5, ("so",))
    assert [(x.code, x.n) for x in run.rows] == [("decisions", 5)]
    assert dict(run.versions)["duckdb"]


@pytest.mark.parametrize(
    "body", [None, "", "no json", "[]", "3", '{"data": 3, "top_effects": {"a": 1}, "model": "m"}']
)
def test_strange_bodies_are_left_out(body):
    parsed = adapt.mapping(adapt.parse(body))
    adapt.read_card(parsed)
    assert adapt.read_curve_of(parsed, "model", "share", "captured") is None
    assert adapt.read_because(body) == ""


def test_numbers_that_json_should_not_hold_are_left_out():
    assert adapt.number(float("nan")) is None
    assert adapt.number(True) is None
    assert adapt.numbers([1, None]) == ()

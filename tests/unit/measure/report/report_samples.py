"""Reports to render in tests: a full one, an empty shop, one with nothing measured yet."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

from zhiyin.measure.report.data import (
    Assumption,
    Bin,
    Both,
    Candidate,
    Choice,
    Count,
    Curve,
    DataPart,
    Effect,
    EmailExample,
    ExpectedOf,
    Load,
    Measured,
    MessagesPart,
    Metric,
    ModelPart,
    Month,
    Pair,
    Prediction,
    Profit,
    Reasons,
    Recommended,
    RecommendPart,
    ReportData,
    RunPart,
    Segment,
    SegmentsPart,
    Shop,
    Step,
)

DAY = date(2017, 10, 30)
CAMPAIGN = "completejourney:18"
NAMES = ("January", "June", "October")
SALES = (361, 338, 392, 377, 401, 398, 409, 405, 402, 381)
ORDERS = (12400, 11800, 13350, 12900, 13700, 13420, 13910, 13800, 13650, 12980)

EMAIL = """<!doctype html><html><head><meta charset="utf-8">
<link href="https://fonts.googleapis.com/css?family=Ubuntu" rel="stylesheet">
<style>@import url(https://fonts.googleapis.com/css?family=Ubuntu); body { margin: 0 }</style>
</head>
<body style="font-family:sans-serif;background:#f4f1ea"><div style="max-width:560px;margin:auto;
background:#fff;padding:28px"><h1 style="font-size:22px">{greeting}</h1><p>{body}</p>
<img src="https://example.invalid/p.png" width="200" height="90" alt="picture">
<p><a href="https://example.invalid/unsubscribe?x=1">{leave}</a></p></div></body></html>"""


def gains_curve(name: str, power: float) -> Curve:
    """A concave curve from (0, 0) to (1, 1)."""
    x = tuple(i / 100 for i in range(101))
    return Curve(name, x, tuple(1 - (1 - v) ** power for v in x))


def profit_curves() -> tuple[Curve, ...]:
    """Profit over depth for three ways to choose."""
    x = tuple(i / 50 for i in range(51))
    return (
        Curve("model", x, tuple(260_000 * (1 - (1 - v) ** 4.4) - 56_650 * v for v in x)),
        Curve("rfm", x, tuple(260_000 * (1 - (1 - v) ** 2.2) - 56_650 * v for v in x)),
        Curve("random", x, tuple(203_350 * v for v in x)),
    )


def cost_curves() -> tuple[Curve, ...]:
    """Profit over contact cost."""
    x = tuple(float(v) for v in range(0, 301, 10))
    return (
        Curve("model", x, tuple(206_000 - 339 * v for v in x)),
        Curve("rfm", x, tuple(141_000 - 339 * v for v in x)),
        Curve("all", x, tuple(260_000 - 1133 * v for v in x)),
    )


def full_metrics() -> tuple[Metric, ...]:
    """What `measure` found for the campaign and the recommendations."""

    def response(metric: str, value: float, low: float | None, high: float | None) -> Metric:
        return Metric("response", CAMPAIGN, metric, value, low, high, 1133)

    def products(metric: str, value: float) -> Metric:
        return Metric("recommend", "", metric, value, value - 0.004, value + 0.004, 1964)

    return (
        response("auc", 0.8812, 0.854, 0.908),
        response("captured_at_30", 0.7804, 0.722, 0.836),
        response("lift_at_10", 4.19, 3.62, 4.8),
        response("base_rate", 214 / 1133, 0.167, 0.213),
        response("brier", 0.1054, 0.094, 0.117),
        response("ece", 0.0241, 0.011, 0.041),
        response("ece_floor", 0.0262, 0.014, 0.042),
        replace(response("profit_model_minor", 188_900, 151_000, 224_000), status="upper_bound"),
        products("ndcg_at_10_new", 0.0583),
        products("popularity_ndcg_at_10_new", 0.041),
        products("ndcg_at_10_all", 0.4262),
        products("frequency_ndcg_at_10_all", 0.411),
    )


def make_segments() -> SegmentsPart:
    """Eight RFM segments and four clusters."""
    rows = (
        ("champions", 402, 14_980_000, 3.1, 118.4),
        ("loyal", 521, 11_230_000, 9.4, 71.2),
        ("potential_loyalists", 318, 3_150_000, 12.8, 34.0),
        ("new", 61, 210_000, 14.2, 4.4),
        ("need_attention", 287, 2_840_000, 29.5, 28.1),
        ("at_risk", 301, 3_990_000, 61.7, 31.9),
        ("cannot_lose", 74, 1_930_000, 88.0, 64.6),
        ("hibernating", 472, 1_270_000, 121.3, 9.7),
    )
    rfm = tuple(Segment(k, Both(), n, money, days, orders) for k, n, money, days, orders in rows)
    clusters = (
        Segment(
            "1",
            Both("Big weekly baskets", "每周大采购"),
            611,
            18_800_000,
            words=Both(
                "Come once a week for 28 products; twice the share of meat.",
                "平均每周到店一次，每篮 28 件商品；肉类占比是平均的两倍。",
            ),
        ),
        Segment(
            "2",
            Both("Quick top-ups", "日常补货"),
            904,
            12_100_000,
            words=Both(
                "Come four times as often as others, for few things, at night.",
                "到店频率是其他人的四倍，每次买得少，多在傍晚。",
            ),
        ),
        Segment(
            "3",
            Both("Coupon hunters", "优惠敏感"),
            322,
            4_900_000,
            words=Both(
                "Every third line is bought with a coupon; they follow the leaflet.",
                "每三行就有一行使用优惠券；跟随传单购物。",
            ),
        ),
        Segment(
            "4",
            Both(),
            599,
            3_800_000,
            words=Both("Seldom here, no favourite shop.", "很少光顾，没有固定门店。"),
        ),
    )
    moved = Both("12 went from Loyal to At risk", "12 位由「忠诚客户」转入「流失风险客户」")
    return SegmentsPart(rfm, clusters, 0.312, 0.94, moved)


def make_predictions() -> tuple[Prediction, ...]:
    """A churn model whose level is off, and a next purchase that lacks history."""
    churn = Prediction(
        "churn", 77, Both("nine of ten come back within 72 days", "九成客户 72 天内复购"),
        1200, 90.0,
        (ExpectedOf("hibernating", Both(), 400, 60.0), ExpectedOf("champions", Both(), 800, 30.0)),
        "logistic", date(2017, 8, 1),
        {"auc": 0.897, "auc_low": 0.875, "auc_high": 0.916, "ece": 0.04, "ece_floor": 0.007,
         "base_rate": 0.047, "n": 1100.0},
        0.54, "moved", 2, (Effect("recency_days", 0.4),),
    )  # fmt: skip
    lacking = Both("140 days of purchases; 168 are needed", "购买历史仅 140 天，至少需要 168 天")
    return churn, Prediction("next_purchase", 84, missing=(lacking,))


def make_model() -> ModelPart:
    """The model card of campaign 18."""
    effects = (
        Effect("past_redemptions", 1.42, Both("coupons redeemed before", "过去核销的优惠券")),
        Effect("offer_spend_share", 0.77),
        Effect(
            "coupon_line_share", 0.61, Both("share of lines bought with a coupon", "用券订单行占比")
        ),
        Effect("recency_days", -0.48),
        Effect(
            "type_a_response_rate",
            0.44,
            Both("response to campaigns of this type", "同类活动响应率"),
        ),
        Effect("orders_count", 0.21),
        Effect("gap_days_mean", -0.18, Both("days between orders", "下单间隔天数")),
        Effect(
            "discount_share", 0.09, Both("share of the price saved by discounts", "折扣节省占比")
        ),
    )
    return ModelPart(
        "response",
        CAMPAIGN,
        "Campaign 18",
        "logistic",
        "9f1c2d3e4b5a69788796",
        3174,
        402,
        ("Campaign 27", "Campaign 8", "Campaign 13"),
        (
            Candidate("logistic", 0.862, 0.311, 0.094, chosen=True),
            Candidate("lightgbm", 0.858, 0.317, 0.095),
            Candidate("mlp", 0.851, 0.322, 0.097),
            Candidate("svm", 0.847, 0.33, 0.098),
            Candidate("decision_tree", 0.801, 0.371, 0.108),
        ),
        effects,
        (
            Reasons(
                "p_3fk2mqa7xw5tz6h1c9vbd8nye0",
                0.871,
                1,
                ((effects[0], 7.0), (effects[1], 0.314), (effects[4], 0.62)),
            ),
            Reasons(
                "p_7tq4mqa7xw5tz6h1c9vbd8nye0",
                0.142,
                566,
                ((effects[5], 61.0), (effects[3], 21.0), (effects[6], 4.2)),
            ),
            Reasons(
                "p_9zz2mqa7xw5tz6h1c9vbd8nye0",
                0.006,
                1133,
                ((effects[3], 74.0), (effects[6], 31.0)),
            ),
        ),
        1133,
        None,
        "isotonic",
    )


def make_measured() -> Measured:
    """The outcome of campaign 18."""
    lifts = (4.19, 2.24, 1.38, 0.83, 0.51, 0.33, 0.24, 0.14, 0.09, 0.05)
    observed = (0.009, 0.009, 0.035, 0.053, 0.062, 0.124, 0.159, 0.292, 0.424, 0.778)
    expected = (0.008, 0.015, 0.027, 0.045, 0.071, 0.11, 0.17, 0.26, 0.41, 0.74)
    bins = tuple(
        Bin(113, e, o, max(0.0, o - 0.16 * math.sqrt(o)), o + 0.16 * math.sqrt(o) * (1 - o) + 0.02)
        for e, o in zip(expected, observed, strict=True)
    )
    return Measured(
        "response",
        CAMPAIGN,
        "Campaign 18",
        DAY,
        date(2017, 12, 24),
        date(2017, 12, 25),
        1133,
        214,
        tuple(m for m in full_metrics() if m.kind == "response"),
        (gains_curve("model", 4.3), gains_curve("rfm", 2.1)),
        lifts,
        bins,
        profit_curves(),
        cost_curves(),
        (Profit("model", 188_934, 339), Profit("rfm", 124_050, 339), Profit("all", 203_350, 1133)),
    )


def write_email(greeting: str, body: str, leave: str) -> str:
    """An e-mail's HTML with remote parts."""
    texts = {"{greeting}": greeting, "{body}": body, "{leave}": leave}
    html = EMAIL
    for mark, text in texts.items():
        html = html.replace(mark, text)
    return html


def make_emails() -> tuple[EmailExample, ...]:
    """One English and one Chinese e-mail."""
    english = write_email("Good morning, Ada", "These offers fit your kitchen.", "Unsubscribe")
    chinese = write_email("早上好", "这些优惠符合您的口味。", "退订")
    return (
        EmailExample("en", "Four offers for your next basket", english),
        EmailExample("zh", "为您挑选的四个优惠", chinese),
    )


def full_report(first: str = "en") -> ReportData:
    """A report with every part."""
    months = tuple(
        Month(f"2017-{i + 1:02}", sales * 100_000, orders, sales * 2_100)
        for i, (sales, orders) in enumerate(zip(SALES, ORDERS, strict=True))
    )
    choice = Choice(
        CAMPAIGN,
        "Campaign 18",
        DAY,
        date(2017, 12, 24),
        1133,
        (
            Count("consent_missing", 41),
            Count("consent_refused", 22),
            Count("frequency_cap", 17),
            Count("not_selected", 714),
        ),
        34,
        305,
        17,
        tuple(
            Count(f"cj:{i}", 90 - 11 * i, Both(name))
            for i, name in enumerate(
                (
                    "$1 off frozen pizza",
                    "50¢ off yoghurt",
                    "Buy 2 get 1: pasta <sauce>",
                    "$2 off coffee",
                )
            )
        ),
        171_200,
    )
    return ReportData(
        Shop(
            "The Complete Journey",
            "USD",
            "America/New_York",
            ("zh", "en") if first == "zh" else ("en", "zh"),
            demo=True,
        ),
        DAY,
        "t_5f0c9e8d7c6b5a4938271605-1",
        complete_journey=True,
        seeded_consents=True,
        data=DataPart(
            months,
            date(2017, 1, 1),
            date(2017, 10, 29),
            2451,
            sum(ORDERS),
            1_209_411,
            sum(SALES) * 100_000,
            -421_000,
            sum(SALES) * 2_100,
            1840,
            (
                Load("customers", 2469, 2469, 0),
                Load("products", 92_331, 92_331, 0),
                Load("order_lines", 1_469_307, 1_469_291, 16),
                Load("touches", 8691, 8691, 0),
            ),
            (Count("future_date", 11), Count("unknown_currency", 5)),
            27,
        ),
        segments=make_segments(),
        predictions=make_predictions(),
        models=(make_model(),),
        measured=(make_measured(),),
        choices=(choice,),
        messages=MessagesPart(
            (Count("sent", 296), Count("unknown", 2), Count("failed", 1), Count("skipped", 6)),
            (Count("quiet_hours", 4), Count("suppressed", 2)),
            make_emails(),
        ),
        recommend=RecommendPart(
            "ease",
            date(2017, 12, 1),
            tuple(m for m in full_metrics() if m.kind == "recommend"),
            (
                Recommended(
                    "p_3fk2mqa7xw5tz6h1c9vbd8nye0",
                    (
                        ("SOFT DRINKS 12/18&15PK CAN CAR", "SNACKS/APPETIZERS"),
                        ("BANANAS", "YOGURT NOT MULTI-PACKS"),
                        ("SHREDDED CHEESE", "MAINSTREAM WHITE BREAD"),
                    ),
                ),
                Recommended(
                    "p_7tq4mqa7xw5tz6h1c9vbd8nye0",
                    (
                        ("FLUID MILK WHITE ONLY", "KIDS CEREAL"),
                        ("STRAWBERRIES", ""),
                        ("GROUND BEEF", "HAMBURGER BUNS"),
                    ),
                ),
            ),
            2444,
            (Pair("CORN", "GREEN PEAS", 1204, 0.187, 9.4, 8.9, 0.0),),
        ),
        metrics=full_metrics(),
        assumptions=(
            Assumption("margin_rate", {"rate": 0.25}),
            Assumption("contact_cost", {"cost": 50}),
            Assumption("not_randomised"),
            Assumption("no_cannibalisation"),
            Assumption("past_like_future"),
            Assumption("demo_consents"),
            Assumption("months_utc", {"zone": "America/New_York"}),
        ),
        run=RunPart(
            (
                Step("collect.facts", 2.1, (Count("orders", 155_848),)),
                Step("profile.features", 9.4, notes=("19 past campaigns have a snapshot.",)),
                Step("understand.models", 21.8),
                Step("profile.tags", 0.8),
                Step("decide", 1.2),
                Step("act", 4.9),
                Step("measure", 3.3),
            ),
            (
                Count("features", 2451),
                Count("scores", 1133),
                Count("decisions", 1133),
                Count("recommendations", 48_880),
            ),
            (("Zhiyin", "0.1.0"), ("Python", "3.11.9"), ("duckdb", "1.5.5")),
            1412.0,
        ),
    )


def empty_report() -> ReportData:
    """A workspace without any data."""
    return ReportData(Shop("Tea house", "CNY", "Asia/Shanghai", ("zh", "en")), DAY, "t_empty-1")


def orders_report() -> ReportData:
    """A new shop with one month of orders, half of them without a customer, and nothing else."""
    part = DataPart(
        (Month("2017-10", 1_250_000, 310, 400_000),),
        date(2017, 10, 2),
        date(2017, 10, 28),
        122,
        310,
        410,
        1_250_000,
        0,
        400_000,
        101,
    )
    return replace(empty_report(), data=part)


def unmeasured_report() -> ReportData:
    """Campaigns were decided, but nothing has happened after the day."""
    return replace(full_report(), measured=(), metrics=(), recommend=RecommendPart(customers=12))

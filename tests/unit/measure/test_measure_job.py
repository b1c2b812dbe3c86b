"""The job `measure` on a small lake whose figures can be worked out by hand."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import pytest

from zhiyin.core import columns as c
from zhiyin.measure.job import run
from zhiyin.measure.results import to_rows


def utc(moment: str) -> datetime:
    """A moment as the lake keeps it: UTC without zone."""
    return datetime.fromisoformat(moment)


DAY = date(2024, 3, 1)
END = date(2024, 3, 14)
NOON = utc("2024-03-05T17:00")
LATE = utc("2024-03-20T17:00")  # after the campaign: everything before is complete
PEOPLE = 60
RESPONSE_KEYS = {
    "auc", "auc_low", "auc_high", "captured_at_30", "lift_at_10", "brier", "ece", "recipients",
    "redeemers", "profit_model_minor", "profit_all_minor", "profit_rfm_minor",
}  # fmt: skip


def who(number: int) -> str:
    return f"p_{number:03d}"


def touch(number: int, kind: str, at: datetime, campaign: str = "s:k1", key: str = "") -> dict:
    return {
        c.TOUCH_ID: f"{kind}-{campaign}-{number}{key}", c.PARTY_ID: who(number), c.KIND: kind,
        c.OCCURRED_AT: at, c.MONTH: "2024-03", c.CAMPAIGN_ID: campaign,
    }  # fmt: skip


def line(party: str, amount: int, at: datetime, product: str = "s:a", **more) -> dict:
    name = f"{party}-{at:%m%d%H%M}-{product}-{amount}"
    return {
        c.LINE_ID: name, c.ORDER_ID: f"{party}-{at:%m%d%H%M}", c.PARTY_ID: party, c.SOLD_AT: at,
        c.MONTH: "2024-03", c.PRODUCT_ID: product, c.KIND: "item", c.QUANTITY: 1.0,
        c.AMOUNT_BASE_MINOR: amount, c.SUSPECT: False, **more,
    }  # fmt: skip


def score(number: int, value: float, task: str = "response", subject: str = "s:k1") -> dict:
    return {
        c.AS_OF_ON: DAY, c.CUSTOMER_ID: who(number), c.TASK: task, c.SUBJECT: subject,
        c.SCORE: value, c.RANK: number + 1, c.EXPECTED_PROFIT_MINOR: 1000.0, c.MODEL: "m",
        c.MODEL_VERSION: "1", c.REASONS: "[]",
    }  # fmt: skip


@pytest.fixture(autouse=True)
def no_indicators(monkeypatch):
    """They have tests of their own, and take longer than all that is measured here."""
    monkeypatch.setattr(
        "zhiyin.measure.job.make_rows", lambda ctx: to_rows([], as_of=ctx.as_of, until={})
    )


@pytest.fixture
def shop(lake):
    """60 recipients, the best-scored 20 of whom redeem and pay 4.00 for product a."""
    lake.add("campaigns", [{c.CAMPAIGN_ID: "s:k1", c.START_ON: DAY, c.END_ON: END,
                            c.VALID_AT: utc("2024-02-29T17:00")}])  # fmt: skip
    lake.add("offers", [{c.OFFER_ID: f"s:o{n}", c.CAMPAIGN_ID: "s:k1", c.PRODUCT_ID: "s:a",
                         c.VALID_AT: utc("2024-02-29T17:00")} for n in (1, 2)])  # fmt: skip
    everyone = range(PEOPLE)
    lake.add("touches", [touch(n, "planned", utc("2024-02-29T17:00")) for n in everyone])
    lake.add("touches", [touch(n, "redemption", NOON) for n in range(20)])
    lake.add("touches", [touch(0, "redemption", NOON, key="again")])
    lake.add("order_lines", [line(who(n), 400, NOON) for n in range(20)])
    lake.add("order_lines", [line(who(n), 7000, NOON, "s:b") for n in everyone])
    lake.add("order_lines", [line("p_stranger", 100, LATE)])
    lake.add("scores", [score(n, 0.9 - n / 100) for n in everyone])
    return lake


def results(lake) -> dict:
    rows = lake.rows["results"].to_pylist()
    return {(row[c.AS_OF_ON], row[c.KIND], row[c.SUBJECT], row[c.METRIC]): row for row in rows}


def test_summary_of_a_campaign(shop, context):
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    response = report.figures["response"]
    assert set(response) == RESPONSE_KEYS
    assert (response["recipients"], response["redeemers"], response["auc"]) == (60, 20, 1.0)
    assert response["captured_at_30"] == pytest.approx(18 / 20)
    assert response["lift_at_10"] == pytest.approx(3.0)
    # model: the best 18 at .25 x 4.00 - .50 each; all: 20 x 1.00 - 60 x .50; no RFM yet
    assert response["profit_model_minor"] == 18 * 50
    assert response["profit_all_minor"] == 20 * 100 - 60 * 50
    assert response["profit_rfm_minor"] is None
    assert report.figures["status"] == "ok"
    assert report.figures["campaign"] == "s:k1"
    assert report.rows["results"] == len(results(shop))
    json.dumps(report.figures, allow_nan=False)


def test_rows_carry_interval_status_and_curves(shop, context):
    run(context(shop, DAY), context(shop, DAY).settings.measure)
    rows = results(shop)
    row = rows[DAY, "response", "s:k1", "captured_at_30"]
    assert row[c.LOW] <= row[c.VALUE] <= row[c.HIGH]
    assert (row[c.N], row[c.STATUS], row[c.MEASURED_UNTIL_ON]) == (60, "ok", date(2024, 3, 15))
    gains = json.loads(rows[DAY, "response", "s:k1", "gains"][c.BODY])
    assert gains["captured"][0] == 0
    assert gains["captured"][-1] == 1
    profit = json.loads(rows[DAY, "profit", "s:k1", "profit_model_minor"][c.BODY])
    assert profit["called"] == "profit if every redemption were caused (upper bound)"
    assert (profit["margin_rate"], profit["contact_cost_minor"]) == (0.25, 50)
    costs = json.loads(rows[DAY, "profit", "s:k1", "profit_by_cost"][c.BODY])
    assert costs["contact_cost_minor"][:2] == [0.0, 10.0]
    assert rows[DAY, "response", "s:k1", "auc"][c.LOW] is None  # perfect: no interval


def test_rfm_choice_contacts_as_many_by_rfm(shop, context):
    # RFM turns the truth round: its best 18 of 60 are the last customers, who never redeem
    shop.add("memberships", [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: who(n), c.SCHEME: "rfm", c.SEGMENT: "x",
         c.SCORE: float(n)} for n in range(PEOPLE)
    ])  # fmt: skip
    shop.add("memberships", [
        {c.AS_OF_ON: DAY, c.CUSTOMER_ID: who(n), c.SCHEME: "clusters", c.SEGMENT: "1",
         c.SCORE: 0.1} for n in range(PEOPLE)
    ])  # fmt: skip
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["profit_rfm_minor"] == -18 * 50
    assert report.figures["response"]["recipients"] == 60


def test_only_offer_products_inside_the_window_count(shop, context):
    shop.add("order_lines", [
        line(who(0), 9_000_000, utc("2024-03-01T04:59")),  # 23:59 of the day before, local
        line(who(0), 9_000_000, utc("2024-03-15T04:00")),  # 00:00 of the day after the last
        line(who(0), -100, NOON, kind="return", quantity=-1.0),
        line(who(0), 5000, NOON, kind="fee"),
    ])  # fmt: skip
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["profit_all_minor"] == 20 * 100 - 60 * 50 - 25


def test_an_offer_without_product_is_good_for_any(shop, context):
    shop.add("offers", [{c.OFFER_ID: "s:o3", c.CAMPAIGN_ID: "s:k1",
                         c.VALID_AT: utc("2024-02-29T17:00")}])  # fmt: skip
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["profit_all_minor"] == 20 * 0.25 * 7400 - 60 * 50


def test_redemptions_outside_the_window_or_of_others_do_not_count(shop, context):
    shop.add("touches", [
        touch(50, "redemption", utc("2024-03-15T04:00")),
        touch(51, "redemption", utc("2024-03-01T04:59")),
        touch(52, "redemption", NOON, campaign="s:k2"),
        touch(53, "click", NOON),
    ])  # fmt: skip
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["redeemers"] == 20


def test_scored_people_outside_the_list_are_left_out_and_missing_ones_named(shop, context):
    shop.add("scores", [score(n, 0.99) for n in range(PEOPLE, PEOPLE + 5)])
    shop.add("touches", [touch(99, "planned", utc("2024-02-29T17:00"))])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["recipients"] == 60
    assert report.notes == ("s:k1: 1 recipients have no score",)


def test_nothing_after_the_day_is_not_yet(shop, context):
    for name in ("touches", "order_lines"):
        shop.rows[name] = shop.rows[name].slice(0, 0)
    shop.add("touches", [touch(n, "planned", utc("2024-02-29T17:00")) for n in range(PEOPLE)])
    shop.add("order_lines", [line(who(1), 100, utc("2024-02-01T17:00"))])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["status"] == "not_yet"
    assert set(report.figures["response"]) == RESPONSE_KEYS
    assert set(report.figures["response"].values()) == {None}
    assert [row[c.STATUS] for row in results(shop).values()] == ["not_yet"]


def test_an_empty_workspace_has_nothing_decided(lake, context):
    report = run(context(lake, DAY), context(lake, DAY).settings.measure)
    assert report.figures["status"] == "nothing_decided"
    assert set(report.figures["response"]) == RESPONSE_KEYS
    assert report.rows == {"results": 0}


def test_an_unfinished_window_says_so(shop, context):
    lines = shop.rows["order_lines"]
    shop.rows["order_lines"] = lines.slice(0, lines.num_rows - 1)  # without the stranger's
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["status"] == "window_open"
    row = results(shop)[DAY, "response", "s:k1", "brier"]
    assert (row[c.STATUS], row[c.MEASURED_UNTIL_ON]) == ("window_open", date(2024, 3, 6))
    assert report.figures["response"]["redeemers"] == 20


def test_a_campaign_that_is_unknown_is_a_note(shop, context):
    shop.add("scores", [score(1, 0.5, subject="s:k9")])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.notes == ("s:k9: scored, but there is no such campaign to measure",)


def test_results_are_equal_run_to_run(shop, context):
    run(context(shop, DAY), context(shop, DAY).settings.measure)
    first = shop.rows["results"]
    run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert shop.rows["results"].equals(first)


def test_merges_made_later_do_not_lose_an_outcome(shop, context):
    # the redeemer 0 becomes one with stranger z after the decision, under z's name; a new
    # device's order and redemption reach recipient 40, under whose name it was merged
    shop.add("merges", [
        {c.PARTY_ID: who(0), c.INTO: "p_z", c.AT: NOON, c.RULE: "email"},
        {c.PARTY_ID: "p_new", c.INTO: who(40), c.AT: NOON, c.RULE: "email"},
    ])  # fmt: skip
    shop.add("touches", [{**touch(0, "redemption", NOON, key="n"), c.PARTY_ID: "p_new"}])
    shop.add("order_lines", [line("p_new", 800, NOON)])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["response"]["redeemers"] == 21
    assert report.figures["response"]["profit_all_minor"] == 20 * 100 + 200 - 60 * 50


def decide(number: int, arm: str) -> dict:
    return {
        c.DECISION_ID: f"d{number}", c.AS_OF_ON: DAY, c.CAMPAIGN_ID: "s:k1",
        c.PARTY_ID: who(number), c.CUSTOMER_ID: who(number), c.ARM: arm,
        c.DECIDED_AT: utc("2024-03-01T14:00"),
    }  # fmt: skip


def test_increment_compares_all_assigned_customers(shop, context):
    # treated 0..39 of whom 0..19 paid 74.00 and the others 70.00; held out 40..59: 70.00 each
    shop.add("decisions", [decide(n, "treat") for n in range(40)])
    shop.add("decisions", [decide(n, "holdout") for n in range(40, 60)])
    shop.add("decisions", [decide(n, "none") for n in range(70, 90)])
    shop.add("order_lines", [line(who(n), 900, NOON, kind="shipping") for n in range(40)])
    settings = {"decide": {"holdout_share": 0.33}}
    report = run(context(shop, DAY, **settings), context(shop, DAY).settings.measure)
    effect = report.figures["increments"]["s:k1"]
    assert effect["revenue_per_customer_minor"]["value"] == pytest.approx(200)
    assert effect["revenue_per_customer_minor"]["verdict"] == "brought_more"
    assert effect["revenue_per_customer_minor"]["held_out"] == 20
    assert effect["orders_per_customer"]["value"] == 0
    assert effect["orders_per_customer"]["status"] == "zero_variance"
    row = results(shop)[DAY, "increment", "s:k1", "revenue_per_customer_minor"]
    body = json.loads(row[c.BODY])
    assert row[c.LOW] > 0
    assert body["total"]["value"] == pytest.approx(8000)
    assert body["detectable"] > 0


def test_who_was_held_out_is_not_held_against_the_ranking(shop, context):
    """Of those contacted the score knows nothing; that nobody else redeems is no merit of its."""
    redeem = [touch(n, "redemption", NOON) for n in range(0, 40, 2)]
    shop.rows["touches"] = shop.rows["touches"].slice(0, PEOPLE)
    shop.add("touches", redeem)
    flattered = run(context(shop, DAY), context(shop, DAY).settings.measure).figures["response"]
    shop.add("decisions", [decide(n, "treat") for n in range(40)])
    shop.add("decisions", [decide(n, "holdout") for n in range(40, 50)])
    shop.add("decisions", [decide(n, "none") for n in range(50, 60)])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    response = report.figures["response"]
    assert flattered["auc"] > 0.75
    assert (response["recipients"], response["redeemers"]) == (40, 20)
    assert response["auc"] == pytest.approx(0.5, abs=0.03)
    assert response["profit_all_minor"] < 0


def test_a_list_that_another_system_sent_has_no_holdout(shop, context):
    """15 of the left-out redeem: they got it, so the arms are alike and everybody counts."""
    shop.add("decisions", [decide(n, "treat") for n in range(5, 40)])
    shop.add("decisions", [decide(n, "holdout") for n in (*range(5), *range(40, 60))])
    shop.add("touches", [touch(n, "redemption", NOON) for n in range(40, 50)])
    settings = {"decide": {"holdout_share": 0.4}}
    report = run(context(shop, DAY, **settings), context(shop, DAY).settings.measure)
    assert report.figures["response"]["recipients"] == 60
    effect = report.figures["increments"]["s:k1"]["orders_per_customer"]
    assert (effect["status"], effect["verdict"]) == ("holdout_not_kept", "cannot_tell_yet")
    assert report.notes[0].startswith("s:k1: people left out by the decision redeemed it")
    row = results(shop)[DAY, "increment", "s:k1", "revenue_per_customer_minor"]
    assert row[c.STATUS] == "holdout_not_kept"
    assert (DAY, "increment", "s:k1", "money_caused_minor") not in results(shop)


def test_money_orders_and_their_cost(shop, context):
    """40 treated spent 2.00 more each, beside what they had spent before; contacts cost 0.10."""
    before = utc("2024-02-10T17:00")
    shop.add("decisions", [decide(n, "treat") for n in range(40)])
    shop.add("decisions", [decide(n, "holdout") for n in range(40, 60)])
    shop.add("order_lines", [line(who(n), 100 * (n % 7), before) for n in range(60)])
    sent = [touch(n, "sent", utc("2024-03-01T15:00")) | {c.COST_BASE_MINOR: 10} for n in range(40)]
    shop.add("touches", sent)
    settings = {"decide": {"holdout_share": 0.33}}
    report = run(context(shop, DAY, **settings), context(shop, DAY).settings.measure)
    effect = report.figures["increments"]["s:k1"]
    assert effect["revenue_per_customer_minor"]["value"] == pytest.approx(200)
    assert effect["money_caused_minor"]["value"] == pytest.approx(8000, rel=0.02)
    assert effect["money_caused_minor"]["low"] > 0
    assert 0 <= effect["revenue_per_customer_adjusted_minor"]["variance_reduction"] < 0.1
    assert effect["incremental_roi"]["value"] == pytest.approx((2000 - 400) / 400, rel=0.03)
    body = json.loads(results(shop)[DAY, "increment", "s:k1", "money_caused_minor"][c.BODY])
    assert (body["evidence"], body["cost_minor"]) == ("randomised", 400)
    share = results(shop)[DAY, "increment", "s:k1", "caused_share"]  # 20 redeemed for 4.00 each
    assert json.loads(share[c.BODY])["redeemed_minor"] == 20 * 400
    assert share[c.VALUE] == pytest.approx(effect["money_caused_minor"]["value"] / 8000)


def _regulars(shop, *, others: int) -> None:
    """Better customers are recipients more often and spend more anyway; 5.00 each is caused."""
    known, lines = [], []
    for n in range(PEOPLE * 5 + others):
        worth, contacted = n % 17, n < PEOPLE * 5
        worth += 4 * (contacted and n % 3 == 0)
        known.append(
            {c.AS_OF_ON: DAY, c.CUSTOMER_ID: f"q_{n:04d}", "revenue_90d_minor": 100 * worth}
        )
        spent = 300 * worth + 37 * (n * n % 11) + 500 * contacted
        lines.append(line(f"q_{n:04d}", spent, NOON))
    shop.add("features", known)
    shop.add("order_lines", lines)
    plan = [touch(0, "planned", utc("2024-02-29T17:00"), "s:k2", key=str(n)) for n in range(300)]
    shop.add("touches", [row | {c.PARTY_ID: f"q_{n:04d}"} for n, row in enumerate(plan)])
    shop.add("campaigns", [{c.CAMPAIGN_ID: "s:k2", c.START_ON: DAY, c.END_ON: END,
                            c.VALID_AT: utc("2024-02-29T17:00")}])  # fmt: skip
    shop.add("scores", [score(1, 0.5, subject="s:k2")])


def test_without_a_lot_recipients_are_compared_with_their_like(shop, context):
    _regulars(shop, others=300)
    made = context(shop, DAY)
    told = run(made, made.settings.measure).figures["observed"]["s:k2"]
    assert (told["evidence"], told["best"]) == ("adjusted", "revenue_per_recipient_minor")
    assert told["low"] < 500 < told["high"]
    assert told["verdict"] == "brought_more"
    row = results(shop)[DAY, "observed", "s:k2", "money_caused_minor"]
    assert row[c.VALUE] == pytest.approx(300 * told["value"], rel=0.1)
    following = json.loads(results(shop)[DAY, "observed", "s:k2", "next_holdout"][c.BODY])
    assert 2 <= following["held_out"] <= 150
    again = run(made, made.settings.measure).figures["observed"]["s:k2"]
    assert again == told


def test_without_others_nothing_is_claimed(shop, context):
    _regulars(shop, others=20)
    made = context(shop, DAY)
    told = run(made, made.settings.measure).figures["observed"]["s:k2"]
    assert (told["evidence"], told["best"]) == ("none", None)
    assert told["tried"]["revenue_per_recipient_minor"]["status"] == "too_few_units"
    row = results(shop)[DAY, "observed", "s:k2", "money_caused_minor"]
    assert (row[c.VALUE], row[c.STATUS]) == (None, "not_measured")


def test_the_global_holdout_is_an_arm_beside_the_campaigns_own(shop, context):
    """Whoever might be sent anything, chosen or not, against those who are held out for good."""
    why = {"treat": "expected_profit", "holdout": "held_out"}
    rows = [decide(n, "treat") for n in range(30)] + [decide(n, "holdout") for n in range(30, 45)]
    rows += [decide(n, "none") | {c.REASON: "frequency_cap"} for n in range(45, 50)]
    rows += [decide(n, "none") | {c.REASON: "global_holdout"} for n in range(50, 75)]
    rows += [decide(n, "none") | {c.REASON: "consent_refused"} for n in range(75, 95)]
    shop.add("decisions", [{c.REASON: why.get(row[c.ARM], "")} | row for row in rows])
    settings = {"decide": {"holdout_share": 0.33}, "act": {"global_holdout_share": 0.33}}
    report = run(context(shop, DAY, **settings), context(shop, DAY).settings.measure)
    own = report.figures["increments"]["s:k1"]["order_rate"]
    of_all = report.figures["marketing"]["s:k1"]["order_rate"]
    assert (own["treated"], own["held_out"]) == (30, 15)
    assert (of_all["treated"], of_all["held_out"]) == (50, 25)
    row = results(shop)[DAY, "marketing", "s:k1", "order_rate"]
    assert json.loads(row[c.BODY])["held_out"]["n"] == 25


def test_without_a_holdout_no_effect_is_claimed(shop, context):
    shop.add("decisions", [decide(n, "treat") for n in range(40)])
    report = run(context(shop, DAY), context(shop, DAY).settings.measure)
    assert report.figures["increments"] == {"s:k1": {}}
    assert report.notes == ("s:k1: without a holdout its effect cannot be measured",)


def test_purchase_is_measured_without_campaigns(lake, context):
    lake.add("scores", [score(n, 0.9 - n / 100, "next_purchase", "") for n in range(PEOPLE)])
    lake.add("order_lines", [line(who(n), 100, NOON) for n in range(15)])
    lake.add("order_lines", [line(who(59), 0, NOON, quantity=0.0, kind="sample")])
    lake.add("order_lines", [line("p_other", 5, utc("2024-04-30T16:00"))])
    settings = {"understand": {"purchase_horizon_days": 30}}
    report = run(context(lake, DAY, **settings), context(lake, DAY).settings.measure)
    purchase = report.figures["purchase"]
    assert (purchase["customers"], purchase["buyers"], purchase["auc"]) == (60, 15, 1.0)
    assert report.figures["status"] == "ok"
    row = results(lake)[DAY, "next_purchase", "", "brier"]
    assert row[c.MEASURED_UNTIL_ON] == date(2024, 3, 31)


@pytest.mark.parametrize(
    ("promised", "version", "status"),
    [(0.8, "1", "decayed"), (0.01, "1", "ok"), (None, "1", "not_yet"), (0.8, "2", "not_yet")],
)
def test_the_model_that_speaks_is_held_to_its_card(lake, context, promised, version, status):
    """Those scored lowest in March bought; `version` speaks in April."""
    later = date(2024, 4, 1)
    task = "next_purchase"
    lake.add("scores", [score(n, 0.9 - n / 100, task, "") for n in range(PEOPLE)])
    lake.add("scores", [score(0, 0.9, task, "") | {c.AS_OF_ON: later, c.MODEL_VERSION: version}])
    lake.add("order_lines", [line(who(n), 100, NOON) for n in (0, *range(31, PEOPLE))])
    lake.add("order_lines", [line("p_other", 5, utc("2024-04-30T16:00"))])
    card = json.dumps({"validation": {"last_fold": {"auc_low": promised}}})
    lake.add("models", [
        {c.AS_OF_ON: DAY, c.TASK: task, c.SUBJECT: "", c.MODEL: "m", c.MODEL_VERSION: one,
         c.ARTIFACT: b"", c.CARD: card} for one in ("1", "2")
    ])  # fmt: skip
    made = context(lake, later, understand={"purchase_horizon_days": 30})
    (told,) = run(made, made.settings.measure).figures["decay"]
    assert (told["task"], told["model_version"], told["status"]) == (task, version, status)
    if status != "not_yet":
        assert (told["as_of"], told["n"]) == (DAY.isoformat(), PEOPLE)
        assert told["low"] < told["auc"] < told["high"] < 0.2
        assert ("decayed" in told["words"]["en"]) == (status == "decayed")
        assert "下次购买" in told["words"]["zh"]


def test_a_later_turn_closes_the_loop_of_an_earlier_one(shop, context):
    complete = shop.rows["order_lines"]
    shop.rows["order_lines"] = complete.slice(0, complete.num_rows - 1)
    run(context(shop, DAY), context(shop, DAY).settings.measure)
    shop.rows["order_lines"] = complete
    later = context(shop, date(2024, 4, 1))
    report = run(later, later.settings.measure)
    assert report.figures["measured_days"] == ["2024-03-01", "2024-04-01"]
    assert results(shop)[DAY, "response", "s:k1", "brier"][c.STATUS] == "ok"
    settled = run(later, later.settings.measure)
    assert settled.figures["measured_days"] == ["2024-04-01"]


def test_nothing_is_read_beyond_the_window(shop, context):
    run(context(shop, DAY), context(shop, DAY).settings.measure)
    facts = {day for name, day in shop.reads if name in ("touches", "order_lines") and day}
    assert max(facts) == END + timedelta(days=1)

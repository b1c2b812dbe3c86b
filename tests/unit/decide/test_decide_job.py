"""The job `decide`: one reasoned row per recipient, the same one whenever it runs."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import pytest

from zhiyin.core import columns as c
from zhiyin.decide import job, reasons
from zhiyin.govern.suppression import suppression_tokens

NEXT_DAY = date(2026, 5, 5)


def run(shop, day=None, **decide):
    context = shop.context(**({"day": day} if day else {}), **decide)
    return job.run(context, context.settings.decide)


@pytest.fixture
def campaign(shop):
    """Ten recipients p_0 … p_9 with probability 0.05 … 0.95: from p_1 on a contact pays."""
    people = [f"p_{n}" for n in range(10)]
    for one in people:
        shop.add_customer(one)
    shop.add_campaign()
    shop.plan(*people)
    shop.score({one: 0.05 + n / 10 for n, one in enumerate(people)})
    return shop


def test_every_recipient_gets_one_row_with_its_reason(campaign):
    report = run(campaign, max_share=0.3)
    rows = campaign.decisions()
    assert report.rows == {"decisions": 10}
    assert [rows[f"p_{n}"][c.ACTION] for n in (6, 7, 8, 9)] == ["none"] + ["contact"] * 3
    assert rows["p_9"][c.REASON] == reasons.BEST
    assert rows["p_6"][c.REASON] == reasons.BELOW_CUT
    assert rows["p_0"][c.REASON] == reasons.NO_PROFIT
    assert {row[c.REASON] for row in rows.values()} <= set(reasons.REASONS)
    assert rows["p_9"][c.EXPECTED_PROFIT_MINOR] == pytest.approx(0.95 * 1000 - 50)
    assert json.loads(rows["p_9"][c.ELIGIBLE]) == ["contact", "none"]


def test_the_figures_are_those_of_the_rows(campaign):
    report = run(campaign, max_share=0.5, explore_share=0.4, holdout_share=0.5)
    rows = campaign.decisions().values()
    figures = report.figures["campaigns"]["s:k"]
    contacted = [row for row in rows if row[c.ACTION] == "contact"]
    assert report.figures["status"] == figures["status"] == "ok"
    assert figures["recipients"] == figures["allowed"] == len(rows) == 10
    assert figures["treat"] == len(contacted) == report.figures["treat"]
    assert figures["chosen"] == figures["treat"] + figures["holdout"] <= figures["slots"] == 5
    assert figures["explored"] == sum(row[c.EXPLORED] for row in rows) == 2
    assert figures["contact_cost_minor"] == 50 * len(contacted)
    assert figures["chosen"] + sum(figures["skipped"].values()) == 10
    assert figures["expected_profit_minor"] == pytest.approx(
        sum(row[c.EXPECTED_PROFIT_MINOR] for row in contacted)
    )
    json.dumps(report.figures, allow_nan=False)


def test_the_same_turn_gives_the_same_rows(campaign):
    settings = {"max_share": 0.5, "explore_share": 0.4, "holdout_share": 0.3}
    run(campaign, **settings)
    first = campaign.decisions()
    run(campaign, **settings)
    assert campaign.decisions() == first
    assert campaign.store.read("decisions").count().to_pyarrow().as_py() == 10


def test_what_the_gate_forbids_is_not_done_and_the_gate_gives_the_reason(campaign, moments):
    campaign.add_customer("p_mute", email=False)
    campaign.add_customer("p_new", consent=None)
    campaign.add_customer("p_far", zone="Asia/Shanghai")
    campaign.plan("p_mute", "p_new", "p_far")
    campaign.score({"p_mute": 0.9, "p_new": 0.9, "p_far": 0.9})
    campaign.add_consent("p_8", granted=False, at=datetime(2026, 4, 1))
    campaign.suppress(suppression_tokens(campaign.vault, ["mail-p_9"])[0])
    for days in range(1, 5):
        campaign.send("p_7", at=moments.run - timedelta(days=days))
    report = run(campaign)
    rows = campaign.decisions()
    expected = {
        "p_mute": "no_address", "p_new": "consent_missing",
        "p_8": "consent_refused", "p_9": "suppressed", "p_7": "frequency_cap",
    }  # fmt: skip
    assert {one: rows[one][c.REASON] for one in expected} == expected
    assert all(rows[one][c.ACTION] == "none" for one in expected)
    assert all(json.loads(rows[one][c.ELIGIBLE]) == ["none"] for one in expected)
    assert all(rows[one][c.PROPENSITY] == 1.0 for one in expected)
    assert report.figures["campaigns"]["s:k"]["allowed"] == 13 - len(expected)
    assert rows["p_far"][c.ACTION] == "contact"  # at night there: hers waits for the morning


def test_a_consent_given_after_the_run_does_not_count(campaign):
    campaign.add_customer("p_late", consent=None)
    campaign.add_consent("p_late", granted=True, at=datetime(2026, 5, 4, 14))
    campaign.plan("p_late")
    campaign.score({"p_late": 0.9})
    run(campaign)
    assert campaign.decisions()["p_late"][c.REASON] == "consent_missing"


def test_the_strictest_of_a_merged_customers_parties_wins(campaign):
    campaign.add_customer("p_z", consent=False)
    campaign.add("merges", {c.PARTY_ID: "p_z", c.INTO: "p_9", c.AT: datetime(2026, 5, 1)})
    run(campaign)
    rows = campaign.decisions()
    assert rows["p_9"][c.REASON] == "consent_refused"
    assert "p_z" not in rows


def test_the_message_goes_to_the_party_that_has_the_address(campaign):
    campaign.add_customer("p_card", email=False)
    campaign.add("merges", {c.PARTY_ID: "p_9", c.INTO: "p_card", c.AT: datetime(2026, 5, 1)})
    campaign.score({"p_card": 0.9})
    run(campaign)
    row = campaign.decisions()["p_card"]
    assert (row[c.PARTY_ID], row[c.ACTION]) == ("p_9", "contact")


def test_without_recipients_planned_everybody_scored_is_one(campaign):
    campaign.add_campaign("s:open")
    campaign.score({"p_1": 0.5, "p_2": 0.5}, subject="s:open")
    report = run(campaign, campaign="s:open")
    assert set(campaign.decisions()) == {"p_1", "p_2"}
    assert "no recipients planned" in report.notes[0]


def test_a_campaign_without_a_model_is_decided_on_the_next_purchase(campaign):
    campaign.add_campaign("s:other")
    campaign.plan("p_3", campaign="s:other")
    campaign.score({"p_3": 0.5}, task="next_purchase", subject="")
    report = run(campaign, campaign="s:other")
    assert report.figures["campaigns"]["s:other"]["task"] == "next_purchase"
    assert campaign.decisions()["p_3"][c.ACTION] == "contact"


def test_no_scores_at_all_is_a_note_and_no_decision(shop):
    shop.add_customer("p_0")
    shop.add_campaign()
    shop.plan("p_0")
    report = run(shop)
    assert report.rows == {"decisions": 0}
    assert report.figures["status"] == "no_scores"
    assert "no model has scores" in report.notes[0]


@pytest.mark.parametrize(
    ("name", "starts", "ends"),
    [("", date(2026, 5, 3), date(2026, 5, 20)), ("s:k", date(2026, 4, 1), date(2026, 5, 3)),
     ("s:unknown", date(2026, 5, 4), date(2026, 5, 20))],
)  # fmt: skip
def test_a_day_without_a_campaign_to_decide_is_a_note(shop, name, starts, ends):
    shop.add_campaign(start=starts, end=ends)
    shop.score({"p_0": 0.5})
    report = run(shop, campaign=name)
    assert report.figures["status"] == "no_campaign"
    assert report.rows == {"decisions": 0}
    assert report.notes[0].startswith("Nothing decided")


def test_all_campaigns_that_start_on_the_day_are_decided(campaign):
    campaign.add_campaign("s:second")
    campaign.plan("p_1", campaign="s:second")
    campaign.score({"p_1": 0.5}, subject="s:second")
    report = run(campaign)
    assert list(report.figures["campaigns"]) == ["s:k", "s:second"]
    assert report.figures["recipients"] == 11


def test_a_recipient_without_a_score_is_in_the_log(campaign):
    campaign.add_customer("p_unknown")
    campaign.plan("p_unknown")
    run(campaign)
    row = campaign.decisions()["p_unknown"]
    assert (row[c.REASON], row[c.SCORE], row[c.ACTION]) == (reasons.NO_SCORE, None, "none")


def test_a_later_day_keeps_the_arms_and_writes_to_nobody_twice(campaign):
    settings = {"campaign": "s:k", "max_share": 0.5, "holdout_share": 0.5}
    run(campaign, **settings)
    first = campaign.decisions()
    chosen = {who for who, row in first.items() if row[c.ARM] != "none"}
    assert {first[who][c.ARM] for who in chosen} == {"treat", "holdout"}
    campaign.score(dict.fromkeys(first, 0.9), day=NEXT_DAY)
    report = run(campaign, NEXT_DAY, **settings)
    later = campaign.decisions(NEXT_DAY)
    assert {who: later[who][c.ARM] for who in chosen} == {who: first[who][c.ARM] for who in chosen}
    assert not any(row[c.ACTION] == "contact" for row in later.values())
    assert report.figures["campaigns"]["s:k"]["slots"] == 0
    run(campaign, **settings)  # the first day again: a later one does not reach back
    assert campaign.decisions() == first


def test_somebody_chosen_earlier_and_erased_since_has_used_her_slot(campaign):
    campaign.add(
        "decisions",
        {c.DECISION_ID: "d", c.CAMPAIGN_ID: "s:k", c.PARTY_ID: "p_gone", c.CUSTOMER_ID: "p_gone",
         c.ARM: "treat", c.DECIDED_AT: datetime(2026, 5, 1), c.AS_OF_ON: date(2026, 5, 1)},
    )  # fmt: skip
    report = run(campaign, max_share=0.3)
    assert report.figures["campaigns"]["s:k"]["slots"] == 2


def test_those_chosen_get_an_offer_and_products(campaign):
    campaign.add("offers", {c.OFFER_ID: "s:o1", c.CAMPAIGN_ID: "s:k", c.PRODUCT_ID: "s:tea",
                            c.VALID_AT: datetime(2026, 5, 3)},
                 {c.OFFER_ID: "s:o2", c.CAMPAIGN_ID: "s:elsewhere", c.PRODUCT_ID: "s:soap",
                  c.VALID_AT: datetime(2026, 5, 3)})  # fmt: skip
    campaign.add("order_lines", *({
        c.LINE_ID: f"l{n}", c.PARTY_ID: "p_9", c.PRODUCT_ID: what, c.KIND: "item",
        c.SOLD_AT: datetime(2026, 4, 1), c.VALID_AT: datetime(2026, 4, 1),
        c.AMOUNT_BASE_MINOR: 100,
    } for n, what in enumerate(["s:tea", "s:soap"])))  # fmt: skip
    report = run(campaign, max_share=0.2)
    rows = campaign.decisions()
    assert rows["p_9"][c.OFFER_ID] == "s:o1"
    assert json.loads(rows["p_9"][c.PRODUCT_IDS]) == ["s:tea"]
    assert rows["p_0"][c.OFFER_ID] is None
    assert report.figures["campaigns"]["s:k"]["offers"] == 1


def test_what_is_not_visible_before_the_day_changes_nothing(campaign):
    run(campaign, max_share=0.5, explore_share=0.4, holdout_share=0.3)
    before = campaign.decisions()
    now = datetime(2026, 5, 4, 4)  # 00:00 in New York
    campaign.add("touches", {c.TOUCH_ID: "late", c.PARTY_ID: "p_late", c.KIND: "planned",
                             c.CAMPAIGN_ID: "s:k", c.OCCURRED_AT: now})  # fmt: skip
    campaign.add("order_lines", {c.LINE_ID: "late", c.PARTY_ID: "p_9", c.PRODUCT_ID: "s:tea",
                                 c.KIND: "item", c.SOLD_AT: now, c.VALID_AT: now})  # fmt: skip
    campaign.add("merges", {c.PARTY_ID: "p_9", c.INTO: "p_8", c.AT: now})
    campaign.add("offers", {c.OFFER_ID: "s:late", c.CAMPAIGN_ID: "s:k", c.VALID_AT: now})
    campaign.score({"p_9": 0.01}, day=NEXT_DAY)
    run(campaign, max_share=0.5, explore_share=0.4, holdout_share=0.3)
    assert campaign.decisions() == before


def test_who_refused_personalised_content_is_not_ranked_by_her_scores(campaign):
    campaign.add_consent("p_9", granted=False, purpose="personalisation", channel="web")
    run(campaign, max_share=0.3)
    rows = campaign.decisions()
    assert (rows["p_9"][c.PERSONALISED], rows["p_8"][c.PERSONALISED]) == (False, True)
    usual = sum(0.05 + n / 10 for n in range(9)) / 9
    assert rows["p_9"][c.SCORE] == pytest.approx(usual)
    assert rows["p_9"][c.ACTION] == "none"
    run(campaign, max_share=0.6)
    assert campaign.decisions()["p_9"][c.ACTION] == "contact"

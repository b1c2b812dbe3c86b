"""Churn and next purchase in the report: numbers from scores by segment, words where none are."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest
import report_samples as samples

from zhiyin.measure.report import foresight
from zhiyin.measure.report.data import Both, ExpectedOf, Prediction, Segment
from zhiyin.measure.report.formats import Format
from zhiyin.measure.report.persona import render_persona
from zhiyin.measure.report.predictions import make_prediction, read_kept, read_value
from zhiyin.measure.report.render import render
from zhiyin.measure.report.summary import summary_text
from zhiyin.measure.report.words import Words

T, F = Words("en"), Format("en", "USD")
CARD = {
    "task": "churn", "model": "logistic", "status": "ok", "horizon_days": 77,
    "proposed_horizon": {"days": 77, "en": "90 % stay within 72 days", "zh": "90% 在 72 天内"},
    "validation": {"last_fold": {"group": "2017-08-01", "auc": 0.9, "gains": [0.5, 0.7]}},
    "drift": {"status": "stable", "moved": 0},
    "top_effects": [{"feature": "recency_days", "mean_abs_effect": 0.4}],
    "warnings": [{"code": "leak", "message": "left out", "message_zh": "已排除"}],
}  # fmt: skip


def test_expected_people_are_sums_of_probabilities_and_segments_keep_their_names():
    told = {"lost": (10, 4.0), "champions": (90, 1.0), None: (2, 0.5)}
    found = make_prediction(CARD, told, [Segment("lost", Both("Lost", "流失客户"), 10)])
    assert (found.customers, found.expected) == (102, 5.5)
    assert [s.key for s in found.segments] == ["lost", "champions", ""]
    assert found.segments[0].name.zh == "流失客户"
    assert found.horizon_why.en == "90 % stay within 72 days"
    assert (found.judged["auc"], found.top_tenth) == (0.9, 0.5)
    assert found.notes == (Both("left out", "已排除"),)


def test_a_horizon_that_was_set_is_not_explained_by_the_shops_gaps():
    found = make_prediction(CARD | {"horizon_days": 30}, {"lost": (10, 4.0)}, [])
    assert not found.horizon_why
    assert ("How far ahead", "30 days: set for this workspace") in foresight.quality(found, T, F)


def test_without_a_model_the_words_of_the_data_check_are_shown():
    card = {"task": "churn", "status": "short_history", "warnings": [
        {"code": "short_history", "message": "140 days", "message_zh": "仅 140 天"}]}  # fmt: skip
    assert make_prediction(card, {}, []).missing == (Both("140 days", "仅 140 天"),)


def test_a_model_that_waits_for_approval_says_so():
    card = CARD | {"registry": {"en": "two persons must promote it", "zh": "需要两人确认"}}
    assert make_prediction(card, {}, []).missing == (
        Both("two persons must promote it", "需要两人确认"),
    )


def test_small_segments_are_not_named_for_their_rate():
    segments = (ExpectedOf("lost", Both("Lost"), 5, 5.0), ExpectedOf("new", Both("New"), 50, 10.0))
    one = Prediction("churn", 30, customers=55, expected=15.0, segments=segments)
    assert foresight.who(one, T, F).endswith("The highest risk is that of “New”: 20%.")


@pytest.mark.parametrize(
    ("ece", "said"), [(0.04, "trust the ranking"), (0.01, "about what chance")]
)
def test_levels_are_trusted_only_within_chance(ece, said):
    churn = samples.make_predictions()[0]
    churn = replace(churn, judged=churn.judged | {"ece": ece})
    assert said in dict(foresight.quality(churn, T, F))["Level of the probabilities"]


def test_page_and_text_say_who_may_leave_and_what_is_missing_in_both_languages():
    page = unescape(render(samples.full_report()))
    for words in (
        "about 90 (7.5%) are expected to stay away for 77 days", "预计约 90 位（7.5%）在 77 天内",
        "140 days of purchases; 168 are needed", "购买历史仅 140 天，至少需要 168 天",
        "different in 2 features", "2 个特征分布已变化", "77 days: nine of ten come back",
    ):  # fmt: skip
        assert words in page
    text = " ".join(summary_text(samples.full_report(), "en").split())
    assert "about 90 (7.5%) are expected to stay away" in text
    assert "No score for the next purchase: 140 days of purchases; 168 are needed" in text


def test_a_persona_is_a_page_in_both_languages_and_hostile_names_are_escaped():
    def told(title: str) -> dict:
        effect = {"value": 0.7, "low": 0.6, "high": 0.8}
        return {
            "group": title, "text": f"{title}: 5\n  <b>first</b>\nnote",
            "differences": [{"label": "<script>", "told": True, "effect": effect},
                            {"label": "by chance", "told": False, "effect": effect}],
        }  # fmt: skip

    page = render_persona({"en": told("Best"), "zh": told("最佳")}, first="zh")
    assert "<li>&lt;b&gt;first&lt;/b&gt;</li>" in page
    assert page.count("<script>") == 1
    assert "by chance" not in page
    assert '<html lang="zh-CN" data-en="Best" data-zh="最佳">' in page
    assert "模拟数据" not in page
    made_up = render_persona({"en": told("Best"), "zh": told("最佳")}, simulated=True)
    assert "模拟数据：本页" in made_up
    assert "<title>Best · Simulated data</title>" in made_up


def test_what_a_model_kept_of_its_promise_is_said_and_decay_is_warned_of():
    told = {"task": "churn", "status": "decayed", "words": {"en": "AUC .6", "zh": "AUC 为 .6"}}
    kept = {"task": "next_purchase", "status": "ok", "words": {"en": "AUC .9", "zh": "AUC 为 .9"}}
    turn = {"measure": {"figures": {"decay": [told, kept]}}}
    asked = (Prediction("contract"), Prediction("next_purchase"), Prediction("other"))
    made, wrong = read_kept(asked, turn)
    assert [one.kept.en for one in made] == ["AUC .6", "AUC .9", ""]
    assert wrong == (Both("AUC .6", "AUC 为 .6"),)
    assert read_kept(asked, {}) == (asked, ())
    full = samples.full_report()
    page = render(replace(full, predictions=(replace(full.predictions[0], kept=wrong[0]),)))
    assert "AUC .6" in page
    assert "AUC 为 .6" in page


def test_what_the_model_of_value_told_is_said_where_a_turn_could_tell():
    early = {"kind": "value_decay", "key": "v", "body": '{"status": "not_yet"}'}
    assert not read_value([early])
    words = '{"words": {"en": "expected 10, came 9", "zh": "预计 10，实际 9"}}'
    found = read_value([early | {"body": words}])
    assert found == Both("expected 10, came 9", "预计 10，实际 9")
    page = render(replace(samples.full_report(), value_told=found))
    assert "expected 10, came 9" in page
    assert "预计 10，实际 9" in page

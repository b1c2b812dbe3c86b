"""An explanation says in words why, in both languages, and names nobody."""

import json

import people
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.gate import REASONS
from zhiyin.person import explain_customer
from zhiyin.person.words import Words


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("en", ["held out to measure the effect", "refused to be contacted so", "Champions",
                "Buys at steady intervals", "days since the last order", "20.0%",
                "1. Tea: because of Bread"]),
        ("zh", ["作为对照组保留", "已拒绝接收此类信息", "重要价值客户", "规律购买",
                "距上次下单天数"]),
    ],
)  # fmt: skip
def test_reasons_are_said_in_words(shop, language, wanted):
    text = explain_customer(shop.store, shop.vault, people.BEA, language=language).text
    assert [one for one in wanted if one not in text] == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "2024-06-01 calls: reached, list of laden:s1, not reached 1 times"),
        ("zh", "2024-06-01 calls：已接通，门店 laden:s1，未接通 1 次"),
    ],
)
def test_calls_of_shop_staff_are_said(shop, language, said):
    assert said in explain_customer(shop.store, shop.vault, people.ANA, language=language).text
    other = explain_customer(shop.store, shop.vault, people.BEA, language=language)
    assert other.values["tasks"] == []


def test_values_are_json_and_hold_no_personal_data(shop):
    answer = explain_customer(shop.store, shop.vault, people.ANA)
    text = json.dumps(answer.values, allow_nan=False) + answer.text
    assert [one for one in (*people.OF_ANA, *people.OF_BEA) if one in text] == []
    assert people.party_of(shop, people.BEA) not in text


def test_a_score_comes_with_the_direction_of_each_reason(shop):
    scores = explain_customer(shop.store, shop.vault, people.BEA).values["scores"]
    score = next(one for one in scores if one["task"] == "response")
    assert score["reasons"][0]["direction"] == "speaks against it"
    assert score["reasons"][0]["value"] == 3


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("en", ["still a customer: 91.2%", "purchase days to expect: 3.46", "value to come",
                "987.65 EUR"]),
        ("zh", ["仍是活跃客户的概率：91.2%", "预期购买天数：3.46", "未来价值（折现毛利）：",
                "987.65 EUR"]),
    ],
)  # fmt: skip
def test_customer_value_is_said_in_its_units(shop, language, wanted):
    text = explain_customer(shop.store, shop.vault, people.BEA, language=language).text
    assert [one for one in wanted if one not in text] == []


def test_a_workspace_without_a_turn_explains_what_there_is(tmp_path):
    with people.make_shop(tmp_path) as shop:
        answer = explain_customer(shop.store, shop.vault, people.ANA)
    assert answer.values["as_of"] is None
    assert answer.values["consents"][0]["granted"] is True
    assert "zhiyin run" in answer.text


def test_an_unknown_language_is_refused(shop):
    with pytest.raises(InvalidParameter, match="fr"):
        explain_customer(shop.store, shop.vault, people.ANA, language="fr")


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_of_the_gate_has_words_in_both_languages(code):
    assert [Words(one).reason(code) for one in ("en", "zh")] == list(REASONS[code])


def test_a_code_without_words_is_made_readable():
    assert Words("zh").reason("moon_is_full") == "moon is full"
    assert Words("en").reason(None) == ""

"""A rule that cannot be meant is refused with its place, a code and what to do."""

from __future__ import annotations

from datetime import date

import jsonschema_rs
import pytest

from zhiyin.audience import Vocabulary, compile, compile_many, parse, schema
from zhiyin.core.errors import InvalidParameter, InvalidRule

KNOWN = Vocabulary(tags=("vip", "dormant"), segments=(("rfm", "champions"),), tasks=("response",))
BOUGHT = {"type": "behaviour", "table": "order_lines", "op": "ge", "value": 1}
WRONG = {
    "an unknown field": ({"type": "tag", "tga": "vip"}, "unknown_field", "did you mean 'tag'?"),
    "an unknown type": ({"type": "behavior"}, "unknown_type", "did you mean 'behaviour'?"),
    "an unknown table": (BOUGHT | {"table": "order_line"}, "wrong_value", "order_lines"),
    "an unknown operator": (BOUGHT | {"op": "gte"}, "wrong_value", " ge,"),
    "no type": ({"tag": "vip"}, "missing_field", "add 'type'"),
    "no value": ({"type": "trait", "field": "city", "op": "eq"}, "missing_field", "add 'value'"),
    "a number as text": (BOUGHT | {"value": "2"}, "wrong_type", ""),
    "an unknown attribute": (
        {"type": "trait", "field": "citty", "value": "x"}, "unknown_field", "did you mean 'city'?",
    ),
    "a text attribute compared with a number": (
        {"type": "trait", "field": "city", "value": 3}, "wrong_type", "",
    ),
    "a text attribute put in order": (
        {"type": "trait", "field": "city", "op": "gt", "value": "a"}, "wrong_type", "eq, ne, in",
    ),
    "a list for one value": (
        {"type": "trait", "field": "city", "op": "eq", "value": ["a"]}, "wrong_type", "'in'",
    ),
    "an empty list of values": (
        {"type": "trait", "field": "city", "op": "in", "value": []}, "wrong_type", "list",
    ),
    "values of two kinds": (
        {"type": "trait", "field": "properties.x", "op": "in", "value": ["a", 1]}, "wrong_type", "",
    ),
    "an empty and": ({"type": "and", "rules": []}, "empty_group", "at least one"),
    "an empty or": ({"type": "or", "rules": []}, "empty_group", "at least one"),
    "a window of -3 days": (BOUGHT | {"days": -3}, "bad_window", "from 1 to"),
    "a window that ends before it begins": (
        BOUGHT | {"days": 7, "before_days": 7}, "bad_window", "below 7",
    ),
    "a birthday range turned round": (
        {"type": "yearly", "field": "birthday", "from_days": 7, "to_days": 3}, "bad_window", "",
    ),
    "no date": ({"type": "yearly", "field": "birthdy"}, "unknown_field", "'birthday'"),
    "an unknown column": (
        BOUGHT | {"where": [{"column": "categori", "value": "tea"}]}, "unknown_field", "'category'",
    ),
    "a personal column": (
        BOUGHT | {"where": [{"column": "party_id", "value": "p"}]}, "unknown_field", "",
    ),
    "the sum of a text": (
        BOUGHT | {"measure": "sum", "column": "kind"}, "wrong_type", "amount_base_minor",
    ),
    "a count of a column": (BOUGHT | {"column": "kind"}, "wrong_value", "distinct"),
    "the different products' brands": (
        BOUGHT | {"measure": "distinct", "column": "brand"}, "wrong_value", "where",
    ),
    "an unknown tag": ({"type": "tag", "tag": "vipp"}, "unknown_tag", "did you mean 'vip'?"),
    "an unknown segment": (
        {"type": "segment", "scheme": "rfm", "segment": "x"}, "unknown_segment", "champions",
    ),
    "an unknown score": (
        {"type": "score", "task": "churn", "op": "ge", "value": 1}, "unknown_score", "response",
    ),
    "an unknown audience": ({"type": "audience", "name": "x"}, "unknown_audience", "none yet"),
    "an empty upload": ({"type": "upload", "customers": []}, "empty_list", "at least one"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_it_says_what_is_wrong_and_what_to_do(what):
    rule, reason, hint = WRONG[what]
    with pytest.raises(InvalidRule) as caught:
        compile(parse(rule), vocabulary=KNOWN)
    assert caught.value.reason == reason
    assert caught.value.code == "invalid_rule"
    assert hint in caught.value.hint


def test_the_place_of_the_fault_is_named():
    rule = {"type": "and", "rules": [{"type": "not", "rule": BOUGHT | {"days": -3}}]}
    with pytest.raises(InvalidRule, match="a window of -3 days") as caught:
        compile(parse(rule))
    assert caught.value.where == "$.rules[0].rule.days"


def test_a_circle_of_audiences_is_refused_with_its_names():
    named = {
        "a": parse({"type": "audience", "name": "b"}),
        "b": parse({"type": "not", "rule": {"type": "audience", "name": "c"}}),
        "c": parse({"type": "or", "rules": [{"type": "audience", "name": "a"}]}),
    }
    with pytest.raises(InvalidRule, match="a → b → c → a") as caught:
        compile_many(named)
    assert caught.value.reason == "cycle"
    with pytest.raises(InvalidRule, match="circle"):
        compile(named["a"], audiences=named)


def test_a_rule_of_many_floors_is_refused_not_a_crash():
    text = '{"type":"not","rule":' * 5000 + '{"type":"tag","tag":"vip"}' + "}" * 5000
    with pytest.raises(InvalidRule, match="nested deeper") as caught:
        parse(text)
    assert caught.value.reason == "too_deep"


def test_values_that_may_be_personal_are_not_quoted():
    with pytest.raises(InvalidRule) as caught:
        compile(parse({"type": "trait", "field": "recency_days", "value": "ann@example.com"}))
    assert "ann" not in str(caught.value)


def test_a_table_that_was_not_given_is_named():
    with pytest.raises(InvalidParameter, match="reads table order_lines"):
        compile(parse(BOUGHT)).members({}, as_of=date(2024, 1, 1), zone="UTC")
    denied = compile(parse({"type": "not", "rule": {"type": "upload", "customers": ["a"]}}))
    with pytest.raises(InvalidParameter, match="who there is"):
        denied.members({}, as_of=date(2024, 1, 1), zone="UTC")


def test_the_schema_knows_every_type_and_refuses_what_parse_refuses():
    validator = jsonschema_rs.validator_for(schema())
    assert validator.is_valid(BOUGHT | {"where": [{"column": "category", "value": "tea"}]})
    for rule in ({"type": "tag", "tga": "vip"}, {"type": "behavior"}, BOUGHT | {"value": "2"}):
        assert not validator.is_valid(rule)


def test_compile_takes_what_parse_takes_and_refuses_as_it_does():
    plain = BOUGHT | {"days": 30}
    assert compile(plain).rules == compile(parse(plain)).rules
    assert compile('{"type": "tag", "tag": "vip"}').rules == compile(
        parse({"type": "tag", "tag": "vip"})
    ).rules  # fmt: skip
    for wrong, reason in (
        (BOUGHT | {"days": -3}, "bad_window"), ({"type": "tag", "xyz": 1}, "unknown_field"),
        ({}, "missing_field"), ("regulars", "no_json"), (5, "wrong_type"),
    ):  # fmt: skip
        with pytest.raises(InvalidRule) as error:
            compile(wrong)
        assert error.value.reason == reason
    with pytest.raises(InvalidRule) as error:
        compile({"type": "tag", "operator": 1})
    assert "fields: " in str(error.value.hint)

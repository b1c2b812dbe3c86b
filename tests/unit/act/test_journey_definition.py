"""A journey that cannot be meant is refused, with the place and what to do."""

import pytest

from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.definition import digest, dump
from zhiyin.core.errors import InvalidRule

WORDS = {"en": "Hello", "zh": "您好"}
HELLO = {"type": "message", "template": "offer", "offer": WORDS, "next": "rest"}
REST = {"type": "delay", "days": 3}


def journey(**changes):
    steps = {"hello": HELLO, "rest": REST}
    return {"key": "welcome", "entry": {"type": "api"}, "steps": steps} | changes


@pytest.mark.parametrize(
    ("changes", "where", "reason"),
    [
        ({"key": "Wel come"}, "$.key", "wrong_value"),
        ({"steps": {}}, "$.steps", "wrong_value"),
        ({"start": "nowhere"}, "$.start", "unknown_step"),
        ({"steps": {"hello": HELLO}}, "$.steps.hello", "unknown_step"),
        ({"steps": {"rest": REST, "hello": HELLO}}, "$.steps.hello", "unreachable"),
        ({"steps": {"hello": HELLO, "rest": REST | {"days": -3}}}, "$.steps.rest.days",
         "wrong_value"),
        ({"steps": {"hello": HELLO, "rest": {"type": "delay"}}}, "$.steps.rest", "wrong_value"),
        ({"steps": {"hello": HELLO, "rest": {"type": "delay", "minutes": 5, "next": "hello"}}},
         "$.steps", "cycle"),
        ({"steps": {"hello": {"type": "message", "offer": WORDS}}}, "$.steps.hello.template",
         "unknown_template"),
        ({"steps": {"ab": {"type": "random", "branches": [{"share": 0.4}, {"share": 0.4}]}}},
         "$.steps.ab.branches", "wrong_value"),
        ({"entry": {"type": "event", "on": {}}}, "$.entry.on", "wrong_value"),
        ({"reentry": "after"}, "$.reentry_days", "wrong_value"),
        ({"entry": {"type": "evnt"}}, "$.entry.type", "unknown_type"),
        ({"steps": {"rest": REST | {"dys": 3}}}, "$.steps[...]", "unknown_field"),
    ],
)  # fmt: skip
def test_refused_with_the_place(changes, where, reason):
    with pytest.raises(InvalidRule) as caught:
        parse(journey(**changes))
    assert (caught.value.where, caught.value.reason) == (where, reason)


def test_toml_and_json_say_the_same():
    text = """
key = "welcome"
entry = {type = "api"}
[steps.rest]
type = "delay"
days = 3
"""
    made = parse(text, toml=True)
    assert parse(dump(made)) == made == parse(journey(steps={"rest": REST}))
    assert digest(made) != digest(parse(journey()))


def test_a_circle_with_a_delay_is_allowed():
    made = parse(journey(steps={"hello": HELLO, "rest": REST | {"next": "hello"}}))
    assert made.first() == "hello"

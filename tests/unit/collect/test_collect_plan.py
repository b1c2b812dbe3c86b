"""Schemas of tracking plans: what is taken, what is refused, what findings say."""

import pytest

from zhiyin.collect.event_words import FINDINGS, LANGUAGES, PLAN, REASONS, say
from zhiyin.collect.plan import MAX_FINDINGS, Checks, Plan, check_names, check_schema, event_key
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import Event
from zhiyin.core.errors import InvalidParameter

SCHEMA = {
    "type": "object",
    "required": ["sku"],
    "properties": {
        "sku": {"type": "string", "minLength": 3},
        "price": {"type": "number", "minimum": 0},
        "colour": {"enum": ["red", "blue"]},
        "products": {"type": "array", "items": {"$ref": "#/$defs/product"}},
    },
    "$defs": {"product": {"type": "object", "properties": {"price": {"type": "number"}}}},
}


def event(properties, *, name="Seen", kind="track", traits=None):
    received = Received("web", "server", "user_id", "track", 0, b"")
    return Event(
        0, kind, name, "u", None, "m", "m", 0, received, properties, traits or {}, {}, {}, []
    )


def checks(schema=SCHEMA, *, mode="warn", name="Seen"):
    return Checks([Plan("web", name, 1, mode, check_schema(schema), None, "me")])


def test_an_event_that_fits_has_no_finding():
    fits = {"sku": "abc", "price": 2, "colour": "red", "products": [{"price": 1.5}], "more": None}
    assert checks()("web", event(fits)) == ((), False)


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({}, "plan:sku:required"),
        ({"sku": 5}, "plan:sku:type"),
        ({"sku": "ab"}, "plan:sku:minLength"),
        ({"sku": "abc", "price": -1}, "plan:price:minimum"),
        ({"sku": "abc", "colour": "ana@example.com"}, "plan:colour:enum"),
        ({"sku": "abc", "products": [{"price": "1"}]}, "plan:products[].price:type"),
    ],
)
def test_a_finding_names_the_place_and_the_rule_never_the_value(properties, code):
    assert checks()("web", event(properties)) == ((code,), False)
    assert checks(mode="quarantine")("web", event(properties)) == ((code,), True)


def test_mode_off_and_other_sources_and_events_are_not_checked():
    assert not checks(mode="off")
    assert checks(mode="quarantine")("app", event({})) == ((), False)
    assert checks(mode="quarantine")("web", event({}, name="Other")) == ((), False)


def test_names_that_the_schema_does_not_hold_are_not_repeated():
    schema = {"additionalProperties": False, "patternProperties": {"^x": {"type": "string"}}}
    found, _ = checks(schema)("web", event({"ana@example.com": 1, "x13800138000": 1}))
    assert set(found) == {"plan:*:additionalProperties", "plan:*:type"}


def test_findings_of_one_event_are_limited():
    many = {f"p{i}": {"type": "string"} for i in range(60)}
    found, _ = checks({"properties": many})("web", event(dict.fromkeys(many, 1)))
    assert len(found) == MAX_FINDINGS


def test_traits_of_identify_are_checked_under_its_own_name():
    schema = {"required": ["plan"]}
    held = checks(schema, name="$identify")
    assert event_key("identify", None) == "$identify"
    assert held("web", event({}, name=None, kind="identify", traits={"plan": "x"}))[0] == ()
    assert held("web", event({"plan": "x"}, name=None, kind="identify"))[0] == (
        "plan:plan:required",
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "JSON object"),
        ({"type": "objekt"}, "no JSON Schema"),
        ({"properties": 3}, "no JSON Schema"),
        ({"pattern": "("}, "no JSON Schema"),
        ({"pattern": "(?=a)b"}, "no JSON Schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "another draft"),
        ({"$ref": "https://example.com/x.json"}, "into the schema itself"),
        ({"$ref": "file:///etc/passwd"}, "into the schema itself"),
        ({"$ref": "other.json#/a"}, "into the schema itself"),
        ({"properties": {"a": {"$ref": "#"}}}, "circle"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "circle"),
        ({"$ref": "#/$defs/none"}, "points to nothing"),
        ({"$id": "https://example.com/", "type": "object"}, r"may not use \$id"),
        ({"$dynamicRef": "#x"}, r"may not use \$dynamicRef"),
        ({"enum": ["x" * 70_000]}, "bytes"),
    ],
)
def test_a_schema_that_is_none_or_reaches_out_is_refused(schema, words):
    with pytest.raises(InvalidParameter, match=words):
        check_schema(schema)


def test_a_schema_that_is_too_deep_is_refused_before_it_is_read():
    schema = {}
    for _ in range(5_000):
        schema = {"not": schema}
    with pytest.raises(InvalidParameter, match="deeper"):
        check_schema(schema)


def test_a_schema_that_doubles_its_work_with_every_reference_is_refused():
    defs = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}
        for i in range(40)
    }
    with pytest.raises(InvalidParameter, match="too long"):
        check_schema({"$ref": "#/$defs/d0", "$defs": {**defs, "d40": {}}})


def test_a_property_may_be_called_like_a_keyword():
    schema = {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}
    assert check_schema(schema) is schema


def test_a_plan_that_cannot_be_read_any_more_holds_up_no_event():
    broken = Plan("web", "Seen", 1, "quarantine", {"type": "objekt"}, None, "me")
    assert Checks([broken])("web", event({})) == ((), False)


@pytest.mark.parametrize(
    ("source", "name"),
    [("Web", "Seen"), ("", "Seen"), ("web", ""), ("web", " x"), ("web", "x" * 161),
     ("web", "mail to ana@example.com")],
)  # fmt: skip
def test_names_are_checked_and_personal_ones_are_not_quoted(source, name):
    with pytest.raises(InvalidParameter) as caught:
        check_names(source, name)
    assert "ana@" not in str(caught.value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_words_in_both_languages(language):
    for keyword in (*PLAN, "oneOf"):
        assert say(f"plan:price:{keyword}", language).startswith("price")
    texts = [pair for pairs in (FINDINGS, PLAN, REASONS) for pair in pairs.values()]
    assert all(en.isascii() and not zh.isascii() for en, zh in texts)
    assert say("too_large", language) != "too_large"
    assert "userId" in say("placeholder_id:userId", language)

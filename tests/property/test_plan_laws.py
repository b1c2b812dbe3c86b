"""A plan in mode `warn` never changes which events are kept, whatever it and they hold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from zhiyin.collect.plan import Checks, Plan, check_schema
from zhiyin.collect.plan_draft import draft_schema
from zhiyin.collect.received import Received
from zhiyin.collect.tracking import Event

NAMES = st.sampled_from(["price", "sku", "名", "a.b", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=4)
KINDS = st.sampled_from(["string", "number", "integer", "boolean", "object", "array", "null"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": KINDS}) | st.builds(lambda v: {"const": v}, VALUES)
    | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {"properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={"required": st.lists(NAMES, max_size=2, unique=True),
                  "additionalProperties": inner, "items": inner},
    ),
    max_leaves=6,
).filter(lambda one: isinstance(one, dict))  # fmt: skip


def judge(schema, mode, properties):
    received = Received("web", "server", "user_id", "track", 0, b"")
    event = Event(0, "track", "Seen", "u", None, "m", "m", 0, received, properties, {}, {}, {}, [])
    return Checks([Plan("web", "Seen", 1, mode, check_schema(schema), None, "me")])("web", event)


@given(SCHEMAS, OBJECTS)
@settings(max_examples=examples(50), deadline=None)
def test_warn_keeps_every_event_and_finds_what_quarantine_refuses(schema, properties):
    warned, refused = judge(schema, "warn", properties)
    assert refused is False
    found, refused = judge(schema, "quarantine", properties)
    assert found == warned
    assert refused is bool(found)


@given(st.lists(OBJECTS, max_size=8))
@settings(max_examples=examples(50), deadline=None)
def test_every_event_fits_the_draft_made_of_it(values):
    schema = draft_schema(values)
    for one in values:
        assert judge(schema, "warn", one) == ((), False)

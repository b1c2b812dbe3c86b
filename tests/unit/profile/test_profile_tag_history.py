"""Since when somebody has a tag: runs of days, gaps, values that change."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.core import columns as c
from zhiyin.profile.tag_history import cover, sizes, tag_history
from zhiyin.testing.store import MemoryStore

DAYS = [date(2024, 6, day) for day in (1, 2, 4, 8, 9)]


def row(day, tag="t", value=None, *, kind="fact", customer="a"):
    return {
        c.AS_OF_ON: DAYS[day], c.CUSTOMER_ID: customer, c.TAG: tag, c.VALUE: value, c.KIND: kind,
        c.VERSION: 1,
    }  # fmt: skip


def told(rows):
    return [
        (one.tag, one.value, DAYS.index(one.first_on), DAYS.index(one.last_on),
         None if one.lost_on is None else DAYS.index(one.lost_on))
        for one in tag_history(rows, DAYS)
    ]  # fmt: skip


def test_a_gap_ends_a_spell_and_days_that_were_not_computed_do_not():
    assert told([row(1), row(2), row(4)]) == [("t", None, 1, 2, 3), ("t", None, 4, 4, None)]


def test_another_value_begins_a_spell_but_not_the_number_beside_a_rule():
    assert told([row(0, value="x"), row(1, value="y")]) == [
        ("t", "x", 0, 0, 1), ("t", "y", 1, 1, 2),
    ]  # fmt: skip
    rule = [row(0, value="30", kind="rule"), row(1, value="31", kind="rule")]
    assert told(rule) == [("t", "31", 0, 1, 2)]


@settings(deadline=None, max_examples=25)
@given(st.sets(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), min_size=1))
def test_spells_and_sizes_say_the_same(held):
    rows = [row(day, customer=who) for who, day in sorted(held)]
    store = MemoryStore()
    schema = pa.schema([(c.AS_OF_ON, pa.date32()), (c.CUSTOMER_ID, pa.string()),
                        (c.TAG, pa.string()), (c.VALUE, pa.string()), (c.KIND, pa.string()),
                        (c.VERSION, pa.int64())])  # fmt: skip
    tags = store.to_ibis(pa.Table.from_pylist(rows, schema=schema))
    days = store.to_ibis(pa.table({c.AS_OF_ON: DAYS, "place": pa.array(range(5), pa.int64())}))
    found = cover(sizes(tags, days).to_pyarrow().to_pylist(), dict.fromkeys(DAYS, 4))
    spells = [s for who in "abcd"
              for s in tag_history([r for r in rows if r[c.CUSTOMER_ID] == who], DAYS)]  # fmt: skip
    for one in found:
        day = one.as_of
        assert one.customers == sum(s.first_on <= day <= s.last_on for s in spells)
        if one.gained is not None:
            assert one.gained == sum(s.first_on == day for s in spells)
            assert one.lost == sum(s.lost_on == day for s in spells)
    assert {one.as_of for one in found} >= {DAYS[day] for _, day in held}

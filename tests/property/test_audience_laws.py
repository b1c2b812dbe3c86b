"""Laws of audiences: the engine and the evaluator agree, and the future is never seen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.audience.audience_rows import DAY, PEOPLE, ROWS, RULES, ZONE, facts_of, tables_of
from zhiyin.audience import compile_many, dump, parse
from zhiyin.audience.evaluator import is_inside
from zhiyin.audience.moment import moment_of
from zhiyin.core import columns as c

MANY = st.lists(RULES, min_size=4, max_size=8)


@settings(max_examples=40, deadline=None)
@given(ROWS, MANY)
def test_the_engine_selects_those_whom_the_evaluator_lets_in(rows, rules):
    named = {f"r{i}": rule for i, rule in enumerate(rules)}
    compiled = compile_many({**named, "same": rules[0]})
    flags = compiled.flags(tables_of(rows), as_of=DAY, zone=ZONE).to_pyarrow().to_pylist()
    assert len({row[c.CUSTOMER_ID] for row in flags}) == len(flags)
    moment = moment_of(DAY, zone=ZONE)
    for name, rule in named.items():
        found = {row[c.CUSTOMER_ID] for row in flags if row[name]}
        expected = {who for who in PEOPLE if is_inside(rule, facts_of(rows, who), moment)}
        assert found == expected, rule


@settings(max_examples=200, deadline=None)
@given(RULES)
def test_a_rule_is_read_back_as_it_was_written(rule):
    assert parse(dump(rule)) == rule

"""Laws of audiences: the engine and the evaluator agree, and the future is never seen."""

from __future__ import annotations

from datetime import UTC, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.audience.audience_rows import (
    BOUNDARY,
    DAY,
    PEOPLE,
    ROWS,
    RULES,
    ZONE,
    behaviours,
    facts_of,
    recencies,
    tables_of,
    yearlies,
)
from zhiyin.audience import compile_many, dump, evaluate, next_change, parse
from zhiyin.audience.moment import moment_of
from zhiyin.core import columns as c

TIMED = st.one_of(behaviours(), recencies(), yearlies(), RULES)
MANY = st.lists(RULES, min_size=4, max_size=8)


@settings(max_examples=examples(10), deadline=None)
@given(ROWS, MANY)
def test_the_engine_selects_those_whom_the_evaluator_lets_in(rows, rules):
    named = {f"r{i}": rule for i, rule in enumerate(rules)}
    compiled = compile_many({**named, "same": rules[0]})
    flags = compiled.flags(tables_of(rows), as_of=DAY, zone=ZONE).to_pyarrow().to_pylist()
    assert len({row[c.CUSTOMER_ID] for row in flags}) == len(flags)
    for name, rule in named.items():
        found = {row[c.CUSTOMER_ID] for row in flags if row[name]}
        expected = {
            who for who in PEOPLE if evaluate(rule, facts_of(rows, who), at=DAY, zone=ZONE).inside
        }
        assert found == expected, rule


@settings(max_examples=examples(15), deadline=None)
@given(ROWS, TIMED, st.sampled_from(PEOPLE))
def test_nothing_changes_before_the_next_change_and_then_it_does(rows, rule, who):
    known = facts_of(rows, who).seen(moment_of(DAY, zone=ZONE))
    inside = evaluate(rule, known, at=DAY, zone=ZONE).inside
    change = next_change(rule, facts_of(rows, who), DAY, zone=ZONE)
    until = change or DAY + timedelta(days=90)
    for n in range((until - DAY).days):
        day = DAY + timedelta(days=n)
        assert evaluate(rule, known, at=day, zone=ZONE).inside == inside, day
    if change is not None:
        assert evaluate(rule, known, at=change, zone=ZONE).inside != inside


@settings(max_examples=examples(40), deadline=None)
@given(ROWS, TIMED, st.sampled_from(PEOPLE), st.integers(0, 86_400))
def test_the_next_change_is_exact_to_the_moment(rows, rule, who, seconds):
    at = BOUNDARY.replace(tzinfo=UTC) + timedelta(seconds=seconds)
    known = facts_of(rows, who).seen(moment_of(at, zone=ZONE))
    inside = evaluate(rule, known, at=at, zone=ZONE).inside
    change = next_change(rule, known, at, zone=ZONE)
    if change is None:
        later = [at + timedelta(hours=7 * n) for n in range(1, 250)]
    else:
        assert evaluate(rule, known, at=change, zone=ZONE).inside != inside
        step = (change - at) / 7
        later = [at + step * n for n in range(7)] + [change - timedelta(microseconds=1)]
    for moment in later:
        assert evaluate(rule, known, at=moment, zone=ZONE).inside == inside, moment


@settings(max_examples=examples(50), deadline=None)
@given(ROWS, RULES, st.sampled_from(PEOPLE))
def test_what_is_not_visible_never_matters_and_reasons_speak_both_languages(rows, rule, who):
    facts = facts_of(rows, who)
    decision = evaluate(rule, facts, at=DAY, zone=ZONE)
    assert decision == evaluate(rule, facts.seen(moment_of(DAY, zone=ZONE)), at=DAY, zone=ZONE)
    assert decision.because
    assert decision.words("en").startswith("in because " if decision.inside else "out because ")
    assert decision.words("zh").startswith("在" if decision.inside else "不在")


@settings(max_examples=examples(50), deadline=None)
@given(RULES)
def test_a_rule_is_read_back_as_it_was_written(rule):
    assert parse(dump(rule)) == rule

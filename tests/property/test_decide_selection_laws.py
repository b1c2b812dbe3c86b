"""Laws of the selection: limits hold, probabilities are true, nothing depends on row order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.core.rng import Streams
from zhiyin.decide.selection import Candidates, SelectionTerms, select

REFUSALS = ["", "", "", "consent_refused", "suppressed", "frequency_cap"]
ARMS = ["", "", "", "", "treat", "holdout"]
# as table `scores` has them: a product of numbers next to 0 would lose its digits
people = st.lists(
    st.tuples(
        st.floats(0, 1).map(lambda one: round(one, 9)) | st.just(float("nan")),
        st.floats(-1e6, 1e6).map(lambda one: round(one, 4)),
        st.sampled_from(REFUSALS),
        st.booleans(),
        st.sampled_from(ARMS),
    ),
    max_size=40,
)
terms = st.builds(
    SelectionTerms,
    max_share=st.floats(0.01, 1),
    contact_cost_minor=st.integers(0, 1000),
    budget_minor=st.none() | st.integers(0, 20_000),
    explore_share=st.floats(0, 0.99),
    holdout_share=st.sampled_from([0.0, 0.1, 0.5]),
)


def build(rows, given_terms, *, scale=1.0):
    probability, margin, refusals, held_out, arms = zip(*rows, strict=True) if rows else [()] * 5
    return Candidates(
        np.array([f"p_{n:03d}" for n in range(len(rows))], dtype=np.str_),
        np.array(probability, dtype=np.float64),
        np.array(margin, dtype=np.float64) * scale,
        np.array(refusals, dtype=np.str_),
        np.array(held_out, dtype=np.bool_) & (given_terms.holdout_share > 0),
        np.array(arms, dtype=np.str_),
    )


def rng(seed=1):
    return Streams(seed).generator("law")


@settings(max_examples=60)
@given(people, terms, st.integers(0, 5))
def test_limits_hold_and_the_ineligible_are_never_chosen(rows, limits, elsewhere):
    who = build(rows, limits)
    choice = select(who, limits, rng=rng(), chosen_elsewhere=elsewhere)
    earlier = int((who.earlier_arms != "").sum()) + elsewhere
    assert choice.chosen.sum() <= choice.slots <= max(0, limits.max_share * who.n + 1e-9 - earlier)
    if limits.budget_minor is not None:
        assert choice.slots * limits.contact_cost_minor <= limits.budget_minor
        assert choice.contacted.sum() * limits.contact_cost_minor <= limits.budget_minor
    assert not (choice.chosen & (who.refusals != "")).any()
    assert not (choice.chosen & ~choice.eligible).any()
    assert not (choice.contacted & who.held_out).any()
    certain = choice.chosen & ~choice.explored
    assert (choice.expected_minor[certain] > 0).all()
    assert choice.explored.sum() <= limits.explore_slots(choice.slots)


@settings(max_examples=60)
@given(people, terms)
def test_every_action_taken_was_possible_and_probabilities_sum_to_one(rows, limits):
    who = build(rows, limits)
    choice = select(who, limits, rng=rng())
    contact, none = choice.contact_probability, 1 - choice.contact_probability
    assert ((contact >= 0) & (none >= 0)).all()
    assert ((choice.propensity > 0) & (choice.propensity <= 1)).all()
    assert np.array_equal(choice.propensity, np.where(choice.contacted, contact, none))
    assert (choice.propensity[~choice.eligible] == 1).all()
    assert (choice.actions[~choice.eligible] == "none").all()
    # those expected to be chosen are as many as are chosen: the probabilities add up
    expected = contact.sum() / (1 - limits.holdout_share)
    assert expected == pytest.approx(int(choice.chosen.sum()), abs=1e-6)


@settings(max_examples=60)
@given(people, terms, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, limits, random):
    who = build(rows, limits)
    order = list(range(len(rows)))
    random.shuffle(order)
    order = np.array(order, dtype=np.intp)
    shuffled = Candidates(*(getattr(who, name)[order] for name in who.__dataclass_fields__))
    one, other = select(who, limits, rng=rng()), select(shuffled, limits, rng=rng())
    for name in ("chosen", "contacted", "explored", "contact_probability", "arms", "reasons"):
        assert np.array_equal(getattr(one, name)[order], getattr(other, name)), name


@settings(max_examples=60)
@given(people, terms, st.sampled_from([2, 8, 1024]))
def test_another_unit_of_money_changes_nothing(rows, limits, scale):
    budget = limits.budget_minor
    scaled = SelectionTerms(
        limits.max_share, limits.contact_cost_minor * scale,
        None if budget is None else budget * scale, limits.explore_share, limits.holdout_share,
    )  # fmt: skip
    one = select(build(rows, limits), limits, rng=rng())
    other = select(build(rows, limits, scale=scale), scaled, rng=rng())
    assert np.array_equal(one.chosen, other.chosen)
    assert one.reasons.tolist() == other.reasons.tolist()
    finite = np.isfinite(one.expected_minor)
    assert np.array_equal(one.expected_minor[finite] * scale, other.expected_minor[finite])


@settings(max_examples=60)
@given(people, terms)
def test_the_holdout_changes_who_is_contacted_but_not_who_is_chosen(rows, limits):
    who = build(rows, limits)
    nobody = Candidates(
        who.customer_ids, who.probability, who.margin_minor, who.refusals,
        np.zeros(who.n, dtype=np.bool_), who.earlier_arms,
    )  # fmt: skip
    one, other = select(who, limits, rng=rng()), select(nobody, limits, rng=rng())
    assert np.array_equal(one.chosen, other.chosen)


def test_over_many_seeds_people_are_contacted_as_often_as_their_propensity_says():
    limits = SelectionTerms(0.5, 50, None, explore_share=0.4, holdout_share=0.25)
    n, runs = 24, 1500
    seen = np.zeros(n)
    for seed in range(runs):
        draw = np.random.Generator(np.random.PCG64(seed))
        held_out = draw.random(n) < limits.holdout_share
        who = Candidates(
            np.array([f"p_{k:02d}" for k in range(n)], dtype=np.str_), np.ones(n),
            np.array([400.0 - 25 * k for k in range(n)]),
            np.where(np.arange(n) % 7 == 3, "suppressed", ""), held_out, np.full(n, ""),
        )  # fmt: skip
        choice = select(who, limits, rng=draw)
        seen += choice.contacted
    probability = choice.contact_probability  # the same in every run
    error = np.sqrt(probability * (1 - probability) / runs)
    assert (np.abs(seen / runs - probability) <= 4 * error).all()
    assert len(set(np.round(probability, 6))) == 3  # certain, explored, refused: all are tried

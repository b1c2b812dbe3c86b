"""Whom the selection takes: the dearest first, within share and budget, with reasons."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.decide import reasons
from zhiyin.decide.selection import Candidates, SelectionTerms, count_steps, select
from zhiyin.govern import gate


def rng():
    return Streams(7).generator("selection")


def candidates(*people, **given):
    """Candidates from (id, expected margin at probability 1/2) pairs; `given` by id."""
    ids = [name for name, _ in people]

    def by_id(values, default):
        return [values.get(name, default) for name in ids]

    return Candidates(
        np.array(ids, dtype=np.str_),
        np.full(len(ids), 0.5),
        np.array([2.0 * worth for _, worth in people], dtype=np.float64),
        np.array(by_id(given.get("refusals", {}), ""), dtype=np.str_),
        np.array(by_id(given.get("held_out", {}), False), dtype=np.bool_),
        np.array(by_id(given.get("earlier", {}), ""), dtype=np.str_),
    )


def terms(**changes):
    return SelectionTerms(**{"max_share": 1.0, "contact_cost_minor": 50, **changes})


TEN = [(f"p_{n}", 100.0 * (n + 1)) for n in range(10)]


def chosen_ids(people, choice):
    return set(people.customer_ids[choice.chosen].tolist())


def test_the_highest_expected_profits_are_chosen_within_the_share():
    people = candidates(*TEN)
    choice = select(people, terms(max_share=0.3), rng=rng())
    assert choice.slots == 3
    assert chosen_ids(people, choice) == {"p_7", "p_8", "p_9"}
    assert set(choice.reasons.tolist()) == {reasons.BEST, reasons.BELOW_CUT}
    assert choice.expected_minor[9] == pytest.approx(1000 - 50)


def test_equal_profits_go_by_customer_id():
    people = candidates(("p_c", 100), ("p_a", 100), ("p_b", 100))
    choice = select(people, terms(max_share=0.67), rng=rng())
    assert chosen_ids(people, choice) == {"p_a", "p_b"}


def test_a_share_that_binary_fractions_miss_still_gives_its_slots():
    assert terms(max_share=0.29).share_slots(100) == 29


def test_who_costs_more_than_she_earns_is_not_contacted():
    people = candidates(("p_a", 50), ("p_b", 51))
    choice = select(people, terms(), rng=rng())
    assert chosen_ids(people, choice) == {"p_b"}
    assert choice.reasons[0] == reasons.NO_PROFIT


def test_the_budget_is_the_reason_where_it_and_not_the_share_shuts_somebody_out():
    people = candidates(*TEN)
    choice = select(people, terms(max_share=0.5, budget_minor=149), rng=rng())
    assert choice.slots == 2
    why = dict(zip(people.customer_ids.tolist(), choice.reasons.tolist(), strict=True))
    assert [why[f"p_{n}"] for n in (9, 8, 7, 6, 5)] == [reasons.BEST] * 2 + [reasons.BUDGET] * 3
    assert why["p_4"] == reasons.BELOW_CUT


def test_a_budget_that_does_not_bind_is_no_reason():
    people = candidates(*TEN)
    choice = select(people, terms(max_share=0.5, budget_minor=10_000, explore_share=0.4), rng=rng())
    assert reasons.BUDGET not in choice.reasons


def test_free_contacts_need_no_budget():
    choice = select(candidates(*TEN), terms(contact_cost_minor=0, budget_minor=0), rng=rng())
    assert choice.contacted.all()


def test_a_refusal_of_the_gate_stands_and_is_the_reason():
    people = candidates(*TEN, refusals={"p_9": "consent_refused"})
    choice = select(people, terms(max_share=0.2), rng=rng())
    assert chosen_ids(people, choice) == {"p_7", "p_8"}
    assert choice.reasons[9] == "consent_refused"
    assert (choice.propensity[9], choice.eligible[9]) == (1.0, False)


def test_who_has_no_score_is_neither_chosen_nor_explored():
    people = candidates(("p_a", 100), ("p_b", np.nan))
    choice = select(people, terms(explore_share=0.5), rng=rng())
    assert choice.reasons[1] == reasons.NO_SCORE
    assert not choice.chosen[1]


def test_exploration_reaches_those_a_model_would_never_choose():
    people = candidates(*TEN[:2], *((f"p_x{n}", 0.0) for n in range(8)))
    choice = select(people, terms(max_share=0.4, explore_share=0.5), rng=rng())
    assert (choice.slots, int(choice.explored.sum())) == (4, 2)
    lucky = people.customer_ids[choice.explored]
    assert all(name.startswith("p_x") for name in lucky)
    assert np.allclose(choice.contact_probability[2:], 2 / 8)
    assert choice.contact_probability[:2].tolist() == [1.0, 1.0]


def test_somebody_held_out_takes_her_slot_and_is_not_contacted():
    people = candidates(*TEN, held_out={"p_9": True, "p_0": True})
    choice = select(people, terms(max_share=0.3, holdout_share=0.2), rng=rng())
    assert (choice.arms[9], choice.reasons[9], choice.contacted[9]) == (
        "holdout", reasons.HELD_OUT, False,
    )  # fmt: skip
    assert choice.propensity[9] == pytest.approx(0.2)
    assert choice.propensity[8] == pytest.approx(0.8)
    assert choice.arms[0] == "none"  # nobody is held out of what she would not have got
    assert int(choice.chosen.sum()) == 3


def test_arms_of_an_earlier_day_are_kept_and_use_up_slots():
    people = candidates(*TEN, earlier={"p_0": "treat", "p_9": "holdout"})
    choice = select(people, terms(max_share=0.4, holdout_share=0.1), rng=rng(), chosen_elsewhere=1)
    assert choice.slots == 4 - 3
    assert chosen_ids(people, choice) == {"p_8"}
    assert (choice.arms[0], choice.reasons[0]) == ("treat", reasons.ALREADY_CHOSEN)
    assert (choice.arms[9], choice.reasons[9]) == ("holdout", reasons.HELD_OUT)
    assert choice.propensity[[0, 9]].tolist() == [1.0, 1.0]


def test_the_steps_lead_from_all_recipients_to_those_contacted():
    people = candidates(
        *TEN, ("p_u", np.nan), refusals={"p_0": "no_address", "p_1": "frequency_cap"},
        earlier={"p_2": "treat"}, held_out={"p_9": True},
    )  # fmt: skip
    choice = select(people, terms(max_share=0.5, holdout_share=0.1), rng=rng())
    steps = {step["step"]: step["left"] for step in count_steps(people, choice, gate.REASONS)}
    assert steps["recipients"] == 11
    assert (steps["no_address"], steps["frequency_cap"]) == (10, 9)
    assert (steps["already_chosen"], steps["no_score"]) == (8, 7)
    assert steps["not_chosen"] == int(choice.chosen.sum()) == 4
    assert steps["held_out"] == int(choice.contacted.sum()) == 3
    assert list(steps) == [
        "recipients", *(one for one in gate.REASONS if one != "held_out"),
        "already_chosen", "no_score", "not_chosen", "held_out",
    ]  # fmt: skip


def test_nobody_to_choose_from_is_no_crash():
    choice = select(candidates(), terms(explore_share=0.5, budget_minor=10), rng=rng())
    assert choice.slots == 0
    assert len(choice.reasons) == 0


def test_everybody_refused_leaves_the_slots_empty():
    people = candidates(*TEN, refusals={name: "suppressed" for name, _ in TEN})
    choice = select(people, terms(explore_share=0.5), rng=rng())
    assert not choice.chosen.any()
    assert (choice.propensity == 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_share": 0}, {"max_share": 1.1}, {"contact_cost_minor": -1}, {"budget_minor": -1},
        {"explore_share": 1.0}, {"holdout_share": -0.1},
    ],
)  # fmt: skip
def test_terms_outside_their_range_are_refused(wrong):
    with pytest.raises(InvalidParameter):
        terms(**wrong)


def test_a_customer_who_is_there_twice_is_refused():
    with pytest.raises(InvalidParameter, match="twice"):
        candidates(("p_a", 1), ("p_a", 2))


def test_a_holdout_without_a_share_would_have_propensity_zero_and_is_refused():
    with pytest.raises(InvalidParameter, match="held out"):
        select(candidates(*TEN, held_out={"p_9": True}), terms(), rng=rng())


def test_every_reason_has_words_in_both_languages():
    assert set(gate.REASONS) <= set(reasons.REASONS)
    for english, chinese in reasons.REASONS.values():
        assert english
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)

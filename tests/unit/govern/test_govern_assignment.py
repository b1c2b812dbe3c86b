"""Who is in which experiment: by lot, for good, never in two that exclude each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter
from zhiyin.govern.assignment import Layer, Slot, assign, find_place, find_ranges
from zhiyin.govern.holdout import EVERYTHING, place_of

SALT = b"a salt of this test"
PEOPLE = [f"p_{i}" for i in range(3000)]
EVEN = {"control": 1.0, "letter": 1.0}
LETTERS = Layer("letters", (Slot("one", 0, 0.4), Slot("two", 0.4, 0.7)))


def share(values) -> float:
    return float(np.mean(list(values)))


def test_everybody_gets_an_arm_by_the_weights_and_keeps_it():
    arms = [assign(one, "e", {"control": 1, "letter": 3}, salt=SALT) for one in PEOPLE]
    assert share(arm == "letter" for arm in arms) == pytest.approx(0.75, abs=0.03)
    assert arms == [assign(one, "e", {"letter": 3, "control": 1}, salt=SALT) for one in PEOPLE]
    assert None not in arms


def test_experiments_and_salts_draw_independently():
    one = [assign(person, "e", EVEN, salt=SALT) == "letter" for person in PEOPLE]
    for other in (
        [assign(person, "f", EVEN, salt=SALT) == "letter" for person in PEOPLE],
        [assign(person, "e", EVEN, salt=b"another") == "letter" for person in PEOPLE],
        [find_place("layer", "e", person, salt=SALT) < 0.5 for person in PEOPLE],
    ):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.06


def test_nobody_is_in_two_experiments_of_a_layer():
    both = [
        [assign(one, name, EVEN, salt=SALT, layer=LETTERS) for one in PEOPLE]
        for name in ("one", "two")
    ]
    inside = np.array([[arm is not None for arm in arms] for arms in both])
    assert not inside.all(axis=0).any()
    assert inside.mean(axis=1) == pytest.approx([0.4, 0.3], abs=0.03)
    assert LETTERS.find_free() == ((0.7, 1.0),)


def test_more_coverage_moves_nobody():
    some, more = (
        [assign(one, "e", EVEN, salt=SALT, coverage=part) for one in PEOPLE] for part in (0.1, 0.6)
    )
    assert share(arm is not None for arm in some) == pytest.approx(0.1, abs=0.03)
    assert all(after == arm for arm, after in zip(some, more, strict=True) if arm)


def test_who_is_held_out_of_everything_takes_no_part():
    arms = {one: assign(one, "e", EVEN, salt=SALT, holdout_share=0.2) for one in PEOPLE}
    held = {one for one in PEOPLE if place_of(SALT, EVERYTHING, one) < 0.2}
    assert {one for one, arm in arms.items() if arm is None} == held


def test_overlapping_slots_are_refused():
    with pytest.raises(InvalidParameter, match="overlap"):
        Layer("letters", (Slot("one", 0, 0.5), Slot("two", 0.4, 0.7)))
    with pytest.raises(InvalidParameter):
        Slot("one", 0.5, 0.5)


@pytest.mark.parametrize(("weights", "coverage"), [([], 1), ([1, 0], 1), ([1, 1], 1.1)])
def test_impossible_ranges_are_refused(weights, coverage):
    with pytest.raises(InvalidParameter):
        find_ranges(weights, coverage=coverage)


def test_ranges_leave_no_gap_whatever_floats_add_up_to():
    ranges = find_ranges([0.1] * 10)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 1
    assert all(one[1] == other[0] for one, other in pairwise(ranges))

"""The holdout: the same people run after run, whatever else happens, and the earliest arm."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.decide.holdout import find_earlier_arms, is_held_out

IDS = [f"p_{n:05d}" for n in range(20_000)]
SALT = b"a salt of thirty-two bytes, or so"


def held(campaign="s:1", share=0.1, salt=SALT, ids=IDS):
    return is_held_out(campaign, ids, salt=salt, share=share)


def test_its_size_is_the_share_within_chance():
    assert held().mean() == pytest.approx(0.1, abs=4 * (0.09 / len(IDS)) ** 0.5)


def test_who_is_in_it_does_not_depend_on_who_else_is_asked_about():
    assert held(ids=IDS[500:510][::-1]).tolist() == held()[500:510][::-1].tolist()


def test_a_larger_share_keeps_who_was_held_out():
    assert not (held(share=0.1) & ~held(share=0.2)).any()


@pytest.mark.parametrize("other", [{"campaign": "s:2"}, {"salt": b"another"}])
def test_campaigns_and_workspaces_hold_out_different_people(other):
    both = (held() & held(**other)).mean()
    assert both == pytest.approx(0.01, abs=4 * (0.0099 / len(IDS)) ** 0.5)


def test_no_share_holds_nobody_out():
    assert not held(share=0.0).any()
    assert held(ids=[]).dtype == np.bool_


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(InvalidParameter, match="share"):
        held(share=share)


def decision(party, arm, day, customer=None):
    return {
        c.PARTY_ID: party, c.CUSTOMER_ID: customer or party, c.ARM: arm,
        c.DECIDED_AT: datetime(2026, 5, day, 7),
    }  # fmt: skip


def test_the_earliest_arm_is_kept_over_all_parties_of_a_customer():
    earlier = [decision("p_b", "treat", 3), decision("p_a", "holdout", 2)]
    merged = {"p_a": "p_z", "p_b": "p_z"}
    assert find_earlier_arms(earlier, merged) == {"p_z": "holdout"}
    assert find_earlier_arms(earlier[::-1], merged) == {"p_z": "holdout"}
    assert find_earlier_arms(earlier, {}) == {"p_a": "holdout", "p_b": "treat"}


def test_at_the_same_moment_the_holdout_is_kept():
    earlier = [decision("p_b", "treat", 2), decision("p_a", "holdout", 2)]
    assert find_earlier_arms(earlier, {"p_a": "p_z", "p_b": "p_z"}) == {"p_z": "holdout"}


def test_who_was_only_considered_has_no_arm():
    assert find_earlier_arms([decision("p_a", "none", 2)], {}) == {}

"""Variants and holdout of a campaign: sticky, as planned, and independent of each other."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhiyin.act.campaigns.schedule import variant_of
from zhiyin.govern.holdout import place_of

SHARES = {"a": 0.5, "b": 0.3, "c": 0.2}
IDS = [f"p_{n}" for n in range(20_000)]


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=8, max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_a_persons_variant_never_changes_and_is_one_of_the_campaigns(salt, campaign, customer):
    found = {variant_of(salt, campaign, customer, SHARES) for _ in range(2)}
    assert len(found) == 1
    assert found <= set(SHARES)


def test_variants_have_their_shares_among_the_held_out_and_the_others():
    for held in (True, False):
        mine = [one for one in IDS if (place_of(b"salt", "zhiyin:k", one) < 0.2) is held]
        made = Counter(variant_of(b"salt", "zhiyin:k", one, SHARES) for one in mine)
        for name, share in SHARES.items():
            assert made[name] / len(mine) == pytest.approx(share, abs=0.03)


def test_another_campaign_is_another_draw():
    same = sum(
        variant_of(b"salt", "zhiyin:k", one, SHARES) == variant_of(b"salt", "zhiyin:l", one, SHARES)
        for one in IDS
    )
    assert same / len(IDS) == pytest.approx(sum(s * s for s in SHARES.values()), abs=0.02)

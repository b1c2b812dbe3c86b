"""The value of the random policy, from the small Open Bandit logs (Saito et al. 2021, NeurIPS).

Relative errors of inverse weighting, plain and self-normalised, are those that the Open Bandit
Pipeline finds on the same rows; with 38 to 69 clicks a log they are mostly chance, so what is
wanted is that the number is the same, and that the interval knows how little it is worth.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.decide_logs import OPEN_BANDIT, read_open_bandit
from zhiyin.decide.offpolicy import evaluate


@pytest.mark.shared_data
@pytest.mark.skipif(not OPEN_BANDIT.is_dir(), reason="Open Bandit is not there (ZHIYIN_SHARED)")
@pytest.mark.parametrize(
    ("campaign", "value", "plain", "normed"),
    [("all", 0.0038, 0.379, 0.386), ("men", 0.0046, 0.346, 0.307), ("women", 0.0046, 0.617, 0.484)],
)
def test_the_random_policy_is_valued_from_both_logs(campaign, value, plain, normed):
    own, other = read_open_bandit("random", campaign), read_open_bandit("bts", campaign)
    even = np.full((10_000, own.n_actions), 1 / own.n_actions)
    assert evaluate(own, even, "ips").value == pytest.approx(value, abs=1e-12)
    for method, error in (("ips", plain), ("snips", normed)):
        found = evaluate(other, even, method)
        assert abs(found.value / value - 1) == pytest.approx(error, abs=5e-4)
        assert found.low < value < found.high
    if campaign == "women":  # one propensity is 1e-6: that decision has most of all weight
        assert found.status == "too_few_units"

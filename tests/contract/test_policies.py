"""Every policy that is built in passes the contract of policies."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.decide.policy import POLICIES, make
from zhiyin.decide.policy.weighted import LinearScores, Weighted
from zhiyin.testing.policy_contract import ACTIONS, PolicyContract

RULES = [
    {"when": [["visits", ">", 0.5], ["spent", "<", 1]], "then": "gift"},
    {"when": [["visits", "<=", -0.5]], "then": "coupon"},
]
SETTINGS = {
    "rules": {"features": ["visits", "spent", "age", "one"], "rules": RULES, "default": "none"},
    "greedy": {},
    "uplift_greedy": {"cost": {"coupon": 0.1, "call": 0.5}},
    "epsilon_greedy": {"width": 4},
    "linucb": {"width": 4, "alpha": 0.5},
    "linear_thompson": {"width": 4},
    "logistic_thompson": {"width": 4},
    "thompson": {},
    "linear_scores": {"width": 4},
    "softmax": {"width": 4},
}
VARIANTS = [(name, SETTINGS[name] | {"explore": share}) for name in SETTINGS for share in (0, 0.1)]
VARIANTS += [
    ("logistic_thompson", {"width": 4, "worth": {"gift": 1.5}, "cost": {"coupon": 0.05}}),
    ("linear_thompson", {"width": 4, "discount": 0.999, "noise": 0.3}),
]


def weighed(policy: Weighted) -> Weighted:
    """With weights as if they had been learned."""
    rng = np.random.default_rng(4)
    made = policy.weighing(rng.normal(size=policy.weights.shape))
    if isinstance(made, LinearScores):
        return made.doubting(np.tile(0.2 * np.eye(4), (len(ACTIONS), 1, 1)))
    return made


def test_all_that_are_built_in_are_looked_at():
    assert {name for name, _ in VARIANTS} == set(POLICIES.built_in)


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=[f"{n}-{s}" for n, s in VARIANTS])
class TestPolicies(PolicyContract):
    @pytest.fixture
    def make(self, name, settings, request):
        def made():
            policy = make(name, ACTIONS, **settings)
            return weighed(policy) if isinstance(policy, Weighted) else policy

        return made

    @pytest.fixture(autouse=True)
    def _of_this_one(self, name, monkeypatch):
        of_rules = name in {"rules", "greedy", "uplift_greedy", "linear_scores", "softmax"}
        monkeypatch.setattr(self, "learns", not of_rules)

    def test_it_learns_what_pays(self, make, name):
        if name == "thompson":  # whoever it is
            made = self.taught(make).probabilities(np.zeros((1, 4)))[0]
            assert made.argmax() == ACTIONS.index("coupon")
            return
        super().test_it_learns_what_pays(make)

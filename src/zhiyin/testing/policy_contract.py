"""What every policy must do. A new one is done when a subclass of `PolicyContract` passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from zhiyin.core.artifact import pack, unpack
from zhiyin.core.errors import ZhiyinError
from zhiyin.core.protocols import Policy

ACTIONS = ("none", "coupon", "gift", "call")
ROWS = 60
Make = Callable[[], Policy]


def lots(seed: int = 5) -> np.random.Generator:
    """A generator at its start."""
    return np.random.Generator(np.random.PCG64(seed))


class PolicyContract:
    """Tests of `core.protocols.Policy`.

    A subclass has the fixture `make`: a function that gives a new policy over `ACTIONS` whose
    contexts have `width` numbers; it may explore or not. `learns`: whether it learns from rewards
    of 0 and 1.
    """

    width = 4
    learns = True

    def contexts(self, rows: int = ROWS) -> np.ndarray:
        """Some contexts, the last number of each being 1."""
        made = lots(1).normal(size=(rows, self.width))
        made[:, -1] = 1.0
        return made

    def taught(self, make: Make) -> Policy:
        """One that has learned that a coupon pays where the first number is above 0."""
        policy, seen = make(), self.contexts(200)
        actions = [ACTIONS[place] for place in lots(2).integers(len(ACTIONS), size=len(seen))]
        paid = [float(name == "coupon" and x[0] > 0) for name, x in zip(actions, seen, strict=True)]
        policy.update(seen, actions, np.array(paid))
        return policy

    def test_chances_are_chances_and_of_eligible_actions_alone(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        eligible = lots(3).random((ROWS, len(ACTIONS))) < 0.5
        made = policy.probabilities(seen, eligible)
        assert (made >= 0).all()
        assert (made[~eligible] == 0).all()
        np.testing.assert_allclose(made.sum(axis=1), eligible.any(axis=1), atol=1e-12)

    def test_the_propensity_is_the_chance_it_was_drawn_by(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        chances = policy.probabilities(seen)
        made = policy.choose_many(seen, rng=lots())
        np.testing.assert_array_equal(made.propensities, chances[np.arange(ROWS), made.places])
        one = np.repeat(seen[:1], 4_000, axis=0)
        drawn = np.bincount(policy.choose_many(one, rng=lots()).places, minlength=len(ACTIONS))
        assert np.abs(drawn / len(one) - chances[0]).max() < 0.04

    def test_one_by_one_is_as_many_at_once(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        eligible = lots(3).random((ROWS, len(ACTIONS))) < 0.7
        many, rng = policy.choose_many(seen, eligible, rng=lots()), lots()
        ones = [policy.choose(x, may, rng=rng) for x, may in zip(seen, eligible, strict=True)]
        assert [one.action for one in ones] == many.names()
        assert [one.explored for one in ones] == many.explored.tolist()
        told = [one.propensity for one in ones]
        np.testing.assert_allclose(told, many.propensities, atol=1e-9)
        named = [ACTIONS[place] for place in np.flatnonzero(eligible[0])]
        assert policy.choose(seen[0], named, rng=lots()) == ones[0]

    def test_nothing_eligible_is_nothing_chosen_for_sure(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts(2)
        assert tuple(policy.choose(seen[0], [], rng=lots())) == (None, 1.0, False)
        made = policy.choose_many(seen, np.array([[False] * 4, [True] * 4]), rng=lots())
        assert made.places[0] == -1
        assert made.names()[0] is None
        assert made.propensities[0] == 1.0
        assert made.places[1] >= 0

    def test_one_eligible_action_is_chosen_for_sure(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts(5)
        for name, x in zip(ACTIONS, seen, strict=False):
            assert tuple(policy.choose(x, [name], rng=lots())) == (name, 1.0, False)

    def test_unknown_numbers_are_decided_on_and_infinite_ones_refused(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts(3)
        seen[0, 0] = seen[1, :] = np.nan
        made = policy.probabilities(seen)
        np.testing.assert_allclose(made.sum(axis=1), 1.0)
        assert policy.choose(seen[1], rng=lots()).action in ACTIONS
        seen[2, 1] = np.inf
        with pytest.raises(ZhiyinError):
            policy.probabilities(seen)

    def test_it_is_restored_to_the_last_bit(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        again = type(policy).from_artifact(unpack(pack(policy.to_artifact())))
        assert (again.name, again.actions) == (policy.name, policy.actions)
        for one in (policy, again):
            one.update(seen[0], "gift", 1.0)
            one.update(seen[:3], ["call", "gift", "none"], np.array([0.0, 1.0, 0.0]))
        np.testing.assert_array_equal(again.probabilities(seen), policy.probabilities(seen))
        assert pack(again.to_artifact()) == pack(policy.to_artifact())

    def test_the_same_generator_gives_the_same(self, make: Make) -> None:
        first, second = self.taught(make), self.taught(make)
        seen = self.contexts()
        made = [one.choose_many(seen, rng=lots()) for one in (first, second)]
        np.testing.assert_array_equal(made[0].places, made[1].places)

    def test_nobody_to_decide_on_is_nothing_chosen_and_nothing_learned(self, make: Make) -> None:
        policy, nobody = self.taught(make), self.contexts(0)
        before = pack(policy.to_artifact())
        assert policy.choose_many(nobody, rng=lots()).names() == []
        assert policy.probabilities(nobody).shape == (0, len(ACTIONS))
        policy.update(nobody, [], np.array([]))
        assert pack(policy.to_artifact()) == before

    def test_a_weight_of_nothing_teaches_nothing(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        before = policy.probabilities(seen)
        policy.update(seen[0], "coupon", 1.0, weights=np.zeros(1))
        np.testing.assert_allclose(policy.probabilities(seen), before, atol=1e-6)

    def test_wrong_shapes_and_names_are_refused(self, make: Make) -> None:
        policy, seen = make(), self.contexts(2)
        for wrong in (
            lambda: policy.choose(seen, rng=lots()),
            lambda: policy.choose(["a text"] * seen.shape[1], rng=lots()),
            lambda: policy.choose(seen[0], ["no such action"], rng=lots()),
            lambda: policy.probabilities(seen, np.ones((2, 3), bool)),
            lambda: policy.probabilities(seen, np.ones((2, 4))),
        ):
            with pytest.raises(ZhiyinError):
                wrong()

    def test_it_learns_what_pays(self, make: Make) -> None:
        policy, seen = self.taught(make), self.contexts()
        likes = seen[:, 0] > 0.5
        before, after = make().probabilities(seen), policy.probabilities(seen)
        place = ACTIONS.index("coupon")
        if self.learns:
            assert after[likes, place].mean() > 0.5
            assert after[likes, place].mean() > before[likes, place].mean()
        else:
            np.testing.assert_array_equal(after, before)

    def test_rewards_that_are_not_known_are_refused(self, make: Make) -> None:
        policy, seen = make(), self.contexts(2)
        if not self.learns:
            return
        before = pack(policy.to_artifact())
        with pytest.raises(ZhiyinError):
            policy.update(seen, ["coupon", "gift"], np.array([1.0, np.nan]))
        with pytest.raises(ZhiyinError):
            policy.update(seen[0], "coupon", float("nan"))
        assert pack(policy.to_artifact()) == before

"""Choices for many at once are those that requests would get one by one, with the same chances."""

from __future__ import annotations

import numpy as np
import pytest

from zhiyin.core.rng import Lots
from zhiyin.decide.points.check import parse
from zhiyin.decide.points.many import choose_each, choose_together
from zhiyin.decide.points.point_policy import make_policy, usual_scaling
from zhiyin.decide.points.served import Rising, Served

ACTIONS = ("none", "coupon", "gift")
HOME = {
    "key": "home", "default": "none", "context": {"cart": {"middle": 1}},
    "actions": [{"name": one} for one in ACTIONS],
}  # fmt: skip


def policy(point, *, seed=0, **changes):
    made = make_policy(parse(point | changes), usual_scaling(parse(point | changes), {}))
    rng = np.random.default_rng(seed)
    numbers = rng.normal(1, 1, (60, 1))
    names = [ACTIONS[n] for n in rng.integers(3, size=60)]
    made.policy.update(made.contexts(numbers), names, rng.integers(2, size=60) * 1.0)
    return made


def served(*, rising=False, **changes):
    point = HOME | changes
    new = policy(point, policy={"name": "epsilon_greedy", "explore": 0.3}) if rising else None
    return Served(
        parse(point), version=1, paused=False, policy=policy(point, seed=1),
        rising=new and Rising(2, 0, 0.4, new),
    )  # fmt: skip


def lots_of(n):
    lots = Lots()
    return np.array([lots.of(f"d_{row}").random(2) for row in range(n)])


@pytest.mark.parametrize(
    ("rising", "changes"), [(False, {}), (False, {"holdout": 0.2}), (True, {"holdout": 0.1})]
)
def test_each_row_is_what_a_request_of_its_id_would_get(rising, changes):
    one, n = served(rising=rising, **changes), 200
    rng = np.random.default_rng(3)
    numbers, flags = rng.normal(1, 1, (n, 1)), rng.random((n, 3)) < 0.7
    flags[:, 1] |= ~flags.any(axis=1)
    lots = Lots()
    together = choose_together(one, numbers, flags, lots=lots_of(n))
    for row, made in enumerate(together):
        alone = one.choose(numbers[row], flags[row], 1, lots.of(f"d_{row}"))
        assert (made.places[0].action, made.arm, made.ramp) == (
            alone.places[0].action, alone.arm, alone.ramp,
        )  # fmt: skip
        assert made.places[0].eligible == alone.places[0].eligible
        assert made.propensity == pytest.approx(alone.propensity, abs=1e-9)
        assert made.policy is alone.policy


def test_the_chance_that_is_told_is_how_often_it_is_given():
    one = served(rising=True, holdout=0.1)
    n = 4000
    numbers, flags = np.full((n, 1), 1.5), np.ones((n, 3), bool)
    made = choose_together(one, numbers, flags, lots=lots_of(n))
    told = {chosen.places[0].action: chosen.propensity for chosen in made}
    assert sum(told.values()) == pytest.approx(1)
    for action, chance in told.items():
        share = np.mean([chosen.places[0].action == action for chosen in made])
        assert share == pytest.approx(chance, abs=4 * (chance * (1 - chance) / n) ** 0.5)


def test_what_runs_out_is_given_to_nobody_more_and_the_rest_choose_among_what_is_left():
    stocked = [{"name": "none"}, {"name": "coupon", "stock": 5}, {"name": "gift", "stock": 3}]
    one, n = served(actions=stocked), 100
    numbers, flags = np.full((n, 1), 1.0), np.ones((n, 3), bool)
    flags[:10, 0] = False  # these have nothing when all is given
    lots = Lots()
    together = choose_together(one, numbers, flags, lots=lots_of(n))
    each = choose_each(one, numbers, flags, rngs=(lots.of(f"d_{row}") for row in range(n)))
    assert [made.places[0].action for made in together] == [made.places[0].action for made in each]
    given = [made.places[0].action for made in together if made.policy]
    assert (given.count("coupon"), given.count("gift")) == (5, 3)
    assert [made.policy is None for made in together[:10]] == [False] * 8 + [True] * 2
    assert {made.places[0].eligible for made in together[-50:]} == {("none",)}
    assert {made.propensity for made in together[-50:]} == {1.0}

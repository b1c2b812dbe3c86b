"""Rich shops behind Gymnasium's interface."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from zhiyin.core.errors import InvalidParameter, MissingExtra, NotFound
from zhiyin.simulate import env as module
from zhiyin.simulate.env import make_env
from zhiyin.simulate.presets import PRESETS


@pytest.mark.parametrize("preset", [*PRESETS])
def test_gymnasiums_own_check_passes(preset):
    check_env(make_env(preset, periods=5), skip_render_check=True)


def test_an_episode_is_so_many_periods_of_one_customer_and_is_repeated_by_its_seed():
    made = make_env("grocery", periods=6)
    told = []
    for _ in range(2):
        seen, info = made.reset(seed=11)
        path = [seen]
        for period in range(6):
            seen, reward, terminated, truncated, info = made.step(period % 7)
            assert not terminated
            assert truncated == (period == 5)
            path.append(np.append(seen, reward))
        told.append(np.concatenate(path))
        assert set(info["action_mask"]) <= {0, 1}
    np.testing.assert_array_equal(*told)
    other, _ = made.reset()
    assert not np.array_equal(other, told[0][: len(other)])


def test_the_reward_is_what_the_shop_brought():
    made = make_env("jeweller", periods=3)
    made.reset(seed=3)
    beside = made.shop.fork()
    _, reward, *_ = made.step(6)
    assert reward == beside.step(np.array([6])).rewards[0]


def test_wrong_ways_are_refused_in_words(monkeypatch):
    with pytest.raises(NotFound, match="bakery"):
        make_env("bakery")
    with pytest.raises(InvalidParameter, match="1 or more periods"):
        make_env("grocery", periods=0)
    module._kind.cache_clear()
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match="gymnasium is not installed") as caught:
        make_env("grocery")
    assert "zhiyin[gym]" in caught.value.hint

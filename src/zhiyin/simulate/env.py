"""A customer of a rich shop as an environment of Gymnasium, for libraries that learn in those.

    env = make_env("grocery", periods=52)
    seen, info = env.reset(seed=7)                 # another customer each time
    seen, reward, terminated, truncated, info = env.step(2)

Needs the extra `gym`. Many customers at once are quicker in `RichShop.step` itself, which is what
`decide.mdp.gradient` learns in.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from zhiyin.core.errors import InvalidParameter
from zhiyin.core.extras import load_extra
from zhiyin.simulate.presets import Preset, find_preset
from zhiyin.simulate.rich import RichShop

LOW, HIGH = -100.0, 1e6  # of what is observed
SEEDS = 2**31


def make_env(preset: str | Preset, *, periods: int = 52) -> Any:
    """A `gymnasium.Env` whose episode is so many periods of one customer.

    `observation_space`: a `Box` of the features (`env.names`), what is not known being 0;
    `action_space`: `Discrete`, the actions (`env.actions`). `info["action_mask"]` says what may be
    done; what may not be done is done as nothing. The reward is margin less cost in yuan. An
    episode is truncated, never terminated: that she has left is not seen. `env.shop` holds the
    truth.

    Raises
    ------
    NotFound
        If no preset has the name.
    MissingExtra
        If gymnasium is not installed.
    """
    if periods < 1:
        raise InvalidParameter(f"an episode has 1 or more periods, not {periods}")
    return _kind()(find_preset(preset) if isinstance(preset, str) else preset, periods)


@cache
def _kind() -> type:
    gym = load_extra("gymnasium", "gym")

    class CustomerEnv(gym.Env):
        """See `make_env`."""

        metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium reads it from the class
        render_mode = None

        def __init__(self, preset: Preset, periods: int) -> None:
            self.preset, self.periods = preset, periods
            self.shop = RichShop(preset, 0, customers=1)
            self.names, self.actions = self.shop.observe().names, preset.actions
            self.observation_space = gym.spaces.Box(LOW, HIGH, (len(self.names),), np.float32)
            self.action_space = gym.spaces.Discrete(len(self.actions))

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            """Another customer at period 0; the same for the same seed."""
            super().reset(seed=seed)
            lot = int(self.np_random.integers(SEEDS))
            self.shop = RichShop(self.preset, lot, customers=1)
            return self._tell()

        def step(self, action: Any) -> Any:
            """Live a period."""
            number = np.array([int(action)])
            lived = self.shop.step(number)
            seen, info = self._tell()
            over = self.shop.period >= self.periods
            return seen, float(lived.rewards[0]), False, over, info

        def _tell(self) -> tuple[np.ndarray, dict[str, Any]]:
            seen = self.shop.observe()
            known = np.nan_to_num(seen.features[0], nan=0.0)
            bounded = np.clip(known, LOW, HIGH).astype(np.float32)
            return bounded, {"action_mask": seen.eligible[0].astype(np.int8)}

    return CustomerEnv

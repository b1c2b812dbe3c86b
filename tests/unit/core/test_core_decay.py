"""When a model no longer keeps what its card promised."""

from zhiyin.core.decay import find_decay
from zhiyin.core.values import Estimate


def test_a_model_has_decayed_when_its_interval_is_below_what_was_promised():
    assert find_decay(0.8, Estimate(0.7, 0.65, 0.75, 100)) == "decayed"
    assert find_decay(0.8, Estimate(0.7, 0.55, 0.85, 100)) == "ok"
    assert find_decay(None, None) == "not_yet"

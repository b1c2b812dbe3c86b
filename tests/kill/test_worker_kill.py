"""kill -9 of the worker while a campaign goes out and a journey runs (law 3); many more in
`make torture`."""

import os

import pytest

from tests.kills import CAMPAIGN, JOURNEY, SINK, SMTP, WEBHOOK, run_killed

SEED = int(os.environ.get("TORTURE_SEED", "0"))


@pytest.mark.parametrize(
    ("what", "channel"),
    [(CAMPAIGN, SMTP), (CAMPAIGN, WEBHOOK), (JOURNEY, SINK)],
)
def test_a_killed_worker_sends_nothing_twice_and_forgets_nothing(tmp_path, what, channel):
    made = run_killed(
        tmp_path, what=what, channel=channel, people=100, kills=2,
        seed=SEED or int.from_bytes(os.urandom(4)),
    )  # fmt: skip
    assert made.flaws == [], made.figures
    assert made.figures["kills"] > 0

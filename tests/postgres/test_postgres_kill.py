"""kill -9 of the worker with its ledger on PostgreSQL (law 3)."""

import os

import pytest

from tests.kills import CAMPAIGN, JOURNEY, SMTP, WEBHOOK, run_killed


@pytest.mark.parametrize(("what", "channel"), [(CAMPAIGN, SMTP), (JOURNEY, WEBHOOK)])
def test_a_killed_worker_sends_nothing_twice_and_forgets_nothing(
    tmp_path, ledger_address, what, channel
):
    made = run_killed(
        tmp_path, what=what, channel=channel, people=100, kills=2, address=ledger_address,
        seed=int.from_bytes(os.urandom(4)),
    )  # fmt: skip
    assert made.flaws == [], made.figures
    assert made.figures["kills"] > 0

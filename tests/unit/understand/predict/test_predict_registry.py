"""Champion and challenger: compared on the same rows, promoted, approved by two, rolled back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from zhiyin.core.errors import InvalidParameter, NotFound, PermissionDenied
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import registry as r
from zhiyin.understand.predict.training import Version

DAY = date(2024, 5, 1)


def version(name: str, days: int) -> Version:
    made = DAY + timedelta(days=days)
    return Version("churn", "", name, made, "tree", "d", {"status": "ok"}, r.TURN)


def entry(number: int, name: str, days: int, *, by: str = r.TURN, kind: str = r.PROMOTED):
    return r.Entry(number, "churn", "", name, kind, DAY + timedelta(days=days), by)


V1, V2, V3 = version("v1", 0), version("v2", 30), version("v3", 60)
LOG = [entry(1, "v1", 0), entry(2, "v2", 30)]


def outcomes(n: int = 2000, noise: float = 1.0):
    rng = np.random.default_rng(5)
    truth = rng.normal(size=n)
    labels = (rng.uniform(size=n) < 1 / (1 + np.exp(-2 * truth))).astype(int)
    return labels, truth + noise * rng.normal(size=n), truth


def rng():
    return Streams(1).generator("test")


def test_a_better_challenger_takes_over_with_its_interval_beside():
    labels, noisy, truth = outcomes()
    found = r.compare(labels, noisy, truth, group="g", rng=rng())
    assert found.difference.low > 0
    assert r.judge(found, policy=r.AUTO).promote
    assert found.to_card()["difference_low"] == pytest.approx(found.difference.low, abs=1e-6)


def test_a_worse_challenger_does_not():
    labels, noisy, truth = outcomes()
    found = r.compare(labels, truth, noisy, group="g", rng=rng())
    assert (r.judge(found, policy=r.AUTO).promote, found.difference.high < 0) == (False, True)
    assert r.judge(found, policy=r.AUTO).reason == "not_better"


def test_pairing_makes_the_interval_narrower_than_that_of_two_samples():
    labels, noisy, truth = outcomes(noise=0.1)
    found = r.compare(labels, noisy, truth, group="g", rng=rng()).difference
    shuffled = np.random.default_rng(0).permutation(len(labels))
    apart = [
        r.compare(labels[rows], noisy[rows], truth[rows], group="g", rng=rng()).challenger
        for rows in (shuffled[:1000], shuffled[1000:])
    ]
    assert found.high - found.low < 2 * abs(apart[0] - apart[1]) + 0.02


def test_too_few_outcomes_compare_nothing():
    labels = np.zeros(100, dtype=int)
    found = r.compare(labels, labels, labels, group="g", rng=rng())
    assert (found.status, r.judge(found, policy=r.AUTO).promote) == ("too_few_outcomes", False)


def test_the_first_model_speaks_unless_the_workspace_asks_for_approval():
    first = r.Comparison("no_champion")
    assert r.judge(first, policy=r.AUTO).promote
    assert r.judge(first, policy=r.APPROVE).reason == "needs_approval"


def test_what_a_rollback_put_aside_does_not_come_back_by_itself():
    labels, noisy, truth = outcomes()
    found = r.compare(labels, noisy, truth, group="g", rng=rng())
    assert r.judge(found, policy=r.AUTO, put_aside=True).reason == "put_aside"


def test_a_turn_run_again_sees_the_champion_of_before():
    assert r.champion_on(LOG, DAY) is None
    assert r.champion_on(LOG, V2.as_of_on) == "v1"
    assert r.champion_now(LOG) == "v2"


def test_what_a_person_decided_on_the_day_holds_for_its_turn():
    log = [*LOG, entry(3, "v1", 30, by="ann", kind=r.ROLLED_BACK)]
    assert r.champion_on(log, V2.as_of_on) == "v1"
    again = [log[0], log[2], replace(log[1], number=4)]  # the turn ran again afterwards
    assert r.champion_now(again) == "v1"


def test_stages_follow_from_the_log():
    assert r.stages([V3, V2, V1], LOG) == {"v3": "challenger", "v2": "champion", "v1": "archived"}


def test_under_approval_a_second_person_confirms():
    ask = {"policy": r.APPROVE}
    assert r.next_step([V3, V2], LOG, "v3", by="ann", **ask) == r.REQUESTED
    asked = [*LOG, entry(3, "v3", 60, by="ann", kind=r.REQUESTED)]
    with pytest.raises(PermissionDenied, match="ann asked"):
        r.next_step([V3, V2], asked, "v3", by="ann", **ask)
    assert r.next_step([V3, V2], asked, "v3", by="ben", **ask) == r.PROMOTED


def test_a_request_from_before_the_last_promotion_is_spent():
    log = [entry(1, "v3", 60, by="ann", kind=r.REQUESTED), entry(2, "v2", 60, by="ben")]
    assert r.next_step([V3, V2], log, "v3", by="ben", policy=r.APPROVE) == r.REQUESTED


def test_without_approval_one_person_promotes_an_archived_version():
    assert r.next_step([V2, V1], LOG, "v1", by="ann", policy=r.AUTO) == r.PROMOTED


def test_the_champion_and_the_unknown_cannot_be_promoted():
    with pytest.raises(InvalidParameter, match="already"):
        r.next_step([V2, V1], LOG, "v2", by="ann", policy=r.AUTO)
    with pytest.raises(NotFound, match="v9"):
        r.next_step([V2, V1], LOG, "v9", by="ann", policy=r.AUTO)


def test_a_rollback_leads_to_the_one_before():
    assert r.previous(LOG) == "v1"
    with pytest.raises(NotFound):
        r.previous(LOG[:1])

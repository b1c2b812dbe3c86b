"""Contracts as of a day: nothing that came later is seen, and churn of contracts is learned."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from zhiyin.core.features import CONTRACT_FEATURES, FEATURES
from zhiyin.core.rng import Streams
from zhiyin.understand.predict import labels
from zhiyin.understand.predict.contracts import contract_features, known_contracts
from zhiyin.understand.predict.snapshot import Terms, score_snapshot
from zhiyin.understand.predict.task import contract_churn

DAY = date(2026, 6, 1)


def contracts(*rows) -> pa.Table:
    names = ("customer_id", "start_on", "end_on", "cancelled_on")
    day = pa.date32()
    schema = pa.schema([(names[0], pa.string()), *((name, day) for name in names[1:])])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def known(table, day=DAY):
    return [tuple(row.values()) for row in known_contracts(table, as_of=day).to_pylist()]


def test_an_end_is_known_once_it_came_or_notice_was_given():
    start, end = date(2026, 1, 1), date(2026, 5, 1)
    ended = contracts(("ann", start, end, date(2026, 4, 10)))
    assert known(ended, date(2026, 4, 10)) == [("ann", start, None, None)]
    assert known(ended, date(2026, 4, 11)) == [("ann", start, end, date(2026, 4, 10))]
    silent = contracts(("ben", start, end, None))
    assert known(silent, end) == [("ben", start, None, None)]
    assert known(silent, end + timedelta(days=1)) == [("ben", start, end, None)]


def test_a_contract_of_the_day_or_of_nobody_is_not_there():
    assert known(contracts(("ann", DAY, None, None), (None, date(2026, 1, 1), None, None))) == []


def test_what_happens_on_the_day_or_later_changes_no_feature():
    start = date(2026, 1, 1)
    before = contracts(("ann", start, None, None), ("ben", start, date(2026, 3, 1), None))
    later = contracts(
        ("ann", start, DAY, DAY), ("ben", start, date(2026, 3, 1), None), ("ann", DAY, None, None)
    )
    pd.testing.assert_frame_equal(
        contract_features(before, days=[DAY]), contract_features(later, days=[DAY])
    )


def test_features_say_what_is_known_of_the_holder():
    table = contracts(
        ("ann", date(2026, 1, 1), date(2026, 3, 1), None),
        ("ann", date(2026, 3, 1), date(2026, 9, 1), date(2026, 5, 20)),
        ("ben", date(2026, 1, 1), date(2026, 3, 1), None),
    )
    (ann,) = contract_features(table, days=[DAY]).to_dict("records")
    assert ann == {
        "as_of_on": DAY, "customer_id": "ann", "contract_tenure_days": 151, "contract_days": 92,
        "contracts_count": 2, "contracts_running": 1, "contracts_cancelled": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def telco():
    """800 subscribers without a single order; those who are new end their contract soon."""
    rng = np.random.default_rng(5)
    rows = []
    for k in range(800):
        start = date(2025, 1, 1) + timedelta(days=int(rng.integers(0, 480)))
        lives = int(rng.exponential(60)) + 1 if rng.random() < 0.6 else 10_000
        end = start + timedelta(days=lives)
        rows.append((f"p_{k:03d}", start, end if lives < 10_000 else None, None))
    return contracts(*rows)


def test_churn_of_contracts_is_learned_without_any_order(telco):
    days = [DAY - timedelta(days=30 * k) for k in (3, 2, 1)]
    task = contract_churn(30).at_days(days)
    found = contract_features(telco, days=[*days, DAY])
    rows = found.assign(**{one.name: 0.0 for one in FEATURES})
    scored = score_snapshot(
        task, rows, as_of=DAY, streams=Streams(7),
        outcomes=labels.contract_labels(
            known_contracts(telco, as_of=DAY), days=days, horizon_days=30, as_of=DAY
        ),
        terms=Terms(history_days=500, silent_days=0, min_positives=20, candidates=("logistic",)),
        holders=found[["as_of_on", "customer_id"]],
    )  # fmt: skip
    assert (scored.status, scored.card["subject"]) == ("ok", "contract")
    assert set(scored.card["features"]) <= {one.name for one in CONTRACT_FEATURES}
    assert scored.card["validation"]["last_fold"]["auc_low"] > 0.6
    risky = scored.scores.sort_by("rank")["customer_id"].to_pylist()[:40]
    today = found[found["as_of_on"] == DAY].set_index("customer_id")["contract_tenure_days"]
    assert today[risky].mean() < today.mean() / 2
    assert len(scored.scores) == len(today)

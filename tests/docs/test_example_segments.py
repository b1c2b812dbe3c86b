"""The example of segments runs on a small file with the columns it names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]


def test_the_example_prints_segments_and_movement(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2011-01-01") + pd.to_timedelta(rng.integers(0, 170, 600), unit="D")
    lines = pd.DataFrame(
        {
            "InvoiceNo": range(600),
            "CustomerID": rng.integers(0, 90, 600).astype(float),
            "InvoiceDate": days.strftime("%m/%d/%y 10:00"),
            "Quantity": rng.integers(1, 9, 600),
            "UnitPrice": rng.lognormal(1, 1, 600),
        }
    )
    lines.to_parquet(tmp_path / "lines.parquet")
    done = subprocess.run(
        [sys.executable, "examples/segments.py", str(tmp_path / "lines.parquet"), "2011-06-27"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "RFM by thresholds" in done.stdout
    assert "DBSCAN 找到" in done.stdout
    assert "2011-03-27 to 2011-06-27" in done.stdout

"""The example of segments runs on a small file with the columns it names."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]


def test_the_example_prints_segments_and_movement(tmp_path, monkeypatch, capsys):
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
    script = ROOT / "examples" / "segments.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "lines.parquet"), "2011-06-27"])
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    assert "RFM by thresholds" in said
    assert "DBSCAN 找到" in said
    assert "2011-03-27 to 2011-06-27" in said

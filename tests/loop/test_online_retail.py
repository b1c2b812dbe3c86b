"""A real shop's file by the command line: loaded, turned, reported; the next purchase predicted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zhiyin.cli import app

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ZHIYIN_SHARED") or ROOT.parent / "shared")
FILE = SHARED / "data" / "online_retail_uci" / "online_retail.parquet"
MAPPING = ROOT / "examples" / "mappings" / "online_retail.toml"


def zhiyin(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.shared_data
@pytest.mark.skipif(not FILE.is_file(), reason="the UCI file is not there (ZHIYIN_SHARED)")
def test_load_and_run_give_a_purchase_model_and_a_report(tmp_path, monkeypatch):
    # 117 days of history: a horizon of 90 days would need 180
    monkeypatch.setenv("ZHIYIN_UNDERSTAND__PURCHASE_HORIZON_DAYS", "45")
    shop = tmp_path / "retail"
    zhiyin("init", shop, "--name", "UCI", "--currency", "GBP", "--zone", "Europe/London")
    loaded = json.loads(zhiyin("load", "order_lines", FILE, "--map", MAPPING, "-w", shop, "--json"))
    assert loaded["read"] == loaded["loaded"] + loaded["quarantined"] == 240_007
    assert loaded["total"]["paid"] == 427_514_393
    summary = json.loads(zhiyin("run", "--as-of", "2011-03-28", "-w", shop, "--json"))
    assert summary["response"]["auc"] is None  # there are no campaigns
    assert summary["segments"]["k"] >= 3
    assert summary["messages"]["sent"] in (0, None)
    assert summary["rows"]["scores"] > 1_000
    assert summary["purchase"]["auc"] > 0.65  # the next 45 days really happened
    assert summary["purchase"]["customers"] > 1_000
    predicted = summary["predictions"]["next_purchase"]
    assert predicted["auc_low"] > 0.6
    assert 0 < predicted["expected"] < predicted["customers"]
    page = (shop / "reports" / "report.html").read_text(encoding="utf-8")
    assert "UCI" in page
    again = zhiyin("load", "order_lines", FILE, "--map", MAPPING, "-w", shop, "--json")
    assert json.loads(again)["already"]

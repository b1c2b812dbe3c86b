"""A provider without orders: contracts are loaded, churn is one that ends, a person is erased."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
from typer.testing import CliRunner

from zhiyin.app import Workspace
from zhiyin.cli import app

DAY = date(2026, 6, 1)


def zhiyin(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def write_subscribers(path):
    """600 subscribers; of those who are new, many end their contract soon."""
    rng = np.random.default_rng(5)
    lines = ["contract,subscriber,plan,since,until"]
    for k in range(600):
        start = date(2025, 1, 1) + timedelta(days=int(rng.integers(0, 480)))
        end = start + timedelta(days=int(rng.exponential(60)) + 1) if rng.random() < 0.6 else ""
        lines.append(f"{k},s{k},{'flat' if k % 2 else 'light'},{start},{end}")
    path.write_text("\n".join(lines) + "\n")


def _measured_afterwards(shop, customers):
    """A later turn lays the scores beside the contracts that had ended by then."""
    with Workspace.open(shop, write=True) as opened:
        for job in ("collect.facts", "measure"):
            opened.run(as_of=DAY + timedelta(days=40), only=job)
    told = zhiyin("models", "show", "churn", "--subject", "contract", "-w", shop)
    (shown,) = json.loads(told)["measured"]
    assert (shown["as_of"], shown["n"]) == (DAY.isoformat(), customers)
    assert shown["low"] > 0.55


def test_contracts_give_churn_scores_and_leave_with_the_person(tmp_path, monkeypatch):
    monkeypatch.setenv("ZHIYIN_UNDERSTAND__CHURN_DEFINITION", "contractual")
    monkeypatch.setenv("ZHIYIN_UNDERSTAND__PURCHASE_HORIZON_DAYS", "30")
    monkeypatch.setenv("ZHIYIN_UNDERSTAND__MIN_POSITIVES", "20")
    shop, file, mapping = (tmp_path / name for name in ("telco", "contracts.csv", "contracts.toml"))
    write_subscribers(file)
    mapping.write_text(
        'source = "telco"\n[columns]\ncontract_id = "contract"\nuser_id = "subscriber"\n'
        'kind = "plan"\nstart_on = "since"\nend_on = "until"\n'
    )
    zhiyin("init", shop, "--name", "Telco", "--currency", "EUR", "--zone", "Europe/Berlin")
    loaded = json.loads(zhiyin("load", "contracts", file, "--map", mapping, "-w", shop, "--json"))
    assert loaded["read"] == loaded["loaded"] == 600
    summary = json.loads(zhiyin("run", "--as-of", DAY, "-w", shop, "--json"))
    churn = summary["predictions"]["churn"]
    assert (churn["status"], churn["horizon_days"]) == ("ok", 30)
    assert churn["auc_low"] > 0.6
    assert 0 < churn["expected"] < 0.3 * churn["customers"]
    assert "with a contract" in (shop / "reports" / "report.html").read_text(encoding="utf-8")
    _measured_afterwards(shop, churn["customers"])
    zhiyin("export", "s0", "--to", tmp_path / "out", "-w", shop)
    (page,) = (tmp_path / "out").glob("*.json")
    (contract,) = json.loads(page.read_text())["tables"]["contracts"]["rows"]
    party = contract["party_id"]
    zhiyin("erase", "s0", "--yes", "-w", shop)
    assert CliRunner().invoke(app, ["export", "s0", "-w", str(shop)]).exit_code != 0
    with Workspace.open(shop) as opened:
        rows = opened.store.read("contracts").to_pyarrow()
    assert party not in rows["party_id"].to_pylist()

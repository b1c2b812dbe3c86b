"""The UCI file through its mapping: all money accounted for, to the penny."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.collect.fakes import MortalStore
from zhiyin.collect.load import load_file
from zhiyin.collect.mapping import read_mapping
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import Settings
from zhiyin.store.vault import Keys, LocalVault

from tests.unit.collect.fakes import naive  # isort: skip

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("ZHIYIN_SHARED") or ROOT.parent / "shared")
FILE = SHARED / "data" / "online_retail_uci" / "online_retail.parquet"


@pytest.mark.shared_data
@pytest.mark.skipif(not FILE.is_file(), reason="the UCI file is not there (ZHIYIN_SHARED)")
def test_every_penny_of_the_file_is_loaded_or_refused():
    store = MortalStore()
    report = load_file(
        store,
        LocalVault(Keys.make(), store.ledger),
        Settings(name="uci", currency="GBP", zone="Europe/London"),
        FrozenClock(naive(2026, 1, 1)),
        FILE,
        "order_lines",
        read_mapping(ROOT / "examples" / "mappings" / "online_retail.toml"),
        dry_run=True,
    )
    table = pq.read_table(FILE, columns=["Quantity", "UnitPrice"]).to_pydict()
    cent = Decimal("0.01")
    pence = sum(
        int((Decimal(quantity) * Decimal(repr(price))).quantize(cent) * 100)
        for quantity, price in zip(table["Quantity"], table["UnitPrice"], strict=True)
    )
    total = report.total
    assert total is not None
    assert total.paid + total.quarantined_paid == pence == 427_514_393
    assert (report.read, report.loaded, report.quarantined) == (240_007, 240_007, 0)
    assert (total.orders, total.customers) == (12_468, 2_974)
    assert round(total.share_without_customer, 3) == 0.28
    assert (total.paid_in, total.paid_back) == (470_038_211, -42_523_818)
    assert round(total.share_paid_back, 4) == 0.0905

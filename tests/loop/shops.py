"""Simulated shops in real workspaces: what their systems export goes through the real load."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from zhiyin.app import Workspace
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.simulate.config import ShopConfig

ORDER = ("products", "customers", "consents", "campaigns", "offers", "touches", "order_lines")


def make_workspace(folder: Path, config: ShopConfig, **settings) -> Workspace:
    """An empty workspace in the shop's currency and zone; few models compete, for speed."""
    quick = {"understand": {"response_candidates": ["logistic", "tree"]}}
    values = {"name": "simulated", "currency": config.currency, "zone": config.zone}
    values |= quick | settings
    return Workspace.create(folder, validate_settings(values, where="test"))


def as_exported(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the headers and decimal amounts that a shop's files have."""
    made = table.rename(columns={"customer_id": "user_id"})
    for name in [one for one in made.columns if one.endswith("_minor")]:
        made[name.removesuffix("_minor")] = made[name].map(lambda minor: f"{minor / 100:.2f}")
        made = made.drop(columns=name)
    return made


def load_tables(workspace: Workspace, tables: dict, folder: Path, *, now: date) -> int:
    """Load the tables as Parquet files; the number of refused rows."""
    workspace.clock = FrozenClock(datetime(now.year, now.month, now.day, 12, tzinfo=UTC))
    folder.mkdir(parents=True, exist_ok=True)
    refused = 0
    for name in ORDER:
        table = tables.get(name)
        if table is None or not len(table):
            continue
        path = folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pandas(as_exported(table), preserve_index=False), path)
        refused += workspace.load(name, path).quarantined
    return refused

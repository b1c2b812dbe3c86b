"""A small shop with two tastes: coffee people and tea people, each with a weekly staple."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

UNTIL = datetime(2026, 6, 1)


def purchases(rows: list[tuple[str | None, str | None, datetime]], **more: list) -> pa.Table:
    """Interactions from (customer, product, moment) rows."""
    columns = {
        "customer_id": pa.array([r[0] for r in rows], pa.string()),
        "product_id": pa.array([r[1] for r in rows], pa.string()),
        "sold_at": pa.array([r[2] for r in rows], pa.timestamp("us")),
    }
    return pa.table(columns | {name: pa.array(values) for name, values in more.items()})


def two_tastes(*, customers: int = 120, days: int = 240, seed: int = 1) -> pa.Table:
    """Each customer buys her staple weekly and other products of her taste at random."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str | None, str | None, datetime]] = []
    for number in range(customers):
        taste = "coffee" if number % 2 else "tea"
        staple = f"{taste}_{number % 5}"
        for day in range(int(rng.integers(7)), days, 7):
            when = UNTIL - timedelta(days=days - day, hours=3)
            if rng.random() < 0.85:
                rows.append((f"c{number:03d}", staple, when))
            if rng.random() < 0.5:
                rows.append((f"c{number:03d}", f"{taste}_{int(rng.integers(15))}", when))
            if rng.random() < 0.05:
                rows.append((f"c{number:03d}", f"gift_{int(rng.integers(4))}", when))
    return purchases(rows)


@pytest.fixture(scope="session")
def shop() -> pa.Table:
    """Interactions of the two tastes until the day and a month beyond it."""
    return two_tastes()

"""A shop whose days are computed one after the other, in a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from zhiyin.core.clock import FrozenClock, naive_utc, start_of_day
from zhiyin.core.config import ProfileSettings, validate_settings
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams
from zhiyin.core.values import JobReport
from zhiyin.profile import incremental_job, job
from zhiyin.testing.store import MemoryStore

ZONE = "America/New_York"
LOADED = datetime(2018, 1, 1)  # times are naive UTC in the lake
COMMON = {"source": "s", "load_id": "l", "loaded_at": LOADED}
REVISED = {"revision": 1, "recorded_at": LOADED, "op": "upsert"}
SETTINGS = {
    "name": "shop", "currency": "USD", "zone": ZONE, "demo": False,
    "understand": {"purchase_horizon_days": 1825},  # no past day to learn from
}  # fmt: skip


def moment(day: date, hour: float) -> datetime:
    """So many hours after the local day began, as naive UTC."""
    return naive_utc(start_of_day(day, ZONE)) + timedelta(hours=hour)


@dataclass
class GrowingShop:
    """Rows are added between the days; `run` computes a day's features and gives the report."""

    store: Any = field(default_factory=lambda: MemoryStore(zone=ZONE))
    count: int = 0

    def add(self, table: str, *rows: dict) -> None:
        """Append rows in one load."""
        self.count += 1
        if rows:
            self.store.append(table, pa.Table.from_pylist(list(rows)), app=f"load-{self.count}")

    def line(self, who: str | None, order: str, at: datetime, **more: object) -> dict:
        """An order line of 10.00 dollars."""
        self.count += 1
        row = {
            "line_id": f"s:{self.count}", "party_id": who, "order_id": order, "sold_at": at,
            "valid_at": at, "product_id": "p1", "store_id": "s1", "kind": "item", "quantity": 1.0,
            "currency": "USD", "suspect": False, "gross_base_minor": 1000,
            "discount_base_minor": 0, "coupon_base_minor": 0, "amount_base_minor": 1000,
        }  # fmt: skip
        return {**row, **REVISED, **COMMON, **more}

    def touch(self, who: str, kind: str, at: datetime, campaign: str = "c1") -> dict:
        """A planned contact or a redemption."""
        self.count += 1
        key = {"touch_id": f"s:{self.count}", "party_id": who, "occurred_at": at}
        return {**key, "kind": kind, "campaign_id": campaign, **COMMON}

    def step(self, who: str, at: datetime, **more: object) -> dict:
        """A page seen."""
        self.count += 1
        key = {"event_id": f"e{self.count}", "party_id": who, "occurred_at": at}
        return {**key, "received_at": at, "kind": "page", "channel": "browser", **COMMON, **more}

    def look(self, who: str, at: datetime, kind: str) -> dict:
        """Something done with a product."""
        self.count += 1
        key = {"item_event_id": f"i{self.count}", "event_id": "e", "party_id": who}
        return {**key, "occurred_at": at, "kind": kind, "product_id": "p1", **COMMON}

    def products(self, valid_at: datetime, **departments: str) -> None:
        """Describe products by id and department; its category is of the same name."""
        rows = [
            {"product_id": name, "department": of, "category": of, "valid_at": valid_at}
            for name, of in departments.items()
        ]
        self.add("products", *({**row, **REVISED, **COMMON} for row in rows))

    def copy(self) -> GrowingShop:
        """The same rows in a store of its own."""
        other = GrowingShop(count=self.count)
        for name in ("_rows", "_done"):
            setattr(other.store, name, dict(getattr(self.store, name)))
        other.store._sizes = {name: list(sizes) for name, sizes in self.store._sizes.items()}
        return other

    def roll(self, day: date, *, tracked: bool = False) -> incremental_job.Rolled:
        """Make the day from the one before, without writing it."""
        return incremental_job.roll(self.context(day), day, tracked=tracked)[1]

    def run(self, day: date, *, incremental: bool = True) -> JobReport:
        """Compute the day."""
        config = ProfileSettings(incremental=incremental, incremental_from_lines=0)
        return job.run(self.context(day), config)

    def context(self, day: date) -> Context:
        """What a job of the day is given."""
        settings = validate_settings(SETTINGS, where="test")
        clock = FrozenClock(datetime(2018, 1, 1, tzinfo=UTC))
        return Context(settings, self.store, None, clock, Streams(1), day, "t")  # pyright: ignore[reportArgumentType]  # the job seals nothing

    def features(self, day: date) -> list[dict]:
        """The stored features of a day, by customer."""
        rows = self.store.read("features").to_pyarrow().to_pylist()
        return [row for row in rows if row["as_of_on"] == day]

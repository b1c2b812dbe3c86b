"""The catalogue of features: name, meaning, unit and window of each, all as of a day.

`profile/features.py` computes them; a test checks that it computes exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Feature:
    """One feature of a customer, or of a customer and a campaign."""

    name: str
    type: Literal["float64", "int64"]
    meaning: str
    meaning_zh: str
    unit: str = ""
    window_days: int | None = None  # None: the whole history


FEATURES: tuple[Feature, ...] = (
    Feature("recency_days", "int64", "days since the last order", "距上次下单天数", "days"),
    Feature("orders_count", "int64", "orders", "订单数", "orders"),
    Feature("revenue_minor", "int64", "revenue, net", "净消费额", "minor units"),
)

CAMPAIGN_FEATURES: tuple[Feature, ...] = (
    Feature(
        "offer_spend_share",
        "float64",
        "share of revenue on the campaign's products",
        "活动商品消费占比",
        "[0, 1]",
    ),
)

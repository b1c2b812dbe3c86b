"""Tables of a simulated shop as its own systems would export them: source ids, our headers.

Times are aware UTC, days are dates, money is in minor units; every table is sorted by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_object_dtype

from zhiyin.core import columns as c
from zhiyin.simulate.campaigns import Campaign
from zhiyin.simulate.days import Lines, Shopfloor
from zhiyin.simulate.people import NEVER

Tables = dict[str, pd.DataFrame]

EMAIL, PURPOSE, GRANTED = "email", "purpose", "granted"
MARKETING, CHANNEL = "marketing", "email"
PLAN_MINUTE, SEND_MINUTE, LEAVE_MINUTE = 12 * 60, 10 * 60, 10 * 60 + 30


def name_customers(numbers: NDArray[np.int64]) -> NDArray[np.object_]:
    """The shop's own ids of customers, `c000001` for number 0."""
    return np.array([f"c{number + 1:06d}" for number in numbers], dtype=object)


def name_products(numbers: NDArray[np.int64]) -> NDArray[np.object_]:
    """The shop's own ids of products, `p00001` for number 0."""
    return np.array([f"p{number + 1:05d}" for number in numbers], dtype=object)


def tell_time(floor: Shopfloor, days: NDArray, minutes: NDArray | int) -> pd.DatetimeIndex:
    """Local day and minute as UTC; a local time that a clock change skips moves forward."""
    opened = np.datetime64(floor.config.opened_on, "m")
    local = (
        opened
        + np.asarray(days) * np.timedelta64(1440, "m")
        + np.asarray(minutes).astype("timedelta64[m]")
    )
    stamps = pd.DatetimeIndex(local.astype("datetime64[us]"))
    placed = stamps.tz_localize(
        floor.config.zone, ambiguous=np.ones(len(stamps), dtype=bool), nonexistent="shift_forward"
    )
    return placed.tz_convert("UTC")


def list_customers(floor: Shopfloor, start: int, end: int) -> pd.DataFrame:
    """Customers who joined on days [start, end)."""
    who = np.flatnonzero((floor.people.joined >= start) & (floor.people.joined < end))
    ids = name_customers(who)
    return _make(
        {
            c.CUSTOMER_ID: ids,
            EMAIL: [f"{one}@example.invalid" for one in ids],
            c.LANGUAGE: np.where(who % 3 == 0, "en", "zh"),
            c.COUNTRY: "CN",
            c.VALID_AT: tell_time(floor, floor.people.joined[who], 0),
        }
    )


def list_products(floor: Shopfloor) -> pd.DataFrame:
    """The whole assortment, known since opening."""
    numbers = np.arange(len(floor.assortment.category))
    category = floor.assortment.category
    return _make(
        {
            c.PRODUCT_ID: name_products(numbers),
            c.NAME: [f"Product {number + 1}" for number in numbers],
            c.DEPARTMENT: [f"department {one // 4 + 1}" for one in category],
            c.CATEGORY: [f"category {one + 1}" for one in category],
            c.BRAND: [f"brand {number % 7 + 1}" for number in numbers],
            c.CURRENCY: floor.config.currency,
            c.PRICE_MINOR: floor.assortment.price_minor,
            c.VALID_AT: tell_time(floor, np.zeros(len(numbers), dtype=np.int64), 0),
        }
    )


def list_order_lines(floor: Shopfloor, lines: Lines) -> pd.DataFrame:
    """Order lines, net of coupons; prices hold no tax or shipping."""
    gross = floor.assortment.price_minor[lines.product] * lines.quantity
    orders = name_orders(lines)
    frame = _make(
        {
            c.LINE_ID: [f"{order}-{one}" for order, one in zip(orders, lines.line, strict=True)],
            c.ORDER_ID: orders,
            c.CUSTOMER_ID: name_customers(lines.customer),
            c.SOLD_AT: tell_time(floor, lines.day, lines.minute),
            c.PRODUCT_ID: name_products(lines.product),
            c.KIND: "item",
            c.QUANTITY: lines.quantity.astype(np.float64),
            c.CURRENCY: floor.config.currency,
            c.GROSS_MINOR: gross,
            c.DISCOUNT_MINOR: np.zeros(len(gross), dtype=np.int64),
            c.COUPON_MINOR: lines.coupon_minor,
            c.AMOUNT_MINOR: gross - lines.coupon_minor,
        }
    )
    return frame.sort_values(c.LINE_ID, ignore_index=True)


def name_orders(lines: Lines) -> NDArray[np.object_]:
    """The shop's own id of each line's order; it does not tell what brought the order."""
    places = zip(lines.day, lines.customer, lines.slot, strict=True)
    return np.array(
        [
            f"o{day:05d}{who + 1:06d}{(slot * 7919 + day * 31 + who * 17) % 997:03d}"
            for day, who, slot in places
        ],
        dtype=object,
    )


def list_campaigns(floor: Shopfloor, campaigns: list[Campaign]) -> pd.DataFrame:
    """Campaigns, known since noon of the day before they start."""
    config = floor.config
    return _make(
        {
            c.CAMPAIGN_ID: [one.campaign_id for one in campaigns],
            c.NAME: [f"Campaign {one.number + 1}" for one in campaigns],
            c.KIND: "coupon",
            c.CHANNEL: CHANNEL,
            c.START_ON: [one.start_on(config) for one in campaigns],
            c.END_ON: [one.end_on(config) for one in campaigns],
            c.VALID_AT: _planned_at(floor, np.array([one.start for one in campaigns], dtype=int)),
        }
    )


def list_offers(floor: Shopfloor, campaigns: list[Campaign]) -> pd.DataFrame:
    """One row per campaign and product its coupon is good for."""
    pairs = [(one, product) for one in campaigns for product in one.products]
    start = np.array([one.start for one, _ in pairs], dtype=int)
    return _make(
        {
            c.OFFER_ID: [name_offer(one) for one, _ in pairs],
            c.CAMPAIGN_ID: [one.campaign_id for one, _ in pairs],
            c.PRODUCT_ID: name_products(np.array([product for _, product in pairs], dtype=int)),
            c.NAME: [f"{floor.config.coupon_rate:.0%} off" for _ in pairs],
            c.KIND: "percent",
            c.START_ON: [one.start_on(floor.config) for one, _ in pairs],
            c.END_ON: [one.end_on(floor.config) for one, _ in pairs],
            c.VALID_AT: _planned_at(floor, start),
        }
    )


def name_offer(campaign: Campaign) -> str:
    """The shop's own id of a campaign's only offer."""
    return f"{campaign.campaign_id}-coupon"


def list_touches(
    floor: Shopfloor,
    lines: Lines,
    *,
    planned: Mapping[int, NDArray[np.int64]],
    sent: Mapping[int, NDArray[np.int64]],
    left: Mapping[int, NDArray[np.int64]],
) -> pd.DataFrame:
    """Plans, contacts, unsubscriptions (campaign number → customers) and redemptions."""
    parts = [_redemptions(floor, lines)]
    for kind, groups, day, minute, cost in (
        ("planned", planned, -1, PLAN_MINUTE, 0),
        ("sent", sent, 0, SEND_MINUTE, floor.config.contact_cost_minor),
        ("unsubscribe", left, 0, LEAVE_MINUTE, 0),
    ):
        for number, who in sorted(groups.items()):
            days = np.full(len(who), floor.calendar[number].start + day)
            parts.append(_touches(floor, kind, floor.calendar[number], who, days, minute, cost))
    together = pd.concat(parts, ignore_index=True)
    return together.sort_values(c.TOUCH_ID, ignore_index=True)


def list_consents(
    floor: Shopfloor, start: int, end: int, withdrawn: NDArray[np.int64]
) -> pd.DataFrame:
    """Consents given or refused on joining, and withdrawals, on days [start, end)."""
    people = floor.people
    new = np.flatnonzero((people.joined >= start) & (people.joined < end))
    gone = np.flatnonzero((withdrawn >= start) & (withdrawn < end) & (withdrawn < NEVER))
    given_at = tell_time(floor, people.joined[new], 0)
    frame = _make(
        {
            c.CUSTOMER_ID: name_customers(np.concatenate([new, gone])),
            PURPOSE: MARKETING,
            c.CHANNEL: CHANNEL,
            GRANTED: np.concatenate([people.opted_in[new], np.zeros(len(gone), dtype=bool)]),
            c.AT: given_at.append(tell_time(floor, withdrawn[gone], LEAVE_MINUTE)),
        }
    )
    return frame.sort_values([c.CUSTOMER_ID, c.AT], ignore_index=True)


def _make(columns: Mapping[str, object]) -> pd.DataFrame:
    """A table whose text columns are text even when there is no row to tell it by."""
    frame = pd.DataFrame(columns)
    lists = {name for name, values in columns.items() if isinstance(values, list)}
    loose = {name for name in frame.columns if is_object_dtype(frame[name].dtype)}
    texts = (lists | loose) - {c.START_ON, c.END_ON}
    return frame.astype(dict.fromkeys(sorted(texts), "str"))


def to_day(floor: Shopfloor, on: date) -> int:
    """Days since opening."""
    return (on - floor.config.opened_on) // timedelta(days=1)


def _planned_at(floor: Shopfloor, start: NDArray[np.int64]) -> pd.DatetimeIndex:
    return tell_time(floor, start - 1, PLAN_MINUTE)


def _redemptions(floor: Shopfloor, lines: Lines) -> pd.DataFrame:
    used = np.flatnonzero(lines.campaign >= 0)
    campaigns = [floor.calendar[number] for number in lines.campaign[used]]
    orders = name_orders(lines)[used]
    return _make(
        {
            c.TOUCH_ID: [
                f"t-redemption-{order}-{line}"
                for order, line in zip(orders, lines.line[used], strict=True)
            ],
            c.CUSTOMER_ID: name_customers(lines.customer[used]),
            c.OCCURRED_AT: tell_time(floor, lines.day[used], lines.minute[used]),
            c.KIND: "redemption",
            c.CAMPAIGN_ID: [one.campaign_id for one in campaigns],
            c.OFFER_ID: [name_offer(one) for one in campaigns],
            c.CHANNEL: CHANNEL,
            c.CURRENCY: floor.config.currency,
            c.COST_MINOR: np.zeros(len(used), dtype=np.int64),
        }
    )


def _touches(
    floor: Shopfloor, kind: str, campaign: Campaign, who: NDArray[np.int64],
    days: NDArray[np.int64], minute: int, cost: int,
) -> pd.DataFrame:  # fmt: skip
    ids = name_customers(who)
    return _make(
        {
            c.TOUCH_ID: [f"t-{kind}-{campaign.campaign_id}-{one}" for one in ids],
            c.CUSTOMER_ID: ids,
            c.OCCURRED_AT: tell_time(floor, days, minute),
            c.KIND: kind,
            c.CAMPAIGN_ID: campaign.campaign_id,
            c.OFFER_ID: name_offer(campaign),
            c.CHANNEL: CHANNEL,
            c.CURRENCY: floor.config.currency,
            c.COST_MINOR: np.full(len(who), cost, dtype=np.int64),
        }
    )

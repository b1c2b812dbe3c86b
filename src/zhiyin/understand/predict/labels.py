"""What happened after a day: the labels that models learn from (law 1: all ends before `as_of`)."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import ibis
import pyarrow as pa
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day

WINDOW_START = "start_at"
WINDOW_END = "end_at"
REDEEMED = "redeemed"
SPEND_MINOR = "spend_minor"
HAPPENED = "happened"


def campaign_windows(campaigns: pa.Table, *, as_of: date, zone: str) -> pa.Table:
    """Moments between which each ended campaign ran.

    Parameters
    ----------
    campaigns
        `campaign_id`, `start_on`, `end_on` (local days).
    as_of
        Campaigns whose last day is before this local day have ended; others are left out.
    zone
        The shop's IANA zone.

    Returns
    -------
    `campaign_id`, `start_at` (inclusive) and `end_at` (exclusive), naive UTC.
    """
    rows = [
        row
        for row in campaigns.select([c.CAMPAIGN_ID, c.START_ON, c.END_ON]).to_pylist()
        if row[c.END_ON] < as_of
    ]
    rows.sort(key=lambda row: row[c.CAMPAIGN_ID])
    one = timedelta(days=1)
    return pa.table(
        {
            c.CAMPAIGN_ID: pa.array([row[c.CAMPAIGN_ID] for row in rows], pa.string()),
            WINDOW_START: pa.array(
                [naive_utc(start_of_day(row[c.START_ON], zone)) for row in rows], pa.timestamp("us")
            ),
            WINDOW_END: pa.array(
                [naive_utc(start_of_day(row[c.END_ON] + one, zone)) for row in rows],
                pa.timestamp("us"),
            ),
        }
    )


def response_labels(tables: Mapping[str, ibis.Table], windows: ibis.Table) -> ibis.Table:
    """Who redeemed in each ended campaign, and what redeemers spent on its products meanwhile.

    Parameters
    ----------
    tables
        `touches`, `offers` and `order_lines` as of the day, with `customer_id`.
    windows
        What `campaign_windows` gives, as a table of the same engine.

    Returns
    -------
    One row per campaign and planned recipient: `campaign_id`, `customer_id`, `redeemed` (0 or 1),
    `spend_minor` (null where she did not redeem).
    """
    touches = tables["touches"].inner_join(windows, c.CAMPAIGN_ID)
    touches = touches.filter(touches[c.CUSTOMER_ID].notnull())
    planned = touches.filter(touches[c.KIND] == "planned")
    planned = planned.select(c.CAMPAIGN_ID, c.CUSTOMER_ID).distinct()
    redeemed = touches.filter(
        touches[c.KIND] == "redemption",
        touches[c.OCCURRED_AT] >= touches[WINDOW_START],
        touches[c.OCCURRED_AT] < touches[WINDOW_END],
    )
    keys = [c.CAMPAIGN_ID, c.CUSTOMER_ID]
    redeemed = redeemed.select(*keys, WINDOW_START, WINDOW_END).distinct()
    spend = _spend(tables, redeemed)
    who = redeemed.select(*keys, **{REDEEMED: ibis.literal(1, "int64")})
    made = planned.left_join(who, keys).select(*keys, REDEEMED)
    made = made.left_join(spend, keys).select(*keys, REDEEMED, SPEND_MINOR)
    return made.mutate(
        **{
            REDEEMED: made[REDEEMED].fill_null(0),
            SPEND_MINOR: ibis.ifelse(
                made[REDEEMED] == 1, made[SPEND_MINOR].fill_null(0), ibis.null("int64")
            ),
        }
    )


def _spend(tables: Mapping[str, ibis.Table], redeemed: ibis.Table) -> ibis.Table:
    """Spend of redeemers on the products of the campaign's offers while it ran."""
    keys = [c.CAMPAIGN_ID, c.CUSTOMER_ID]
    offers = tables["offers"]
    anything = offers.filter(offers[c.PRODUCT_ID].isnull()).select(c.CAMPAIGN_ID).distinct()
    named = offers.select(c.CAMPAIGN_ID, c.PRODUCT_ID).distinct()
    lines = tables["order_lines"]
    lines = lines.filter(lines[c.KIND].isin(["item", "return"]))
    sold = lines.select(c.CUSTOMER_ID, c.PRODUCT_ID, c.SOLD_AT, c.AMOUNT_BASE_MINOR)
    met = redeemed.inner_join(sold, c.CUSTOMER_ID)
    met = met.filter(met[c.SOLD_AT] >= met[WINDOW_START], met[c.SOLD_AT] < met[WINDOW_END])
    met = met.select(*keys, c.PRODUCT_ID, c.AMOUNT_BASE_MINOR)
    wanted = ibis.union(
        met.semi_join(named, [c.CAMPAIGN_ID, c.PRODUCT_ID]).anti_join(anything, c.CAMPAIGN_ID),
        met.semi_join(anything, c.CAMPAIGN_ID),
    )
    return wanted.group_by(keys).agg(**{SPEND_MINOR: _[c.AMOUNT_BASE_MINOR].sum().cast("int64")})


def purchase_windows(
    days: Sequence[date], *, horizon_days: int, as_of: date, zone: str
) -> pa.Table:
    """Moments of the horizon after each snapshot day; days whose horizon is not over are left out.

    Returns
    -------
    `as_of_on`, `start_at` (inclusive), `end_at` (exclusive), naive UTC.
    """
    horizon = timedelta(days=horizon_days)
    over = sorted(day for day in days if day + horizon <= as_of)
    return pa.table(
        {
            c.AS_OF_ON: pa.array(over, pa.date32()),
            WINDOW_START: pa.array(
                [naive_utc(start_of_day(day, zone)) for day in over], pa.timestamp("us")
            ),
            WINDOW_END: pa.array(
                [naive_utc(start_of_day(day + horizon, zone)) for day in over], pa.timestamp("us")
            ),
        }
    )


def purchase_labels(order_lines: ibis.Table, windows: ibis.Table) -> ibis.Table:
    """Who bought within each horizon.

    Parameters
    ----------
    order_lines
        As of the day, with `customer_id`.
    windows
        What `purchase_windows` gives, as a table of the same engine.

    Returns
    -------
    One row per snapshot day and buyer: `as_of_on`, `customer_id`, `happened` = 1.
    """
    met = _met(order_lines, windows)
    return met.select(c.AS_OF_ON, c.CUSTOMER_ID).distinct().mutate(**{HAPPENED: ibis.literal(1)})


def category_labels(
    order_lines: ibis.Table, products: ibis.Table, windows: ibis.Table, *, categories: Sequence[str]
) -> ibis.Table:
    """Who bought in which of the categories within each horizon.

    Parameters
    ----------
    order_lines, products
        As of the day; products with `product_id` and `category`.
    windows
        What `purchase_windows` gives, as a table of the same engine.
    categories
        The categories asked for.

    Returns
    -------
    One row per snapshot day, category and buyer: `as_of_on`, `category`, `customer_id`,
    `happened` = 1.
    """
    named = products.filter(products[c.CATEGORY].isin(list(categories)))
    met = _met(order_lines, windows).inner_join(
        named.select(c.PRODUCT_ID, c.CATEGORY), c.PRODUCT_ID
    )
    rows = met.select(c.AS_OF_ON, c.CATEGORY, c.CUSTOMER_ID).distinct()
    return rows.mutate(**{HAPPENED: ibis.literal(1)})


def _met(order_lines: ibis.Table, windows: ibis.Table) -> ibis.Table:
    """Items sold within each window."""
    lines = order_lines.filter(order_lines[c.KIND] == "item", order_lines[c.CUSTOMER_ID].notnull())
    sold = lines.select(c.CUSTOMER_ID, c.PRODUCT_ID, c.SOLD_AT)
    return windows.join(
        sold, [sold[c.SOLD_AT] >= windows[WINDOW_START], sold[c.SOLD_AT] < windows[WINDOW_END]]
    )


def contract_holders(contracts: pa.Table, *, days: Sequence[date]) -> pa.Table:
    """Who holds a contract on each day.

    Parameters
    ----------
    contracts
        `customer_id`, `start_on`, `end_on` (local days; `end_on` null: it runs on). A contract
        holds from its start until the day before its end.
    days
        Days to ask.

    Returns
    -------
    `as_of_on`, `customer_id`, each once.
    """
    held = {
        (day, row[c.CUSTOMER_ID])
        for row in contracts.select([c.CUSTOMER_ID, c.START_ON, c.END_ON]).to_pylist()
        for day in days
        if row[c.START_ON] < day and (row[c.END_ON] is None or row[c.END_ON] >= day)
    }
    return _pairs(sorted(held))


def contract_labels(
    contracts: pa.Table, *, days: Sequence[date], horizon_days: int, as_of: date
) -> pa.Table:
    """Whose contract ended within the horizon of each day, without another that ran on.

    Parameters
    ----------
    contracts
        As for `contract_holders`; ends on or after `as_of` have not happened yet.
    days, horizon_days, as_of
        Days whose horizon is not over by `as_of` are left out.

    Returns
    -------
    `as_of_on`, `customer_id`, `happened` = 1 for those who held a contract on the day and none a
    horizon later.
    """
    horizon = timedelta(days=horizon_days)
    over = [day for day in days if day + horizon <= as_of]
    before = contract_holders(contracts, days=over).to_pylist()
    later = contract_holders(contracts, days=[day + horizon for day in over]).to_pylist()
    still = {(row[c.AS_OF_ON] - horizon, row[c.CUSTOMER_ID]) for row in later}
    ended = [pair for row in before if (pair := (row[c.AS_OF_ON], row[c.CUSTOMER_ID])) not in still]
    made = _pairs(ended)
    return made.append_column(HAPPENED, pa.array([1] * made.num_rows, pa.int64()))


def _pairs(rows: Sequence[tuple[date, str]]) -> pa.Table:
    return pa.table(
        {
            c.AS_OF_ON: pa.array([day for day, _ in rows], pa.date32()),
            c.CUSTOMER_ID: pa.array([who for _, who in rows], pa.string()),
        }
    )

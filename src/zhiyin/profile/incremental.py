"""The features of a day from those of a day before: equal to computing them anew, in less time.

Between two days most customers do nothing. Their features are those of the day before, less what
left a window (`leaving`), and but for the days since something happened: both are finished from
moments kept beside the features. Everyone else is *touched* and computed in full, from her own rows
alone.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES, MOMENTS
from zhiyin.core.tables import table as table_of
from zhiyin.profile.browsing import TABLES
from zhiyin.profile.facts import Keep, gather
from zhiyin.profile.features import DECIMALS, build_days
from zhiyin.profile.leaving import BROWSING_DAYS, rows_leaving, take_away
from zhiyin.profile.purchases import recencies
from zhiyin.profile.response import rate_of
from zhiyin.profile.visible import COLUMNS, Days, days_since

PLACES = 3  # departments of the shop that features name
_ROWS = ("order_lines", "touches", "events", "item_events", "customers")


def newly_seen(rows: ibis.Table, name: str, days: Days) -> ibis.Table:
    """Rows of a table whose business time lies between the two days of `days`.

    One filter for each time and not one that joins them, so that the engine can leave out files.
    """
    parts, start, earlier = [], days.start(0), []
    for time in _times(rows, name):
        parts.append(rows.filter(rows[time] >= start, *earlier))
        earlier.append(rows[time] < start)
    return ibis.union(*parts) if parts else rows.limit(0)


def touched(
    tables: Mapping[str, ibis.Table],
    added: Mapping[str, ibis.Table],
    before: ibis.Table,
    days: Days,
    *,
    new: ibis.Table,
    gone: ibis.Table,
) -> ibis.Table:
    """Customers whose features may change otherwise than by the passing of days.

    Parameters
    ----------
    tables
        Those of `features.build` as the second day of `days` sees them.
    added
        Of the same tables the rows that were added since the first day's features were made, as
        the second day sees them.
    before
        Features and moments of the first day.
    days
        The day whose features are known, and the one to compute.
    new, gone
        Order lines that are newly seen, and those that leave a window: what `newly_seen` and
        `leaving.lines_leaving` give.

    Returns
    -------
    `customer_id`, one row each: who has a row that was added or is newly seen, an event that leaves
    a window, a purchase that does and receipts scattered over days, or a purchase of a product that
    is described anew.
    """
    found = []
    for name in _ROWS:
        if name not in tables:
            continue
        rows = tables[name]
        seen = new if name == "order_lines" else newly_seen(rows, name, days)
        found += [seen, added[name]]
        if name in TABLES:
            found.append(rows_leaving(rows, name, days, windows=BROWSING_DAYS))
    scattered = before.filter(before.scattered > 0)
    found.append(scattered.semi_join(gone, c.CUSTOMER_ID))
    described = newly_described(tables, added, days)
    found.append(tables["order_lines"].semi_join(described, c.PRODUCT_ID))
    ids = ibis.union(*(rows.select(c.CUSTOMER_ID) for rows in found), distinct=True)
    return ids.filter(ids[c.CUSTOMER_ID].notnull())


def newly_described(
    tables: Mapping[str, ibis.Table], added: Mapping[str, ibis.Table], days: Days
) -> ibis.Table:
    """Products that the second day of `days` sees described, and the first did not."""
    seen = newly_seen(tables["products"], "products", days)
    return ibis.union(seen.select(c.PRODUCT_ID), added["products"].select(c.PRODUCT_ID))


def new_revenue(
    tables: Mapping[str, ibis.Table],
    added: Mapping[str, ibis.Table],
    days: Days,
    *,
    new: ibis.Table,
) -> ibis.Table:
    """Revenue by `department` of items that the first day's features did not see: `size`.

    `new` are the order lines that `newly_seen` gives.
    """
    name = "order_lines"
    late = added[name]
    late = late.filter(*(late[time] < days.start(0) for time in _times(late, name)))
    wanted = (c.CUSTOMER_ID, c.PRODUCT_ID, c.KIND, c.AMOUNT_BASE_MINOR)
    return department_revenue(new.select(*wanted).union(late.select(*wanted)), tables["products"])


def department_revenue(lines: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Revenue of items by `department`: `size`, in minor units."""
    items = lines.filter(lines[c.KIND] == "item", lines[c.CUSTOMER_ID].notnull())
    named = products.filter(products[c.DEPARTMENT].notnull())
    sold = items.inner_join(named.select(c.PRODUCT_ID, c.DEPARTMENT), c.PRODUCT_ID)
    return sold.group_by(c.DEPARTMENT).agg(
        size=sold[c.AMOUNT_BASE_MINOR].sum().fill_null(0).cast("int64")
    )


def first_departments(sizes: Mapping[str, int]) -> list[str]:
    """The shop's departments by revenue, ties by name, as features count them."""
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:PLACES]


def build_touched(
    tables: Mapping[str, ibis.Table],
    people: ibis.Table,
    *,
    days: Days,
    starts: ibis.Table,
    places: ibis.Table,
    keep: Keep,
) -> ibis.Table:
    """Features and moments of `people`, as `build_days` gives them, from their rows alone.

    Parameters
    ----------
    people
        `customer_id` of those to compute.
    days
        The one day to compute.
    starts
        `days.rows()` as a table of the engine.
    places
        `department` and `place` from 0 of the shop's first departments.
    keep
        See `gather`.

    Notes
    -----
    The response rate is drawn to a mean of these people only: `next_day` mends it.
    """
    theirs = dict(tables)
    for name in _ROWS:
        if name in tables:
            # read once, not for everything that is made of them
            rows = tables[name].semi_join(people, c.CUSTOMER_ID)
            theirs[name] = keep(rows.select(*COLUMNS[name]))
    facts = gather(theirs, days, starts=starts, keep=keep, places=places, moments=True)
    return build_days(facts, moments=True)


def next_day(
    before: ibis.Table,
    made: ibis.Table,
    people: ibis.Table,
    *,
    gone: Sequence[ibis.Table],
    mean: float,
    days: Days,
) -> ibis.Table:
    """Features and moments of everyone on the second day of `days`.

    Parameters
    ----------
    before
        Features and moments of the first day.
    gone
        Sums by customer of what leaves the windows; see `leaving`.
    mean
        The shop's response rate: what `response_sums` gives.
    made
        Those of the touched on the second day: what `build_touched` gives.
    people
        `customer_id` of the touched.
    """
    rest = take_away(before.anti_join(people, c.CUSTOMER_ID), *gone)
    rest = _pass_days(rest, days=days)
    # a lake may give moments of another precision than expressions do
    everyone = rest.union(made.select(*rest.columns).cast(rest.schema()))
    rate = rate_of(everyone.campaigns_responded, everyone.campaigns_count, mean)
    known = everyone.campaigns_count > 0
    rate = ibis.ifelse(known, rate.cast("float64").round(DECIMALS), ibis.null("float64"))
    return everyone.mutate(response_rate=rate).select(*everyone.columns)


def response_sums(before: ibis.Table, made: ibis.Table, people: ibis.Table) -> ibis.Table:
    """Responses of everyone to campaigns and contacts by campaigns, as one row: their ratio is
    the shop's mean.
    """
    names = ("campaigns_responded", "campaigns_count")
    rest = before.anti_join(people, c.CUSTOMER_ID).select(*names)
    return rest.union(made.select(*names)).agg(
        responded=_.campaigns_responded.sum().cast("int64"),
        campaigns=_.campaigns_count.sum().cast("int64"),
    )


def _pass_days(before: ibis.Table, *, days: Days) -> ibis.Table:
    """The same customers on the second day: days went by."""
    t, start = before, ibis.literal(days.start(1))
    changed = recencies(t, start) | {
        "contact_recency_days": days_since(t.contacted_at, start),
        "redemption_recency_days": days_since(t.redeemed_at, start),
        "visit_recency_days": days_since(t.visited_at, start),
        "view_recency_days": days_since(t.viewed_at, start),
        "cart_recency_days": days_since(t.added_at, start),
    }
    changed["overdue_ratio"] = changed["overdue_ratio"].cast("float64").round(DECIMALS)
    columns = {f.name: changed.get(f.name, t[f.name]).cast(f.type) for f in FEATURES}
    kept = {m.name: t[m.name] for m in MOMENTS}
    day = ibis.literal(days.as_of[1])
    return t.select(**{c.AS_OF_ON: day, c.CUSTOMER_ID: t[c.CUSTOMER_ID]}, **columns, **kept)


def _times(rows: ibis.Table, name: str) -> Sequence[str]:
    schema = table_of(name)
    times = (schema.time, c.VALID_AT if schema.revisions else None)
    return [time for time in times if time and time in rows.columns]

"""What leaves the windows between two days, to be taken from the sums of the day before.

A receipt whose lines are of one local day leaves a window as a whole, and its sums can be made from
the lines of that day alone. Whose receipts are *scattered* over several days is computed in full.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

from collections.abc import Mapping

import ibis
from ibis import _

from zhiyin.core import columns as c
from zhiyin.core.tables import table as table_of
from zhiyin.profile.facts import receipts
from zhiyin.profile.features import DECIMALS
from zhiyin.profile.purchases import on_clocks, shares_of_windows, window_totals
from zhiyin.profile.visible import BACK_DAYS, COLUMNS, Days

_REDEMPTION_DAYS = (90,)
BROWSING_DAYS = (7, 30, 90)  # windows of what is made from events


def rows_leaving(
    rows: ibis.Table, name: str, days: Days, *, windows: tuple[int, ...]
) -> ibis.Table:
    """Rows of a table in a window of the first day of `days`, not in that of the second.

    One filter for each window, so that the engine can leave out files.
    """
    time = table_of(name).time
    parts = (
        rows.filter(
            rows[time] >= ibis.literal(days.start(0, days_before=n)),
            rows[time] < ibis.literal(days.start(1, days_before=n)),
        )
        for n in windows
    )
    return ibis.union(*parts)


def lines_leaving(tables: Mapping[str, ibis.Table], days: Days) -> ibis.Table:
    """Order lines of known customers that leave a window, of what the second day sees."""
    lines = tables["order_lines"]
    gone = rows_leaving(lines, "order_lines", days, windows=BACK_DAYS)
    return gone.filter(gone[c.CUSTOMER_ID].notnull()).select(*COLUMNS["order_lines"])


def purchases_leaving(gone: ibis.Table, days: Days) -> ibis.Table:
    """Sums of the receipts that leave a window, by customer, as `window_totals` names them, of
    what `lines_leaving` gives.
    """
    one = Days(days.as_of[1:], days.zone)
    gone = gone.mutate(since=ibis.literal(0, "int8"))
    made = receipts(gone, c.CUSTOMER_ID, days=one)
    made = on_clocks(made.filter(made.returned | (made.lines > 0)), c.CUSTOMER_ID)
    sums = window_totals(lambda n: _between(_["at"], days, n))
    return made.group_by(c.CUSTOMER_ID).agg(**sums)


def redemptions_leaving(tables: Mapping[str, ibis.Table], days: Days) -> ibis.Table:
    """Redemptions that leave their window, by customer."""
    rows = rows_leaving(tables["touches"], "touches", days, windows=_REDEMPTION_DAYS)
    rows = rows.filter(rows[c.KIND] == "redemption", rows[c.CUSTOMER_ID].notnull())
    return rows.group_by(c.CUSTOMER_ID).agg(redemptions_90d=_.count())


def take_away(before: ibis.Table, *parts: ibis.Table) -> ibis.Table:
    """Features and moments of a day less sums of the same names, what is made of them made anew."""
    made, lost = before, {}
    for i, part in enumerate(parts):
        names = [name for name in part.columns if name != c.CUSTOMER_ID]
        given = part.select(c.CUSTOMER_ID, **{f"{name}_gone": part[name] for name in names})
        made = made.left_join(given, c.CUSTOMER_ID, rname=f"{{name}}_of{i}")
        lost |= {name: f"{name}_gone" for name in names}
    less = {
        name: (made[name] - made[gone].fill_null(0)).cast("int64") for name, gone in lost.items()
    }
    made = made.mutate(**less)
    shares = {
        name: value.cast("float64").round(DECIMALS)
        for name, value in shares_of_windows(made).items()
    }
    return made.mutate(**shares).select(*before.columns)


def _between(at: ibis.Deferred, days: Days, n: int) -> ibis.Deferred:
    first, last = (ibis.literal(days.start(k, days_before=n)) for k in (0, 1))
    return (at >= first) & (at < last)

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""What was known before a day (law 1), as Ibis expressions over the stored rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import ibis
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc, start_of_day
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.parties import representatives
from zhiyin.core.schema import Table

DELETE = "delete"
_LAST = "_last"
_PARTY = "_party"
_REPRESENTATIVE = "_representative"


def boundary_of(as_of: date | None, zone: str) -> datetime | None:
    """The local day's 00:00 as naive UTC: what is visible has its business time before it."""
    if as_of is None:
        return None
    if isinstance(as_of, datetime):
        raise InvalidParameter("as_of is a local day, not a moment", hint="pass a datetime.date")
    return naive_utc(start_of_day(as_of, zone))


def visible_rows(
    rows: ibis.Table, table: Table, *, before: datetime | None, single: bool = False
) -> ibis.Table:
    """The rows of `table` whose business times are all before `before`, in their last revision.

    Parameters
    ----------
    rows
        All stored rows.
    before
        Naive UTC; None: no limit.
    single
        `has_single_revisions` holds, so the search for the last revision is left out.
    """
    if before is not None:
        times = [table.time, c.VALID_AT if table.revisions else None]
        columns = dict.fromkeys(name for name in times if name is not None)
        limits = [rows[column] < ibis.literal(before) for column in columns]
        rows = rows.filter(*limits) if limits else rows
    if table.name == "merges":
        return _settled_merges(rows, table, before=before)
    if not table.revisions or single:
        return rows
    window = ibis.window(
        group_by=list(table.key),
        order_by=[rows[c.VALID_AT].desc(), rows[c.REVISION].desc(), rows[c.RECORDED_AT].desc()],
    )
    ranked = rows.mutate(ibis.row_number().over(window).name(_LAST))
    return ranked.filter(ranked[_LAST] == 0, ranked[c.OP] != DELETE).drop(_LAST)


def has_single_revisions(rows: ibis.Table, table: Table) -> bool:
    """Whether every key of a revision table has one row and none is deleted: then a day's last
    revisions are the rows themselves, which spares a sort of the whole table.
    """
    counted = rows.aggregate(
        n=rows.count(), last=rows[c.REVISION].max(), deleted=(rows[c.OP] == DELETE).sum()
    ).to_pyarrow()
    n, last, deleted = (counted.column(name)[0].as_py() for name in ("n", "last", "deleted"))
    return not n or (last == 1 and not deleted and _are_unique(rows, table.key, n))


def _are_unique(rows: ibis.Table, key: tuple[str, ...], n: int) -> bool:
    """Whether `n` rows have `n` keys. So many hashes prove it, in two thirds of the time; fewer
    may be chance.
    """
    if len(key) == 1:
        hashes = rows.select(h=rows[key[0]].hash()).distinct().count()
        if hashes.to_pyarrow().as_py() == n:
            return True
    return rows.select(*key).distinct().count().to_pyarrow().as_py() == n


def _settled_merges(rows: ibis.Table, table: Table, *, before: datetime | None) -> ibis.Table:
    """One row per merge. Undoing appends the merge once more, with `undone_at`; before that day
    nobody knows of it.
    """
    undone = rows[c.UNDONE_AT]
    if before is not None:
        undone = (undone < ibis.literal(before)).ifelse(undone, ibis.null(undone.type()))
    others = [name for name in table.names if name not in (*table.key, c.UNDONE_AT)]
    known = rows.mutate(undone.name(c.UNDONE_AT))
    return known.group_by(list(table.key)).agg(
        **{name: known[name].min() for name in others},
        **{c.UNDONE_AT: known[c.UNDONE_AT].max()},
    )[list(table.names)]


def representatives_of(merges: pa.Table) -> dict[str, str]:
    """Party → representative under settled `merges` (`visible_rows`) that are not undone."""
    wanted = merges.select([c.PARTY_ID, c.INTO, c.UNDONE_AT]).to_pylist()
    return representatives(
        (row[c.PARTY_ID], row[c.INTO]) for row in wanted if row[c.UNDONE_AT] is None
    )


def representatives_table(mapping: Mapping[str, str]) -> pa.Table:
    """The mapping as rows, for `with_customers`."""
    return pa.table(
        {_PARTY: list(mapping), _REPRESENTATIVE: list(mapping.values())},
        schema=pa.schema([(_PARTY, pa.string()), (_REPRESENTATIVE, pa.string())]),
    )


def with_customers(rows: ibis.Table, *, mapping: ibis.Table | None) -> ibis.Table:
    """`rows` with `customer_id`: the representative of `party_id` (None: nobody was merged).

    Rows that carry the id of their day (decisions) keep it.
    """
    if c.PARTY_ID not in rows.columns or c.CUSTOMER_ID in rows.columns:
        return rows
    if mapping is None:
        return rows.mutate(rows[c.PARTY_ID].name(c.CUSTOMER_ID))
    joined = rows.left_join(mapping, [(c.PARTY_ID, _PARTY)])
    customer = ibis.coalesce(joined[_REPRESENTATIVE], joined[c.PARTY_ID])
    return joined.mutate(customer.name(c.CUSTOMER_ID)).drop(_PARTY, _REPRESENTATIVE)

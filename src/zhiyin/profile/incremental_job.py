"""What a day's features are remembered by, and the features of the next day made from it."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.core import columns as c
from zhiyin.core.context import Context
from zhiyin.core.features import FEATURES, MOMENTS
from zhiyin.profile import browsing, features, incremental, leaving
from zhiyin.profile.facts import Keep
from zhiyin.profile.visible import COLUMNS, Days

FORMAT = 3  # raised when features are computed otherwise: states made before are not trusted
MOST_DAYS = 7  # between a state and the day made from it
MOST_TOUCHED = 0.3  # of the customers; with more, computing everyone anew takes hardly longer
_MERGES = "merges"


@dataclass(frozen=True)
class Rolled:
    """How a day was made from a day before, or why it must be computed anew."""

    reason: str = ""  # empty: it was made
    known: date | None = None  # the day it was made from
    count: int = 0  # customers
    touched: int = 0  # of these computed in full
    departments: Mapping[str, int] | None = None


def versions(ctx: Context, tables: Iterable[str]) -> dict[str, int]:
    """The versions that reads see of the tables, and of the merges of customers."""
    return {name: ctx.store.added(name)[0] for name in (*tables, _MERGES)}


def split(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Rows of `features` and of `feature_moments` from rows that hold both."""
    keys = [c.AS_OF_ON, c.CUSTOMER_ID]
    return (
        rows.select([*keys, *(f.name for f in FEATURES)]),
        rows.select([*keys, *(m.name for m in MOMENTS)]),
    )


def forget(ctx: Context, day: date) -> None:
    """Drop what a day is remembered by, before its features are written anew."""
    for name in ("feature_states", "feature_moments"):
        held = ctx.store.read(name)
        if held.filter(held[c.AS_OF_ON] == day).count().to_pyarrow().as_py():
            ctx.store.replace(name, held.limit(0).to_pyarrow(), scope={c.AS_OF_ON: day})


def remember(
    ctx: Context,
    day: date,
    moments: pa.Table,
    *,
    read: Mapping[str, int],
    departments: Mapping[str, int],
) -> None:
    """Write what the features of a later day can be made from; the state last, as its proof.

    Parameters
    ----------
    moments
        Rows of `feature_moments`.
    read
        What `versions` gave before the tables were read. If it gives something else now, nothing
        is written.
    departments
        Revenue of the shop by department, in minor units.
    """
    if versions(ctx, [name for name in read if name != _MERGES]) != read:
        return
    ctx.store.replace("feature_moments", moments, scope={c.AS_OF_ON: day})
    body = _stamp(ctx) | {
        "versions": dict(read),
        "departments": dict(departments),
        "rows": moments.num_rows,
    }
    state = pa.Table.from_pylist([{c.AS_OF_ON: day, c.BODY: json.dumps(body, sort_keys=True)}])
    ctx.store.replace("feature_states", state, scope={c.AS_OF_ON: day})


def roll(ctx: Context, day: date, *, tracked: bool) -> tuple[pa.Table | None, Rolled]:
    """The features of `day` from those of a day shortly before it.

    Parameters
    ----------
    tracked
        Whether the shop has events.

    Returns
    -------
    Features and moments of everyone by customer, and how they were made. No rows where there is no
    state to start from, or where it cannot be told who is touched: rows were rewritten (an erasure,
    a compaction), revised or merged, the order of the departments changed, or a large part of all
    is touched.
    """
    state = _latest_state(ctx, day)
    if state is None:
        return None, Rolled("no day shortly before is remembered")
    known, body = state
    names = [*features.TABLES, *(browsing.TABLES if tracked else ())]
    if {name: body.get(name) for name in _stamp(ctx)} != _stamp(ctx):
        return None, Rolled("the day before was computed by another version")
    if set(body["versions"]) != {*names, _MERGES}:
        return None, Rolled("events are tracked since")
    added: dict[str, ibis.Table] = {}
    for name in (*names, _MERGES):
        rows = ctx.store.added(name, since=body["versions"][name], as_of=day)[1]
        if rows is None:
            return None, Rolled(f"rows of {name} were rewritten")
        added[name] = rows
    if _number(added[_MERGES]):
        return None, Rolled("customers were merged")
    if not ctx.store.settled(features.TABLES, days=(known, day)):
        return None, Rolled("rows were revised or customers merged")
    tables = {name: ctx.store.read(name, as_of=day) for name in names}
    with ExitStack() as held:

        def keep(table: ibis.Table) -> ibis.Table:
            return held.enter_context(table.cache())

        # kept: DuckDB cannot filter rows of Arrow by what it finds in a join
        kept = {name: keep(rows) for name, rows in added.items()}
        days = Days((known, day), ctx.settings.zone)
        return _compute(ctx, tables, kept, days, body, keep=keep)


def _compute(
    ctx: Context,
    tables: Mapping[str, ibis.Table],
    added: Mapping[str, ibis.Table],
    days: Days,
    body: Mapping[str, dict[str, int]],
    *,
    keep: Keep,
) -> tuple[pa.Table | None, Rolled]:
    known, day = days.as_of
    new = incremental.newly_seen(tables["order_lines"], "order_lines", days)
    new = keep(new.select(*COLUMNS["order_lines"]))
    sizes = _departments(tables, added, days, body["departments"], new=new)
    first = incremental.first_departments(sizes)
    if first != incremental.first_departments(body["departments"]):
        return None, Rolled("the shop's first departments changed")
    before = _known(ctx, known)
    if any(_number(rows) != body["rows"] for rows in _stored(ctx, known)):
        return None, Rolled(f"the features of {known} are not those remembered")
    leave = keep(leaving.lines_leaving(tables, days))
    people = keep(incremental.touched(tables, added, before, days, new=new, gone=leave))
    touched = _number(people)
    if touched > MOST_TOUCHED * max(int(body["rows"]), 1):
        return None, Rolled(f"{touched} of {body['rows']} customers are touched")
    one = Days((day,), days.zone)
    made = incremental.build_touched(
        tables,
        people,
        days=one,
        starts=ctx.store.to_ibis(one.rows()),
        places=keep(ctx.store.to_ibis(_places(first))),
        keep=keep,
    )
    gone = (
        keep(leaving.purchases_leaving(leave, days)),
        keep(leaving.redemptions_leaving(tables, days)),
    )
    made = keep(made)
    mean = _mean(incremental.response_sums(before, made, people).to_pyarrow())
    rows = incremental.next_day(before, made, people, gone=gone, mean=mean, days=days)
    # sorted here: the engine copies every column for it
    made_rows = rows.to_pyarrow().sort_by(c.CUSTOMER_ID)
    return made_rows, Rolled(
        known=known, count=made_rows.num_rows, touched=touched, departments=sizes
    )


def _departments(
    tables: Mapping[str, ibis.Table],
    added: Mapping[str, ibis.Table],
    days: Days,
    known: Mapping[str, int],
    *,
    new: ibis.Table,
) -> dict[str, int]:
    """Revenue by department on the second day; anew where products were described."""
    if _number(incremental.newly_described(tables, added, days)):
        anew = incremental.department_revenue(tables["order_lines"], tables["products"])
        return sums_of(anew.to_pyarrow())
    more = sums_of(incremental.new_revenue(tables, added, days, new=new).to_pyarrow())
    return {name: known.get(name, 0) + more.get(name, 0) for name in known | more}


def sums_of(rows: pa.Table) -> dict[str, int]:
    """`department` and `size` as a mapping."""
    return dict(zip(rows[c.DEPARTMENT].to_pylist(), rows["size"].to_pylist(), strict=True))


def _mean(sums: pa.Table) -> float:
    row = sums.to_pylist()[0]
    return (row["responded"] or 0) / (row["campaigns"] or 1)


def _places(first: list[str]) -> pa.Table:
    return pa.table(
        {
            c.DEPARTMENT: pa.array(first, pa.string()),
            "place": pa.array(range(len(first)), pa.int64()),
        }
    )


def _stored(ctx: Context, day: date) -> list[ibis.Table]:
    tables = (ctx.store.read(name) for name in ("features", "feature_moments"))
    return [rows.filter(rows[c.AS_OF_ON] == day) for rows in tables]


def _known(ctx: Context, day: date) -> ibis.Table:
    rows, moments = _stored(ctx, day)
    return rows.inner_join(moments.drop(c.AS_OF_ON), c.CUSTOMER_ID)


def _latest_state(ctx: Context, day: date) -> tuple[date, dict] | None:
    rows = ctx.store.read("feature_states").to_pyarrow()
    days = rows[c.AS_OF_ON]
    near = pc.and_(
        pc.less(days, pa.scalar(day)),
        pc.greater_equal(days, pa.scalar(day - timedelta(days=MOST_DAYS))),
    )
    found = rows.filter(near).sort_by([(c.AS_OF_ON, "descending")]).slice(0, 1).to_pylist()
    return (found[0][c.AS_OF_ON], json.loads(found[0][c.BODY])) if found else None


def _stamp(ctx: Context) -> dict[str, object]:
    """What must be equal for a state to be trusted."""
    names = [f"{one.name}:{one.type}" for one in (*FEATURES, *MOMENTS)]
    catalogue = hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]
    return {"format": FORMAT, "catalogue": catalogue, "zone": ctx.settings.zone}


def _number(rows: ibis.Table) -> int:
    return rows.count().to_pyarrow().as_py()

"""What the features cost: one day by our expressions and by SQL written by hand, and the job."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa

from bench.harness import at_most, emit
from zhiyin.core import columns as c
from zhiyin.core.features import FEATURES
from zhiyin.demo import AS_OF, build_demo
from zhiyin.profile import features, job
from zhiyin.profile.facts import gather
from zhiyin.profile.visible import BACK_DAYS, Days
from zhiyin.store.workspace import WorkspaceStore

SQL = Path(__file__).with_suffix(".sql")
ROUNDS = 9


def by_expressions(
    store: WorkspaceStore, day: date, names: list[str], *, lines: int = 0
) -> pa.Table:
    """The named features of a day, as the job computes them in a shop of so many order lines."""
    days = Days((day,), store.zone)
    tables = {name: store.read(name, as_of=day) for name in features.TABLES}
    with ExitStack() as held:

        def keep(table: ibis.Table) -> ibis.Table:
            return held.enter_context(table.cache())

        facts = gather(tables, days, starts=store.to_ibis(days.rows()), keep=keep)
        made = features.build_days(facts, keep=features.keep_parts(keep, lines=lines))
        return made.order_by(c.CUSTOMER_ID).select(c.CUSTOMER_ID, *names).to_pyarrow()


def by_hand(store: WorkspaceStore, day: date) -> pa.Table:
    """What `features.sql` gives for the same day."""
    days = Days((day,), store.zone)
    connection = store.engine.backend.con
    tables = {name: store.read(name) for name in ("order_lines", "products", "touches")}
    for name, rows in tables.items():  # held until the end: rows of Arrow go with their expression
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {ibis.to_sql(rows)}")
    starts = {f"w{n}": days.start(0, days_before=n) for n in BACK_DAYS}
    clocks = {  # when New York changes its clocks, in UTC
        "summer_16": datetime(2016, 3, 13, 7, tzinfo=UTC).replace(tzinfo=None),
        "winter_16": datetime(2016, 11, 6, 6, tzinfo=UTC).replace(tzinfo=None),
        "summer_17": datetime(2017, 3, 12, 7, tzinfo=UTC).replace(tzinfo=None),
        "winter_17": datetime(2017, 11, 5, 6, tzinfo=UTC).replace(tzinfo=None),
    }
    values = {"start": days.start(0)} | starts | clocks
    return connection.execute(SQL.read_text("utf-8"), values).to_arrow_table()


def agree(ours: pa.Table, theirs: pa.Table) -> list[str]:
    """Names of features whose values differ by more than rounding."""
    ours = ours.filter(
        pa.compute.is_in(ours[c.CUSTOMER_ID], theirs[c.CUSTOMER_ID].combine_chunks())
    )
    assert ours[c.CUSTOMER_ID].to_pylist() == theirs[c.CUSTOMER_ID].to_pylist()
    differing = []
    for name in theirs.column_names[1:]:
        a, b = (t[name].to_pandas().to_numpy(dtype=np.float64) for t in (ours, theirs))
        if not np.allclose(a, b, rtol=1e-9, atol=1e-4, equal_nan=True):
            differing.append(name)
    return differing


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Load the demonstration, compute the day both ways in turn, run the job, print."""
    with (
        tempfile.TemporaryDirectory() as folder,
        build_demo(Path(folder) / "demo", progress=lambda what, share: None) as workspace,
    ):
        store = workspace.store
        theirs = by_hand(store, AS_OF)
        names = theirs.column_names[1:]
        differing = agree(by_expressions(store, AS_OF, names), theirs)
        pairs = [
            (
                cpu_seconds(lambda: by_expressions(store, AS_OF, names)),
                cpu_seconds(lambda: by_hand(store, AS_OF)),
            )
            for _ in range(ROUNDS)
        ]
        ours, hand = (statistics.median(times) for times in zip(*pairs, strict=True))
        ctx = workspace.context(AS_OF, turn_id="bench")
        reports = []
        seconds = cpu_seconds(lambda: reports.append(job.run(ctx, ctx.settings.profile)))
        lines = workspace.table("order_lines").count().to_pyarrow().as_py()
        snapshots = len(reports[0].figures["snapshot_days"])
    emit(
        "features",
        data="The Complete Journey, features of 2017-10-30",
        rows={"order_lines": lines} | dict(reports[0].rows),
        figures={
            "expressions_over_sql": round(ours / hand, 3),
            "expressions_cpu_s": round(ours, 3),
            "sql_cpu_s": round(hand, 3),
            "features_compared": len(names),
            "features_of_catalogue": len(FEATURES),
            "features_differing": len(differing),
            "job_cpu_s": round(seconds, 2),
            "job_days": snapshots,
        },
        goals={
            "expressions_over_sql": at_most(1.2),
            "features_differing": at_most(0),
            "job_cpu_s": at_most(12),
        },
    )


if __name__ == "__main__":
    main()

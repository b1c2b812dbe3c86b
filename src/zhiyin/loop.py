"""The order of the jobs, and one turn of the loop: resumable, idempotent, exclusive.

A turn's id is a hash of workspace, day, settings and code version. Its first act is to record the
version of every input table; a resumed turn reads the same versions and skips the steps that are
done, so that a turn which was killed anywhere ends in the same tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from zhiyin.core import ledger
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.context import Context
from zhiyin.core.errors import NotFound, WorkspaceError
from zhiyin.core.protocols import Progress
from zhiyin.core.registry import Registry
from zhiyin.core.tables import TABLES
from zhiyin.core.values import JobReport
from zhiyin.store.leases import hold_lease
from zhiyin.store.workspace import WorkspaceStore

JOBS = Registry(
    "job",
    {
        "collect.facts": "zhiyin.collect.job:run",
        "collect.quality": "zhiyin.collect.quality_job:run",
        "profile.features": "zhiyin.profile.job:run",
        "understand.models": "zhiyin.understand.job:run",
        "understand.online": "zhiyin.understand.recommend.online_job:run",
        "profile.tags": "zhiyin.profile.tags_job:run",
        "audience": "zhiyin.audience.job:run",
        "decide.online": "zhiyin.decide.online_job:run",
        "decide.ramp": "zhiyin.decide.candidates.ramp_job:run",
        "decide.learn": "zhiyin.decide.learn_job:run",
        "decide": "zhiyin.decide.job:run",
        "act": "zhiyin.act.job:run",
        "measure": "zhiyin.measure.job:run",
    },
)
"""The jobs of a turn, in order."""

LEASE_S = 3600.0
"""A job may take this long; a turn that dies on this machine frees the lake at once."""
WHERE = {
    "engine": True, "spark": True, "recommend": {"placements", "consent", "session_hours"},
}  # fmt: skip
"""Settings of where the sums run, and of requests: a turn may go on under others."""

INPUTS = tuple(
    table.name
    for table in TABLES.values()
    if table.writer.startswith("collect.") and table.kind != "derived"
)
"""Tables that a turn reads at the version it found at its start."""


@dataclass(frozen=True)
class Turn:
    """What one turn did: its steps' reports and the seconds each took, in order."""

    turn_id: str
    as_of: date
    reports: tuple[JobReport, ...]
    seconds: dict[str, float]
    resumed: bool

    def report(self, job: str) -> JobReport | None:
        """The report of `job`, None where it did not run."""
        return next((report for report in self.reports if report.job == job), None)

    def as_values(self) -> dict[str, dict[str, Any]]:
        """Job → its `rows`, `figures`, `notes` and `seconds`, in the order they ran."""
        return {
            report.job: {
                "rows": dict(report.rows),
                "figures": dict(report.figures),
                "notes": list(report.notes),
                "seconds": self.seconds[report.job],
            }
            for report in self.reports
        }


MakeContext = Callable[[str, WorkspaceStore], Context]


def run_turn(
    store: WorkspaceStore,
    make_context: MakeContext,
    *,
    settings: Settings,
    as_of: date,
    clock: Clock,
    code_version: str,
    only: str | None = None,
    again: bool = False,
    progress: Progress,
) -> Turn:
    """Run the jobs for `as_of`, or what a killed turn left undone.

    Parameters
    ----------
    make_context
        Called with the turn's id and the pinned store; gives the jobs' context.
    only
        Run this one job of the turn, even if it is done.
    again
        Start a new turn although one for the same day and settings is done.

    Raises
    ------
    NotFound
        If `only` names no job.
    LeaseHeld
        If another process holds the lake.
    """
    if only is not None and only not in JOBS.built_in:
        raise NotFound(f"there is no job {only!r}", hint=f"jobs: {', '.join(JOBS.built_in)}")
    with hold_lease(store.ledger, clock=clock, ttl_s=LEASE_S) as lease:
        turn_id, inputs, resumed = _open_turn(
            store, settings, as_of, clock=clock, code_version=code_version, only=only, again=again
        )
        context = make_context(turn_id, store.pinned(inputs))
        for index, job in enumerate(JOBS.built_in):
            if only not in (None, job) or (only is None and _is_done(store, turn_id, job)):
                continue
            lease.renew()
            progress(job, index / len(JOBS.built_in))
            _run_step(store, context, job, clock)
        progress("done", 1.0)
        return _close_turn(store, turn_id, as_of, clock, resumed=resumed)


def base_id(settings: Settings, as_of: date, code_version: str) -> str:
    """The part of a turn's id that its inputs decide."""
    content = json.dumps(
        [settings.model_dump(mode="json", exclude=WHERE), as_of.isoformat(), code_version],
        sort_keys=True,
    )
    return "t_" + hashlib.sha256(content.encode()).hexdigest()[:24]


def _open_turn(
    store: WorkspaceStore,
    settings: Settings,
    as_of: date,
    *,
    clock: Clock,
    code_version: str,
    only: str | None,
    again: bool,
) -> tuple[str, dict[str, int], bool]:
    """The turn to go on with, or a new one, with the versions it reads and whether it is resumed.

    An erasure removes what an earlier turn read. Of one that was not done, a new turn takes the
    place.
    """
    base = base_id(settings, as_of, code_version)
    turns = ledger.turns
    with store.begin() as connection:
        rows = connection.execute(
            sa.select(turns.c.turn_id, turns.c.state, turns.c.inputs)
            .where(turns.c.turn_id.startswith(base, autoescape=True))
            .order_by(turns.c.started_at, turns.c.turn_id)
        ).all()
        last = rows[-1] if rows else None
        if last is not None and not (again and last.state == "done"):
            inputs = dict(last.inputs)
            if last.state == "done" and only is None:
                return last.turn_id, inputs, True
            if all(store.lake.holds(name, version) for name, version in inputs.items()):
                return last.turn_id, inputs, True
            if last.state == "done":
                raise WorkspaceError(
                    f"{only} cannot run once more for {as_of}: an erasure removed what it read",
                    hint="start a new turn: zhiyin run --again",
                )
            mine = turns.c.turn_id == last.turn_id
            connection.execute(turns.update().where(mine).values(state="stopped"))
        turn_id = f"{base}-{len(rows) + 1}"
        versions = store.versions()
        inputs = {name: versions[name] for name in INPUTS if name in versions}
        connection.execute(
            turns.insert().values(
                turn_id=turn_id,
                as_of_on=as_of,
                state="running",
                inputs=inputs,
                config=settings.model_dump(mode="json"),
                code_version=code_version,
                started_at=naive_utc(clock.now()),
            )
        )
    return turn_id, inputs, False


def _is_done(store: WorkspaceStore, turn_id: str, job: str) -> bool:
    steps = ledger.steps
    with store.begin() as connection:
        state = connection.scalar(
            sa.select(steps.c.state).where(steps.c.turn_id == turn_id, steps.c.job == job)
        )
    return state == "done"


def _run_step(store: WorkspaceStore, context: Context, job: str, clock: Clock) -> None:
    steps = ledger.steps
    key = (steps.c.turn_id == context.turn_id) & (steps.c.job == job)
    with store.begin() as connection:
        connection.execute(steps.delete().where(key))
        connection.execute(steps.insert().values(turn_id=context.turn_id, job=job, state="running"))
    begun = clock.monotonic()
    section = getattr(context.settings, job.partition(".")[0], context.settings)
    report: JobReport = JOBS.load(job)(context, section)
    values = asdict(report) | {"rows": dict(report.rows), "figures": dict(report.figures)}
    with store.begin() as connection:
        connection.execute(
            steps.update()
            .where(key)
            .values(state="done", seconds=round(clock.monotonic() - begun, 3), report=values)
        )


def _close_turn(
    store: WorkspaceStore, turn_id: str, as_of: date, clock: Clock, *, resumed: bool
) -> Turn:
    done = dict(_steps(store, turn_id))
    if all(job in done for job in JOBS.built_in):
        turns = ledger.turns
        with store.begin() as connection:
            connection.execute(
                turns.update()
                .where(turns.c.turn_id == turn_id, turns.c.state != "done")
                .values(state="done", finished_at=naive_utc(clock.now()))
            )
    ordered = [job for job in JOBS.built_in if job in done]
    return Turn(
        turn_id,
        as_of,
        tuple(done[job][0] for job in ordered),
        {job: done[job][1] for job in ordered},
        resumed,
    )


def _steps(store: WorkspaceStore, turn_id: str) -> Iterator[tuple[str, tuple[JobReport, float]]]:
    steps = ledger.steps
    with store.begin() as connection:
        rows = connection.execute(
            sa.select(steps).where(steps.c.turn_id == turn_id, steps.c.state == "done")
        ).all()
    for row in rows:
        values: dict[str, Any] = dict(row.report)
        report = JobReport(values["job"], values["rows"], values["figures"], tuple(values["notes"]))
        yield row.job, (report, row.seconds)


def last_turn(store: WorkspaceStore, clock: Clock, as_of: date | None = None) -> Turn:
    """The turn that was started last (for `as_of`, if given), with its stored reports.

    One that is done comes before those that are not: of these a single job may have run.

    Raises
    ------
    NotFound
        If no turn has run.
    """
    turns = ledger.turns
    done_first = sa.case((turns.c.state == "done", 0), else_=1)
    query = sa.select(turns.c.turn_id, turns.c.as_of_on)
    query = query.order_by(done_first, turns.c.started_at.desc())
    if as_of is not None:
        query = query.where(turns.c.as_of_on == as_of)
    with store.begin() as connection:
        row = connection.execute(query.limit(1)).first()
    if row is None:
        raise NotFound("no turn has run in this workspace", hint="run one: zhiyin run")
    return _close_turn(store, row.turn_id, row.as_of_on, clock, resumed=True)

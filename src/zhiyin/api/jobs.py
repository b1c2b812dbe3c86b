"""Turns that ran, and jobs that were asked for. The API inserts jobs; a worker runs them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.api.errors import ACCEPTED
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import QUEUED_KINDS, jobs, steps, turns
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.queue import queue_job

Limit = Annotated[int, Query(ge=1, le=1000)]


class Asked(BaseModel):
    """A job to be run: a turn of the loop, or its report once more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["turn", "report"] = Field("turn", description="what to do")
    as_of: date | None = Field(None, description="day; none: the day after the last data")
    again: bool = Field(False, description="a new turn although one for the day is done")


def list_turns(request: Request, limit: Limit = 100) -> list[dict[str, Any]]:
    """Turns, newest first."""
    query = sa.select(turns).order_by(turns.c.started_at.desc(), turns.c.turn_id).limit(limit)
    with reading(workspace_of(request).store.ledger) as connection:
        return [_turn(row) for row in connection.execute(query)]


def show_turn(request: Request, turn_id: str) -> dict[str, Any]:
    """One turn with its steps: state, seconds and report of each job."""
    query = sa.select(turns).where(turns.c.turn_id == turn_id)
    of_turn = sa.select(steps).where(steps.c.turn_id == turn_id).order_by(steps.c.job)
    with reading(workspace_of(request).store.ledger) as connection:
        row = connection.execute(query).one_or_none()
        done = connection.execute(of_turn).all()
    if row is None:
        raise NotFound("there is no such turn", hint="see /v1/turns")
    kept = ("job", "state", "seconds", "report")
    return {**_turn(row), "steps": [{name: getattr(one, name) for name in kept} for one in done]}


def list_jobs(request: Request, limit: Limit = 100) -> list[dict[str, Any]]:
    """Jobs that were asked for, newest first."""
    query = (
        sa.select(jobs)
        .where(jobs.c.kind.in_(QUEUED_KINDS))
        .order_by(jobs.c.created_at.desc(), jobs.c.job_id)
        .limit(limit)
    )
    with reading(workspace_of(request).store.ledger) as connection:
        return [_job(row) for row in connection.execute(query)]


def show_job(request: Request, job_id: str) -> dict[str, Any]:
    """One job."""
    query = sa.select(jobs).where(jobs.c.job_id == job_id, jobs.c.kind.in_(QUEUED_KINDS))
    with reading(workspace_of(request).store.ledger) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("there is no such job", hint="see /v1/jobs")
    return _job(row)


def ask_job(request: Request, asked: Asked) -> dict[str, Any]:
    """Ask for a job. A job that waits with the same arguments is given instead of a second one."""
    shop = workspace_of(request)
    arguments = asked.model_dump(mode="json", exclude={"kind"})
    same = (jobs.c.kind == asked.kind) & (jobs.c.state == "waiting")
    with transaction(shop.store.ledger) as connection:
        for row in connection.execute(sa.select(jobs).where(same).order_by(jobs.c.created_at)):
            if row.arguments == arguments:
                return _job(row)
        job_id = queue_job(
            connection, asked.kind, arguments, by=caller_of(request).name, clock=shop.clock
        )
        return _job(connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).one())


def _turn(row: sa.Row[Any, Any]) -> dict[str, Any]:
    return {
        "turn_id": row.turn_id,
        "as_of": row.as_of_on.isoformat(),
        "state": row.state,
        "code_version": row.code_version,
        "started_at": _utc(row.started_at),
        "finished_at": _utc(row.finished_at),
    }


def _job(row: sa.Row[Any, Any]) -> dict[str, Any]:
    kept = ("job_id", "kind", "arguments", "state", "requested_by", "attempts", "error", "result")
    return {**{name: getattr(row, name) for name in kept}, "created_at": _utc(row.created_at)}


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat()


ROUTES = (
    Route("GET", "/v1/turns", "job:read", list_turns),
    Route("GET", "/v1/turns/{turn_id}", "job:read", show_turn),
    Route("GET", "/v1/jobs", "job:read", list_jobs),
    Route("GET", "/v1/jobs/{job_id}", "job:read", show_job),
    Route("POST", "/v1/jobs", "job:run", ask_job, status=ACCEPTED),
)

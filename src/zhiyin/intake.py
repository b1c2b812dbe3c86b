"""Pulling the sources of a workspace: under a lease each, and when they are due."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from zhiyin.collect.ledger import read_pull
from zhiyin.collect.sources import FolderSource, HookSource, Intake, pull, read_sources
from zhiyin.collect.sources.arrivals import count_waiting
from zhiyin.collect.sources.config import Source, find_source
from zhiyin.collect.sources.intake import OpenVault, Pulled
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.ledger import jobs
from zhiyin.core.protocols import Progress
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.queue import queue_job
from zhiyin.store.workspace import WorkspaceStore

LEASE_S = 3600.0
WORKER = "worker"


def pull_source(
    store: WorkspaceStore,
    vault: OpenVault,
    settings: Settings,
    clock: Clock,
    folder: Path,
    name: str,
    *,
    dry_run: bool = False,
    from_start: bool = False,
    progress: Progress,
) -> list[Pulled]:
    """Pull the source `name` of the workspace in `folder`, alone.

    Raises
    ------
    NotFound
        If there is no such source.
    LeaseHeld
        If another process pulls it.
    """
    source = find_source(folder, name)
    intake = Intake(store, vault, settings, clock, folder, progress)
    with hold_lease(store.ledger, f"source:{name}"[:64], clock=clock, ttl_s=LEASE_S):
        return pull(intake, name, source, dry_run=dry_run, from_start=from_start)


def ask_due_pulls(store: WorkspaceStore, folder: Path, clock: Clock) -> list[str]:
    """Put a job in the ledger for each source whose time has come; the names of these.

    Of a webhook's source only where something waits. A source with a job that waits or runs gets
    no second one.
    """
    now = naive_utc(clock.now())
    due = []
    for name, source in read_sources(folder).items():
        with reading(store.ledger) as connection:
            if _is_due(connection, name, source, now):
                due.append(name)
    return [name for name in due if ask_pull(store, name, clock)]


def list_sources(store: WorkspaceStore, folder: Path) -> list[dict[str, Any]]:
    """Every source as JSON values: kind, tables, last pull, its error, webhooks that wait."""
    made = []
    for name, source in read_sources(folder).items():
        with reading(store.ledger) as connection:
            state, waiting = read_pull(connection, name), count_waiting(connection, name)
        tables = (
            [source.table]
            if isinstance(source, FolderSource)
            else [one.table for one in source.tables]
        )
        made.append({
            "source": name, "kind": source.kind, "tables": tables, "every_s": source.every_s,
            "pulled_at": state.pulled_at and state.pulled_at.isoformat() + "Z",
            "error": state.error, "waiting": waiting,
        })  # fmt: skip
    return made


def _is_due(connection: sa.Connection, name: str, source: Source, now) -> bool:
    if isinstance(source, HookSource) and not count_waiting(connection, name):
        return False
    last = read_pull(connection, name).pulled_at
    return last is None or last + timedelta(seconds=source.every_s) <= now


def ask_pull(store: WorkspaceStore, name: str, clock: Clock) -> bool:
    """Put a pull of the source in the ledger; False where one waits or runs already."""
    open_jobs = sa.select(jobs.c.arguments).where(
        jobs.c.kind == "pull", jobs.c.state.in_(("waiting", "running"))
    )
    with transaction(store.ledger) as connection:
        if any(row.arguments.get("source") == name for row in connection.execute(open_jobs)):
            return False
        queue_job(connection, "pull", {"source": name}, by=WORKER, clock=clock)
    return True

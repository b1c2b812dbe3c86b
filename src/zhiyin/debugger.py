"""The event debugger: what came of each source lately, at one version of the lake."""

from __future__ import annotations

from typing import Any

from zhiyin.collect.debug import WINDOWS, Unseal, count_events, last_events
from zhiyin.collect.plan_ledger import duplicates_since
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.store.ledger import reading
from zhiyin.store.workspace import WorkspaceStore


def read_events(
    store: WorkspaceStore,
    clock: Clock,
    *,
    source: str | None = None,
    name: str | None = None,
    limit: int = 50,
    problems: bool = False,
    language: str = "en",
    unseal: Unseal | None = None,
) -> dict[str, Any]:
    """Counts of the last hour and day by source (`counts`), and the last events (`events`).

    The parameters are those of `collect.debug.last_events`.
    """
    now = naive_utc(clock.now())
    pinned = store.pinned(store.versions())
    with reading(store.ledger) as connection:
        again = {key: duplicates_since(connection, now - span) for key, span in WINDOWS.items()}
    return {
        "counts": count_events(pinned, now=now, duplicates=again, source=source),
        "events": last_events(
            pinned, now=now, source=source, name=name, limit=limit, problems=problems,
            language=language, unseal=unseal,
        ),
    }  # fmt: skip

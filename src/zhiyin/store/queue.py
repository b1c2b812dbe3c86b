"""Jobs that wait in the ledger for a worker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.ledger import jobs


def queue_job(
    connection: sa.Connection, kind: str, arguments: Mapping[str, Any], *, by: str, clock: Clock
) -> str:
    """Let a job wait for a worker; its id. `kind` is one of `QUEUED_KINDS`."""
    job_id = f"j_{os.urandom(12).hex()}"
    connection.execute(
        jobs.insert().values(
            job_id=job_id, kind=kind, arguments=dict(arguments), state="waiting", requested_by=by,
            created_at=naive_utc(clock.now()),
        )
    )  # fmt: skip
    return job_id

"""Leases: at most one process at a time turns, rebuilds, compacts or erases.

A holder that died on this machine is replaced at once, one on another machine after its time.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import psutil
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import LeaseHeld
from zhiyin.core.ledger import leases
from zhiyin.store.ledger import transaction

LAKE = "lake"
LEASE_S = 120.0


@dataclass(frozen=True)
class Lease:
    """A lease that `holder` has until it is released or its time is over."""

    name: str
    holder: str
    renew: Callable[[], datetime]  # call it more often than once per `ttl_s`


def this_process() -> str:
    """The name of this process as a holder: machine, process id, start of the process."""
    process = psutil.Process()
    return f"{_machine()}:{process.pid}:{int(process.create_time() * 1000)}"


def acquire_lease(
    engine: sa.Engine, name: str, *, holder: str, clock: Clock, ttl_s: float = LEASE_S
) -> datetime:
    """Take the lease, or take it again; when it expires (naive UTC).

    `clock` is the machine's clock, not a run's.

    Raises
    ------
    LeaseHeld
        If another holder, not known to be dead, has it and its time is not over.
    """
    now = naive_utc(clock.now())
    until = now + timedelta(seconds=ttl_s)
    try:
        with transaction(engine) as connection:
            found = connection.execute(
                sa.select(leases.c.holder, leases.c.expires_at).where(leases.c.name == name)
            ).one_or_none()
            if found is None:
                connection.execute(
                    leases.insert().values(name=name, holder=holder, expires_at=until)
                )
                return until
            free = found.holder == holder or found.expires_at <= now or is_dead(found.holder)
            taken = (
                free
                and connection.execute(
                    leases.update()
                    .where(leases.c.name == name, leases.c.holder == found.holder)
                    .where(leases.c.expires_at == found.expires_at)
                    .values(holder=holder, expires_at=until)
                ).rowcount
            )
            if taken:
                return until
    except IntegrityError:
        pass  # another process inserted it in this moment
    raise LeaseHeld(
        f"the lease {name!r} is held by another process",
        hint="wait until its run, load or erasure is done",
    )


def renew_lease(
    engine: sa.Engine, name: str, *, holder: str, clock: Clock, ttl_s: float = LEASE_S
) -> datetime:
    """Hold the lease for `ttl_s` more from now; when it expires (naive UTC).

    Raises
    ------
    LeaseHeld
        If it was lost in the meantime: stop writing.
    """
    until = naive_utc(clock.now()) + timedelta(seconds=ttl_s)
    with transaction(engine) as connection:
        kept = connection.execute(
            leases.update()
            .where(leases.c.name == name, leases.c.holder == holder)
            .values(expires_at=until)
        ).rowcount
    if not kept:
        raise LeaseHeld(
            f"the lease {name!r} was lost to another process", hint="run again when it is done"
        )
    return until


def release_lease(engine: sa.Engine, name: str, *, holder: str) -> None:
    """Give the lease back; nothing happens where `holder` does not have it."""
    with transaction(engine) as connection:
        connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


@contextmanager
def hold_lease(
    engine: sa.Engine,
    name: str = LAKE,
    *,
    clock: Clock,
    holder: str | None = None,
    ttl_s: float = LEASE_S,
) -> Iterator[Lease]:
    """Hold a lease for the block.

    Raises
    ------
    LeaseHeld
        If another process has it.
    """
    me = holder or this_process()
    acquire_lease(engine, name, holder=me, clock=clock, ttl_s=ttl_s)

    def renew() -> datetime:
        return renew_lease(engine, name, holder=me, clock=clock, ttl_s=ttl_s)

    try:
        yield Lease(name, me, renew)
    finally:
        release_lease(engine, name, holder=me)


def _machine() -> str:
    return sha256(platform.node().encode()).hexdigest()[:8]


def is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    machine, _, rest = holder.partition(":")
    pid, _, started = rest.partition(":")
    if machine != _machine() or not pid.isdigit() or not started.isdigit():
        return False
    if int(pid) == os.getpid():
        return holder != this_process()
    try:
        return int(psutil.Process(int(pid)).create_time() * 1000) != int(started)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False

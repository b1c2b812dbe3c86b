"""Takes the jobs that wait in the ledger, one after the other, by lease.

waiting → running (leased, attempt counted) → done | failed. A job whose worker died is taken
again, at once where it died on this machine, otherwise when its lease is over; after three
attempts it has failed. A turn goes on where it was cut off, so a job may be run twice.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa

from zhiyin.act.alerts import Alert
from zhiyin.act.campaigns.handed import HANDED, LISTS
from zhiyin.act.campaigns.ledger import find_waiting
from zhiyin.act.confirmation import CONFIRMATIONS
from zhiyin.act.ledger import OPEN
from zhiyin.alerts import Staff, of_error
from zhiyin.app import Workspace, quiet
from zhiyin.campaigns import campaigns_of
from zhiyin.candidates import CANDIDATE, JUDGE
from zhiyin.chats import look_at_members, mass_channel, take_back_cancelled
from zhiyin.collect.sources.intake import Pulled
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import ConcurrentWrite, LeaseHeld, NotFound, ZhiyinError
from zhiyin.core.ledger import QUEUED_KINDS, jobs, messages
from zhiyin.core.log import get_logger
from zhiyin.decide.candidates.ramp_job import look
from zhiyin.intake import ask_due_pulls, pull_source
from zhiyin.journeys import Journeys
from zhiyin.judging import run_asked
from zhiyin.live_audiences import refresh_live
from zhiyin.reviews import Reviews
from zhiyin.store.leases import hold_lease, is_dead, this_process
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore
from zhiyin.trials import run_test

MAX_ATTEMPTS = 3
LEASE_S = 60.0
POLL_S = 1.0
CAMPAIGN_S = 20.0  # of one campaign at a time, then others have their turn
MEMBERS_EVERY = timedelta(minutes=10)  # between two looks at what members did with one message
SOURCES_S = 5.0  # between two looks at which sources are due
COMPACT_S = 10.0  # between two compactions: each is a commit to every table it writes
RAMPS_S = 300.0  # between two looks at what came of policies that are taking over
COMPACT_REST = 4.0  # and at least so many times what the last one took
GAVE_UP = "gave_up: its worker died three times"


class Stopped(BaseException):
    """The worker was told to stop: not an error of the job."""


@dataclass(frozen=True)
class Job:
    """A job that this worker holds."""

    job_id: str
    kind: str
    arguments: Mapping[str, Any]
    attempts: int


def work(
    folder: Path,
    *,
    once: bool = False,
    poll_s: float = POLL_S,
    parent: int | None = None,
) -> int:
    """Run waiting jobs until told to stop by SIGTERM or Ctrl-C; how many were taken.

    Parameters
    ----------
    once
        Stop when no job waits.
    poll_s
        Seconds between two looks at the ledger.
    parent
        Process id that must stay the parent: without it, stop.
    """
    holder, taken = this_process(), 0
    stop = threading.Event()
    with _signals(stop), Workspace.open(folder, write=True) as shop:
        journeys, staff = Journeys(shop), Staff(shop)
        try:
            looked, compact_at, ramps_at = -SOURCES_S, 0.0, 0.0
            while not stop.is_set() and parent in (None, os.getppid()):
                if shop.clock.monotonic() - looked >= SOURCES_S:
                    _ask_due(shop)
                    stopped = _send_confirmations(shop) + _send_campaigns(shop)
                    stopped += _tick_journeys(journeys, can_send=_has_channel(shop))
                    _look_at_members(shop)
                    staff.tell(stopped)
                    looked = shop.clock.monotonic()
                begun = shop.clock.monotonic()
                if begun >= compact_at:
                    _compact(shop)
                    _refresh_audiences(shop)
                    over = shop.clock.monotonic()
                    compact_at = over + max(COMPACT_S, COMPACT_REST * (over - begun))
                if begun >= ramps_at:
                    _step_ramps(shop)
                    ramps_at = shop.clock.monotonic() + RAMPS_S
                job = take_job(shop.store, holder=holder, clock=shop.clock)
                if job is None:
                    if once:
                        break
                    stop.wait(poll_s)
                    continue
                taken += 1
                if not _run(folder, shop, job, holder):
                    if once:
                        break
                    stop.wait(poll_s)
        except Stopped:
            pass
    return taken


def _compact(shop: Workspace) -> None:
    """Bring tracked events into the lake; where that cannot be done now, the next look does it."""
    try:
        for report in shop.compact():
            get_logger().info("journal: %s events of %s requests", report.events, report.frames)
    except (LeaseHeld, ConcurrentWrite):
        pass
    except ZhiyinError as error:
        get_logger().error("the journal waits: %s: %s", error.code, error.message)


def _step_ramps(shop: Workspace) -> None:
    """Let policies that are taking over go on, or take them back, by what is settled by now; close
    what no person decided in time.
    """
    now = shop.clock.now()
    try:
        Reviews(shop.store, shop.vault, shop.clock).expire()
        for one in look(shop.store, known_at=now, now=now):
            get_logger().info("%s: policy %s: %s (%s)", one.point, one.number, one.status,
                              one.reason)  # fmt: skip
    except ZhiyinError as error:
        get_logger().error("policies that take over wait: %s: %s", error.code, error.message)


def _send_confirmations(shop: Workspace) -> list[Alert]:
    """Send the mails of consents that wait for one; they do not wait for a campaign's approval.

    What cannot go on is told to staff.
    """
    if not _has_channel(shop):
        return []
    waiting = sa.select(messages.c.message_id).where(
        messages.c.campaign_id == CONFIRMATIONS, messages.c.state.in_(OPEN)
    )
    with reading(shop.store.ledger) as connection:
        if connection.execute(waiting.limit(1)).first() is None:
            return []
    try:
        shop.send(CONFIRMATIONS)
    except LeaseHeld:
        pass
    except ZhiyinError as error:
        get_logger().error("confirmations wait: %s: %s", error.code, error.message)
        return [of_error(CONFIRMATIONS, error)]
    return []


def _has_channel(shop: Workspace) -> bool:
    act = shop.settings.act
    return bool(shop.settings.demo or act.channel or act.channels)


def _tick_journeys(journeys: Journeys, *, can_send: bool) -> list[Alert]:
    """Bring the journeys up to now; where that cannot be done now, the next look does it."""
    stopped: list[Alert] = []
    for what in (partial(_tick, journeys, can_send=can_send), journeys.make_calls):
        try:
            what()
        except (LeaseHeld, ConcurrentWrite):
            pass
        except ZhiyinError as error:
            get_logger().error("journeys wait: %s: %s", error.code, error.message)
            stopped.append(of_error("journeys", error))
    return stopped


def _tick(journeys: Journeys, *, can_send: bool) -> None:
    for one in journeys.tick(deliver=can_send):
        if one.entered or one.moved:
            get_logger().info("%s: %s entered, %s went on", one.key, one.entered, one.moved)


def _send_campaigns(shop: Workspace) -> list[Alert]:
    """Plan and send what is due of the campaigns that persons started, for a while each."""
    stopped: list[Alert] = []
    now = naive_utc(shop.clock.now())
    with reading(shop.store.ledger) as connection:
        waiting = find_waiting(connection, now=now)
    if not _has_channel(shop):
        waiting = [one for one in waiting if one.definition.channel in HANDED]
    for one in waiting:
        try:
            if one.planned_at is None and one.as_of_on is not None:
                own = campaigns_of(
                    shop.store, shop.vault, shop.settings, shop.clock, one.as_of_on
                )  # fmt: skip
                with hold_lease(shop.store.ledger, clock=shop.clock):
                    own.plan(one.key)
            if one.definition.channel in LISTS:  # a person exports it
                continue
            shop.send(one.campaign_id, longest_s=CAMPAIGN_S)
        except LeaseHeld:
            return stopped
        except ZhiyinError as error:
            get_logger().error("%s waits: %s: %s", one.campaign_id, error.code, error.message)
            stopped.append(of_error(one.campaign_id, error))
    return stopped


def _look_at_members(shop: Workspace) -> None:
    """Stop mass messages of cancelled campaigns; see which others members have confirmed."""
    if not mass_channel(shop.settings):
        return
    try:
        take_back_cancelled(shop)
        look_at_members(shop, every=MEMBERS_EVERY)
    except ZhiyinError as error:
        get_logger().error("confirmations of members wait: %s: %s", error.code, error.message)


def _refresh_audiences(shop: Workspace) -> None:
    """Ask the live audiences; where that cannot be done now, the next look does it."""
    try:
        for one in refresh_live(shop.store, shop.vault, shop.clock):
            if one.entered or one.left:
                get_logger().info("%s: %s entered, %s left", one.name, one.entered, one.left)
    except LeaseHeld:
        pass
    except ZhiyinError as error:
        get_logger().error("live audiences wait: %s: %s", error.code, error.message)


def take_job(
    store: WorkspaceStore, *, holder: str, clock: Clock, lease_s: float = LEASE_S
) -> Job | None:
    """The oldest job that waits or whose worker is dead, now held by `holder`; None: no job.

    A job that was taken three times already is marked failed instead.
    """
    now = naive_utc(clock.now())
    query = (
        sa.select(jobs)
        .where(jobs.c.kind.in_(QUEUED_KINDS), jobs.c.state.in_(("waiting", "running")))
        .order_by(jobs.c.created_at, jobs.c.job_id)
        .with_for_update(skip_locked=True)  # SQLite's writing transactions exclude each other
    )
    with transaction(store.ledger) as connection:
        for row in connection.execute(query).all():
            over = row.leased_until is None or row.leased_until <= now
            if row.state == "running" and not over and not is_dead(row.holder or ""):
                continue
            mine = (jobs.c.job_id == row.job_id) & (jobs.c.state == row.state)
            if row.attempts >= MAX_ATTEMPTS:
                connection.execute(jobs.update().where(mine).values(state="failed", error=GAVE_UP))
                continue
            until = now + timedelta(seconds=lease_s)
            connection.execute(
                jobs.update()
                .where(mine)
                .values(
                    state="running", holder=holder, leased_until=until, attempts=row.attempts + 1
                )
            )
            return Job(row.job_id, row.kind, dict(row.arguments), row.attempts + 1)
    return None


def give_back(store: WorkspaceStore, job: Job, *, holder: str) -> None:
    """Let the job wait again, as if it had not been taken."""
    _settle(store, job, holder, state="waiting", attempts=job.attempts - 1)


def run_job(folder: Path, job: Job) -> dict[str, Any]:
    """Do what the job asks for; its result as JSON values without personal data.

    Raises
    ------
    ZhiyinError
        Whatever the turn or the report raises.
    """
    day = job.arguments.get("as_of")
    as_of = date.fromisoformat(day) if day else None
    with Workspace.open(folder, write=True) as shop:
        if job.kind == "pull":
            return {"pulled": [one.as_dict() for one in _pull(shop, job.arguments)]}
        if job.kind == "test":
            return run_test(shop, job.arguments, attempts=job.attempts)
        if job.kind in (CANDIDATE, JUDGE):
            return run_asked(shop.store, shop.clock, job.kind, job.arguments)
        if job.kind == "turn":
            turn = shop.run(as_of=as_of, again=bool(job.arguments.get("again")))
            as_of = turn.as_of
        elif job.kind != "report":
            known = ", ".join(QUEUED_KINDS)
            raise NotFound(f"there is no kind of job {job.kind!r}", hint=f"kinds: {known}")
        summary, _, path = shop.report(as_of=as_of)
    return {"turn_id": summary["turn_id"], "as_of": summary["as_of"], "report": path.name}


def _pull(shop: Workspace, arguments: Mapping[str, Any]) -> list[Pulled]:
    return pull_source(
        shop.store, shop.vault, shop.settings, shop.clock, shop.folder, str(arguments["source"]),
        from_start=bool(arguments.get("from_start")), progress=quiet,
    )  # fmt: skip


def _ask_due(shop: Workspace) -> None:
    """Ask for the pulls that are due; a wrong file of a source stops no other job."""
    try:
        ask_due_pulls(shop.store, shop.folder, shop.clock)
    except ZhiyinError as error:
        get_logger().error("sources: %s", error.code)


def _run(folder: Path, shop: Workspace, job: Job, holder: str) -> bool:
    """Run one job and note what came of it; whether the next may be taken at once."""
    store, log = shop.store, get_logger()
    try:
        with _heartbeat(store, job, holder, shop.clock):
            result = run_job(folder, job)
    except Stopped:
        give_back(store, job, holder=holder)
        raise
    except (LeaseHeld, ConcurrentWrite):
        give_back(store, job, holder=holder)
        log.info("job %s waits: the lake is held", job.job_id)
        return False
    except ZhiyinError as error:
        _settle(store, job, holder, state="failed", error=f"{error.code}: {error.message}"[:400])
        return True
    except Exception as error:  # noqa: BLE001 - the outermost shell of the process
        name = type(error).__name__  # its text may hold personal data
        log.error("job %s failed: %s", job.job_id, name)
        state = "failed" if job.attempts >= MAX_ATTEMPTS else "waiting"
        _settle(store, job, holder, state=state, error=f"internal: {name}"[:400])
        return False
    _settle(store, job, holder, state="done", result=result, error=None)
    return True


def _settle(store: WorkspaceStore, job: Job, holder: str, **values: Any) -> None:
    """Write the outcome, unless another worker has taken the job in the meantime."""
    mine = (jobs.c.job_id == job.job_id) & (jobs.c.holder == holder)
    with transaction(store.ledger) as connection:
        connection.execute(
            jobs.update().where(mine).values(holder=None, leased_until=None, **values)
        )


@contextmanager
def _heartbeat(store: WorkspaceStore, job: Job, holder: str, clock: Clock):
    """Hold the job's lease while the block runs."""
    over = threading.Event()
    mine = (jobs.c.job_id == job.job_id) & (jobs.c.holder == holder)

    def beat() -> None:
        while not over.wait(LEASE_S / 3):
            until = naive_utc(clock.now()) + timedelta(seconds=LEASE_S)
            with transaction(store.ledger) as connection:
                connection.execute(jobs.update().where(mine).values(leased_until=until))

    thread = threading.Thread(target=beat, name="zhiyin-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _signals(stop: threading.Event):
    """Within the block SIGTERM and Ctrl-C stop the worker, also in the middle of a job."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def told(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        raise Stopped

    before = {one: signal.signal(one, told) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Stopped:
        pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

"""From the journal to the lake: finished segments become rows, exactly once, then are destroyed.

A unit is a set of segments, noted in the ledger before anything of it is written. A compactor
that dies leaves it `running`, and the next one does the same unit again, which writes only what
is missing. Segments and their keys are destroyed only after the unit is noted `done`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from zhiyin.collect.compact import CompactReport, compact
from zhiyin.collect.plan import Checks
from zhiyin.collect.plan_ledger import pin_plans, read_pinned
from zhiyin.collect.received import DECISION, EVENT, OUTCOME
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.decisions import is_shown
from zhiyin.core.errors import JournalError, KeyDestroyed, ZhiyinError
from zhiyin.core.ledger import compactions
from zhiyin.core.log import get_logger
from zhiyin.core.protocols import Progress
from zhiyin.core.tables import DECISIONS, OUTCOMES
from zhiyin.decide.points.ledger import Given, count_given
from zhiyin.decide.reviews.ledger import put
from zhiyin.decided import sent_of, write_decided, write_outcomes
from zhiyin.shown import write_shown
from zhiyin.store.journal import Frame, destroy_segment, finished_segments, read_segment
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.vault import LocalVault, SegmentKeys, open_segment_keys
from zhiyin.store.workspace import WorkspaceStore

UNIT_BYTES = 128 * 1024 * 1024
SMALL_FILES = 48
"""A table that events are written to is compacted when it has so many files."""
LEASE_S = 3600.0
_RUNNING, _DONE = "running", "done"
_PLANS = "plans"
"""A unit that is done again after a kill is checked with the versions it began with: an event
that one version refuses and another keeps would be lost, or be in the lake and in quarantine."""


@dataclass(frozen=True)
class _Unit:
    unit: str
    segments: tuple[str, ...]
    pins: tuple[tuple[str, str, int], ...] = ()  # versions of the plans that it is checked with


def compact_journal(
    store: WorkspaceStore,
    vault: LocalVault,
    settings: Settings,
    *,
    folder: Path,
    keys: SegmentKeys,
    clock: Clock,
    progress: Progress | None = None,
) -> list[CompactReport]:
    """Move every finished segment of the journal in `folder` to the lake; a report a unit.

    Raises
    ------
    LeaseHeld
        If a turn, an erasure or another compactor has the lake.
    JournalError
        If a unit that was begun can no longer be read. A damaged segment that was not begun is
        left where it is and logged; the others are moved.
    """
    if not finished_segments(folder):
        return []
    reports: list[CompactReport] = []
    vault = vault.remembering()  # under the lease: no erasure takes a key meanwhile
    with hold_lease(store.ledger, clock=clock, ttl_s=LEASE_S) as lease:
        _destroy_done(store, folder, keys)
        while (chosen := _next_unit(store, folder, keys, clock)) is not None:
            unit, frames = chosen
            with reading(store.ledger) as connection:
                plans = Checks(read_pinned(connection, unit.pins))
            events = _of_kind(frames, EVENT)
            report = compact(
                store, vault, settings, clock, unit=unit.unit, frames=events,
                plans=plans if plans else None, progress=progress,
            )  # fmt: skip
            given = _write_decisions(store, unit.unit, frames, settings.currency, clock)
            _note_done(store, unit, report, clock, given)
            _destroy_done(store, folder, keys)
            _join_small_files(store, [*report.rows, DECISIONS.name, OUTCOMES.name])
            reports.append(report)
            lease.renew()
    return reports


def _write_decisions(
    store: WorkspaceStore, unit: str, frames: Sequence[Frame], currency: str, clock: Clock
) -> Given:
    """Write what requests got and what came of it; what was given of each point's actions."""
    payloads = [one.payload for one in _of_kind(frames, DECISION)]
    write_shown(store, unit, (one for one in payloads if is_shown(one)))
    chosen = [one for one in payloads if not is_shown(one)]
    _, given = write_decided(store, unit, chosen)
    if sent := sent_of(chosen):
        with transaction(store.ledger) as connection:
            put(connection, sent)
    told = (one.payload for one in _of_kind(frames, OUTCOME))
    write_outcomes(store, unit, told, currency=currency, now=clock.now())
    return given


def find_damaged(folder: Path) -> list[ZhiyinError]:
    """What is wrong with each finished segment of a workspace's journal that cannot be read."""
    keys, found = open_segment_keys(folder / "keys"), list[ZhiyinError]()
    for segment in finished_segments(folder / "journal"):
        try:
            for _ in read_segment(segment.path, keys):
                pass
        except FileNotFoundError:  # a compactor was quicker
            continue
        except (JournalError, KeyDestroyed) as error:
            found.append(error)
    return found


def _next_unit(
    store: WorkspaceStore, folder: Path, keys: SegmentKeys, clock: Clock
) -> tuple[_Unit, list[Frame]] | None:
    """The unit that was begun, otherwise a new one of the oldest segments; with its frames."""
    begun = _begun(store)
    if begun is not None:
        paths = [folder / f"{name}.zyj" for name in begun.segments]
        return begun, [frame for path in paths for frame in read_segment(path, keys)]
    segments, frames, size = [], [], 0
    for segment in finished_segments(folder):
        if segments and size + segment.size > UNIT_BYTES:
            break
        try:
            read = list(read_segment(segment.path, keys))
        except (JournalError, KeyDestroyed) as error:
            get_logger().error("%s", error)
            continue
        segments.append(segment.segment_id)
        size += segment.size
        frames += read
    if not segments:
        return None
    named = "u_" + hashlib.sha256("\n".join(segments).encode()).hexdigest()[:24]
    with transaction(store.ledger) as connection:
        unit = _Unit(named, tuple(segments), tuple(pin_plans(connection)))
        connection.execute(
            compactions.insert().values(
                compaction_id=unit.unit, segments=list(unit.segments), state=_RUNNING,
                report={_PLANS: [list(pin) for pin in unit.pins]},
                started_at=naive_utc(clock.now()),
            )
        )  # fmt: skip
    return unit, frames


def _of_kind(frames: Sequence[Frame], kind: str) -> list[Frame]:
    """The frames of a kind, numbered by their place among these."""
    mine = (frame.payload for frame in frames if frame.kind == kind)
    return [Frame(kind, number, payload) for number, payload in enumerate(mine)]


def _begun(store: WorkspaceStore) -> _Unit | None:
    query = sa.select(compactions).where(compactions.c.state == _RUNNING)
    with reading(store.ledger) as connection:
        row = connection.execute(query.order_by(compactions.c.started_at).limit(1)).one_or_none()
    if row is None:
        return None
    pins = (row.report or {}).get(_PLANS, ())
    return _Unit(
        row.compaction_id, tuple(row.segments), tuple((pin[0], pin[1], pin[2]) for pin in pins)
    )


def _note_done(
    store: WorkspaceStore, unit: _Unit, report: CompactReport, clock: Clock, given: Given
) -> None:
    """With what was given in the same transaction: it is counted once."""
    values: dict[str, Any] = asdict(report)
    with transaction(store.ledger) as connection:
        count_given(connection, given)
        connection.execute(
            compactions.update()
            .where(compactions.c.compaction_id == unit.unit)
            .values(state=_DONE, report=values, finished_at=naive_utc(clock.now()))
        )


def _destroy_done(store: WorkspaceStore, folder: Path, keys: SegmentKeys) -> None:
    """Destroy segments of units that are done: a compactor may have died before it did."""
    there = {segment.segment_id: segment.path for segment in finished_segments(folder)}
    if not there:
        return
    query = sa.select(compactions.c.segments).where(compactions.c.state == _DONE)
    recent = query.order_by(compactions.c.started_at.desc()).limit(100)
    with reading(store.ledger) as connection:
        done = {name for row in connection.execute(recent) for name in row.segments}
    for name in sorted(done & there.keys()):
        destroy_segment(there[name], keys)


def _join_small_files(store: WorkspaceStore, names: Sequence[str]) -> None:
    for name in names:
        handle = store.lake.open(name) if name in store.lake.tables else None
        if handle is not None and len(handle.file_uris()) > SMALL_FILES:
            store.lake.compact(name)
            store.lake.vacuum(name)

# pyright: reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Acknowledged requests become rows of the lake: exactly once, whatever dies in between.

A unit is a set of finished journal segments. It is read in slices; each slice is appended to
`events` and `item_events` under the unit's id and its number, and what follows from the events
(people, orders, products, reviews, consents, refused events) once at the end. Run again after a
kill, a unit writes only what is missing: the same frames and the same lake give the same rows.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import pyarrow as pa

from zhiyin.collect.event_consents import Consents
from zhiyin.collect.event_money import Terms
from zhiyin.collect.event_orders import Loader, Shop
from zhiyin.collect.event_people import ANONYMOUS, People, Writer
from zhiyin.collect.event_rows import Kept, Shaper
from zhiyin.collect.event_words import REASONS
from zhiyin.collect.load import read_rates
from zhiyin.collect.merge_guards import limits_of
from zhiyin.collect.received import Received, unpack
from zhiyin.collect.shape import lake_rows
from zhiyin.collect.tracking import PLACES, Event, Reader, Refused
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Progress, Store, Vault
from zhiyin.core.tables import TABLES

SLICE = 100_000  # events an append writes: bounds the memory of the writer
WINDOW = timedelta(days=7)
"""How far back in the lake an event is looked for under its id. Clients retry for 12 hours."""
_EVENT, _HIDDEN = "#event", "#id"  # namespaces of keyed hashes that no party has


class Frame(Protocol):
    """What the journal gives: `number` is unique in the unit, `payload` of `received.pack`."""

    @property
    def number(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


Plans = Callable[[str, Event], tuple[Sequence[str], bool]]
"""Checks an event of a source against its tracking plan: findings, and whether to refuse it."""


@dataclass(frozen=True)
class CompactReport:
    """What became of a unit.

    `frames` requests; `events` kept; `duplicates` known before; `refused` by reason; `rows` by
    table; `findings` by code, those for which a plan refused an event too; `again` duplicates by
    source. Loads of orders, products and reviews count in `rows` and `refused`.
    """

    unit: str
    frames: int
    events: int
    duplicates: int
    refused: Mapping[str, int]
    rows: Mapping[str, int]
    findings: Mapping[str, int]
    again: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Unit:
    """A unit under way."""

    store: Store
    vault: Vault
    settings: Settings
    clock: Clock
    unit: str
    plans: Plans | None
    now: datetime
    shaper: Shaper
    reader: Reader = field(default_factory=Reader)
    people: People = field(default_factory=People)
    shop: Shop = field(default_factory=Shop)
    consents: Consents = field(default_factory=Consents)
    refused: list[Refused] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    parties: dict[str, dict[str, str]] = field(default_factory=dict)  # by namespace and id
    rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    events: int = 0
    duplicates: int = 0


def compact(
    store: Store,
    vault: Vault,
    settings: Settings,
    clock: Clock,
    *,
    unit: str,
    frames: Iterable[Frame],
    plans: Plans | None = None,
    progress: Progress | None = None,
) -> CompactReport:
    """Write the events of a unit to the lake.

    The caller holds the lease `lake`, and destroys segments and keys only after this returns.

    Parameters
    ----------
    unit
        Stable id of the set of segments; becomes `load_id`.
    frames
        Of kind `event`, each once, in any order, the same in every run of the unit.
    plans
        Tracking plans; None: none.
    progress
        Told after each slice.

    Raises
    ------
    ConcurrentWrite
        If other writers kept committing; run the unit again.
    """
    now = naive_utc(clock.now())
    terms = Terms(settings.currency, settings.zone, read_rates(store, settings.currency)[0])
    shaper = Shaper(vault, terms, unit, now, lambda text: _hide(vault, text))
    run = _Unit(store, vault, settings, clock, unit, plans, now, shaper)
    with _no_cycle_search():
        _write(run, frames, progress or _quiet)
    return CompactReport(
        unit, run.frames, run.events, run.duplicates, dict(sorted(run.reasons.items())),
        dict(sorted((+run.rows).items())), dict(sorted(run.findings.items())),
        dict(sorted((+run.again).items())),
    )  # fmt: skip


def _write(run: _Unit, frames: Iterable[Frame], say: Progress) -> None:
    for seq, part in enumerate(_slices(run, frames)):
        _write_slice(run, seq, part)
        say("events", 1 - 0.9 ** (seq + 1))
    say("people", 0.9)
    _finish(run)
    say("done", 1.0)


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """No search for reference cycles meanwhile: a slice holds millions of objects, none in one.

    The search would walk all of them again and again. What is let go is freed as always.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _quiet(what: str, share: float) -> None:
    return None


def _hide(vault: Vault, text: str) -> str:
    return "x_" + vault.party_ids(_HIDDEN, [text])[0][2:]


def _slices(run: _Unit, frames: Iterable[Frame]) -> Iterator[list[Event]]:
    """Events by slices, in the order in which they were received, whatever that of the frames."""
    held: list[tuple[int, bytes, list[Event]]] = []
    count = 0
    for frame in frames:
        run.frames += 1
        try:
            received = unpack(frame.payload)
        except msgspec.DecodeError:
            nobody = Received("unknown", "server", "user_id", "batch", 0, b"")
            run.refused.append(Refused(frame.number * PLACES, nobody, "bad_frame", frame.payload))
            continue
        events: list[Event] = []
        for one in run.reader.read(received, frame.number):
            if isinstance(one, Refused):
                run.refused.append(one)
            else:
                events.append(one)
        held.append((received.received_us, received.body, events))
        count += len(events)
        if count >= SLICE:
            yield _in_order(held)
            held, count = [], 0
    if held:
        yield _in_order(held)


def _in_order(held: list[tuple[int, bytes, list[Event]]]) -> list[Event]:
    held.sort(key=lambda one: one[:2])
    return [event for _, _, events in held for event in events]


def _write_slice(run: _Unit, seq: int, events: list[Event]) -> None:
    fresh = _without_repeats(run, events)
    if run.plans is not None:
        fresh = [(id_, one) for id_, one in fresh if _fits_plan(run, run.plans, one)]
    parties = _parties(run, [one for _, one in fresh])
    kept = [
        Kept(one, id_, party) for (id_, one), party in zip(fresh, parties, strict=True) if party
    ]
    good, rows, items = run.shaper.shape(kept)
    run.refused += [
        Refused(
            one.event.line_no, one.event.request, "too_deep", one.event.content(),
            one.event.user_id, one.event.anonymous_id,
        )
        for one in kept
        if one.deep
    ]  # fmt: skip
    for one in good:
        run.people.see(one)
        if "consent" in one.event.context:
            run.consents.see(one)
        if one.shape.said.plain:
            run.shop.see(one)
        if one.event.findings:
            run.findings.update(one.event.findings)
    run.events += len(good)
    for table, made in (("events", rows), ("item_events", items)):
        if made.num_rows:
            run.store.append(table, made, app=f"{run.unit}:{table}", seq=seq)
            run.rows[table] += made.num_rows


def _without_repeats(run: _Unit, events: list[Event]) -> list[tuple[str, Event]]:
    """Events with their ids, without those known before in the unit or in the lake."""
    hashed = run.vault.party_ids(_EVENT, [f"{one.request.source}|{one.key}" for one in events])
    fresh: dict[str, Event] = {}
    for text, one in zip(hashed, events, strict=True):
        id_ = f"{one.request.source}:e_{text[2:]}"
        if id_ not in run.seen:
            run.seen.add(id_)
            fresh[id_] = one
    if fresh:
        since = next(iter(fresh.values())).request.received_us  # they are in this order
        moment = datetime(1970, 1, 1) + timedelta(microseconds=since)  # noqa: DTZ001 - naive UTC
        held = run.store.read("events")
        held = held.filter(held[c.LOAD_ID] != run.unit, held[c.RECEIVED_AT] >= moment - WINDOW)
        wanted = run.store.to_ibis(pa.table({c.EVENT_ID: pa.array(list(fresh), pa.string())}))
        found = held.semi_join(wanted, c.EVENT_ID).select(c.EVENT_ID).to_pyarrow()
        for id_ in found.column(0).to_pylist():
            fresh.pop(id_, None)
    if len(fresh) < len(events):
        run.duplicates += len(events) - len(fresh)
        run.again.update(Counter(one.request.source for one in events))
        run.again.subtract(Counter(one.request.source for one in fresh.values()))
    return list(fresh.items())


def _fits_plan(run: _Unit, plans: Plans, event: Event) -> bool:
    findings, refuse = plans(event.request.source, event)
    event.findings.extend(findings)
    if refuse:
        run.findings.update(findings)
        run.refused.append(
            Refused(event.line_no, event.request, "against_plan", event.content(), event.user_id,
                    event.anonymous_id, ", ".join(findings))
        )  # fmt: skip
    return not refuse


def _parties(run: _Unit, people: Sequence[Event | Refused]) -> list[str | None]:
    """The party of each; those new to the unit are hashed all at once."""
    known = run.parties
    named = [_who(one) for one in people]
    wanted: dict[str, set[str]] = {}
    for namespace, id_ in named:
        if id_ is not None and id_ not in known.setdefault(namespace, {}):
            wanted.setdefault(namespace, set()).add(id_)
    for namespace, values in wanted.items():
        listed = sorted(values)
        parties = run.vault.party_ids(namespace, listed)
        known[namespace].update(zip(listed, parties, strict=True))
    return [None if id_ is None else known[namespace][id_] for namespace, id_ in named]


def _who(one: Event | Refused) -> tuple[str, str | None]:
    """Whom an event is about: namespace and id; None only where it is refused."""
    if one.user_id is not None:
        return one.request.user_namespace, one.user_id
    return ANONYMOUS, one.anonymous_id


def _finish(run: _Unit) -> None:
    """Write what follows from the events of the unit."""
    limits = limits_of(run.settings.identity)
    run.rows.update(Writer(run.store, run.vault, run.unit, run.now, limits).write(run.people))
    loader = Loader(run.store, run.vault, run.settings, run.clock, run.unit)
    for report in loader.load(run.shop):
        run.rows.update(report.written)
        run.reasons.update(report.reasons)
    run.rows["consents"] += run.consents.write(run.store)
    _write_refused(run)


def _write_refused(run: _Unit) -> None:
    refused = sorted(run.refused, key=lambda one: (one.line_no, one.reason))
    if not refused:
        return
    run.reasons.update(one.reason for one in refused)
    named = _parties(run, refused)
    columns = {
        c.SOURCE: pa.array([one.request.source for one in refused], pa.string()),
        c.LINE_NO: pa.array([one.line_no for one in refused], pa.int64()),
        c.REASON: pa.array([one.reason for one in refused], pa.string()),
        c.MESSAGE: pa.array([_say(one) for one in refused], pa.string()),
        c.PARTY_IDS: pa.array([f'["{one}"]' if one else "[]" for one in named], pa.string()),
        c.CONTENT: pa.array(
            run.vault.seal_with(run.unit, [one.content for one in refused]), pa.binary()
        ),
    }
    rows = lake_rows(
        columns, TABLES["quarantine"], len(refused), load_id=run.unit, table="events",
        key_id=run.unit, quarantined_at=run.now,
    )  # fmt: skip
    run.store.append("quarantine", rows, app=f"{run.unit}:quarantine")
    run.rows["quarantine"] += rows.num_rows


def _say(one: Refused) -> str:
    """Why it is refused, in a sentence that holds nothing of its content."""
    said = REASONS[one.reason][0]
    return f"{said}: {one.detail}" if one.detail else said

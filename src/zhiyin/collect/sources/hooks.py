"""Webhooks: kept encrypted in the ledger before they are acknowledged, moved to the lake after.

The sender gets its 2xx when the ledger has the body on disk, once per id. The worker moves what
waits to the lake by the source's mappings and then deletes body and key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from zhiyin.collect.files import raw_from_table
from zhiyin.collect.load import load_raw
from zhiyin.collect.sources import arrivals
from zhiyin.collect.sources.arrivals import Arrival
from zhiyin.collect.sources.config import HookSource, HookTable
from zhiyin.collect.sources.intake import Intake, Pulled
from zhiyin.collect.sources.paths import MAX_DEPTH, depth_of, rows_of
from zhiyin.collect.sources.signatures import verify
from zhiyin.collect.sources.sql import read_headers
from zhiyin.collect.sources.values import text_table
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import source_secrets
from zhiyin.core.errors import Busy, InputError

BATCH = 500
KEY_LIFE = timedelta(hours=2)
MAX_BODY = 1 << 20
"""Largest body of a webhook, bytes."""


def receive(
    intake: Intake, name: str, source: HookSource, headers: Mapping[str, str], body: bytes
) -> str:
    """Keep one webhook; `kept`, `known` (it came before) or `ignored` (no table wants its topic).

    Raises
    ------
    NotAuthenticated
        If its signature is wrong.
    InputError
        If the body can never be read: no JSON object or array.
    Busy
        If too many wait, or the ledger cannot be written now.
    """
    verified = verify(source, headers, body, secrets=source_secrets(name), now=intake.clock.now())
    topic = verified.topic or _topic_in(source, body)
    if not _tables_of(source, topic):
        return "ignored"
    read_body(body)
    content = verified.hook_id.encode() or body
    arrival_id = hashlib.sha256(name.encode() + b"|" + content).hexdigest()
    now = naive_utc(intake.clock.now())
    with intake.store.begin() as connection:
        if arrivals.has_arrival(connection, name, arrival_id):
            return "known"
        if arrivals.count_waiting(connection, name) >= source.max_waiting:
            raise Busy(f"{source.max_waiting} webhooks of {name} wait already", retry_after_s=60)
    key_id = key_of(name, now)
    sealed = intake.vault.seal_with(key_id, [body])[0]
    arrival = Arrival(arrival_id, topic, key_id, sealed, now)
    with intake.store.begin() as connection:
        kept = arrivals.add_arrival(connection, name, arrival, size=len(body))
    return "kept" if kept else "known"


def key_of(name: str, at: datetime) -> str:
    """The id of the key for webhooks that come in the hour of `at`."""
    return f"hook:{name}:{at:%Y%m%d%H}"


def read_body(body: bytes) -> Any:
    """The JSON of a body; numbers stay the texts that were sent, so that no cent is lost.

    Raises
    ------
    InputError
        If it is no JSON object or array, or nested too deeply.
    """
    if depth_of(body) > MAX_DEPTH:
        raise InputError(f"the body is nested more than {MAX_DEPTH} deep")
    try:
        document = json.loads(body, parse_float=str, parse_int=str)
    except ValueError:
        document = None
    if not isinstance(document, dict | list):
        raise InputError("the body is no JSON object or array")
    return document


def _topic_in(source: HookSource, body: bytes) -> str:
    """Standard Webhooks say the topic in the body's `type`."""
    if source.signature != "standard":
        return ""
    document = read_body(body)
    kind = document.get("type") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else ""


def _tables_of(source: HookSource, topic: str) -> list[HookTable]:
    return [one for one in source.tables if not one.topics or topic in one.topics]


def drain(intake: Intake, name: str, source: HookSource, *, dry_run: bool = False) -> list[Pulled]:
    """Move the webhooks that wait to the lake, in the order in which they came."""
    made = [Pulled(name, one.each or "$", one.table) for one in source.tables]
    while True:
        with intake.store.begin() as connection:
            waiting = arrivals.claim_waiting(connection, name, limit=BATCH, keep=not dry_run)
        if not waiting:
            break
        bodies = list(_open(intake, waiting))
        for place, wanted in enumerate(source.tables):
            for part in _rounds(bodies, wanted):
                made[place] = _load(intake, name, wanted, part, made[place], dry_run=dry_run)
        if dry_run:
            break
        with intake.store.begin() as connection:
            arrivals.settle(connection, name, [one.arrival_id for one in waiting])
    if not dry_run:
        _clean(intake, name)
    return made


def _clean(intake: Intake, name: str) -> None:
    """Destroy the keys of hours that are over and wholly in the lake; forget old ids."""
    now = naive_utc(intake.clock.now())
    with intake.store.begin() as connection:
        arrivals.destroy_spent_keys(connection, name, before=key_of(name, now - KEY_LIFE))
        arrivals.forget_old(connection, name, now=now)


def _open(intake: Intake, waiting: Sequence[Arrival]) -> Iterator[tuple[Arrival, Any]]:
    for one in waiting:
        body = intake.vault.unseal_with(one.key_id, [one.content])[0]
        yield one, read_body(body)


def _rounds(
    bodies: Sequence[tuple[Arrival, Any]], wanted: HookTable
) -> Iterator[list[tuple[Arrival, Any]]]:
    """Webhooks in parts within which no row comes twice: a later state is a later load."""
    paths = read_headers(wanted.mapping)
    keys = [wanted.mapping.columns[name].headers for name in _key_columns(wanted)]
    places = [paths.index(header) for headers in keys for header in headers]
    seen: set[str] = set()
    part: list[tuple[Arrival, Any]] = []
    for arrival, document in bodies:
        if wanted.topics and arrival.topic not in wanted.topics:
            continue
        rows = rows_of(document, paths, each=wanted.each)
        mine = {json.dumps([row[place] for place in places]) for row in rows}
        if mine & seen:
            yield part
            part, seen = [], set()
        part.append((arrival, document))
        seen |= mine
    if part:
        yield part


def _key_columns(wanted: HookTable) -> list[str]:
    """Mapped columns that tell rows apart."""
    names = [one for one in wanted.mapping.columns if one.endswith("_id") or one in _PEOPLE]
    return names or list(wanted.mapping.columns)


_PEOPLE = ("email", "phone")


def _load(
    intake: Intake,
    name: str,
    wanted: HookTable,
    part: Sequence[tuple[Arrival, Any]],
    made: Pulled,
    *,
    dry_run: bool,
) -> Pulled:
    paths = read_headers(wanted.mapping)
    rows = [row for _, document in part for row in rows_of(document, paths, each=wanted.each)]
    if not rows:
        return made
    ids = [name, wanted.table, wanted.each, *(arrival.arrival_id for arrival, _ in part)]
    raw = raw_from_table(
        text_table(rows, paths), name=f"webhook {name}",
        digest=hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    )  # fmt: skip
    report = load_raw(
        intake.store, intake.vault, intake.settings, intake.clock, raw, wanted.table,
        wanted.mapping, dry_run=dry_run,
    )  # fmt: skip
    return made.plus(len(rows), 0, report)

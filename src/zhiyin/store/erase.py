# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Erasing a person from the lake and the ledger so that no file keeps a trace (law 7).

Facts stay, under a random id that is kept nowhere, so no total changes; whatever else names the
person goes. Rows are found by a merge with a source table, because the Delta log keeps the
literals of a predicate for ever. A run that was killed is completed by running it again with the
same parties: the rows that tell who belongs to the person go last.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter
from zhiyin.core.ledger import (
    audiences,
    authorisations,
    consent_requests,
    consents,
    decision_requests,
    jobs,
    journey_calls,
    journey_people,
    journey_places,
    languages,
    manual_tags,
    membership_changes,
    messages,
    reactions,
    reviews,
    tag_definitions,
    tasks,
)
from zhiyin.core.schema import Table
from zhiyin.core.tables import MERGES
from zhiyin.store.ledger import scrub_ledger, transaction
from zhiyin.store.vault import destroy_keys
from zhiyin.store.workspace import WorkspaceStore

Way = Literal["keep", "rename", "delete", "delete_named"]
_TEMPORARY = re.compile(r"\.parquet#\d+$")
_NEW, _NOTHING = "new_id", "nothing"


@dataclass(frozen=True)
class Totals:
    """Rows of a table and the sums of its money columns: erasing must not change a fact's."""

    rows: int
    sums: Mapping[str, int | None]


@dataclass(frozen=True)
class Erasure:
    """What an erasure did. It holds counts only: nothing in it names the person."""

    parties: int
    keys_destroyed: int
    before: Mapping[str, Totals]
    after: Mapping[str, Totals]
    renamed: Mapping[str, int] = field(default_factory=dict)  # rows of facts under a new id
    deleted: Mapping[str, int] = field(default_factory=dict)  # rows of other tables
    files_removed: int = 0
    ledger: Mapping[str, int] = field(default_factory=dict)

    @property
    def totals_equal(self) -> bool:
        """Whether every fact table has the rows and sums that it had before."""
        return self.before == self.after


def way_of(table: Table) -> Way:
    """What erasing does with the rows of a person in `table`."""
    if c.PARTY_IDS in table.names:
        return "delete_named"
    if table.kind == "fact" and c.PARTY_ID in table.names:
        return "rename"
    names = {c.PARTY_ID, c.CUSTOMER_ID, c.INTO} & set(table.names)
    return "delete" if names else "keep"


def erase_parties(store: WorkspaceStore, party_ids: Sequence[str]) -> Erasure:
    """Erase the person whose parties are `party_ids`: all of them, or she can be found again.

    The caller holds the lease `lake` and no pinned store; old versions of all tables are gone
    afterwards. Suppression tokens stay: they keep her from being written to again.

    Parameters
    ----------
    party_ids
        `core.parties.joined_parties` of one party under `store.representatives()`.

    Raises
    ------
    InvalidParameter
        If it is empty.
    ConcurrentWrite
        If other writers kept committing, or a reader keeps the ledger's log open.
    """
    wanted = sorted(set(party_ids))
    if not wanted:
        raise InvalidParameter("an erasure needs at least one party")
    new_id = "p_" + base64.b32encode(os.urandom(17))[:26].decode().lower()
    with transaction(store.ledger) as connection:
        keys = destroy_keys(connection, wanted)
    for online in (store.online, store.numbers):
        online.erase(wanted)
    tables = [table for table in store.lake.tables.values() if way_of(table) != "keep"]
    tables.sort(key=lambda table: table.name == MERGES.name)  # merges last
    facts = [table.name for table in tables if way_of(table) == "rename"]
    before = {name: measure_totals(store, name) for name in facts}
    renamed: dict[str, int] = {}
    deleted: dict[str, int] = {}
    for table in tables:
        if way_of(table) == "rename":
            renamed[table.name] = _rename(store, table, wanted, new_id)
        elif way_of(table) == "delete":
            deleted[table.name] = _delete(store, table, wanted)
        else:
            deleted[table.name] = _delete_named(store, table, wanted)
    removed = sum(store.lake.vacuum(name, keep_hours=0) for name in store.lake.tables)
    removed += remove_temporaries(store)
    with transaction(store.ledger) as connection:
        ledger = _erase_from_ledger(connection, wanted, new_id)
    scrub_ledger(store.ledger)
    after = {name: measure_totals(store, name) for name in facts}
    return Erasure(len(wanted), keys, before, after, renamed, deleted, removed, ledger)


def measure_totals(store: WorkspaceStore, name: str) -> Totals:
    """Rows of a table as stored, all revisions, and the sum of each base money column."""
    if store.lake.open(name) is None:
        return Totals(0, {})
    rows = store.read_stored(name)
    money = [one for one in rows.columns if one.endswith("_base_minor")]
    measured = rows.aggregate(n=rows.count(), **{one: rows[one].sum() for one in money})
    values = measured.to_pyarrow().to_pylist()[0]
    count = values.pop("n")
    return Totals(count, {one: None if sum_ is None else int(sum_) for one, sum_ in values.items()})


def remove_temporaries(store: WorkspaceStore) -> int:
    """Remove what writers that were killed left half-written; a vacuum does not see it."""
    stale = [one for one in store.lake.folder.rglob("*") if _TEMPORARY.search(one.name)]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def _rename(store: WorkspaceStore, table: Table, wanted: Sequence[str], new_id: str) -> int:
    """Give the fact rows of the person the new id, without their encrypted fields."""
    source = pa.table(
        {
            c.KEY: wanted,
            _NEW: [new_id] * len(wanted),
            _NOTHING: pa.nulls(len(wanted), pa.binary()),
        }
    )
    count = _count(store, table.name, c.PARTY_ID, wanted)
    ids = [one for one in (c.PARTY_ID, c.CUSTOMER_ID) if one in table.names]
    if count:
        changes = dict.fromkeys(ids, f"s.{_NEW}")
        if c.PERSONAL in table.names:
            changes[c.PERSONAL] = f"s.{_NOTHING}"
        store.lake.merge(table.name, source, on=f"t.{c.PARTY_ID} = s.{c.KEY}", set_to=changes)
    if c.CUSTOMER_ID in ids and _count(store, table.name, c.CUSTOMER_ID, wanted):
        store.lake.merge(
            table.name,
            source,
            on=f"t.{c.CUSTOMER_ID} = s.{c.KEY}",
            set_to={c.CUSTOMER_ID: f"s.{_NEW}"},
        )
    return count


def _delete(store: WorkspaceStore, table: Table, wanted: Sequence[str]) -> int:
    source = pa.table({c.KEY: wanted})
    total = 0
    for column in (c.PARTY_ID, c.INTO, c.CUSTOMER_ID):
        if column in table.names:
            count = _count(store, table.name, column, wanted)
            if count:
                store.lake.merge(table.name, source, on=f"t.{column} = s.{c.KEY}", set_to=None)
            total += count
    return total


def _delete_named(store: WorkspaceStore, table: Table, wanted: Sequence[str]) -> int:
    """Delete quarantined rows that name the person among others, by their key."""
    rows = store.read_stored(table.name)
    named = rows[c.PARTY_IDS].contains(wanted[0])
    for one in wanted[1:]:
        named = named | rows[c.PARTY_IDS].contains(one)
    found = rows.filter(named).select(*table.key).to_pyarrow()
    if not found.num_rows:
        return 0
    keys = found.group_by(list(table.key)).aggregate([])
    on = " AND ".join(f't."{one}" = s."{one}"' for one in table.key)
    store.lake.merge(table.name, keys, on=on, set_to=None)
    return found.num_rows


def _count(store: WorkspaceStore, name: str, column: str, wanted: Sequence[str]) -> int:
    if store.lake.open(name) is None:
        return 0
    rows = store.read_stored(name)
    return int(rows.filter(rows[column].isin(list(wanted))).count().to_pyarrow().as_py())


def _erase_from_ledger(
    connection: sa.Connection, wanted: Sequence[str], new_id: str
) -> dict[str, int]:
    counts: dict[str, int] = {}
    held = connection.execute(
        sa.select(consents.c.consent_id).where(consents.c.party_id.in_(wanted))
    ).scalars()
    rows = [{"old": one, "fresh": os.urandom(32).hex()} for one in held]
    if rows:  # a consent's id is a hash of the party's
        connection.execute(
            consents.update()
            .where(consents.c.consent_id == sa.bindparam("old"))
            .values(consent_id=sa.bindparam("fresh"), party_id=new_id, proof=None),
            rows,
        )
    counts[consents.name] = len(rows)
    counts[messages.name] = connection.execute(
        messages.update()
        .where(messages.c.party_id.in_(wanted) | messages.c.customer_id.in_(wanted))
        .values(party_id=new_id, customer_id=new_id, content=None, receipt=None, address_token=None)
    ).rowcount
    counts[jobs.name] = _scrub_jobs(connection, wanted, new_id)
    hers = membership_changes.c.customer_id.in_(wanted)
    counts[membership_changes.name] = connection.execute(
        membership_changes.delete().where(hers)
    ).rowcount
    entries = sa.select(journey_people.c.entry_id).where(journey_people.c.party_id.in_(wanted))
    counts[journey_places.name] = connection.execute(
        journey_places.delete().where(journey_places.c.entry_id.in_(entries))
    ).rowcount
    for table in (
        manual_tags,
        consent_requests,
        languages,
        reactions,
        journey_people,
        journey_calls,
        decision_requests,
        reviews,
        tasks,
        authorisations,
    ):
        counts[table.name] = connection.execute(
            table.delete().where(table.c.party_id.in_(wanted))
        ).rowcount
    for table, column in ((audiences, "rule"), (tag_definitions, "body")):
        counts[table.name] = _scrub_rules(connection, table, column, wanted, new_id)
    return counts


def _scrub_rules(
    connection: sa.Connection, table: sa.Table, column: str, wanted: Sequence[str], new_id: str
) -> int:
    """Put the new id where the rule of an audience or a tag, in any version, lists the person."""
    changed = 0
    rows = connection.execute(sa.select(table.c.name, table.c.version, table.c[column]))
    for name, version, rule in rows.all():
        text = json.dumps(rule, ensure_ascii=False)
        clean = text
        for one in wanted:
            clean = clean.replace(one, new_id)
        if clean != text:
            mine = (table.c.name == name) & (table.c.version == version)
            connection.execute(table.update().where(mine).values({column: json.loads(clean)}))
            changed += 1
    return changed


def _scrub_jobs(connection: sa.Connection, wanted: Sequence[str], new_id: str) -> int:
    """Put the new id where the arguments, the result or the error of a job name the person."""
    changed = 0
    for row in connection.execute(
        sa.select(jobs.c.job_id, jobs.c.arguments, jobs.c.result, jobs.c.error)
    ).all():
        text = json.dumps([row.arguments, row.result, row.error], ensure_ascii=False)
        clean = text
        for one in wanted:
            clean = clean.replace(one, new_id)
        if clean != text:
            arguments, result, error = json.loads(clean)
            connection.execute(
                jobs.update()
                .where(jobs.c.job_id == row.job_id)
                .values(arguments=arguments, result=result, error=error)
            )
            changed += 1
    return changed

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false
# (Ibis knows the type of a column when it runs)
"""Live audiences: asked again for those of whom something came in, and for whom time has passed.

All live audiences are asked together, in one query over the rows of the customers concerned. What
was told (`membership_changes`) and what was asked about (`audiences.asked`) are written in one
transaction, so a crash loses nothing and tells nobody twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import ibis
import pyarrow as pa

from zhiyin.audience import Rule, compile_many, dump
from zhiyin.audience.check import resolve
from zhiyin.audience.due import due
from zhiyin.audience.fields import PRODUCTS
from zhiyin.audience.formula import SNAPSHOTS
from zhiyin.audience.ledger import LIVE, Stored, list_audiences, tell_changes
from zhiyin.audience.moment import moment_of
from zhiyin.audience.read import last_snapshot, table_names, tables_for
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, local_day, naive_utc
from zhiyin.core.protocols import Vault
from zhiyin.core.tables import table as table_of
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, transaction
from zhiyin.store.workspace import WorkspaceStore

MERGES = "merges"
LEASE = "live audiences"
IDLE = timedelta(minutes=1)
"""How often time alone is a reason to ask."""


@dataclass(frozen=True)
class Refreshed:
    """What became of one live audience; `asked`: of how many customers, None for everybody."""

    name: str
    asked: int | None
    entered: int
    left: int


def refresh_live(store: WorkspaceStore, vault: Vault, clock: Clock) -> list[Refreshed]:
    """Bring the live audiences up to now; empty where there is nothing to do.

    Raises
    ------
    LeaseHeld
        If another process does it at this moment.
    """
    with reading(store.ledger) as connection:
        stored = list_audiences(connection)
    live = [one for one in stored if one.kind == LIVE]
    if not live:
        return []
    with hold_lease(store.ledger, LEASE, clock=clock):
        with reading(store.ledger) as connection:  # another process may have asked meanwhile
            stored = list_audiences(connection)
        return _Round(store, vault, clock.now(), stored).run()


class _Round:
    """One round of asking, at one moment and one version of every table."""

    def __init__(
        self, store: WorkspaceStore, vault: Vault, now: datetime, stored: Sequence[Stored]
    ) -> None:
        self.versions = store.versions()
        self.store = store.pinned(self.versions)
        self.vault, self.now = vault, now
        self.day = local_day(now, store.zone)
        self.rules: dict[str, Rule] = {one.name: one.rule for one in stored}
        self.live = [one for one in stored if one.kind == LIVE]
        self.whole = {one.name: resolve(one.rule, self.rules, name=one.name) for one in self.live}
        self.reads = {*table_names(self.whole.values()), MERGES}
        self.snapshot_on = last_snapshot(self.store, self.day)

    def run(self) -> list[Refreshed]:
        all_of = [one for one in self.live if self._is_new(one)]
        some_of = [one for one in self.live if one not in all_of]
        made = self._ask(all_of, None) if all_of else []
        rounds: dict[str, list[Stored]] = {}
        for one in some_of:
            rounds.setdefault((one.asked or {})["at"], []).append(one)
        for alike in rounds.values():
            made += self._ask_again(alike, alike[0].asked or {})
        return sorted(made, key=lambda one: one.name)

    def _ask_again(self, stored: list[Stored], asked: dict[str, Any]) -> list[Refreshed]:
        """Ask those of whom something is new since the round that `asked` tells of."""
        since = datetime.fromisoformat(asked["at"])
        changed = {
            name for name in self.reads if asked["versions"].get(name) != self.versions[name]
        }
        if not changed and self.now - since < IDLE:
            return []
        if local_day(since, self.store.zone) != self.day or changed & SNAPSHOTS:
            return self._ask(stored, None)
        people = self._concerned(changed, asked["versions"], since)
        return self._ask(stored, people)

    def _is_new(self, one: Stored) -> bool:
        return (
            one.asked is None
            or one.asked["rule"] != self._digest(one)  # also of an audience that it names
            or one.asked["snapshot_on"] != self.snapshot_on.isoformat()
            or datetime.fromisoformat(one.asked["at"]) > self.now
        )

    def _digest(self, one: Stored) -> str:
        return sha256(dump(self.whole[one.name]).encode()).hexdigest()[:16]

    def _concerned(
        self, changed: set[str], before: Mapping[str, int], since: datetime
    ) -> set[str] | None:
        """Ids of the customers to ask; None: everybody."""
        known = self.store.representatives(as_of=self._tomorrow())
        parties: set[str] = set()
        products: set[str] = set()
        for name in sorted(changed):
            for column in self._marks(name):
                found = self.store.appended(name, since=before.get(name, -1), column=column)
                if found is None:
                    return None
                if column not in (c.PARTY_ID, c.INTO, c.PRODUCT_ID):
                    found = self._owners(name, column, found)
                (products if name == PRODUCTS else parties).update(found)
        people = {known.get(one, one) for one in parties} | (
            parties if MERGES in changed else set()
        )
        tables = self._tables()
        found = [due(
            tables, self.whole.values(), since=moment_of(since, zone=self.store.zone),
            now=moment_of(self.now, zone=self.store.zone),
        )]  # fmt: skip
        found += self._buyers(tables, products, since)
        for ids in found:
            if ids is not None:
                people |= set(ids.distinct().to_pyarrow().column(0).to_pylist())
        return people - {None}

    def _marks(self, name: str) -> tuple[str, ...]:
        """Columns of appended rows that tell who or what is concerned."""
        if name == MERGES:
            return c.PARTY_ID, c.INTO
        definition = table_of(name)
        key = definition.key[0] if definition.revisions else c.PARTY_ID
        return (key,)

    def _owners(self, name: str, key: str, ids: set[str]) -> set[str]:
        """Parties of all revisions of the rows: a revision may take a row from somebody."""
        asked = pa.table({key: pa.array(sorted(ids), pa.string())})
        stored = self.store.read_stored(name)
        found = stored.semi_join(self.store.to_ibis(asked), key).select(c.PARTY_ID).distinct()
        return set(found.to_pyarrow().column(0).to_pylist()) - {None}

    def _buyers(
        self, tables: Mapping[str, ibis.Table], products: set[str], since: datetime
    ) -> list[ibis.Table]:
        """Customers with rows of products whose description is new, or holds only now."""
        if PRODUCTS not in tables:
            return []
        rows = tables[PRODUCTS]
        begun = rows[c.VALID_AT].between(naive_utc(since), naive_utc(self.now))
        ids = rows.filter(begun).select(c.PRODUCT_ID).to_pyarrow().column(0).to_pylist()
        wanted = sorted(products | set(ids))
        if not wanted:
            return []
        asked = self.store.to_ibis(pa.table({c.PRODUCT_ID: pa.array(wanted, pa.string())}))
        return [
            table.semi_join(asked, c.PRODUCT_ID).select(c.CUSTOMER_ID)
            for name, table in tables.items()
            if name != PRODUCTS and c.PRODUCT_ID in table.columns and c.CUSTOMER_ID in table.columns
        ]

    def _ask(self, stored: list[Stored], people: set[str] | None) -> list[Refreshed]:
        inside: dict[str, list[str]] = {one.name: [] for one in stored}
        if people is None or people:
            only = None
            if people is not None:
                ids = pa.table({c.CUSTOMER_ID: pa.array(sorted(people), pa.string())})
                only = self.store.to_ibis(ids)
            wanted = {one.name: self.whole[one.name] for one in stored}
            flags = compile_many(wanted).flags(
                self._tables(wanted.values(), only), as_of=self.now, zone=self.store.zone,
                snapshot_on=self.snapshot_on,
            ).to_pyarrow()  # fmt: skip
            for name in inside:
                inside[name] = flags.filter(flags[name])[c.CUSTOMER_ID].to_pylist()
        mark = {
            "at": self.now.astimezone(UTC).isoformat(), "snapshot_on": self.snapshot_on.isoformat(),
            "versions": {name: self.versions[name] for name in sorted(self.reads)},
        }  # fmt: skip
        made: list[Refreshed] = []
        with transaction(self.store.ledger) as connection:
            for one in stored:
                entered, left = tell_changes(
                    connection, one, inside[one.name], as_of=self.day, now=naive_utc(self.now),
                    among=people, asked=mark | {"rule": self._digest(one)},
                )  # fmt: skip
                made.append(
                    Refreshed(one.name, None if people is None else len(people), entered, left)
                )
        return made

    def _tables(
        self, rules: Iterable[Rule] | None = None, only: ibis.Table | None = None
    ) -> dict[str, ibis.Table]:
        rules = self.whole.values() if rules is None else rules
        return tables_for(self.store, self.vault, rules, as_of=self._tomorrow(), only=only)

    def _tomorrow(self) -> date:
        return self.day + timedelta(days=1)

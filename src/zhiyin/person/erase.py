"""Erasing a person for good, and the proof that no total changed (law 7).

Order matters: an erasure that was killed is completed by the next one. What is needed to find the
person's rows (her parties, and a nonce for new ids) stands in the ledger until the end; what is
found by her identifiers goes first, her data keys after it, the rows that tie her parties last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core import ledger
from zhiyin.core.clock import Clock, naive_utc
from zhiyin.core.errors import NotFound
from zhiyin.core.protocols import Progress
from zhiyin.core.tables import TABLES
from zhiyin.govern.authorisations import erase_authorisations
from zhiyin.govern.ledger import add_suppressions
from zhiyin.person.belongings import Belongings, gather_belongings
from zhiyin.person.files import remove_files
from zhiyin.person.find import Person, find_direct_parties, find_person
from zhiyin.person.say import say_money
from zhiyin.person.words import Words
from zhiyin.store.erase import Erasure, Totals, erase_parties, measure_totals, way_of
from zhiyin.store.leases import hold_lease
from zhiyin.store.ledger import reading, scrub_ledger, transaction
from zhiyin.store.rekey import Needles, delete_quarantined, rekey_person, scrub_steps
from zhiyin.store.traces import find_traces
from zhiyin.store.vault import LocalVault
from zhiyin.store.workspace import WorkspaceStore

KIND = "erase"
LEASE_S = 3600.0
REASON = "erased"


@dataclass(frozen=True)
class Proof:
    """What an erasure did, without naming the person.

    `before` and `after` are rows and sums (minor units) of every fact table; `traces` lists files
    in which something of hers was still found: it must be empty.
    """

    before: Mapping[str, Totals]
    after: Mapping[str, Totals]
    keys_destroyed: int
    renamed: Mapping[str, int]
    deleted: Mapping[str, int]
    rekeyed: Mapping[str, int]
    files_removed: int
    suppressed: int
    searched_files: int
    searched_for: int
    traces: tuple[str, ...]

    @property
    def totals_equal(self) -> bool:
        """Whether every fact table has the rows and sums that it had before."""
        return self.before == self.after

    def as_dict(self) -> dict[str, Any]:
        """The proof as JSON values."""
        return {**asdict(self), "totals_equal": self.totals_equal, "traces": list(self.traces)}

    def text(self, language: str, *, currency: str | None = None) -> str:
        """The proof in words."""
        words = Words(language)
        lines = [words("erase.title" if self.totals_equal else "erase.unequal")]
        for name, totals in self.before.items():
            lines.append("  " + _totals_line(name, totals, currency, words))
            if self.after[name] != totals:
                lines.append("  ≠ " + _totals_line(name, self.after[name], currency, words))
        lines += [
            words("erase.renamed", n=sum(self.renamed.values())),
            words("erase.deleted", n=sum(self.deleted.values())),
            words("erase.keys", n=self.keys_destroyed),
            words("erase.files", n=self.files_removed),
            words("erase.suppressed", n=self.suppressed),
        ]
        key = "erase.found" if self.traces else "erase.searched"
        lines.append(words(key, needles=self.searched_for, files=self.searched_files))
        return "\n".join([*lines, *(f"  {path}" for path in self.traces)])


def erase_customer(
    store: WorkspaceStore,
    vault: LocalVault,
    customer: str,
    *,
    folder: Path,
    clock: Clock,
    render: Callable[[], object],
    actor: str = "cli",
    progress: Progress | None = None,
) -> Proof:
    """Erase the person that `customer` names from every file of the workspace.

    Facts stay under a random id that is kept nowhere, so that no total changes. Her addresses stay
    as keyed hashes on the suppression list, and the audit log keeps that somebody was erased.

    Parameters
    ----------
    folder
        The workspace.
    render
        Makes the reports anew; they are removed before. Called where a turn has run.

    Raises
    ------
    NotFound
        If nobody has this identifier.
    InvalidParameter
        If several people have it.
    LeaseHeld
        If a turn, a load or another erasure is under way.
    ConcurrentWrite
        If another process keeps the ledger open, so that its log cannot be emptied; erase again.
    """
    say = progress or _quiet
    shop = _Shop(store, vault, folder, clock, actor, say)
    with hold_lease(store.ledger, clock=clock, ttl_s=LEASE_S):
        proof = _complete_pending(shop, customer)
        if proof is None:
            person = find_person(store, vault, customer)
            job_id, nonce = _begin(shop, person)
            proof = _erase(shop, person, job_id, nonce)
    say("report", 0.95)
    with suppress(NotFound):  # no turn has run: there was no report
        render()
    say("done", 1.0)
    return proof


def pending_erasures(store: WorkspaceStore) -> list[sa.Row[Any, Any]]:
    """Erasures that were begun and cut off."""
    jobs = ledger.jobs
    query = sa.select(jobs.c.job_id, jobs.c.arguments).where(
        jobs.c.kind == KIND, jobs.c.state == "running"
    )
    with reading(store.ledger) as connection:
        return list(connection.execute(query.order_by(jobs.c.created_at, jobs.c.job_id)))


@dataclass(frozen=True)
class _Shop:
    """The workspace in which somebody is erased."""

    store: WorkspaceStore
    vault: LocalVault
    folder: Path
    clock: Clock
    actor: str
    say: Progress


def _complete_pending(shop: _Shop, customer: str) -> Proof | None:
    """Complete what was cut off; the proof where it was about this customer."""
    mine: Proof | None = None
    for row in pending_erasures(shop.store):
        noted = row.arguments
        parties = tuple(noted["parties"])
        direct = find_direct_parties(shop.vault, customer.strip(), noted["namespaces"])
        proof = _erase(shop, Person(parties[0], parties), row.job_id, bytes.fromhex(noted["nonce"]))
        if any(shop.vault.token(KIND, one) in noted["tokens"] for one in direct):
            mine = proof
    return mine


def _begin(shop: _Shop, person: Person) -> tuple[str, bytes]:
    """Note in the ledger what is needed to complete the erasure if it is cut off.

    `tokens` are keyed hashes of her parties, by which she is known when the parties are gone.
    """
    nonce, job_id = os.urandom(32), f"j_{os.urandom(12).hex()}"
    rows = shop.store.read("identities").select(c.NAMESPACE).distinct().to_pyarrow()
    arguments = {
        "parties": list(person.parties),
        "tokens": [shop.vault.token(KIND, one) for one in person.parties],
        "nonce": nonce.hex(),
        "namespaces": sorted(rows.column(c.NAMESPACE).to_pylist()),
    }
    with transaction(shop.store.ledger) as connection:
        connection.execute(
            ledger.jobs.insert().values(
                job_id=job_id,
                kind=KIND,
                arguments=arguments,
                state="running",
                requested_by=shop.actor,
                created_at=naive_utc(shop.clock.now()),
            )
        )
    return job_id, nonce


def _erase(shop: _Shop, person: Person, job_id: str, nonce: bytes) -> Proof:
    store, vault, folder = shop.store, shop.vault, shop.folder
    shop.say("find", 0.05)
    owned = gather_belongings(store, vault, person)
    facts = [name for name, table in TABLES.items() if way_of(table) == "rename"]
    before = {name: measure_totals(store, name) for name in facts}
    suppressed = _suppress(shop, owned)
    removed = remove_files(folder, message_ids=owned.message_ids, texts=owned.needles)
    scrub_steps(store, (*person.parties, *owned.message_ids, *owned.decision_ids))
    shop.say("new ids", 0.2)
    needles = Needles(owned.values)
    quarantined = delete_quarantined(store, _quarantined(store, vault, needles))
    rekeyed = rekey_person(store, person.parties, needles=needles, nonce=nonce)
    shop.say("erase", 0.4)
    done = erase_parties(store, person.parties)
    _finish(shop, job_id, done)
    shop.say("search", 0.8)
    files = sum(one.is_file() for one in folder.rglob("*"))
    traces = find_traces(folder, owned.needles)
    found = sorted({str(one.path.relative_to(folder)) for one in traces})
    deleted = {**done.deleted, "quarantine": done.deleted.get("quarantine", 0) + quarantined}
    return Proof(
        before, done.after, done.keys_destroyed, done.renamed, deleted, rekeyed,
        removed + done.files_removed, suppressed, files, len(owned.needles), tuple(found),
    )  # fmt: skip


def _suppress(shop: _Shop, owned: Belongings) -> int:
    tokens = owned.suppression_tokens(shop.vault)
    with transaction(shop.store.ledger) as connection:
        add_suppressions(connection, tokens, reason=REASON, at=shop.clock.now())
        erase_authorisations(connection, [token for token, _ in tokens])
    return len(tokens)


def _quarantined(
    store: WorkspaceStore, vault: LocalVault, needles: Needles
) -> list[dict[str, Any]]:
    """Keys of refused rows whose content holds something of the person's."""
    if store.lake.open("quarantine") is None:
        return []
    names = (c.LOAD_ID, c.LINE_NO, c.REASON)
    rows = store.read_stored("quarantine").select(*names, c.KEY_ID, c.CONTENT)
    found = []
    by_key: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pyarrow().to_pylist():
        by_key.setdefault(row[c.KEY_ID], []).append(row)
    for key_id, held in by_key.items():
        contents = vault.unseal_with(key_id, [row[c.CONTENT] for row in held])
        for row, content in zip(held, contents, strict=True):
            if any(needles.found_in(text) for text in _content_texts(content)):
                found.append({name: row[name] for name in names})
    return found


def _content_texts(content: bytes) -> list[str]:
    """The texts of a refused row: its values, or the line itself where it was no row."""
    text = content.decode("utf-8", errors="replace")
    try:
        values = json.loads(text)
    except ValueError:
        return [text]
    return [str(one) for one in values.values()] if isinstance(values, dict) else [text]


def _finish(shop: _Shop, job_id: str, done: Erasure) -> None:
    """Forget what was noted for a restart, leave a tombstone, and empty the ledger's log."""
    detail = {
        "parties": done.parties,
        "rows_renamed": sum(done.renamed.values()),
        "rows_deleted": sum(done.deleted.values()),
        "totals_equal": done.totals_equal,
    }
    with transaction(shop.store.ledger) as connection:
        connection.execute(ledger.jobs.delete().where(ledger.jobs.c.job_id == job_id))
        connection.execute(
            ledger.audit.insert().values(
                at=naive_utc(shop.clock.now()),
                actor=shop.actor,
                action="people.erase",
                detail=detail,
            )
        )
    scrub_ledger(shop.store.ledger)


def _totals_line(name: str, totals: Totals, currency: str | None, words: Words) -> str:
    table = words.term("table", name)
    known = {key: value for key, value in totals.sums.items() if value is not None}
    main = known.get(c.AMOUNT_BASE_MINOR, known.get(c.COST_BASE_MINOR))
    if main is None:
        return words("erase.rows_only", table=table, rows=f"{totals.rows:,}")
    return words("erase.rows", table=table, rows=f"{totals.rows:,}", sum=say_money(main, currency))


def _quiet(what: str, share: float) -> None:
    return None

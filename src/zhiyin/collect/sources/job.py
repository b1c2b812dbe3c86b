"""Pulling a source: what is new goes to the lake, then the ledger notes how far it is.

A pull may be killed anywhere. The position is written after the lake has the rows, so what a kill
leaves open is read again, and the keys of the lake absorb it: nothing is lost, nothing doubled.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import sqlalchemy as sa

from zhiyin.collect import ledger
from zhiyin.collect.files import raw_from_table
from zhiyin.collect.load import load_raw
from zhiyin.collect.sources import sql
from zhiyin.collect.sources.config import (
    FolderSource,
    Source,
    SqlSource,
    SqlTable,
)
from zhiyin.collect.sources.folder import take_files
from zhiyin.collect.sources.hooks import drain
from zhiyin.collect.sources.intake import Intake, Pulled
from zhiyin.collect.sources.seen import Pair, Seen
from zhiyin.collect.sources.values import text_of, text_table
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import source_secrets
from zhiyin.core.errors import ZhiyinError

__all__ = ["Intake", "Pulled", "pull"]


def pull(
    intake: Intake, name: str, source: Source, *, dry_run: bool = False, from_start: bool = False
) -> list[Pulled]:
    """Bring everything that is new in a source into the lake.

    Parameters
    ----------
    dry_run
        Check every row and write nothing.
    from_start
        Read a database from its first row again; what the lake has is not loaded twice.

    Returns
    -------
    One report per table of the source.

    Raises
    ------
    ZhiyinError
        If the source cannot be read. The ledger notes it in `pulls`, without personal data.
    """
    try:
        if isinstance(source, SqlSource):
            made = _pull_database(intake, name, source, dry_run=dry_run, from_start=from_start)
        elif isinstance(source, FolderSource):
            made = take_files(intake, name, source, dry_run=dry_run)
        else:
            made = drain(intake, name, source, dry_run=dry_run)
    except ZhiyinError as error:
        if not dry_run:
            _note(intake, name, error=f"{error.code}: {error.message}")
        raise
    if not dry_run:
        _note(intake, name, error=None)
    return made


def _note(intake: Intake, name: str, *, error: str | None) -> None:
    with intake.store.begin() as connection:
        state = ledger.read_pull(connection, name)
        now = naive_utc(intake.clock.now())
        ledger.write_pull(connection, name, "", replace(state, pulled_at=now, error=error))


def _pull_database(
    intake: Intake, name: str, source: SqlSource, *, dry_run: bool, from_start: bool
) -> list[Pulled]:
    password = (*source_secrets(name), "")[0]
    with sql.open_database(source.url, password=password) as engine:
        streams = [(one, sql.reflect_stream(engine, one)) for one in source.tables]
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            return [
                _Pulling(intake, name, wanted, stream, dry_run=dry_run).run(
                    connection, from_start=from_start
                )
                for wanted, stream in streams
            ]


Texts = list[str | None]


@dataclass
class _Keyed:
    """A row: its cursor, the texts of its key, and those of its cursor and columns. `pair` are
    its hashes, once they were needed."""

    cursor: Any
    key: Texts
    texts: Texts
    pair: Pair | None = None


class _Pulling:
    """One stream under way.

    Rows that were not seen are collected to batches of `batch_rows`. A batch is named by how many
    rows were committed before it, so that a batch which a kill cut off is the same load again.
    """

    def __init__(
        self, intake: Intake, name: str, wanted: SqlTable, stream: sql.Stream, *, dry_run: bool
    ) -> None:
        self.intake, self.name, self.wanted, self.stream = intake, name, wanted, stream
        self.dry_run = dry_run
        self.secret = intake.vault.token("pull", f"{name}/{wanted.stream}")
        self.made = Pulled(name, wanted.origin, wanted.table)
        self.position: Any = None
        self.count = 0
        self.window: list[_Keyed] = []
        self.seen = Seen(self.secret)

    def run(self, connection: sa.Connection, *, from_start: bool) -> Pulled:
        """Read and load every batch."""
        with self.intake.store.begin() as mine:
            state = ledger.read_pull(mine, self.name, self.wanted.stream)
        if from_start:
            state = replace(state, position=None, seen=None)
        begun = self.position = sql.from_position(self.stream, state.position)
        self.count, self.seen = state.rows_read, Seen(self.secret, state.seen)
        if without := sql.count_unread(connection, self.stream):
            notes = (f"{without} rows have no {self.wanted.cursor} and are never read",)
            self.made = replace(self.made, notes=notes)
        read = again = 0
        fresh: list[_Keyed] = []
        batches = sql.read_batches(
            connection, self.stream, after=begun, batch_rows=self.wanted.batch_rows
        )
        with closing(batches):
            for one in map(self._keyed, chain.from_iterable(batches)):
                in_window = begun is not None and one.cursor <= begun
                known = in_window and self.seen.has(self._pair(one))
                read, again = read + 1, again + known
                self.window.append(one)
                if not known:
                    fresh.append(one)
                if len(fresh) == self.wanted.batch_rows:
                    self._load(fresh)
                    fresh = []
        if fresh:
            self._load(fresh)
        if self.window:
            self._commit(Seen(self.secret))
        return self.made.plus(read, again, None)

    def _keyed(self, row: sql.Row) -> _Keyed:
        texts = [text_of(row.cursor), *map(text_of, row.values)]
        return _Keyed(row.cursor, [*map(text_of, row.key)], texts)

    def _pair(self, one: _Keyed) -> Pair:
        if one.pair is None:
            one.pair = self.seen.pair(one.key, one.texts)
        return one.pair

    def _load(self, fresh: list[_Keyed]) -> None:
        digest = hashlib.sha256(f"{self.name}\n{self.wanted.stream}\n{self.count}".encode())
        for one in fresh:
            digest.update(json.dumps(one.texts).encode())
        raw = raw_from_table(
            text_table([one.texts[1:] for one in fresh], self.stream.headers),
            name=f"{self.wanted.origin} ({self.count + 1}…)", digest=digest.hexdigest(),
        )  # fmt: skip
        report = load_raw(
            self.intake.store, self.intake.vault, self.intake.settings, self.intake.clock, raw,
            self.wanted.table, self.wanted.mapping, dry_run=self.dry_run,
        )  # fmt: skip
        self.made = self.made.plus(0, 0, report)
        self.count += len(fresh)
        self.position = sql.newest([one.cursor for one in fresh], self.position)
        floor = sql.floor_of(self.stream, self.position)
        self.window = [one for one in self.window if one.cursor >= floor]
        self._commit(self.seen)
        self.intake.progress(f"{self.name}: {self.wanted.origin}", 0.5)

    def _commit(self, held: Seen) -> None:
        """Note how far the lake is; `held` are rows of the window that were not read again yet."""
        if self.dry_run:
            return
        state = ledger.PullState(
            sql.to_position(self.position), held.after(map(self._pair, self.window)), self.count,
            naive_utc(self.intake.clock.now()),
        )  # fmt: skip
        with self.intake.store.begin() as connection:
            ledger.write_pull(connection, self.name, self.wanted.stream, state)

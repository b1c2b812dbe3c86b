"""The ledger's database: SQLite in the workspace, or any SQLAlchemy address.

Opening it brings its schema to this code's by the migrations in `store/migrations_ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from zhiyin.core.errors import ConcurrentWrite, DiskFull, SchemaTooNew, is_disk_full

HEAD = "0025"  # the newest migration; a test compares it with the scripts
BUSY_TIMEOUT_MS = 30_000
_READ = "zhiyin_read"
_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def ledger_url(folder: Path, address: str = "") -> str:
    """The address of a workspace's ledger: `address`, or `ledger.db` in its folder."""
    return address or f"sqlite:///{(folder / 'ledger.db').absolute()}"


def open_ledger(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sa.Engine:
    """The ledger at `url` with the schema of this code.

    SQLite runs with a write-ahead log, foreign keys, full synchronisation and secure deletion.
    Writing transactions take the write lock at once, so none fails half-way for another's sake.

    Raises
    ------
    SchemaTooNew
        If a newer Zhiyin wrote it.
    """
    engine = sa.create_engine(url, **_memory_options(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite(busy_timeout_ms))
        event.listen(engine, "begin", _begin_sqlite)
    try:
        migrate_ledger(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def migrate_ledger(engine: sa.Engine) -> None:
    """Run the migrations that the ledger lacks; quick where there are none.

    Raises
    ------
    SchemaTooNew
        If its version is unknown to this code.
    """
    with reading(engine) as connection:
        if _stored_version(connection) == HEAD:
            return
    from zhiyin.store.migrations_ledger import (  # noqa: PLC0415  # alembic takes 0.2 s to import
        known_versions,
        upgrade,
    )

    with transaction(engine) as connection:
        stored = _stored_version(connection)
        if stored is not None and stored not in known_versions():
            raise SchemaTooNew(
                f"the ledger has schema version {stored}, this Zhiyin knows {HEAD}",
                hint="open the workspace with a newer Zhiyin: pip install -U zhiyin",
            )
        if stored != HEAD:
            upgrade(connection)


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A writing transaction: commits at the end of the block, rolls back on an error.

    Raises
    ------
    ConcurrentWrite
        If another transaction held the ledger for longer than the busy timeout.
    DiskFull
        If there is no room for it.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        if error.orig is not None and is_disk_full(error.orig):
            raise DiskFull("the disk of the ledger is full") from error
        if "database is locked" not in str(error.orig):
            raise
        raise ConcurrentWrite(
            "another transaction held the ledger for too long",
            hint="seal personal data and read the lake before a ledger transaction, not in it",
        ) from error


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A reading transaction: waits for no writer and makes none wait."""
    with engine.execution_options(**{_READ: True}).connect() as connection:
        yield connection


def scrub_ledger(engine: sa.Engine) -> None:
    """Remove what deleted rows left in the database's files (SQLite: VACUUM, empty log).

    Raises
    ------
    ConcurrentWrite
        If another process is reading the ledger, so that its log cannot be emptied.
    """
    if engine.dialect.name != "sqlite":
        return  # a server's files are its keeper's; PostgreSQL reuses the space by autovacuum
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        raw.close()
    if busy:
        raise ConcurrentWrite(
            "another process is reading the ledger, so its log could not be emptied",
            hint="stop `zhiyin serve` and `zhiyin worker`, then erase again",
        )


def _memory_options(url: str) -> dict[str, object]:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        return {"poolclass": sa.StaticPool, "connect_args": {"check_same_thread": False}}
    return {}


def _prepare_sqlite(busy_timeout_ms: int):
    def prepare(connection, _record) -> None:
        connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    return prepare


def _begin_sqlite(connection: sa.Connection) -> None:
    read = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


def _stored_version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_version.name):
        return None
    return connection.execute(sa.select(_version.c.version_num)).scalar_one_or_none()

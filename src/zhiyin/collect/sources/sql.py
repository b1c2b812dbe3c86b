"""Rows of a database in the order of a cursor column, streamed.

Tables and columns are reflected: a source names them, and holds no SQL. A pull reads from a little
before the cursor that is in the lake (`overlap`), because a transaction that began earlier may
commit later; `seen` and the keys of the lake absorb what comes twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchTableError, SQLAlchemyError

from zhiyin.collect.mapping import Mapping
from zhiyin.collect.sources.config import SqlTable
from zhiyin.core.errors import ConfigError, InputError, MissingExtra

OVERLAP_S, OVERLAP_NUMBERS = 300, 1000
Kind = Literal["time", "day", "number", "text"]


@dataclass(frozen=True)
class Stream:
    """One table of a database, reflected."""

    table: sa.Table
    cursor: sa.Column[Any]
    kind: Kind
    key: tuple[sa.Column[Any], ...]
    columns: tuple[sa.Column[Any], ...]  # those that the mapping reads
    overlap: int  # seconds, numbers, or 0 for texts

    @property
    def headers(self) -> list[str]:
        """Names of the columns that the mapping reads."""
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Row:
    """One row: cursor, values of the key, values of the columns."""

    cursor: Any
    key: tuple[Any, ...]
    values: tuple[Any, ...]


@contextmanager
def open_database(url: str, *, password: str, timeout_s: int = 10) -> Iterator[sa.Engine]:
    """A database for the block.

    Raises
    ------
    ConfigError
        If the address names no database, or no driver that is known.
    MissingExtra
        If the driver is not installed.
    InputError
        If it does not answer, lets nobody in, or fails while it is read.
    """
    address = sa.make_url(url)
    if password:
        address = address.set(password=password)
    local = address.get_backend_name() == "sqlite"
    if local and not (address.database and Path(address.database).is_file()):
        raise InputError("there is no such SQLite file", hint="correct url in the source's file")
    options = {"connect_timeout": timeout_s} if "psycopg" in address.get_dialect().driver else {}
    try:
        engine = sa.create_engine(address, connect_args=options, poolclass=sa.NullPool)
    except ImportError as error:
        raise MissingExtra(
            f"the driver of {address.drivername} is not installed",
            hint='PostgreSQL: pip install "zhiyin[postgres]"',
        ) from error
    except ArgumentError as error:
        raise ConfigError(f"{address.drivername} is no database that SQLAlchemy knows") from error
    try:
        yield engine
    except (
        DBAPIError,
        SQLAlchemyError,
    ) as error:  # its text may hold values: only its name is said
        original = getattr(error, "orig", None) or error
        raise InputError(
            f"the database could not be read: {type(original).__name__}",
            hint="see that it runs, and that the user may read the tables",
        ) from error
    finally:
        engine.dispose()


def reflect_stream(engine: sa.Engine, wanted: SqlTable) -> Stream:
    """Look up the table, its cursor, its key and the columns that the mapping reads.

    Raises
    ------
    ConfigError
        If one of them is not there, or the cursor has a type that does not grow.
    """
    schema, _, name = wanted.origin.rpartition(".")
    try:
        table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=engine)
    except NoSuchTableError as error:
        raise ConfigError(
            f"the database has no table {wanted.origin!r}", hint="write schema.table"
        ) from error

    def column(header: str) -> sa.Column[Any]:
        if header not in table.c:
            names = ", ".join(table.c.keys())
            raise ConfigError(f"{wanted.origin} has no column {header!r}", hint=f"it has: {names}")
        return table.c[header]

    cursor = column(wanted.cursor)
    kind = _kind_of(cursor, wanted)
    key = tuple(column(one) for one in wanted.key) or tuple(table.primary_key)
    if not key:
        raise ConfigError(f"{wanted.origin} has no primary key", hint='name one: key = ["id"]')
    columns = tuple(column(header) for header in read_headers(wanted.mapping))
    return Stream(table, cursor, kind, key, columns, _overlap(wanted, kind))


def read_headers(mapping: Mapping) -> list[str]:
    """Headers that a mapping reads, in order: nothing else leaves the source."""
    rules = [header for rule in mapping.columns.values() for header in rule.headers]
    kinds = [one.column for one in mapping.kinds if one.column not in mapping.columns]
    return list(dict.fromkeys([*rules, *mapping.properties, *mapping.personal, *kinds]))


def _kind_of(cursor: sa.Column[Any], wanted: SqlTable) -> Kind:
    kinds: tuple[tuple[type, Kind], ...] = (
        (sa.DateTime, "time"), (sa.Date, "day"), (sa.Integer, "number"), (sa.Numeric, "number"),
        (sa.String, "text"),
    )  # fmt: skip
    for type_, kind in kinds:
        if isinstance(cursor.type, type_) and not isinstance(cursor.type, sa.Float):
            return kind
    raise ConfigError(
        f"{wanted.origin}.{wanted.cursor} is a {cursor.type}, which is no cursor",
        hint="a time that every change renews, or a number that grows",
    )


def _overlap(wanted: SqlTable, kind: Kind) -> int:
    if kind == "text":
        if wanted.overlap:
            raise ConfigError(f"{wanted.origin}: a text has no overlap", hint="overlap = 0")
        return 0
    if kind == "number":
        return OVERLAP_NUMBERS if wanted.overlap is None else wanted.overlap
    overlap = OVERLAP_S if wanted.overlap is None else wanted.overlap
    if overlap < 1:
        raise ConfigError(
            f"{wanted.origin}: a time may be that of several rows", hint="overlap = 1 or more"
        )
    return max(overlap, 86_400) if kind == "day" else overlap


def read_batches(
    connection: sa.Connection, stream: Stream, *, after: Any | None, batch_rows: int
) -> Generator[list[Row], None, None]:
    """The rows from `after` less the overlap on, by cursor and key, `batch_rows` at a time.

    The database streams them (a server-side cursor, where it has one): one batch is in memory.

    Raises
    ------
    InputError
        If a value cannot be read as its column's type.
    """
    count = len(stream.key)
    query = (
        sa.select(stream.cursor, *stream.key, *stream.columns)
        .where(stream.cursor.is_not(None))
        .order_by(stream.cursor, *stream.key)
    )
    if after is not None:
        query = query.where(
            stream.cursor >= floor_of(stream, after) if stream.overlap else stream.cursor > after
        )
    try:
        with connection.execution_options(yield_per=batch_rows).execute(query) as result:
            for part in result.partitions():
                yield [
                    Row(one[0], tuple(one[1 : 1 + count]), tuple(one[1 + count :])) for one in part
                ]
    except ValueError as error:  # SQLite keeps any text in a column of times
        raise InputError(
            f"{stream.table.name} holds a value that is not of its column's type",
            hint="look at its columns of times",
        ) from error


def count_unread(connection: sa.Connection, stream: Stream) -> int:
    """Rows without a cursor: they are never read."""
    query = sa.select(sa.func.count()).where(stream.cursor.is_(None))
    return int(connection.execute(query.select_from(stream.table)).scalar_one())


def floor_of(stream: Stream, cursor: Any) -> Any:
    """The smallest cursor of the window that ends at `cursor`."""
    if stream.kind in ("time", "day"):
        return cursor - timedelta(seconds=stream.overlap)
    return cursor - stream.overlap if stream.kind == "number" else cursor


def to_position(cursor: Any) -> str | int:
    """A cursor as the ledger keeps it."""
    if isinstance(cursor, datetime | date):
        return cursor.isoformat()
    if isinstance(cursor, Decimal):
        return format(cursor, "f")
    return cursor


def from_position(stream: Stream, position: str | int | None) -> Any | None:
    """A cursor from the ledger.

    Raises
    ------
    ConfigError
        If it is of another type than the column: the source was changed.
    """
    if position is None:
        return None
    readers: dict[Kind, Any] = {
        "time": datetime.fromisoformat, "day": date.fromisoformat, "text": str,
        "number": int if isinstance(stream.cursor.type, sa.Integer) else Decimal,
    }  # fmt: skip
    try:
        return readers[stream.kind](position)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ConfigError(
            f"the cursor of {stream.table.name} has another type than before",
            hint="give the source another name, or begin anew: zhiyin pull SOURCE --from-start",
        ) from error


def newest(cursors: Sequence[Any], before: Any | None) -> Any | None:
    """The larger of the last of the cursors and the one before."""
    if not cursors:
        return before
    last = cursors[-1]
    return last if before is None or last > before else before

"""Writes a list to a file: aside first, in chunks, and under its name when it is whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from zhiyin.act.lists.plain import guard
from zhiyin.core.errors import InputError

CSV, PARQUET = ".csv", ".parquet"
PART = ".part"


def check_target(path: Path, *, workspace: Path, force: bool) -> None:
    """See that a list may be written to `path`.

    Raises
    ------
    InputError
        If it is no CSV or Parquet file, is inside the workspace (an erasure could not find what
        is in it), or exists and is not to be replaced.
    """
    if path.suffix.lower() not in (CSV, PARQUET):
        raise InputError(f"{path.name} is no name of a list", hint="end it in .csv or .parquet")
    if path.resolve().is_relative_to(workspace.resolve()):
        raise InputError(
            f"{path.name} would hold personal data inside the workspace",
            hint="name a file outside it: an erasure cannot reach into lists",
        )
    if path.exists() and not force:
        raise InputError(f"{path.name} exists already", hint="name a new file, or --force")


def part_of(path: Path) -> Path:
    """Where a list stands while it is written."""
    return path.resolve().with_name(f".{path.name}{PART}")


class ListWriter:
    """Writes lines of the same columns; as a context manager it leaves nothing that is not whole.

    Only its owner can read the file. Call `publish` when every line is written.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, guarded: bool = True) -> None:
        self._path, self._part = path.resolve(), part_of(path)
        self._columns, self._guarded = list(columns), guarded
        with self._said():
            self._part.unlink(missing_ok=True)
            number = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._binary = os.fdopen(number, "wb")
        self._schema = pa.schema([(name, pa.string()) for name in self._columns])
        self._parquet: pq.ParquetWriter | None = None
        if path.suffix.lower() == PARQUET:
            self._parquet = pq.ParquetWriter(self._binary, self._schema)
        else:
            self._write_csv([self._columns])
        self._flush()
        _sync(self._part.parent)

    def write(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Write some lines."""
        with self._said():
            if self._parquet is not None:
                made = {name: [row[name] for row in rows] for name in self._columns}
                self._parquet.write_table(pa.table(made, schema=self._schema))
                return
            self._write_csv([[self._cell(row[name]) for name in self._columns] for row in rows])

    def publish(self) -> None:
        """The file is whole: give it its name, durably."""
        with self._said():
            if self._parquet is not None:
                self._parquet.close()
            self._flush()
            self._binary.close()
            self._part.replace(self._path)
            _sync(self._path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._binary.closed:
            if self._parquet is not None and self._parquet.is_open:
                with suppress(OSError):  # it is thrown away
                    self._parquet.close()
            self._binary.close()
        self._part.unlink(missing_ok=True)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What the system refuses, as an error that says what to do."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._path.name} cannot be written: {error.strerror}", hint="name another file"
            ) from error

    def _cell(self, text: str) -> str:
        return guard(text) if self._guarded else text

    def _write_csv(self, rows: Sequence[Sequence[str]]) -> None:
        lines = _Lines()
        csv.writer(lines, lineterminator="\r\n").writerows(rows)
        self._binary.write("".join(lines.made).encode())

    def _flush(self) -> None:
        self._binary.flush()
        os.fsync(self._binary.fileno())


class _Lines:
    """What the csv module writes to."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def write(self, text: str) -> None:
        self.made.append(text)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

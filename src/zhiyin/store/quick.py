"""A statement that every request runs: the ledger read past the layers of SQLAlchemy.

What SQLAlchemy does around one row costs thirty times the look-up itself. The statement is still
its own: it is compiled once, and its driver runs the text on a connection that is kept open.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from zhiyin.core.errors import Busy


class QuickRead:
    """Runs one statement with one bound value; for one thread.

    Each call is a transaction of its own and sees what was committed before it.
    """

    def __init__(self, ledger: sa.Engine, statement: sa.Select[Any], name: str) -> None:
        compiled = statement.compile(ledger)
        self._ledger = ledger
        self._text, self._name = str(compiled), name
        self._by_place = bool(compiled.positional)
        self._dbapi_error = ledger.dialect.loaded_dbapi.Error
        self._processors = [
            column.type.dialect_impl(ledger.dialect).result_processor(ledger.dialect, None)
            for column in statement.selected_columns
        ]
        self._connection: Any = None

    def __call__(self, value: str) -> list[tuple[Any, ...]]:
        """The rows for a value, as the types of the columns say.

        Raises
        ------
        Busy
            If the ledger cannot be read now.
        """
        bound = (value,) if self._by_place else {self._name: value}
        try:
            rows = self._run(bound)
        except self._dbapi_error:
            self.close()  # it may have been cut off: once more with a new one
            try:
                rows = self._run(bound)
            except (self._dbapi_error, SQLAlchemyError) as error:
                self.close()
                raise Busy("the ledger cannot be read now", hint="look at the ledger") from error
        if not rows:
            return []
        return [
            tuple(
                one if process is None else process(one)
                for process, one in zip(self._processors, row, strict=True)
            )
            for row in rows
        ]

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            with suppress(self._dbapi_error):
                self._connection.invalidate()
            self._connection = None

    def _run(self, bound: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = self._ledger.raw_connection()
            if self._ledger.dialect.name != "sqlite":  # SQLite's are in this mode already
                self._connection.driver_connection.autocommit = True
        cursor = self._connection.driver_connection.cursor()
        try:
            return cursor.execute(self._text, bound).fetchall()
        finally:
            cursor.close()

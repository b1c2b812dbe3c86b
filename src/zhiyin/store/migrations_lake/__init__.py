"""Numbered changes of lake tables that adding a nullable column cannot express.

None is needed yet. To add one: raise the table's `schema_version` in `core/tables.py`, write a
module `<table>_<number>.py` here with a function from the old rows to the new rows (Ibis), and
list it in `MIGRATIONS`. The rows, the schema and the mark that the change was made are one Delta
commit, so a crash leaves either the old table or the new one, and exactly-once marks of appends
survive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import ibis

from zhiyin.core.errors import WorkspaceError


@dataclass(frozen=True)
class Migration:
    """Rows of `table` at `schema_version` `number - 1` → rows at `number`."""

    table: str
    number: int
    change: Callable[[ibis.Table], ibis.Table]


MIGRATIONS: tuple[Migration, ...] = ()


def plan_migrations(
    table: str, *, stored: int, wanted: int, migrations: Iterable[Migration] = MIGRATIONS
) -> list[Migration]:
    """The changes that lead `table` from `stored` to `wanted`, in order.

    Raises
    ------
    WorkspaceError
        If one of them does not exist.
    """
    known = {one.number: one for one in migrations if one.table == table}
    numbers = range(stored + 1, wanted + 1)
    lacking = [number for number in numbers if number not in known]
    if lacking:
        raise WorkspaceError(
            f"table {table} has schema version {stored}; there is no way to version {lacking[0]}",
            hint="open the workspace with the release that wrote it, or load the data again",
        )
    return [known[number] for number in numbers]

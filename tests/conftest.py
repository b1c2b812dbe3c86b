"""For all tests: an example of a property may take as long as it takes; speed is for benches.

What no test is about is done once in a test run: the ledger's migrations, which a new workspace
then has as statements, and reading the sixty commands from their functions.
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa
import typer.testing
from hypothesis import HealthCheck, settings

from tests.examples import examples
from zhiyin.store import migrations_ledger

settings.register_profile(
    "untimed",
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("untimed")

typer.testing._get_command = cache(typer.testing._get_command)
_upgrade = migrations_ledger.upgrade


@cache
def _migrated() -> list[str]:
    """The statements that give an empty SQLite database what all migrations give it."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        _upgrade(connection)
        raw = connection.connection.driver_connection
        return [line for line in raw.iterdump() if not line.startswith(("BEGIN", "COMMIT"))]


def _upgrade_new_at_once(connection: sa.Connection, to: str = "head") -> None:
    new = connection.dialect.name == "sqlite" and not sa.inspect(connection).get_table_names()
    if not new or to != "head":
        _upgrade(connection, to)
        return
    raw = connection.connection.driver_connection
    for statement in _migrated():
        raw.execute(statement)


migrations_ledger.upgrade = _upgrade_new_at_once

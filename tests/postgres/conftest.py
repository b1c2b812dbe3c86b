"""One PostgreSQL server for the run, from a package; every test gets a database of its own."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa

from tests.postgres_server import new_database, run_there, running_postgres
from tests.unit.collect.conftest import clock, load, settings, store, vault
from zhiyin.store.ledger import open_ledger

__all__ = ["clock", "load", "settings", "store", "vault"]

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server():
    """The address of a server for the run."""
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def administer(server):
    """Run a statement outside a transaction."""
    return lambda text: run_there(server, text)


@pytest.fixture(scope="session")
def migrated(server):
    """The name of a database with an empty ledger: databases of tests are copies of it."""
    open_ledger(new_database(server, "migrated")).dispose()
    return "migrated"


@pytest.fixture
def ledger_address(server, administer, migrated):
    """The address of a database with an empty ledger."""
    name = f"t{next(_NUMBERS)}"
    yield new_database(server, name, template=migrated)
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
    engine = sa.create_engine(new_database(server, name), poolclass=sa.NullPool)
    yield engine
    engine.dispose()
    administer(f"DROP DATABASE {name} WITH (FORCE)")

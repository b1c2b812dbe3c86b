"""The store that tests use passes the same contract as the real one."""

import pytest

from zhiyin.testing.contract_store import ZONE, StoreContract
from zhiyin.testing.store import MemoryStore


@pytest.fixture
def store():
    made = MemoryStore(zone=ZONE)
    yield made
    made.close()


class TestMemoryStore(StoreContract):
    pass

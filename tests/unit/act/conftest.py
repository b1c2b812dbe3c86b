"""A shop in memory for the room `act`."""

import pytest

from tests.unit.act.shop import ZONE, Shop
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.store import MemoryStore


@pytest.fixture
def shop():
    store = MemoryStore(zone=ZONE)
    yield Shop(store, LocalVault(Keys.make(), store.ledger))
    store.close()

"""A statement that is run past SQLAlchemy gives what SQLAlchemy gives."""

from datetime import datetime

import pytest
import sqlalchemy as sa

from zhiyin.core.errors import Busy
from zhiyin.core.ledger import consents
from zhiyin.govern.ledger import consents_of_one
from zhiyin.store.ledger import open_ledger, reading, scrub_ledger, transaction
from zhiyin.store.quick import QuickRead

AT = datetime(2024, 5, 1, 9, 30, 15, 250)


@pytest.fixture
def ledger(tmp_path):
    engine = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    put(engine, "p_a", "personalisation", granted=False)
    put(engine, "p_b", "marketing", granted=True)
    yield engine
    engine.dispose()


def put(engine, party, purpose, *, granted):
    row = {"consent_id": f"{party}{purpose}", "party_id": party, "purpose": purpose,
           "channel": "*", "granted": granted, "at": AT, "source": "t"}  # fmt: skip
    with transaction(engine) as connection:
        connection.execute(consents.insert().values(**row))


def test_it_gives_the_rows_of_the_value_as_sqlalchemy_does_and_sees_new_ones(ledger):
    quick = QuickRead(ledger, consents_of_one(), "party_id")
    assert quick("p_nobody") == []
    assert quick("p_a") == [("p_a", "personalisation", "*", False, AT, "t")]
    put(ledger, "p_a", "profiling", granted=True)
    with reading(ledger) as connection:
        rows = connection.execute(consents_of_one(), {"party_id": "p_a"}).all()
    assert sorted(quick("p_a")) == sorted(tuple(row) for row in rows)
    assert len(rows) == 2


def test_its_open_connection_is_in_nobodys_way(ledger):
    quick = QuickRead(ledger, consents_of_one(), "party_id")
    quick("p_a")
    scrub_ledger(ledger)
    assert len(quick("p_a")) == 1


def test_where_the_ledger_cannot_be_read_it_says_to_ask_again(ledger):
    quick = QuickRead(ledger, consents_of_one(), "party_id")
    quick("p_a")
    with transaction(ledger) as connection:
        connection.execute(sa.schema.DropTable(consents))
    with pytest.raises(Busy):
        quick("p_a")

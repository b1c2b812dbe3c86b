"""Whatever the ledger keeps under a person's id is exported, and goes or loses its name."""

import pytest
import sqlalchemy as sa

from zhiyin.core.ledger import journey_people, journey_places, metadata
from zhiyin.person.export import LEDGER
from zhiyin.person.find import Person
from zhiyin.person.rows import read_ledger
from zhiyin.store.erase import _erase_from_ledger
from zhiyin.testing.store import MemoryStore

IDS = ("party_id", "customer_id")
OF_PEOPLE = [table for table in metadata.sorted_tables if set(IDS) & set(table.c.keys())]


@pytest.mark.parametrize("table", OF_PEOPLE, ids=lambda table: table.name)
def test_what_names_a_person_is_exported(table):
    assert table in LEDGER


@pytest.mark.parametrize("table", OF_PEOPLE, ids=lambda table: table.name)
def test_what_names_a_person_does_not_after_an_erasure(table):
    store = MemoryStore()
    row = {
        column.name: "p_ana" if column.name in IDS else _some(column)
        for column in table.columns
        if not (column.primary_key and column.autoincrement is True)
    }
    with store.begin() as connection:
        connection.execute(table.insert().values(**row))
        _erase_from_ledger(connection, ["p_ana"], "p_nobody")
        left = connection.execute(sa.select(table)).all()
    assert [one for one in left if "p_ana" in map(str, one)] == []
    store.close()


def test_where_she_stands_in_a_journey_is_exported_and_goes_with_her():
    store = MemoryStore()
    with store.begin() as connection:
        for entry, party in ((1, "p_ana"), (2, "p_bob")):
            mine = {"entry_id": entry, "journey": "k", "version": 1}
            connection.execute(journey_people.insert().values(
                **mine, party_id=party, occurrence="o", entered_s=0,
            ))  # fmt: skip
            connection.execute(journey_places.insert().values(
                **mine, step=3, lot=0, since_s=5, due_s=9,
            ))  # fmt: skip
    assert journey_places in LEDGER
    (row,) = read_ledger(store, journey_places, Person("p_ana", ("p_ana",)))
    assert (row["entry_id"], row["step"], row["due_s"]) == (1, 3, 9)
    with store.begin() as connection:
        _erase_from_ledger(connection, ["p_ana"], "p_nobody")
        assert list(connection.scalars(sa.select(journey_places.c.entry_id))) == [2]
    store.close()


def _some(column):
    made = {sa.Boolean: False, sa.Integer: 1, sa.Float: 0.5, sa.BigInteger: 1, sa.LargeBinary: b"x"}
    if type(column.type) in made:
        return made[type(column.type)]
    if column.type.python_type.__name__ in ("date", "datetime"):
        import datetime

        return getattr(datetime, column.type.python_type.__name__)(2024, 1, 1)
    return "x"

"""What a request reads past SQLAlchemy is the same on PostgreSQL, and so after a cut connection."""

from datetime import datetime

import sqlalchemy as sa

from zhiyin.core.ledger import consents
from zhiyin.govern.ledger import consents_of_one
from zhiyin.store.ledger import transaction
from zhiyin.store.quick import QuickRead

AT = datetime(2024, 5, 1, 9, 30)


def put(ledger, purpose):
    row = {"consent_id": purpose, "party_id": "p_a", "purpose": purpose, "channel": "*",
           "granted": False, "at": AT, "source": "t"}  # fmt: skip
    with transaction(ledger) as connection:
        connection.execute(consents.insert().values(**row))


def test_rows_are_seen_as_soon_as_they_are_there(ledger):
    quick = QuickRead(ledger, consents_of_one(), "party_id")
    assert quick("p_a") == []
    put(ledger, "personalisation")
    assert quick("p_a") == [("p_a", "personalisation", "*", False, AT, "t")]
    quick.close()


def test_a_connection_that_was_cut_is_made_anew(ledger):
    quick = QuickRead(ledger, consents_of_one(), "party_id")
    put(ledger, "personalisation")
    quick("p_a")
    cut = sa.select(sa.func.pg_terminate_backend(sa.column("pid"))).select_from(
        sa.table("pg_stat_activity", sa.column("pid"), sa.column("datname"))
    ).where(
        sa.column("datname") == sa.func.current_database(),
        sa.column("pid") != sa.func.pg_backend_pid(),
    )  # fmt: skip
    with transaction(ledger) as connection:
        connection.execute(cut).all()
    assert len(quick("p_a")) == 1
    quick.close()

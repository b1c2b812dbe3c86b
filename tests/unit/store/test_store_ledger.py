"""The ledger: its migrations, its transactions, its leases."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from zhiyin.core.clock import FrozenClock
from zhiyin.core.errors import ConcurrentWrite, LeaseHeld, SchemaTooNew
from zhiyin.core.ledger import audit, journey_people, journey_places, leases, metadata, turns
from zhiyin.store.leases import (
    acquire_lease,
    hold_lease,
    release_lease,
    renew_lease,
    this_process,
)
from zhiyin.store.ledger import (
    HEAD,
    ledger_url,
    migrate_ledger,
    open_ledger,
    reading,
    scrub_ledger,
    transaction,
)
from zhiyin.store.migrations_ledger import known_versions, upgrade

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(url):
    engine = open_ledger(url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock():
    return FrozenClock(START)


def test_the_migrations_lead_to_the_tables_of_the_code(ledger):
    with ledger.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = [
            one for one in compare_metadata(context, metadata) if "comment" not in str(one[0])
        ]
    assert differences == []


def test_the_head_named_in_the_code_is_the_newest_script():
    assert known_versions()[0] == HEAD


def test_opening_again_runs_no_alembic(url):
    open_ledger(url).dispose()
    code = (
        "import sys; from zhiyin.store.ledger import open_ledger; "
        f"open_ledger({url!r}).dispose(); sys.exit('alembic' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )


def test_a_ledger_of_a_newer_release_is_not_touched(url, ledger):
    with transaction(ledger) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999"):
        open_ledger(url)


def test_migrating_twice_changes_nothing(ledger):
    migrate_ledger(ledger)
    with reading(ledger) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(turns)).scalar() == 0


def test_people_in_journeys_stand_where_they_stood_after_the_migration(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        upgrade(connection, "0019")
        connection.exec_driver_sql(
            "INSERT INTO journey_people (entry_id, journey, version, party_id, occurrence,"
            " lot, step, entered_s, since_s, due_s, reason) VALUES"
            " (1, 'k', 2, 'p_a', 'o', 77, 3, 10, 20, 30, NULL),"
            " (2, 'k', 2, 'p_b', 'o', 78, 4, 11, 21, 31, 'goal')"
        )
    migrate_ledger(engine)
    with reading(engine) as connection:
        people = connection.execute(sa.select(journey_people)).all()
        places = connection.execute(sa.select(journey_places)).all()
    engine.dispose()
    assert people == [(1, "k", 2, "p_a", "o", 10, None), (2, "k", 2, "p_b", "o", 11, "goal")]
    assert places == [(1, "k", 2, 3, 77, 20, 30)]


def test_sqlite_is_set_up_for_crashes_and_erasure(ledger):
    with ledger.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "secure_delete", "synchronous")
        }
    assert settings == {
        "journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1, "synchronous": 2,
    }  # fmt: skip


def test_a_reader_does_not_wait_for_a_writer(ledger):
    with transaction(ledger) as writer:
        writer.execute(
            leases.insert().values(name="a", holder="b", expires_at=START.replace(tzinfo=None))
        )
        with reading(ledger) as reader:
            assert reader.execute(sa.select(leases)).all() == []


def test_a_writer_that_waits_too_long_is_told_why(url, ledger):
    hasty = open_ledger(url, busy_timeout_ms=1)
    with transaction(ledger), pytest.raises(ConcurrentWrite) as caught, transaction(hasty):
        pass
    assert "before a ledger transaction" in caught.value.hint
    hasty.dispose()


def test_a_failed_block_leaves_nothing(ledger):
    row = {"at": START.replace(tzinfo=None), "actor": "a", "action": "b", "detail": {}}
    with pytest.raises(sa.exc.IntegrityError), transaction(ledger) as connection:
        connection.execute(audit.insert(), [row | {"entry_id": 1}, row | {"entry_id": 1}])
    with reading(ledger) as connection:
        assert connection.execute(sa.select(audit)).all() == []


def test_scrubbing_leaves_no_byte_of_deleted_rows(tmp_path, ledger):
    row = {
        "turn_id": "Marker-7f3a", "as_of_on": date(2024, 1, 1), "state": "done", "inputs": {},
        "config": {"x": "y" * 3000}, "code_version": "1", "started_at": START.replace(tzinfo=None),
    }  # fmt: skip
    with transaction(ledger) as connection:
        connection.execute(
            turns.insert(), [row | {"turn_id": f"Marker-7f3a-{n}"} for n in range(9)]
        )
    with transaction(ledger) as connection:
        connection.execute(turns.delete())

    def marked():
        return [p.name for p in tmp_path.glob("ledger.db*") if b"Marker-7f3a" in p.read_bytes()]

    assert marked()  # the log still has it: the search can find something
    scrub_ledger(ledger)
    assert marked() == []


def test_scrubbing_beside_a_reader_is_refused_and_says_so(url, ledger):
    hasty = open_ledger(url, busy_timeout_ms=1)
    with reading(ledger) as reader:
        reader.execute(sa.select(turns)).all()
        with transaction(hasty) as writer:
            writer.execute(
                leases.insert().values(name="a", holder="b", expires_at=START.replace(tzinfo=None))
            )
        with pytest.raises(ConcurrentWrite, match="reading the ledger"):
            scrub_ledger(hasty)
    hasty.dispose()


def test_the_ledger_lies_in_the_workspace_unless_an_address_is_given(tmp_path):
    assert ledger_url(tmp_path) == f"sqlite:///{tmp_path}/ledger.db"
    assert ledger_url(tmp_path, "postgresql://x") == "postgresql://x"


def test_one_holder_at_a_time(ledger, clock):
    with hold_lease(ledger, clock=clock, holder="a") as lease:
        assert lease.holder == "a"
        with pytest.raises(LeaseHeld), hold_lease(ledger, clock=clock, holder="b"):
            pass
        with hold_lease(ledger, "another", clock=clock, holder="b"):
            pass
    with hold_lease(ledger, clock=clock, holder="b"):
        pass


def test_a_lease_is_given_back_after_an_error(ledger, clock):
    with pytest.raises(KeyError), hold_lease(ledger, clock=clock, holder="a"):
        raise KeyError
    acquire_lease(ledger, "lake", holder="b", clock=clock)


def test_an_expired_lease_is_taken_over_and_its_holder_notices(ledger, clock):
    until = acquire_lease(ledger, "lake", holder="a", clock=clock, ttl_s=10)
    assert until == START.replace(tzinfo=None) + timedelta(seconds=10)
    clock.at = START + timedelta(seconds=9)
    with pytest.raises(LeaseHeld):
        acquire_lease(ledger, "lake", holder="b", clock=clock)
    assert renew_lease(ledger, "lake", holder="a", clock=clock, ttl_s=10) > until
    clock.at = START + timedelta(seconds=19)
    acquire_lease(ledger, "lake", holder="b", clock=clock)
    with pytest.raises(LeaseHeld, match="lost"):
        renew_lease(ledger, "lake", holder="a", clock=clock)
    release_lease(ledger, "lake", holder="a")  # not its own any more
    with pytest.raises(LeaseHeld):
        acquire_lease(ledger, "lake", holder="c", clock=clock)


def test_the_lease_of_a_dead_process_is_free_at_once(ledger, clock):
    code = (
        "import sys, datetime; from zhiyin.core.clock import FrozenClock\n"
        "from zhiyin.store.ledger import open_ledger\n"
        "from zhiyin.store.leases import acquire_lease, this_process\n"
        "at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)\n"
        f"acquire_lease(open_ledger({str(ledger.url)!r}), 'lake', holder=this_process(),"
        " clock=FrozenClock(at))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    with transaction(ledger) as connection:
        assert connection.execute(sa.select(leases.c.holder)).scalar_one() != this_process()
    with hold_lease(ledger, clock=clock):
        pass


def test_the_lease_of_a_living_process_is_not(ledger, clock):
    acquire_lease(ledger, "lake", holder=this_process(), clock=clock)
    with pytest.raises(LeaseHeld):
        acquire_lease(ledger, "lake", holder="someone else", clock=clock)

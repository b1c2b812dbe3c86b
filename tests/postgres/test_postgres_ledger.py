"""The ledger on PostgreSQL keeps what it keeps on SQLite."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.unit.collect.sources.test_sources_hooks import order, shopify, source_of
from zhiyin.act.campaigns.ledger import read_global_arms
from zhiyin.act.ledger import read_waiting, read_ways
from zhiyin.act.mass_ledger import (
    MassSend,
    add_mass_send,
    doubtful_until,
    find_stopped,
    set_provider_id,
)
from zhiyin.app import Workspace
from zhiyin.collect.sources import Intake, pull
from zhiyin.collect.sources.hooks import receive
from zhiyin.core.clock import FrozenClock
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import LeaseHeld, SchemaTooNew
from zhiyin.core.ledger import data_keys, jobs, journeys, messages, metadata
from zhiyin.core.tables import TABLES
from zhiyin.govern.authorisations import read_reserved
from zhiyin.store.lake import Lake
from zhiyin.store.leases import acquire_lease, hold_lease, renew_lease
from zhiyin.store.ledger import open_ledger, reading, transaction
from zhiyin.store.vault import open_vault
from zhiyin.store.workspace import WorkspaceStore
from zhiyin.testing.contract_store import ZONE, StoreContract
from zhiyin.worker import take_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class TestStoreOnPostgres(StoreContract):
    """Every promise about a store, with its ledger on PostgreSQL."""

    @pytest.fixture
    def store(self, tmp_path, ledger):
        return WorkspaceStore(Lake(tmp_path / "lake", tables=TABLES), ledger, zone=ZONE)


def test_the_migrations_lead_to_the_tables_of_the_code(ledger):
    with ledger.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        differences = [
            one for one in compare_metadata(context, metadata) if "comment" not in str(one[0])
        ]
    assert differences == []


def test_a_ledger_of_a_newer_release_is_not_touched(ledger, ledger_address):
    with transaction(ledger) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999"):
        open_ledger(ledger_address)


def test_one_holder_at_a_time_and_an_expired_lease_is_taken_over(ledger):
    clock = FrozenClock(NOW)
    with hold_lease(ledger, clock=clock, holder="a"):
        with pytest.raises(LeaseHeld):
            acquire_lease(ledger, "lake", holder="b", clock=clock)
        clock.at = NOW + timedelta(hours=1)
        acquire_lease(ledger, "lake", holder="b", clock=clock)
        with pytest.raises(LeaseHeld, match="lost"):
            renew_lease(ledger, "lake", holder="a", clock=clock)


def test_many_that_want_one_lease_at_once_get_it_once(ledger):
    got = together(8, lambda n: acquire_lease(ledger, "x", holder=f"h{n}", clock=FrozenClock(NOW)))
    assert sum(one is not None for one in got) == 1


def test_keys_are_made_once_by_many_at_once(ledger, tmp_path):
    vault = open_vault(tmp_path / "keys", ledger)
    sealed = together(6, lambda n: vault.seal(["p_a", "p_b"], [{"n": n}, {"n": -n}]))
    for n, blobs in enumerate(sealed):
        assert vault.unseal(["p_a", "p_b"], blobs) == [{"n": n}, {"n": -n}]
    with reading(ledger) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(data_keys)).scalar() == 2
    assert vault.destroy(["p_a"]) == 1
    assert vault.unseal(["p_a"], [sealed[0][0]]) == [None]


def test_each_job_is_taken_by_one_of_many_workers(ledger, tmp_path):
    row = {"kind": "turn", "arguments": {}, "state": "waiting", "requested_by": "t"}
    with transaction(ledger) as connection:
        connection.execute(
            jobs.insert(),
            [row | {"job_id": f"j{n}", "created_at": NOW.replace(tzinfo=None)} for n in range(6)],
        )
    store = WorkspaceStore(Lake(tmp_path / "lake", tables=TABLES), ledger, zone=ZONE)

    def work(n):
        found = [take_job(store, holder=f"0:{n}:1", clock=FrozenClock(NOW)) for _ in range(6)]
        return [one.job_id for one in found if one is not None]

    taken = [job for part in together(4, work) for job in part]
    assert len(taken) == len(set(taken))
    while (job := take_job(store, holder="0:9:1", clock=FrozenClock(NOW))) is not None:
        taken.append(job.job_id)
    assert sorted(taken) == [f"j{n}" for n in range(6)]


def test_a_webhook_that_comes_many_times_at_once_is_kept_once(
    ledger, tmp_path, settings, monkeypatch
):
    monkeypatch.setenv("ZHIYIN_SOURCE_WEB", "shhh")
    store = WorkspaceStore(Lake(tmp_path / "lake", tables=TABLES), ledger, zone=ZONE)
    vault = open_vault(tmp_path / "keys", ledger)
    intake = Intake(store, vault, settings, FrozenClock(NOW), tmp_path)
    source, body = source_of(), order()
    states = together(6, lambda _: receive(intake, "web", source, shopify(body), body))
    assert sorted(states) == ["kept", *["known"] * 5]
    (made,) = pull(intake, "web", source)
    assert (made.loaded, made.quarantined) == (1, 0)
    assert store.read("orders").count().to_pyarrow().as_py() == 1


def test_a_workspace_runs_on_it(tmp_path, ledger_address):
    settings = validate_settings({"name": "shop", "ledger": ledger_address}, where="test")
    file = tmp_path / "lines.csv"
    file.write_text("order_id,sold_at,quantity,amount\n1,2026-01-05,1,5.00\n")
    with Workspace.create(tmp_path / "shop", settings) as shop:
        assert shop.load("order_lines", file).loaded == 1
        assert shop.load("order_lines", file).already
        assert shop.store.ledger.dialect.name == "postgresql"


def together(count, what):
    """Call `what(0)` … at once in threads; None where one got a `LeaseHeld`."""
    made, errors = [None] * count, []
    start = threading.Barrier(count)

    def run(place):
        start.wait()
        try:
            made[place] = what(place)
        except LeaseHeld:
            pass
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    return made


def test_what_messages_are_going_to_spend_and_what_was_stopped_is_found(ledger):
    """The statements of media beside e-mail: reservations, ways, calls of cancelled campaigns."""
    now = NOW.replace(tzinfo=None)
    row = {"turn_id": "t", "party_id": "p", "customer_id": "p", "language": "zh",
           "planned_at": now, "address_token": "token"}  # fmt: skip
    with transaction(ledger) as connection:
        connection.execute(messages.insert(), [
            row | {"message_id": "m1", "campaign_id": "journey:tea", "channel": "wecom",
                   "state": "sent", "reason": "unconfirmed", "receipt": "x", "template": None},
            row | {"message_id": "m2", "campaign_id": "journey:tea", "channel": "wechat_subscribe",
                   "state": "planned", "reason": None, "receipt": None, "template": "T"},
        ])  # fmt: skip
        batch = MassSend("b", "journey:tea", "wecom", "li", 1, "d", now)
        add_mass_send(connection, batch, [])
        set_provider_id(connection, "b", "x")
        said = {"key": "tea", "digest": "d", "definition": {}, "created_at": now,
                "created_by": "a", "changed_at": now, "changed_by": "a"}  # fmt: skip
        connection.execute(journeys.insert(), [
            said | {"version": 1, "state": "replaced"}, said | {"version": 2, "state": "ended"},
        ])  # fmt: skip
    with reading(ledger) as connection:
        asked = {"template": "T", "campaign_id": "zhiyin:a", "turn_id": "t"}
        assert read_reserved(connection, ["token", "other"], **asked) == {"token": 1}
        assert read_ways(connection, "journey:tea") == [("wechat_subscribe", "", "T")]
        assert find_stopped(connection) == [("b", "x", "li", None)]
        assert doubtful_until(connection, "journey:tea") is None
        assert read_waiting(connection, "journey:tea", now=now) == (0, None, None)
        assert read_global_arms(connection, "journey:tea") == [("p", "marketing")] * 2

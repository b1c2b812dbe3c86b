"""A job that was asked for is run once, by one worker, also when workers die."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.commands import start_command
from tests.unit.act.shop import DAY, ZONE, Shop
from zhiyin import worker
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.app import Workspace
from zhiyin.campaigns import campaigns_of
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import LeaseHeld, NotEnoughData
from zhiyin.core.ledger import jobs, tasks
from zhiyin.govern.gate import Consent
from zhiyin.govern.ledger import add_consent
from zhiyin.store.leases import this_process
from zhiyin.store.ledger import reading, transaction

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
ELSEWHERE = "0" * 8 + ":1:1"  # a process of another machine


@pytest.fixture
def shop(tmp_path):
    settings = validate_settings({"name": "laden"}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(NOW)
        yield made


def ask(shop, job_id="j_1", *, kind="turn", minutes=0, **values):
    row = {"kind": kind, "arguments": {}, "state": "waiting", "requested_by": "test",
           "created_at": datetime(2024, 6, 1, 10, minutes)}  # fmt: skip
    with transaction(shop.store.ledger) as connection:
        connection.execute(jobs.insert().values(job_id=job_id, **row | values))


def job_of(shop, job_id="j_1"):
    with reading(shop.store.ledger) as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).one()


def take(shop, holder="me"):
    return worker.take_job(shop.store, holder=holder, clock=shop.clock)


def test_the_oldest_job_is_taken_and_nobody_else_gets_it(shop):
    ask(shop, "j_2", minutes=5)
    ask(shop, "j_1", minutes=1)
    assert take(shop).job_id == "j_1"
    assert take(shop, holder=ELSEWHERE).job_id == "j_2"
    assert take(shop) is None


def test_two_workers_at_once_take_one_job_once(shop):
    ask(shop)
    taken, start = [], threading.Barrier(4)

    def run(number):
        start.wait()
        taken.append(take(shop, holder=f"w{number}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(job is not None for job in taken) == 1


def test_a_job_of_another_machine_is_taken_again_when_its_lease_is_over(shop):
    ask(shop)
    assert take(shop, holder=ELSEWHERE)
    assert take(shop) is None
    shop.clock.at += timedelta(seconds=worker.LEASE_S + 1)
    assert take(shop).attempts == 2


def test_a_job_of_a_dead_process_of_this_machine_is_taken_again_at_once(shop):
    code = "from zhiyin.store.leases import this_process; print(this_process())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    ask(shop)
    assert take(shop, holder=ran.stdout.strip())
    assert take(shop, holder=this_process()).attempts == 2


def test_after_three_attempts_a_job_has_failed(shop):
    ask(shop)
    for _ in range(worker.MAX_ATTEMPTS):
        assert take(shop)
        shop.clock.at += timedelta(seconds=worker.LEASE_S + 1)
    assert take(shop) is None
    assert (job_of(shop).state, job_of(shop).error) == ("failed", worker.GAVE_UP)


def test_erasures_are_not_a_workers_business(shop):
    ask(shop, kind="erase", state="running")
    assert take(shop) is None


def run_once(shop, monkeypatch, outcome):
    def run(folder, job):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(worker, "run_job", run)
    return worker.work(shop.folder, once=True)


def test_a_done_job_keeps_its_result(shop, monkeypatch):
    ask(shop)
    assert run_once(shop, monkeypatch, {"turn_id": "t"}) == 1
    done = job_of(shop)
    assert (done.state, done.result, done.holder, done.error) == (
        "done",
        {"turn_id": "t"},
        None,
        None,
    )


def test_an_error_of_ours_fails_the_job_with_its_code(shop, monkeypatch):
    ask(shop)
    run_once(shop, monkeypatch, NotEnoughData("no order lines yet"))
    assert job_of(shop).state == "failed"
    assert job_of(shop).error == "not_enough_data: no order lines yet"


def test_an_unexpected_error_is_tried_again_and_its_text_is_not_kept(shop, monkeypatch):
    ask(shop)
    for attempt in range(1, worker.MAX_ATTEMPTS + 1):
        run_once(shop, monkeypatch, RuntimeError("ana@example.com"))
        assert job_of(shop).attempts == attempt
        assert job_of(shop).error == "internal: RuntimeError"
    assert job_of(shop).state == "failed"


@pytest.mark.parametrize("stop", [LeaseHeld("held"), worker.Stopped()])
def test_a_job_that_could_not_begin_waits_again_without_losing_an_attempt(shop, monkeypatch, stop):
    ask(shop)
    run_once(shop, monkeypatch, stop)
    assert (job_of(shop).state, job_of(shop).attempts) == ("waiting", 0)


def test_a_job_that_another_worker_took_over_is_not_overwritten(shop, monkeypatch):
    ask(shop)

    def run(folder, job):
        with transaction(shop.store.ledger) as connection:
            connection.execute(jobs.update().values(holder=ELSEWHERE))
        return {}

    monkeypatch.setattr(worker, "run_job", run)
    worker.work(shop.folder, once=True)
    assert (job_of(shop).state, job_of(shop).holder) == ("running", ELSEWHERE)


def test_a_workspace_without_data_fails_its_turn_with_words(shop):
    ask(shop)
    worker.work(shop.folder, once=True)
    assert job_of(shop).error.startswith("not_enough_data")


def test_a_worker_whose_parent_is_gone_stops(shop):
    ask(shop)
    assert worker.work(shop.folder, parent=-1) == 0


def test_a_turn_that_was_asked_for_is_run(tmp_path):
    sys.path.insert(0, str(Path(__file__).parent / "person"))
    import people

    with people.make_shop(tmp_path) as made:
        ask(made, arguments={"as_of": "2024-06-01", "again": False})
        worker.work(made.folder, once=True)
        done = job_of(made)
        assert (done.state, done.error) == ("done", None)
        assert done.result["as_of"] == "2024-06-01"
        assert (made.folder / "reports" / done.result["report"]).exists()


def test_a_worker_stops_when_told_to(shop):
    ask(shop)  # it fails at once: there is no data; then the worker is up
    process = start_command("worker", "-w", str(shop.folder), said=shop.folder / "said.log")
    try:
        up = threading.Event()
        for _ in range(600):
            if job_of(shop).state == "failed":
                break
            up.wait(0.1)
        assert job_of(shop).state == "failed"
        process.terminate()
        process.join(20)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


def test_a_campaign_that_was_started_is_planned_and_sent(tmp_path):
    settings = validate_settings({"name": "laden", "zone": ZONE, "demo": True}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(run_moment(DAY, ZONE))
        Shop(made.store, made.vault).add("a", "b")
        text = {"subject": "Spring", "text": "Look."}
        rule = {"type": "trait", "field": "language", "value": "en"}
        values = {"key": "k", "rule": rule, "variants": [{"name": "x", "en": text}]}
        own = campaigns_of(made.store, made.vault, made.settings, made.clock, DAY)
        own.create(parse_definition(values), by="Ana")
        worker._send_campaigns(made)
        assert not list((made.folder / "outbox").iterdir())
        own.start("k", by="Ana")
        for _ in range(2):  # the second finds nothing to do
            worker._send_campaigns(made)
        assert len(list((made.folder / "outbox").iterdir())) == 2
        assert own.shown("k")["state"] == "done"


def test_without_a_channel_calls_are_put_on_lists_and_files_wait_for_a_person(tmp_path):
    settings = validate_settings({"name": "laden", "zone": ZONE}, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(run_moment(DAY, ZONE))
        shop = Shop(made.store, made.vault)
        shop.add("a", phone="+13125550100")
        with transaction(made.store.ledger) as connection:
            yes = Consent(shop.party("a"), "marketing", "call", True, made.clock.now(), "s")
            add_consent(connection, yes)
        rule = {"type": "trait", "field": "language", "value": "en"}
        text = {"subject": "Spring", "text": "Hello."}
        own = campaigns_of(made.store, made.vault, made.settings, made.clock, DAY)
        variants = [{"name": "x", "en": text}]
        for key, channel in (("calls", "task"), ("list", "file"), ("mail", "email")):
            values = {"key": key, "channel": channel, "rule": rule, "variants": variants}
            own.create(parse_definition(values), by="Ana")
            own.start(key, by="Ana")
        for _ in range(2):
            made.clock.at += timedelta(seconds=1)
            worker._send_campaigns(made)
        with reading(made.store.ledger) as connection:
            assert len(connection.execute(sa.select(tasks)).all()) == 1
        planned = {key: own.shown(key)["counts"]["open"] for key in ("calls", "list", "mail")}
        assert planned == {"calls": 1, "list": 1, "mail": 0}  # a letter needs a channel

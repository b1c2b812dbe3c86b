"""Test messages that a worker sends: once, to staff alone, with a word of what became of them."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from zhiyin import worker
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.app import Workspace
from zhiyin.campaigns import campaigns_of
from zhiyin.core.clock import FrozenClock, local_day
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import InvalidParameter, NotFound
from zhiyin.core.ledger import jobs
from zhiyin.store.ledger import reading, transaction
from zhiyin.trials import ask_test

SPRING = {
    "key": "spring",
    "rule": {"type": "trait", "field": "language", "op": "missing"},
    "variants": [{"name": "a", "en": {"subject": "Spring", "text": "Look."}}],
}


@pytest.fixture
def shop(tmp_path):
    values = {
        "name": "laden", "demo": True,
        "act": {"sender_address": "hello@shop.example", "postal_address": "1 Example Street",
                "public_url": "https://shop.example", "testers": ["boss@shop.example"]},
    }  # fmt: skip
    settings = validate_settings(values, where="test")
    with Workspace.create(tmp_path / "shop", settings) as made:
        made.clock = FrozenClock(datetime(2024, 6, 1, 12, tzinfo=UTC))
        day = local_day(made.clock.now(), "UTC")
        own = campaigns_of(made.store, made.vault, made.settings, made.clock, day)
        own.create(parse_definition(SPRING), by="Ana")
        yield made


def ask(shop, key="spring", address="boss@shop.example"):
    return ask_test(shop, key, address, by="Ana")


def worked(shop, job_id):
    worker.work(shop.folder, once=True)
    with reading(shop.store.ledger) as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).one()


def letters(shop):
    return [path.read_text() for path in (shop.folder / "outbox").glob("*.eml")]


def test_a_worker_sends_it_and_the_job_says_what_became_of_it(shop):
    done = worked(shop, ask(shop))
    assert (done.state, done.error) == ("done", None)
    said = {"variant": "a", "language": "en", "state": "sent", "reason": ""}
    assert done.result == {"messages": [said]}
    (letter,) = letters(shop)
    assert "To: boss@shop.example" in letter
    assert "[Test] Spring" in letter


def test_where_a_worker_died_on_it_nothing_is_sent_again(shop):
    job_id = ask(shop)
    with transaction(shop.store.ledger) as connection:
        connection.execute(jobs.update().values(attempts=1))
    done = worked(shop, job_id)
    assert done.state == "failed"
    assert "under way" in done.error
    assert letters(shop) == []


def test_who_is_no_tester_gets_none_and_stands_nowhere(shop):
    with pytest.raises(InvalidParameter, match="of staff alone"):
        ask(shop, address="ana@customer.example")
    job_id = ask(shop)
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(jobs)).all()
    assert [row.job_id for row in rows] == [job_id]
    assert "@" not in str(rows)


def test_of_a_campaign_that_is_not_there_none_is_asked_for(shop):
    with pytest.raises(NotFound):
        ask(shop, "summer")

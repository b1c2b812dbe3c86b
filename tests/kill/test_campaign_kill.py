"""A planned campaign from its file to its effect: killed on the way, each message goes once, and
what it was planted to cause is found."""

import os
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.commands import PROCESSES
from tests.kill.test_messages_kill import Watch
from tests.unit.act.shop import DAY, LOADING, LONG_AGO, ZONE, Shop, opened, settings_of
from zhiyin.act import job
from zhiyin.act.campaigns.definition import read_definition
from zhiyin.act.channels import sink
from zhiyin.act.channels.sink import SinkChannel, SinkServer
from zhiyin.campaigns import Campaigns, campaigns_of
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.ledger import messages
from zhiyin.store.vault import open_vault
from zhiyin.store.workspace import open_store
from zhiyin.testing.channel_contract import SENDER
from zhiyin.testing.contract_store import put

KEY, OWN = "spring", "zhiyin:spring"
PEOPLE, REFUSED, KILLS = 400, 10, 3
BUYS = {"a": 0.6, "b": 0.35, "holdout": 0.1}
FILE = """
key = "spring"
rule = { type = "trait", field = "language", op = "in", value = ["en"] }
holdout_share = 0.25

[[variants]]
name = "a"
en = { subject = "Hello {{ name }}", text = "A" }

[[variants]]
name = "b"
en = { subject = "Hello", text = "B" }
"""


@pytest.fixture
def watch(monkeypatch):
    made = Watch()
    monkeypatch.setattr(sink, "keep", made.keep)
    return made


@pytest.fixture
def shop(tmp_path):
    store = open_store(tmp_path, zone=ZONE)
    made = Shop(store, open_vault(tmp_path / "keys", store.ledger))
    made.add(*(f"c{n}" for n in range(PEOPLE)))
    made.add(*(f"r{n}" for n in range(REFUSED)), consent=False)
    yield made
    store.close()


def _campaigns(store, vault, *, days: int = 0) -> Campaigns:
    clock = FrozenClock(run_moment(DAY, ZONE) + timedelta(days=days))
    return campaigns_of(store, vault, settings_of(), clock, DAY)


def _send(folder: str, port: int) -> None:
    """Plan and deliver from wherever an earlier process left it."""
    store = open_store(Path(folder), zone=ZONE)
    campaigns = _campaigns(store, open_vault(Path(folder) / "keys", store.ledger))
    campaigns.plan(KEY)
    channel = SinkChannel(Path(folder) / "outbox", sender=SENDER, port=port)
    job.deliver(replace(campaigns.ctx, channel=channel), OWN, progress=lambda *_: None)
    channel.close()
    store.close()


def _send_and_kill(folder: Path, watch: Watch) -> int:
    """Until all is sent, killed up to `KILLS` times on the way; how often it was."""
    chance, killed = random.Random(os.urandom(8)), 0
    with SinkServer(folder / "outbox") as server:
        while True:
            due = watch.after(chance.randint(1, PEOPLE // (2 * KILLS)))
            process = PROCESSES.Process(target=_send, args=(str(folder), server.port))
            process.start()
            while killed < KILLS and process.is_alive() and not due.wait(0.05):
                pass
            if killed == KILLS or not process.is_alive():
                process.join(120)
                assert process.exitcode == 0
                return killed
            process.kill()
            process.join()
            killed += 1


def test_killed_on_the_way_each_gets_it_once_and_the_planted_effect_is_found(tmp_path, shop, watch):
    (tmp_path / "spring.toml").write_text(FILE)
    campaigns = _campaigns(shop.store, shop.vault)
    definition = read_definition(tmp_path / "spring.toml")
    checked = campaigns.check(definition)
    campaigns.create(definition, by="Ana")
    campaigns.start(KEY, by="Ana")
    assert _send_and_kill(tmp_path, watch) == KILLS

    shown = _campaigns(shop.store, shop.vault).shown(KEY)
    assert shown["state"] == "done"
    parts = {(p["state"], p["reason"], p["variant"]): p["n"] for p in shown["parts"]}
    assert parts == {
        ("sent", "", "a"): checked.variants["a"], ("sent", "", "b"): checked.variants["b"],
        ("skipped", "held_out", ""): checked.held_out, ("skipped", "consent_refused", ""): REFUSED,
    }  # fmt: skip
    assert sum(parts.values()) == shown["counts"]["planned"] == PEOPLE + REFUSED
    arrived = [opened(path.read_bytes()) for path in (tmp_path / "outbox").iterdir()]
    assert set(Counter(one["To"] for one in arrived).values()) == {1}
    texts = Counter(one.get_body(("plain",)).get_content()[0] for one in arrived)
    assert {name.lower(): n for name, n in texts.items()} == checked.variants

    _buy(shop)
    effect = _campaigns(shop.store, shop.vault, days=10).shown(KEY)["effect"]
    for row in effect[1:]:
        planted = BUYS[row["variant"]] - BUYS["holdout"]
        assert row["low"] < planted < row["high"]
        assert row["low"] > 0
    assert effect[0]["people"] == checked.messages
    assert effect[0]["held_out"] == checked.held_out


def _buy(shop) -> None:
    """Of each arm, as many buy as `BUYS` says, two days after."""
    with shop.store.begin() as connection:
        rows = connection.execute(messages.select().order_by(messages.c.message_id)).all()
    at = naive_utc(run_moment(DAY, ZONE) + timedelta(days=2))
    arms = {name: [row for row in rows if row.variant == name] for name in ("a", "b")}
    arms["holdout"] = [row for row in rows if row.reason == "held_out"]
    buyers = [row for name, held in arms.items() for row in held[: round(BUYS[name] * len(held))]]
    put(shop.store, "order_lines", *(
        {c.LINE_ID: f"s:{n}", c.KIND: "item", c.SUSPECT: False,
         c.ORDER_ID: f"s:{n}", c.PARTY_ID: row.party_id, c.SOLD_AT: at,
         c.PRODUCT_ID: "s:1", c.QUANTITY: 1.0, c.AMOUNT_MINOR: 500, c.CURRENCY: "USD",
         c.AMOUNT_BASE_MINOR: 500, c.MONTH: f"{at:%Y-%m}", c.REVISION: 1, c.VALID_AT: at,
         c.RECORDED_AT: LONG_AGO, c.OP: "upsert", **LOADING}
        for n, row in enumerate(buyers)
    ))  # fmt: skip

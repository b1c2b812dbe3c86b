"""A worker that is killed (`kill -9`) again and again while messages go out, and what must hold.

The process is that of `zhiyin worker`: it plans, ticks, hands over, settles. It dies at a random
moment: some time after its start, or some messages after it. A seed gives the same moments of
choice; the machine's pace does the rest.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.commands import PROCESSES
from tests.receiver import Answer, Received, Receiver
from tests.unit.act.shop import Shop
from zhiyin.act import ledger
from zhiyin.act.campaigns.definition import read_definition
from zhiyin.act.channels import sink
from zhiyin.act.channels.sink import HOST, SUFFIX, SinkServer
from zhiyin.act.delivery import BATCH, BLIND_BATCH
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.engine import Candidate
from zhiyin.act.journeys.graph import Graph
from zhiyin.act.journeys.ledger import campaign_of
from zhiyin.app import Workspace
from zhiyin.campaigns import campaigns_of
from zhiyin.core.clock import local_day
from zhiyin.core.config import validate_settings
from zhiyin.core.ledger import journey_people, messages
from zhiyin.journeys import Journeys
from zhiyin.store.ledger import reading, transaction
from zhiyin.worker import work

CAMPAIGN, JOURNEY = "campaign", "journey"
SMTP, SINK, WEBHOOK = "smtp", "sink", "webhook"
"""Channels that can tell nothing, look up what arrived, and are known to recognise repeats."""
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
SOON_S = 0.5  # a worker that dies without regard to messages dies so soon
PATIENCE_S, ROUNDS = 300.0, 40
MOST = 0.75  # of the messages: who is held out gets none
_TO = re.compile(rb"^To: (\S+?)\r?$", re.MULTILINE)
SPRING = """
key = "spring"
rule = { type = "trait", field = "language", op = "in", value = ["en"] }
holdout_share = 0.1

[[variants]]
name = "a"
en = { subject = "Hello {{ name }}", text = "A" }
"""
LETTER = {"type": "message", "template": "offer", "offer": {"en": "Welcome", "zh": "欢迎"}}
WELCOME = {
    "key": "welcome",
    "entry": {"type": "event", "on": {"event": "Signed Up"}},
    "steps": {
        "hello": LETTER | {"next": "ab"},
        "ab": {"type": "random", "branches": [
            {"share": 0.5, "next": "more"}, {"share": 0.5, "next": "other"}]},
        "more": LETTER,
        "other": LETTER,
    },
}  # fmt: skip
OWN = {CAMPAIGN: "zhiyin:spring", JOURNEY: campaign_of("welcome")}
LETTERS = {CAMPAIGN: 1, JOURNEY: 2}  # that a person gets


@dataclass
class Inbox:
    """What arrived: how often each message, and at which addresses."""

    folder: Path | None = None  # of the demonstration's sink, which runs in the worker itself
    given: Counter[str] = field(default_factory=Counter)
    recipients: dict[str, str] = field(default_factory=dict)

    def keep(self, _folder: Path, message_id: str, content: bytes) -> None:
        """In the place of the sink's function: the count is enough."""
        self.recipients[message_id] = _recipient(content)
        self.given[message_id] += 1

    def take(self, received: Received) -> Answer:
        """In the place of a webhook's receiver, which knows repeats by their id."""
        message_id = received.headers["webhook-id"]
        try:
            self.recipients[message_id] = received.data["recipient"]
        except ValueError:  # cut off where the worker died
            return Answer(400)
        self.given[message_id] += 1
        return Answer()

    def count(self) -> int:
        """How many messages there are."""
        if self.folder is not None and self.folder.is_dir():
            return sum(one.name.endswith(SUFFIX) for one in os.scandir(self.folder))
        return self.given.total()

    def close(self) -> None:
        """Read the sink's folder."""
        if self.folder is not None:
            for path in self.folder.glob(f"m*{SUFFIX}"):
                self.keep(self.folder, path.name.removesuffix(SUFFIX), path.read_bytes())


@dataclass(frozen=True)
class Killed:
    """What a run came to: `figures`, and what was wrong (nothing, if all is well)."""

    figures: dict[str, int]
    flaws: list[str]


def run_killed(
    folder: Path, *, what: str, channel: str, people: int, kills: int, seed: int, address: str = ""
) -> Killed:  # fmt: skip
    """Send to `people` and some more who must get nothing, killed up to `kills` times on the way.

    Parameters
    ----------
    what
        `campaign` or `journey`.
    channel
        `smtp`, `sink` or `webhook`.
    address
        Of the ledger; empty: SQLite in the folder.
    """
    chance, refused, suppressed = random.Random(seed), max(people // 20, 2), max(people // 50, 2)
    with _inbox(folder, channel) as (inbox, act):
        _make(folder, channel, act, address, what, (people, refused, suppressed))
        started = time.monotonic()
        killed = _kill_often(folder, inbox, chance, kills, most=people * LETTERS[what])
        _finish(folder, inbox, what)
        spent = time.monotonic() - started
    inbox.close()
    with Workspace.open(folder) as shop:
        return _judge(shop, inbox, what, channel, (people, refused, suppressed), killed, spent)


@contextmanager
def _inbox(folder: Path, channel: str) -> Iterator[tuple[Inbox, dict[str, Any]]]:
    """Where the messages arrive, and the settings of `[act]` that lead there."""
    if channel == SINK:
        yield Inbox(folder / "outbox"), {}
        return
    inbox = Inbox()
    if channel == WEBHOOK:
        with Receiver(inbox.take) as receiver:
            yield inbox, {"webhook_url": receiver.url, "webhook_private": True}
        return
    before, sink.keep = sink.keep, inbox.keep
    try:
        with SinkServer(folder / "nothing") as server:
            yield inbox, {"smtp_host": HOST, "smtp_port": server.port}
    finally:
        sink.keep = before


def _make(
    folder: Path, channel: str, act: dict[str, Any], address: str, what: str,
    sizes: tuple[int, int, int],
) -> None:  # fmt: skip
    """A workspace with people, and a campaign that was started or a journey that they entered."""
    demo = channel == SINK
    values = {
        "name": "shop", "currency": "EUR", "zone": "UTC", "demo": demo, "ledger": address,
        "act": act | {
            "channel": "" if demo else channel, "sender_address": "hello@shop.example",
            "postal_address": "1 Example Street", "public_url": "https://shop.example",
            "quiet_from_hour": 0, "quiet_to_hour": 0, "cap_messages": 100, "fatigue_messages": 0,
        },
    }  # fmt: skip
    with Workspace.create(folder, validate_settings(values, where="test")) as shop:
        people = Shop(shop.store, shop.vault)
        keys = [[f"{letter}{n}" for n in range(n)] for letter, n in zip("crs", sizes, strict=True)]
        people.add(*keys[0], *keys[2])
        people.add(*keys[1], consent=False)
        for one in keys[2]:
            people.suppress(f"{one}@shop.example")
        if what == CAMPAIGN:
            (folder / "spring.toml").write_text(SPRING)
            day = local_day(shop.clock.now(), "UTC")
            own = campaigns_of(shop.store, shop.vault, shop.settings, shop.clock, day)
            own.create(read_definition(folder / "spring.toml"), by="Ana")
            own.start("spring", by="Ana")
            return
        journeys = Journeys(shop)
        journeys.keep(parse(WELCOME), by="Ana")
        journeys.publish("welcome", by="Ana")
        graph = Graph("welcome", 1, parse(WELCOME), {})
        at_s = int(shop.clock.now().timestamp())
        made = [Candidate(people.party(one), "e", at_s) for part in keys for one in part]
        with transaction(shop.store.ledger) as connection:
            engine.enter(connection, graph, made)


def _worker(folder: str, once: bool) -> None:  # in another process
    os.environ["ZHIYIN_WEBHOOK_SECRET"] = SECRET
    work(Path(folder), once=once, poll_s=0.05)


def _start(folder: Path, *, once: bool = False) -> Any:  # Any: a process of the context
    process = PROCESSES.Process(target=_worker, args=(str(folder), once))
    process.start()
    return process


def _kill_often(
    folder: Path, inbox: Inbox, chance: random.Random, kills: int, *, most: int
) -> int:  # fmt: skip
    """Start a worker and kill it, as often as `kills` or until most is there; how often."""
    pause, killed = threading.Event().wait, 0
    most, share = int(most * MOST), max(most // kills, 1)
    while killed < kills and inbox.count() < most:
        process = _start(folder)
        until = time.monotonic() + chance.uniform(0, SOON_S)
        if chance.random() > 0.2:  # otherwise it dies soon, whatever it does
            wanted = min(inbox.count() + chance.randint(1, share), most)
            deadline = time.monotonic() + PATIENCE_S
            while inbox.count() < wanted and process.is_alive():
                if time.monotonic() > deadline:
                    raise AssertionError(f"nothing arrives: {inbox.count()} of {wanted}")
                pause(0.002)
            until = time.monotonic() + chance.choice((0, 0.001, 0.02))
        pause(max(until - time.monotonic(), 0))
        if not process.is_alive():
            raise AssertionError(f"a worker ended by itself: {process.exitcode}")
        process.kill()
        process.join()
        killed += 1
    return killed


def _finish(folder: Path, inbox: Inbox, what: str) -> None:
    """Let workers go on until nothing waits; patience ends where nothing arrives any more."""
    for _ in range(ROUNDS):
        process, arrived = _start(folder, once=True), -1
        while process.is_alive() and inbox.count() > arrived:
            arrived = inbox.count()
            process.join(PATIENCE_S)
        if process.exitcode != 0:
            process.kill()
            raise AssertionError(f"a worker ended with {process.exitcode}")
        with Workspace.open(folder) as shop, reading(shop.store.ledger) as connection:
            counts = ledger.count_messages(connection, [OWN[what]])
            inside = sa.select(sa.func.count()).select_from(journey_people)
            inside = connection.scalar(inside.where(journey_people.c.reason.is_(None)))
        if counts["planned"] and not counts["open"] and not inside:
            return
    raise AssertionError(f"messages wait still: {counts}, {inside} inside")


def _judge(
    shop: Workspace, inbox: Inbox, what: str, channel: str, sizes: tuple[int, int, int],
    killed: int, spent: float,
) -> Killed:  # fmt: skip
    people, refused, suppressed = sizes
    with reading(shop.store.ledger) as connection:
        rows = connection.execute(sa.select(messages.c.message_id, messages.c.state,
            messages.c.reason, messages.c.party_id)).all()  # fmt: skip
    states = Counter(row.state for row in rows)
    reasons = Counter(row.reason for row in rows if row.state == ledger.SKIPPED)
    sent = {row.message_id for row in rows if row.state == ledger.SENT}
    doubtful = {row.message_id for row in rows if row.state == ledger.UNKNOWN}
    given = set(inbox.given)
    letters = LETTERS[what]
    figures = {
        "kills": killed, "planned": len(rows), "sent": len(sent), "unknown": len(doubtful),
        "skipped": states[ledger.SKIPPED], "failed": states[ledger.FAILED],
        "arrived": len(given), "given_again": inbox.given.total() - len(given),
        "wall_s": round(spent),
    }  # fmt: skip
    held_out = reasons.pop("held_out", 0)
    eligible = people * letters - held_out
    ids = {f"c{n}@shop.example" for n in range(people)}
    each = set(Counter(row.party_id for row in rows).values())
    again = inbox.given.total() - len(given)
    laws = {
        "not as many messages as were to be planned": len(rows) == sum(sizes) * letters,
        "somebody has too many or too few messages": each == {letters},
        "sent + unknown + skipped + failed is not what was planned": len(rows)
        == len(sent) + len(doubtful) + states[ledger.SKIPPED] + states[ledger.FAILED],
        "others were skipped": reasons
        == {"consent_refused": refused * letters, "suppressed": suppressed * letters},
        "some failed": not states[ledger.FAILED],
        "somebody got one who must get none": set(inbox.recipients.values()) <= ids,
        "what was said to be sent did not arrive": sent <= given,
        "what arrived is neither sent nor unknown": given <= sent | doubtful,
        "more is unknown than was on its way": len(doubtful) <= killed * BLIND_BATCH,
    }
    if channel == SMTP:
        laws["one was given twice where nobody recognises it"] = not again
    else:
        laws["not everybody got hers"] = len(sent) == len(given) == eligible and not doubtful
        laws["more was given again than was on its way"] = again <= killed * BATCH
    return Killed(figures, [flaw for flaw, holds in laws.items() if not holds])


def _recipient(content: bytes) -> str:
    found = _TO.search(content.partition(b"\r\n\r\n")[0])
    return found[1].decode() if found else json.dumps(content[:80].decode("latin-1"))

"""What sending costs: the gate, e-mails rendered for a person each, signed e-mails handed over.

The SMTP server runs in another process and keeps nothing; the sender has one connection, a
2048-bit RSA key for DKIM, and e-mails as the package's template makes them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from bench.harness import at_least, at_most, emit
from zhiyin.act.channels.smtp import SmtpChannel, open_smtp
from zhiyin.act.create.content import describe_offer, describe_products, make_content
from zhiyin.act.create.email import LANGUAGES
from zhiyin.act.delivery import Desk, deliver_planned
from zhiyin.act.gate import check_people
from zhiyin.act.ledger import insert_messages
from zhiyin.act.letters import render_letter, write_letter
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, naive_utc, run_moment
from zhiyin.core.config import Settings, validate_settings
from zhiyin.core.ledger import consents
from zhiyin.govern.facts import gate_terms
from zhiyin.govern.people import Directory, Kinship, Person
from zhiyin.govern.suppression import identify
from zhiyin.store.engines.duckdb import process_engine
from zhiyin.store.ledger import ledger_url, open_ledger, transaction
from zhiyin.store.vault import Keys, LocalVault
from zhiyin.testing.store import MemoryStore

HOST = "127.0.0.1"
LETTERS, REPEATS, PRODUCTS = 1_000, 9, 97
GATED, CHUNK, GATE_REPEATS = 100_000, 2_000, 5
DAY = date(2026, 3, 12)

Planned = tuple[str, Person, dict[str, Any]]  # message id, recipient, content


class Nowhere:
    """Takes every e-mail and keeps none; it offers PIPELINING, as Postfix and Exchange do."""

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, host: str, answers: list[str]
    ) -> list[str]:
        """Called by aiosmtpd with the answers that it would give."""
        session.host_name = host
        return [answers[0], "250-PIPELINING", *answers[1:]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Called by aiosmtpd with a whole message."""
        return "250 OK"


def serve(port: Connection) -> None:
    """Listen on a free port, which is told to `port`, until the process is ended."""

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(Nowhere(), hostname="localhost", loop=loop), HOST, 0
        )
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def plan_letters(count: int) -> list[Planned]:
    """What `count` messages show, each to another person with other products."""
    offer = {c.NAME: "", c.KIND: "coupon", c.VALUE_MINOR: 500, c.CURRENCY: "USD"}
    known = {
        f"s:{one}": {c.NAME: f"APPLE JUICE {one}", c.BRAND: "National", c.CATEGORY: "JUICES",
                     c.URL: f"https://shop.example/p/{one}"}
        for one in range(PRODUCTS)
    }  # fmt: skip
    planned = []
    for number in range(count):
        shown = describe_products([f"s:{(number + one) % PRODUCTS}" for one in range(4)], known)
        content = make_content(
            offer=describe_offer(offer), products=shown, last_on=date(2026, 4, 15)
        )
        party = f"p_{number}"
        addresses = ((party, f"c{number}@shop.example"),)
        person = Person(party, (party,), party, addresses=addresses, name=f"Ana {number}")
        planned.append((f"m_{number:032d}", person, content))
    return planned


def write_letters(planned: Sequence[Planned], vault: LocalVault, settings: Settings) -> list[bytes]:
    """The bytes of the e-mails, in English and Chinese by turns: what a delivery does of each."""
    at, letters = run_moment(DAY, settings.zone), []
    for number, (message_id, person, content) in enumerate(planned):
        shared: dict[str, Any] = {
            "settings": settings, "vault": vault, "message_id": message_id,
            "language": LANGUAGES[number % 2],
        }  # fmt: skip
        rendered = render_letter(content, name=person.name, **shared)
        letters.append(write_letter(rendered, person, at=at, **shared))
    return letters


def best_rate(act: Callable[[], object]) -> float:
    """E-mails per CPU second of this process, where `act` does `LETTERS`; best of several times."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        act()
        best = min(best, time.process_time() - started)
    return LETTERS / best


def gate_seconds(store: MemoryStore, vault: LocalVault, settings: Settings) -> float:
    """CPU seconds of the gate for `GATED` people who agreed; best of several times."""
    at, people, lines = run_moment(DAY, settings.zone), [], []
    for number in range(GATED):
        party, address = f"p_{number:026d}", f"c{number}@shop.example"
        people.append(Person(
            party, (party,), party, ((party, identify(vault, "email", address)),),
            addresses=((party, address),), opened=True,
        ))  # fmt: skip
        lines.append({
            "consent_id": str(number), "party_id": party, "purpose": "marketing",
            "channel": "email", "granted": True, "at": naive_utc(at) - timedelta(days=30),
            "source": "s",
        })  # fmt: skip
    with store.begin() as connection:
        connection.execute(consents.insert(), lines)
    terms = replace(gate_terms(settings.act, zone=settings.zone), campaign_id="zhiyin:spring")
    best = float("inf")
    for _ in range(GATE_REPEATS):
        started = time.process_time()
        allowed = 0
        for start in range(0, GATED, CHUNK):
            with store.begin() as connection:
                verdicts = check_people(
                    connection, people[start : start + CHUNK], terms=terms, vault=vault, at=at
                )
            allowed += sum(one.allowed for one in verdicts)
        best = min(best, time.process_time() - started)
        if allowed != GATED:
            raise AssertionError(f"the gate let {allowed} of {GATED} through")
    return best


def hand_over(channel: SmtpChannel, letters: Sequence[bytes]) -> None:
    """Send every e-mail, one after the other."""
    for number, letter in enumerate(letters):
        channel.send(f"m_{number:032d}", f"c{number}@shop.example", letter)


class Uncounted:
    """A channel that takes everything and notes how large this process is, at a tenth and after."""

    name = "nothing"
    supports = frozenset({"idempotency"})

    def __init__(self, expected: int) -> None:
        self._process, self._first, self.taken = psutil.Process(), expected // 10, 0
        self.early_bytes = 0

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Take one."""
        self.taken += 1
        if self.taken == self._first:
            self.early_bytes = self._process.memory_info().rss
        return "taken"

    def lookup(self, message_id: str) -> bool | None:
        """Nobody knows."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def grown_mb(self) -> float:
        """By how much the process grew since a tenth was sent."""
        return (self._process.memory_info().rss - self.early_bytes) / 2**20


def memory_growth_mb(settings: Settings, count: int) -> float:
    """By how much a delivery of so many planned messages grows, from a tenth of them to the end."""
    at = run_moment(DAY, settings.zone)
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(ledger_url(Path(folder)))
        vault = LocalVault(Keys.make(), ledger)
        parties = [f"p_{number:026d}" for number in range(count)]
        sealed = vault.seal(
            parties, [{"email": f"c{number}@shop.example"} for number in range(count)]
        )
        content = plan_letters(1)[0][2]
        for start in range(0, count, CHUNK):
            mine = parties[start : start + CHUNK]
            contents = vault.seal(mine, [content] * len(mine))
            with transaction(ledger) as connection:
                connection.execute(consents.insert(), [
                    {"consent_id": one, "party_id": one, "purpose": "marketing", "granted": True,
                     "channel": "email", "at": naive_utc(at) - timedelta(days=30), "source": "s"}
                    for one in mine
                ])  # fmt: skip
                insert_messages(connection, [
                    {"message_id": f"m_{one}", "campaign_id": "s:spring", "turn_id": "t",
                     "party_id": one, "customer_id": one, "channel": "email", "language": "en",
                     "planned_at": naive_utc(at), "state": "planned", "content": content}
                    for one, content in zip(mine, contents, strict=True)
                ])  # fmt: skip
        rows = [
            {"party_id": one, "language": "en", "time_zone": None, "personal": blob}
            for one, blob in zip(parties, sealed, strict=True)
        ]
        channel = Uncounted(count)
        desk = Desk(
            lambda: transaction(ledger), vault, channel, FrozenClock(at), settings,
            gate_terms(settings.act, zone=settings.zone),
            Directory(Kinship([]), customers=rows, identities=[]), np.random.default_rng(7),
        )  # fmt: skip
        deliver_planned(desk, "s:spring", progress=lambda *_: None)
        grown = channel.grown_mb()
        ledger.dispose()
    if channel.taken != count:
        raise AssertionError(f"{channel.taken} of {count} were handed over")
    return grown


def main() -> None:
    """Render, then send to a server in another process, without and with DKIM; print."""
    process_engine()  # as in every process of the product: garbage is collected less often
    settings = validate_settings({"name": "Shop", "zone": "UTC", "demo": True}, where="bench")
    store = MemoryStore(zone="UTC")
    vault = LocalVault(Keys.make(), store.ledger)
    planned = plan_letters(LETTERS)
    letters = write_letters(planned, vault, settings)
    rendered = [best_rate(lambda: write_letters(planned, vault, settings))]
    gate_s = gate_seconds(store, vault, settings)
    store.close()
    grown = memory_growth_mb(settings, GATED)
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        key = rsa.generate_private_key(65537, 2048)
        path = Path(folder) / "dkim.pem"
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ))  # fmt: skip
        act = settings.act.model_copy(update={
            "smtp_host": HOST, "smtp_port": mine.recv(), "sender_address": "hello@shop.example",
            "dkim_domain": "shop.example", "dkim_key_file": "dkim.pem",
        })  # fmt: skip
        signed = open_smtp(act, folder=Path(folder))
        plain = open_smtp(act.model_copy(update={"dkim_domain": ""}))
        rates = [best_rate(lambda to=to: hand_over(to, letters)) for to in (signed, plain)]
        rendered.append(best_rate(lambda: write_letters(planned, vault, settings)))  # minutes later
        alone = best_rate(lambda: [key.sign(b"", PKCS1v15(), SHA256()) for _ in letters])
        signed.close()
        plain.close()
    server.terminate()
    server.join()
    emit(
        "act",
        data="e-mails of the packaged template `offer`, English and Chinese, four products each",
        rows={"letters": LETTERS, "gated": GATED},
        figures={
            "gate_100k_s": round(gate_s, 2),
            "rendered_per_s": round(max(rendered)),
            "smtp_dkim_per_cpu_s": round(rates[0]),
            "smtp_per_cpu_s": round(rates[1]),
            "rsa_2048_signatures_per_cpu_s": round(alone),
            "memory_growth_mb_100k": round(grown, 1),
            "letter_bytes": round(sum(map(len, letters)) / LETTERS),
        },
        goals={
            "gate_100k_s": at_most(5),
            "rendered_per_s": at_least(3_000),
            "smtp_dkim_per_cpu_s": at_least(800),
            "memory_growth_mb_100k": at_most(20),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()

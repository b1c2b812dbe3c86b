"""What journeys cost: a tick in which everybody is due, and one in which nobody is.

Customers entered one after the other in the course of a day, and their delay is over: one tick
moves all of them through a random split to a delay or a wait. `shuffled`: the order in which they
are due has nothing to do with the order in which they entered. CPU seconds of this process, on
PostgreSQL those of the server's process for its connection too.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import sqlalchemy as sa

from bench.harness import at_most, emit
from tests.postgres_server import new_database, running_postgres
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.graph import Graph, draw_lot
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings
from zhiyin.core.ledger import journey_people, journey_places
from zhiyin.journeys import Journeys
from zhiyin.store.ledger import ledger_url, open_ledger, transaction

DAY_S, STEP, IDLE = 86_400, 50_000, 200
SPLIT = {
    "key": "welcome",
    "entry": {"type": "event", "on": {"event": "Signed Up"}},
    "steps": {
        "rest": {"type": "delay", "days": 1, "next": "ab"},
        "ab": {
            "type": "random",
            "branches": [{"share": 0.5, "next": "more"}, {"share": 0.5, "next": "buys"}],
        },
        "more": {"type": "delay", "days": 2},
        "buys": {"type": "wait", "on": {"purchase": True}, "days": 3},
    },
}


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="zhiyin-journeys-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def fill(ledger: sa.Engine, count: int, *, shuffled: bool) -> None:
    """People in the first step, all due within a day."""
    rng = np.random.default_rng(7)
    due = np.arange(count) * DAY_S // count
    if shuffled:
        rng.shuffle(due)
    for start in range(0, count, STEP):
        people, places = [], []
        for n in range(start, min(start + STEP, count)):
            party = f"p_{rng.bytes(13).hex()}"
            mine = {"entry_id": n + 1, "journey": "welcome", "version": 1}
            people.append(mine | {"party_id": party, "occurrence": "e", "entered_s": 0})
            places.append(mine | {
                "step": 1, "lot": draw_lot("welcome", party, "e"), "since_s": 0,
                "due_s": int(due[n]),
            })  # fmt: skip
        with transaction(ledger) as connection:
            connection.execute(journey_people.insert(), people)
            connection.execute(journey_places.insert(), places)


def move_all(count: int, *, shuffled: bool, address: str = "") -> float:
    """CPU seconds of the statements that move everybody through the split; on SQLite without an
    address.
    """
    graph = Graph("welcome", 1, parse(SPLIT), {})
    with folder() as made:
        ledger = open_ledger(ledger_url(made, address))
        fill(ledger, count, shuffled=shuffled)
        spent = cpu_seconds(ledger)
        moved = engine.pass_on(
            lambda: transaction(ledger), graph, "rest", to="ab", now_s=DAY_S
        )  # fmt: skip
        spent = cpu_seconds(ledger) - spent
        ledger.dispose()
    if moved != count:
        raise SystemExit(f"{moved} of {count} moved")
    return spent


def cpu_seconds(ledger: sa.Engine) -> float:
    """Of this process, and of the one that serves its connection where there is a server."""
    if ledger.dialect.name == "sqlite":
        return time.process_time()
    with ledger.connect() as connection:
        served = connection.scalar(sa.select(sa.func.pg_backend_pid()))
    return time.process_time() + sum(psutil.Process(served).cpu_times()[:2])


def move_on_server(count: int) -> dict[str, float | str]:
    """As `move_all` on PostgreSQL, where its package is installed."""
    try:
        with running_postgres() as server:
            straight, shuffled = (
                move_all(count, shuffled=one, address=new_database(server, f"people_{int(one)}"))
                for one in (False, True)
            )
    except ImportError:
        return {"tick_postgresql_cpu_s": "skipped: no server, see make test-postgres"}
    return {
        "tick_postgresql_cpu_s": round(straight, 2),
        "tick_postgresql_shuffled_cpu_s": round(shuffled, 2),
    }


def tick_idle() -> float:
    """CPU milliseconds of a tick of a workspace with one journey in which nobody is due."""
    settings = validate_settings({"name": "shop", "currency": "EUR"}, where="bench")
    with folder() as made:
        Workspace.create(made / "shop", settings).close()
        with Workspace.open(made / "shop", write=True) as shop:
            journeys = Journeys(shop)
            journeys.keep(parse(SPLIT), by="bench")
            journeys.publish("welcome", by="bench")
            journeys.tick()
            best = float("inf")
            for _ in range(IDLE):
                started = time.process_time()
                journeys.tick()
                best = min(best, time.process_time() - started)
    return best * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--people", type=int, default=1_000_000)
    people = parser.parse_known_args()[0].people
    figures = {
        "tick_cpu_s": round(move_all(people, shuffled=False), 2),
        "tick_shuffled_cpu_s": round(move_all(people, shuffled=True), 2),
        "idle_tick_cpu_ms": round(tick_idle(), 2),
    } | move_on_server(people)
    emit(
        "journeys",
        data="people due in one step of a journey on SQLite and PostgreSQL, moved through a split",
        rows={"people": people},
        figures=figures,
        goals={
            "tick_cpu_s": at_most(10),
            "tick_postgresql_cpu_s": at_most(10),
            "idle_tick_cpu_ms": at_most(5),
        },
    )


if __name__ == "__main__":
    main()

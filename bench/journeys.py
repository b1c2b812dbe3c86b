"""What journeys cost: a tick in which everybody is due, and one in which nobody is.

Customers entered one after the other in the course of a day, and their delay is over: one tick
moves all of them through a random split to a delay or a wait. `shuffled`: the order in which they
are due has nothing to do with the order in which they entered. CPU seconds of this process.
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
import sqlalchemy as sa

from bench.harness import at_most, emit
from zhiyin.act.journeys import engine
from zhiyin.act.journeys.check import parse
from zhiyin.act.journeys.graph import Graph, draw_lot
from zhiyin.app import Workspace
from zhiyin.core.config import validate_settings
from zhiyin.core.ledger import journey_people
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
        rows = []
        for n in range(start, min(start + STEP, count)):
            party = f"p_{rng.bytes(13).hex()}"
            rows.append({
                "journey": "welcome", "version": 1, "party_id": party, "occurrence": "e", "step": 1,
                "lot": draw_lot("welcome", party, "e"), "entered_s": 0, "since_s": 0,
                "due_s": int(due[n]),
            })  # fmt: skip
        with transaction(ledger) as connection:
            connection.execute(journey_people.insert(), rows)


def move_all(count: int, *, shuffled: bool) -> float:
    """CPU seconds of the statements that move everybody through the split."""
    graph = Graph("welcome", 1, parse(SPLIT), {})
    with folder() as made:
        ledger = open_ledger(ledger_url(made))
        fill(ledger, count, shuffled=shuffled)
        started = time.process_time()
        moved = engine.pass_on(
            lambda: transaction(ledger), graph, "rest", to="ab", now_s=DAY_S
        )  # fmt: skip
        spent = time.process_time() - started
        ledger.dispose()
    if moved != count:
        raise SystemExit(f"{moved} of {count} moved")
    return spent


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
    }
    emit(
        "journeys",
        data="people due in one step of a journey on SQLite, moved through a random split",
        rows={"people": people},
        figures=figures,
        goals={"tick_cpu_s": at_most(10), "idle_tick_cpu_ms": at_most(5)},
    )


if __name__ == "__main__":
    main()

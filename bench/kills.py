"""What `kill -9` breaks: a worker is killed again and again while messages go out.

On SQLite and PostgreSQL, while a campaign goes out and while a journey runs, by SMTP, where nobody
can tell what arrived. Then with fewer people through the sink, where it can be looked up, and a
webhook that recognises repeats. Nothing is measured but what must never be: see `tests/kills.py`.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.harness import Goal, at_most, emit
from tests.kills import CAMPAIGN, JOURNEY, SINK, SMTP, WEBHOOK, run_killed
from tests.postgres_server import new_database, running_postgres

PLACES = ("sqlite", "postgresql")
FEWER = 5  # where the channel can tell


def main() -> None:
    """Kill, judge and print."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES)
    asked = parser.parse_known_args()[0]
    figures: dict[str, object] = {"seed": asked.seed}
    goals: dict[str, Goal] = {}
    with ExitStack() as stack:
        server = None
        if "postgresql" in asked.places:
            try:
                server = stack.enter_context(running_postgres())
            except ImportError:
                figures["postgresql"] = "skipped: no server, see make test-postgres"
        for place in asked.places:
            if place == "postgresql" and server is None:
                continue
            for what in (CAMPAIGN, JOURNEY):
                for channel in (SMTP, SINK, WEBHOOK):
                    share = 1 if channel == SMTP else FEWER
                    people = asked.people // share // (2 if what == JOURNEY else 1)
                    name = f"{place}_{what}_{channel}"
                    address = "" if place == "sqlite" else new_database(server, name)
                    with tempfile.TemporaryDirectory(prefix="zhiyin-kills-") as made:
                        done = run_killed(
                            Path(made) / "shop", what=what, channel=channel, address=address,
                            people=people, kills=asked.kills // share, seed=asked.seed,
                        )  # fmt: skip
                    print(name, done.figures, done.flaws or "ok", file=sys.stderr, flush=True)
                    figures[name] = done.figures
                    figures[f"{name}_flaws"] = len(done.flaws)
                    goals[f"{name}_flaws"] = at_most(0)
    emit(
        "kills",
        data="a worker killed at random moments while a campaign and a journey send messages",
        rows={"people": asked.people, "kills": asked.kills},
        figures=figures,
        goals=goals,
    )
    if any(figures[name] for name in goals):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

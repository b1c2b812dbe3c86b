"""What joining records costs: two million identifiers of a shop with guests, households, tills."""

from __future__ import annotations

import resource
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.harness import at_least, at_most, emit
from zhiyin.collect.identity import join_records
from zhiyin.collect.resolve import resolve
from zhiyin.core import columns as c
from zhiyin.store.workspace import open_store

CUSTOMERS, GUESTS, BROWSERS = 550_000, 250_000, 400_000
PER_TILL, HOUSEHOLD_SHARE = 400, 0.02
BEGIN = np.datetime64(datetime(2024, 1, 1), "us")


def draw_shop(seed: int = 7) -> pa.Table:
    """Rows of `identities`: customers with user id, e-mail and phone, guests who left the e-mail
    or the phone of one, browsers that she logged in with, shared addresses and tills.
    """
    rng = np.random.default_rng(seed)
    customer = np.arange(CUSTOMERS)
    household = rng.random(CUSTOMERS) < HOUSEHOLD_SHARE
    email = np.where(household, np.maximum(customer - 1, 0), customer)
    guest, browser = np.arange(GUESTS), np.arange(BROWSERS)
    of_guest = rng.integers(0, CUSTOMERS * 2, GUESTS)  # half of them are nobody's
    of_browser = rng.integers(0, CUSTOMERS, BROWSERS)
    by_phone = rng.random(GUESTS) < 0.4
    parts = [
        ("user_id", "u", customer, "u", customer),
        ("email", "e", email, "u", customer),
        ("phone", "t", customer, "u", customer),
        ("email", "e", of_guest[~by_phone], "g", guest[~by_phone]),
        ("phone", "t", of_guest[by_phone], "g", guest[by_phone]),
        ("phone", "till", guest[::25] // PER_TILL, "g", guest[::25]),
        ("anonymous_id", "a", browser, "b", browser),
        ("anonymous_id", "a", browser[::2], "u", of_browser[::2]),
    ]
    columns: dict[str, list[pa.Array]] = {
        name: [] for name in (c.IDENTITY_ID, c.NAMESPACE, c.PARTY_ID, c.VALID_AT, c.SOURCE)
    }
    for namespace, letter, identity, kind, party in parts:
        moments = BEGIN + rng.integers(0, 700 * 86_400, len(party)).astype("timedelta64[s]")
        columns[c.IDENTITY_ID].append(pa.array(names(letter, identity, 32)))
        columns[c.NAMESPACE].append(pa.array([namespace] * len(party), pa.string()))
        columns[c.PARTY_ID].append(pa.array(names(f"p_{kind}", party, 28)))
        columns[c.VALID_AT].append(pa.array(moments.astype("datetime64[us]")))
        columns[c.SOURCE].append(pa.array(["shop"] * len(party), pa.string()))
    made = pa.table({name: pa.chunked_array(chunks) for name, chunks in columns.items()})
    return made.take(pa.array(rng.permutation(made.num_rows)))


def names(letter: str, numbers: np.ndarray, width: int) -> list[str]:
    """Ids as long as real ones, in no order."""
    return [f"{(number * 2654435761) % 2**32:08x}{letter}".ljust(width, "0") for number in
            numbers.tolist()]  # fmt: skip


def main() -> None:
    """Join the records in memory, then from and to a lake; print."""
    evidence = draw_shop()
    identifiers = len(evidence.column(c.IDENTITY_ID).unique())
    started = time.process_time()
    found = resolve(evidence)
    pure = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder), zone="UTC")
        more = {
            c.LOAD_ID: pa.repeat(pa.scalar("bench"), evidence.num_rows),
            c.LOADED_AT: pa.repeat(pa.scalar(datetime(2026, 1, 1), pa.timestamp("us")),
                                   evidence.num_rows),
        }  # fmt: skip
        rows = evidence
        for name, column in more.items():
            rows = rows.append_column(name, column)
        store.append("identities", rows, app="bench")
        started, wall = time.process_time(), time.perf_counter()
        merges, conflicts = join_records(store, app="bench")
        whole, wall = time.process_time() - started, time.perf_counter() - wall
        fresh = evidence.column(c.IDENTITY_ID).slice(0, 1000).unique()
        started = time.process_time()
        again = join_records(store, app="again", fresh=fresh)
        some = time.process_time() - started
        store.close()
    assert (merges, conflicts) == (found.merges.num_rows, found.conflicts.num_rows)
    assert again == (0, 0), again
    emit(
        "collect_identity",
        data="drawn: customers, guests, browsers, households, tills",
        rows={"identities": evidence.num_rows, "identifiers": identifiers, "merges": merges,
              "identity_conflicts": conflicts},
        figures={
            "identifiers": identifiers,
            "identity_2m_cpu_s": round(whole, 2),
            "identity_2m_wall_s": round(wall, 2),
            "resolve_cpu_s": round(pure, 2),
            "thousand_new_identifiers_cpu_s": round(some, 2),
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        },
        goals={"identifiers": at_least(2_000_000), "identity_2m_cpu_s": at_most(30)},
    )  # fmt: skip


if __name__ == "__main__":
    main()

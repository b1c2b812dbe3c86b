"""The collector that the clients' events end in: a real server process over a new workspace."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.commands import start_server
from zhiyin.app import Workspace
from zhiyin.collect.write_keys import make_write_key
from zhiyin.compaction import compact_journal
from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.config import validate_settings
from zhiyin.store.journal import finished_segments
from zhiyin.store.vault import open_segment_keys

STOP_S = 60


class Collector:
    """`zhiyin serve` on a free port, and what it acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: set[str] = set()  # message ids; gates add theirs
        settings = validate_settings({"name": "laden"}, where="test")
        with Workspace.create(folder, settings) as shop, shop.store.begin() as connection:
            now = naive_utc(shop.clock.now())
            self.browser_key, self.server_key = (
                make_write_key(connection, f"a-{kind}", kind=kind, now=now).write_key
                for kind in ("browser", "server")
            )
            self.slow_key = make_write_key(  # ten seconds' worth may come at once
                connection, "slow", kind="browser", now=now, events_per_s=2
            ).write_key
        self._process, self.url = start_server("--port", "0", "--no-worker", "-w", str(folder))

    def stop(self) -> None:
        """Stop the server; doing it again changes nothing."""
        self._process.terminate()
        self._process.join(STOP_S)
        assert self._process.exitcode == 0

    def stored(self) -> Counter[str]:
        """Compact the journal; how often each message id is in the lake. Only after `stop`."""
        keys = open_segment_keys(self.folder / "keys")
        with Workspace.open(self.folder, write=True) as shop:
            compact_journal(
                shop.store, shop.vault, shop.settings,
                folder=self.folder / "journal", keys=keys, clock=shop.clock,
            )  # fmt: skip
            assert finished_segments(self.folder / "journal") == []
            events = shop.store.read("events")
            rows = events.select(c.PARTY_ID, c.PERSONAL).to_pyarrow().to_pydict()
            personal = shop.vault.unseal(rows[c.PARTY_ID], rows[c.PERSONAL])
        return Counter(one["message_id"] for one in personal)

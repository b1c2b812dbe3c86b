"""Wiring only: a folder and its settings become a store, a vault, a channel and a context."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ibis

from zhiyin import __version__
from zhiyin.act import job as act
from zhiyin.act.channels.pace import PacedChannel
from zhiyin.act.review import SendPlan
from zhiyin.act.ways_job import ways_of
from zhiyin.channels import open_channel
from zhiyin.collect.load import LoadReport, load_file
from zhiyin.collect.mapping import read_mapping
from zhiyin.compaction import CompactReport, compact_journal
from zhiyin.core import columns as c
from zhiyin.core.clock import Clock, FrozenClock, SystemClock, local_day, run_moment
from zhiyin.core.config import FILE_NAME, Settings, load_settings
from zhiyin.core.config_text import render_settings
from zhiyin.core.context import Context
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.errors import (
    ChannelUnavailable,
    ConfigError,
    LeaseHeld,
    NotEnoughData,
    WorkspaceError,
    ZhiyinError,
)
from zhiyin.core.protocols import Channel, Progress
from zhiyin.core.rng import Streams
from zhiyin.loop import Turn, last_turn, run_turn
from zhiyin.measure.report.job import collect_data
from zhiyin.measure.report.render import render
from zhiyin.measure.report.summary import summary_text
from zhiyin.person import erase_customer
from zhiyin.reactions import copy_ledger
from zhiyin.store.engines import open_engine
from zhiyin.store.journal import open_segments
from zhiyin.store.leases import Lease, hold_lease
from zhiyin.store.vault import LocalVault, open_segment_keys, open_vault
from zhiyin.store.workspace import WorkspaceStore, open_store
from zhiyin.summary import summarise

JOURNAL_WAIT_S, JOURNAL_STEP_S = 30.0, 0.2
RENEW_S = 20.0  # a lease is held for two minutes
FOLDERS = ("lake", "keys", "outbox", "reports")
REPORT, PLANNED, SUMMARY = "report.html", "planned.html", "summary.json"


def quiet(what: str, share: float) -> None:
    """A progress that shows nothing."""


class Workspace:
    """One shop's folder, opened. Close it, or use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        store: WorkspaceStore,
        vault: LocalVault,
        *,
        clock: Clock,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.store = store
        self.vault = vault
        self.clock = clock

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> Self:
        """Make a workspace in `folder`, which may exist but not be a workspace.

        Raises
        ------
        WorkspaceError
            If there is one already, or the folder cannot be written.
        """
        _require_currency(settings)
        path = folder / FILE_NAME
        if path.exists():
            raise WorkspaceError(f"{folder} is a workspace already", hint="choose another folder")
        try:
            for name in FOLDERS:
                (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / "keys").chmod(0o700)
            path.write_text(render_settings(settings), encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(f"{folder} cannot be written: {error.strerror}") from error
        return cls.open(folder, write=True)

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = False, clock: Clock | None = None) -> Self:
        """Open the workspace in `folder`; without `write`, its lake refuses every change.

        Raises
        ------
        WorkspaceError
            If there is none, or a newer version wrote it.
        ConfigError
            If its settings are wrong.
        """
        folder = Path(folder)
        settings = load_settings(folder)
        _require_currency(settings)
        gone = not settings.ledger and not (folder / "ledger.db").exists()
        if gone and any((folder / "lake").glob("*/_delta_log")):
            raise WorkspaceError(
                f"{folder / 'ledger.db'} is missing, and the lake has data that needs it",
                hint="put it back from a backup; without it personal data cannot be read",
            )
        store = open_store(
            folder, zone=settings.zone, ledger=settings.ledger, engine=open_engine(settings),
            write=write,
        )  # fmt: skip
        vault = open_vault(folder / "keys", store.ledger, demo=settings.demo)
        return cls(folder, settings, store, vault, clock=clock or SystemClock())

    def table(self, name: str, *, as_of: date | None = None) -> ibis.Table:
        """The rows of a table, visible before `as_of` (None: all), as an Ibis expression."""
        return self.store.read(name, as_of=as_of)

    def load(
        self,
        table: str,
        file: Path,
        *,
        mapping: Path | None = None,
        dry_run: bool = False,
        progress: Progress = quiet,
    ) -> LoadReport:
        """Load one file into a table; loading it again changes nothing."""
        return load_file(
            self.store, self.vault, self.settings, self.clock, file, table,
            read_mapping(mapping) if mapping is not None else None,
            dry_run=dry_run, progress=progress,
        )  # fmt: skip

    def run(
        self,
        *,
        as_of: date | None = None,
        only: str | None = None,
        again: bool = False,
        progress: Progress = quiet,
    ) -> Turn:
        """Turn the loop for a day (none: the day after the last data). Delivers in a demo only."""
        self.compact()
        day = as_of or self.default_day()
        with self._demo_channel() as channel:

            def make_context(turn_id: str, store: WorkspaceStore) -> Context:
                return self.context(
                    day, turn_id=turn_id, store=store, channel=channel, progress=progress
                )

            return run_turn(
                self.store, make_context, settings=self.settings, as_of=day, clock=self.clock,
                code_version=__version__, only=only, again=again, progress=progress,
            )  # fmt: skip

    def default_day(self) -> date:
        """The day of the settings, otherwise that after the last sale, which sees all of them.

        Raises
        ------
        NotEnoughData
            If there is no sale.
        """
        if self.settings.as_of is not None:
            return self.settings.as_of
        last = self.store.read("order_lines")[c.SOLD_AT].max().to_pyarrow().as_py()
        if last is None:
            raise NotEnoughData(
                "this workspace has no order lines yet", hint="zhiyin load order_lines FILE"
            )
        return local_day(last, self.settings.zone) + timedelta(days=1)

    def context(
        self,
        as_of: date,
        *,
        turn_id: str = "",
        store: WorkspaceStore | None = None,
        channel: Channel | None = None,
        progress: Progress = quiet,
    ) -> Context:
        """What jobs of the day get."""
        return Context(
            self.settings,
            store or self.store,
            self.vault,
            FrozenClock(run_moment(as_of, self.settings.zone)),
            Streams(self.settings.seed),
            as_of,
            turn_id,
            channel,
            progress,
            self.store.online,
            self.store.numbers,
        )

    def report(
        self, *, as_of: date | None = None, language: str = "en"
    ) -> tuple[dict[str, Any], str, Path]:
        """Render the report of the last turn (of `as_of`): summary, its text, the HTML file."""
        turn = last_turn(self.store, self.clock, as_of)
        context = self.context(turn.as_of, turn_id=turn.turn_id)
        summary = summarise(turn, self.store)
        data = collect_data(context, turn=turn.as_values(), peak_rss_mb=summary["peak_rss_mb"])
        path = self.folder / "reports" / REPORT
        path.write_text(render(data), encoding="utf-8")
        path.with_name(SUMMARY).write_text(
            json.dumps(summary, ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8"
        )
        return summary, summary_text(data, "zh" if language == "zh" else "en"), path

    def compact(self, *, progress: Progress = quiet) -> list[CompactReport]:
        """Move what was tracked from the journal to the lake; a report for each unit moved.

        What was sent and what came back of it is copied to the lake, too.

        Raises
        ------
        LeaseHeld
            If a turn or an erasure is under way.
        """
        copy_ledger(self.store, self.clock)
        return compact_journal(
            self.store, self.vault, self.settings, folder=self.folder / "journal",
            keys=open_segment_keys(self.folder / "keys"), clock=self.clock, progress=progress,
        )  # fmt: skip

    def send_plan(self, campaign: str) -> SendPlan:
        """What sending the campaign's planned messages now would do, rule by rule."""
        return act.plan(self._context_now(), campaign)

    def send(
        self, campaign: str, *, progress: Progress = quiet, longest_s: float | None = None
    ) -> dict[str, Any]:
        """Send the campaign's planned messages through the configured channel; the counts.

        A demonstration sends to its sink, never to a server. One that a person planned is sent as
        far as it is due, for `longest_s` seconds.

        Raises
        ------
        ConfigError
            If no channel is configured.
        """
        counts: dict[str, Any] = {}
        failed: list[ZhiyinError] = []
        for way in ways_of(self._context_now(), campaign) or [None]:
            opened = nullcontext() if way is None else self._channel(way.asked)
            try:
                with opened as channel, hold_lease(self.store.ledger, clock=self.clock) as lease:
                    context = replace(self._context_now(channel), clock=self.clock)  # for hours
                    counts = act.deliver(
                        context, campaign, progress=renewing(lease, progress, self.clock),
                        longest_s=longest_s, way=way,
                    )  # fmt: skip
            except (ConfigError, ChannelUnavailable) as error:  # other ways may be there
                failed.append(error)
        if failed:
            raise failed[0]
        return counts

    def erase(
        self, customer: str, *, language: str | None = None, progress: Progress = quiet
    ) -> dict[str, Any]:
        """Erase a customer from every file and render the report anew; the proof, with `text`.

        Raises
        ------
        NotFound
            If nobody has this identifier.
        LeaseHeld
            If a turn or another erasure is under way.
        """
        self._empty_journal()
        proof = erase_customer(
            self.store, self.vault, customer, folder=self.folder, clock=self.clock,
            render=self.report, progress=progress,
        )  # fmt: skip
        shown = language or self.settings.languages[0]
        return {"text": proof.text(shown, currency=self.settings.currency), **proof.as_dict()}

    def _empty_journal(self) -> None:
        """Bring all that was acknowledged up to now into the lake, where an erasure finds it."""
        journal, patience = self.folder / "journal", threading.Event()
        waited, open_now = 0.0, open_segments(self.folder / "journal")
        while open_now & open_segments(journal):
            if waited > JOURNAL_WAIT_S:
                raise LeaseHeld(
                    "a server still writes events that came before this erasure",
                    hint="stop `zhiyin serve`, or try again",
                )
            patience.wait(JOURNAL_STEP_S)
            waited += JOURNAL_STEP_S
        self.compact()

    def _context_now(self, channel: Channel | None = None) -> Context:
        """A context of this moment: what a real delivery works with."""
        now = self.clock.now()
        context = self.context(local_day(now, self.settings.zone), channel=channel)
        return replace(context, clock=FrozenClock(now))

    @contextmanager
    def _channel(self, way: str = "") -> Iterator[Channel]:
        """The channel of the settings for a way to reach people (none: the usual one); the sink in
        a demonstration.
        """
        settings = self.settings.act
        channel = open_channel(self.settings, way or settings.medium, folder=self.folder)
        most = None if self.settings.demo or "mass" in channel.supports else settings.messages_per_s
        if most is not None:
            pause = threading.Event().wait
            channel = PacedChannel(channel, most, clock=self.clock, pause=pause)
        try:
            yield channel
        finally:
            channel.close()

    @contextmanager
    def _demo_channel(self) -> Iterator[Channel | None]:
        """The sink in a demonstration; otherwise none: nothing is ever sent by a turn."""
        if not self.settings.demo:
            yield None
            return
        with self._channel() as channel:
            yield channel

    def close(self) -> None:
        """Give back the ledger's connections."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def renewing(lease: Lease, progress: Progress, clock: Clock) -> Progress:
    """The progress, which also keeps the lease as long as something is done."""
    renewed = clock.monotonic()

    def told(what: str, share: float) -> None:
        nonlocal renewed
        if clock.monotonic() - renewed > RENEW_S:
            lease.renew()
            renewed = clock.monotonic()
        progress(what, share)

    return told


def _require_currency(settings: Settings) -> None:
    if settings.currency not in EXPONENTS:
        raise ConfigError(
            f"currency {settings.currency!r} is none of ISO 4217",
            hint="set currency, as CNY or USD",
        )

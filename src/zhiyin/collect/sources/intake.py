"""What pulling a source needs, and what it says afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from zhiyin.collect.reconcile import LoadReport
from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.core.protocols import Progress, Store, Vault


def _quiet(what: str, share: float) -> None:
    return None


class OpenVault(Vault, Protocol):
    """A vault that also opens what `seal_with` gave: the bodies of webhooks."""

    def unseal_with(self, key_id: str, blobs: list[bytes]) -> list[bytes]:
        """Decrypt what `seal_with` gave."""
        ...


@dataclass(frozen=True)
class Intake:
    """The workspace, as a pull sees it. `clock` is the machine's clock."""

    store: Store
    vault: OpenVault
    settings: Settings
    clock: Clock
    folder: Path
    progress: Progress = _quiet


@dataclass(frozen=True)
class Pulled:
    """What a pull brought of one table, file or webhook topic.

    `read` rows came; `again` of them were known and left out; of the rest `loaded` are in the
    lake (`unchanged` of them were there before) and `quarantined` were refused.
    """

    source: str
    origin: str
    table: str
    read: int = 0
    again: int = 0
    loaded: int = 0
    unchanged: int = 0
    quarantined: int = 0
    loads: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # the first of each kind, without values

    def plus(self, read: int, again: int, report: LoadReport | None) -> Pulled:
        """With one more load."""
        if report is None:
            return replace(self, read=self.read + read, again=self.again + again)
        unchanged = report.loaded if report.already else report.unchanged
        found = (f"line {one.line_no}: {one.reason}: {one.message}" for one in report.problems)
        return replace(
            self, read=self.read + read, again=self.again + again,
            loaded=self.loaded + report.loaded, unchanged=self.unchanged + unchanged,
            quarantined=self.quarantined + report.quarantined, loads=self.loads + 1,
            notes=tuple(dict.fromkeys((*self.notes, *report.notes))),
            problems=(*self.problems, *found)[:100],
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def text(self, language: str = "en") -> str:
        """One line for people, and the first problems."""
        zh = language == "zh"
        words = (
            f"{self.source}：{self.origin} → {self.table}：读取 {self.read:,} 行，"
            f"其中 {self.again:,} 行已知；载入 {self.loaded:,}（{self.unchanged:,} 行未变），"
            f"隔离 {self.quarantined:,}"
            if zh
            else f"{self.source}: {self.origin} → {self.table}: {self.read:,} rows read, "
            f"{self.again:,} of them known; {self.loaded:,} loaded ({self.unchanged:,} unchanged), "
            f"{self.quarantined:,} refused"
        )
        return "\n".join([words, *(f"  {one}" for one in (*self.notes, *self.problems))])

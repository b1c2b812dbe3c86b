"""The online store: a folder of generations, one of which is current.

    online/current            the number of the generation that readers take
    online/00000007/          its arrays (`.npy`) and `about.json`
    online/making-…/          one that is being made, or whose maker was killed
    online/recent.db          what people did since (`store.recent`)
    online/numbers/           another store of the same kind: what decisions look up

A generation is complete and on the disk before `current` names it, and `current` is swapped by a
rename: a reader sees the old one or the new one, and a maker that is killed leaves the old one.
Readers map the files, so a generation that was removed serves whoever still holds it.

The one thing that changes a generation is an erasure: it overwrites the person's entries where
they stand, so that no file and no reader has them any more (decision 0018).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zhiyin.core.errors import SchemaTooNew
from zhiyin.core.generation import FORMAT, PARTIES, PARTY, PARTY_ROW, PEOPLE, Generation
from zhiyin.store.durable import sync_file, sync_folder
from zhiyin.store.recent import RecentItems

ONLINE = "online"
"""The folder of a workspace in which it is."""
NUMBERS = "numbers"
"""The folder in it with the generations that decisions look up, made as its own are."""
CURRENT, ABOUT, MAKING = "current", "about.json", "making-"
_TRIES = 5


class OnlineStore:
    """The generations in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recent = RecentItems(folder)
        self._pointer = folder / CURRENT
        self._stamp: tuple[int, int] | None = None
        self._held: Generation | None = None

    def publish(self, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> int:
        """Make a generation and let readers take it from now on; its number.

        The caller holds the lease `lake`: nobody else publishes or erases meanwhile.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = max([0, *(int(one.name) for one in self._generations())]) + 1
        draft, made = self.folder / f"{MAKING}{os.getpid()}", self.folder / f"{number:08d}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
            sync_file(draft / f"{name}.npy")
        values = {**about, "format": FORMAT, "number": number, "arrays": sorted(arrays)}
        _write(draft / ABOUT, json.dumps(values, ensure_ascii=False, sort_keys=True))
        sync_folder(draft)
        draft.rename(made)
        _write(self._pointer.with_suffix(".new"), str(number))
        self._pointer.with_suffix(".new").rename(self._pointer)
        sync_folder(self.folder)
        self._clear(keep=made)
        return number

    def number(self) -> int | None:
        """The number of the current generation; None where there is none."""
        try:
            return int(self._pointer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def generation(self) -> Generation | None:
        """The current generation, mapped and not read; None where there is none.

        Asking again costs a look at one file as long as it is the same.

        Raises
        ------
        SchemaTooNew
            If a newer version made it.
        """
        for _ in range(_TRIES):  # it may be swapped, and removed, while it is opened
            try:
                seen = os.stat(self._pointer)
                stamp = (seen.st_mtime_ns, seen.st_ino)
                if stamp != self._stamp:
                    self._held = _open(self.folder / f"{self.number() or 0:08d}", "r")
                    self._stamp = stamp
            except FileNotFoundError:
                self._stamp = self._held = None
                if not self._pointer.exists():
                    return None
                continue
            return self._held
        return None

    def erase(self, party_ids: Sequence[str]) -> int:
        """Overwrite what every generation holds of the person with these parties, and remove what
        was tracked of her lately; how many entries that was. Readers see it at once.
        """
        self._clear(keep=None)
        removed = self.recent.erase(party_ids)
        wanted = sorted({one.encode() for one in party_ids})
        return removed + sum(_erase(_open(path, "r+"), wanted) for path in self._generations())

    def _generations(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(one for one in self.folder.iterdir() if one.name.isdigit())

    def _clear(self, *, keep: Path | None) -> None:
        """Remove what killed makers left, and, where one is to be kept, all other generations."""
        stale = [*self.folder.glob(f"{MAKING}*")]
        stale += [one for one in self._generations() if keep is not None and one != keep]
        for path in stale:
            shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    sync_file(path)


def _open(path: Path, mode: Literal["r", "r+"]) -> Generation:
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    if about["format"] > FORMAT:
        raise SchemaTooNew(
            f"the online store has format {about['format']}, this Zhiyin knows {FORMAT}",
            hint="use a newer Zhiyin: pip install -U zhiyin",
        )
    arrays = {
        name: np.asarray(np.load(path / f"{name}.npy", mmap_mode=mode, allow_pickle=False))
        for name in about["arrays"]
    }
    return Generation(about["number"], about, arrays)


def _erase(held: Generation, wanted: Sequence[bytes]) -> int:
    ids, rows = held.arrays[PARTY], held.arrays[PARTY_ROW]
    spans = [(int(ids.searchsorted(one)), int(ids.searchsorted(one, "right"))) for one in wanted]
    mine = sorted({int(rows[at]) for low, high in spans for at in range(low, high)})
    count = 0
    for group in (*held.about[PEOPLE], PARTIES):
        for row in mine:
            for array in held.people(group, row).values():
                array[:] = np.zeros((), array.dtype)
                count += len(array)
    for low, high in spans:  # last: by it the rest is found; the order of the ids stays
        ids[low:high] = ids[low - 1] if low else b""
    for array in held.arrays.values():
        _flush(array)
    return count


def _flush(array: np.ndarray) -> None:
    base = array.base
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if isinstance(base, np.memmap):
        base.flush()

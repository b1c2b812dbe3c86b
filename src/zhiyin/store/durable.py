"""Making sure that what was written is on the disk, not only in the machine's memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Flush a folder's list of names to the disk."""
    sync_file(path)


def sync_commit(root: Path, version: int) -> int:
    """Flush one Delta commit: its data files, its log entry and the folders that name them.

    delta-rs flushes nothing itself (seen by strace), so a journal segment may only be dropped
    after this. Returns the number of data files flushed.
    """
    log = root / "_delta_log"
    entry = log / f"{version:020d}.json"
    folders = {root}
    count = 0
    for line in entry.read_text(encoding="utf-8").splitlines():
        added = json.loads(line).get("add")
        if added is None:
            continue
        path = root / unquote(added["path"])
        sync_file(path)
        folders.add(path.parent)
        count += 1
    for folder in sorted(folders):
        sync_folder(folder)
    sync_file(entry)
    sync_folder(log)
    return count

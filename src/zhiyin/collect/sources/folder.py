"""A watched folder: complete new files are loaded, each content once; nothing is moved.

A file is complete when it has not changed for `settle_s` and does not change while it is copied.
The load reads that copy: what is checked is what is loaded. Hidden and partial names, links, and
what is not a file are left alone.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zhiyin.collect import ledger
from zhiyin.collect.load import load_file
from zhiyin.collect.sources import arrivals
from zhiyin.collect.sources.config import FolderSource
from zhiyin.collect.sources.intake import Intake, Pulled
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import ConcurrentWrite, ConfigError, InputError, LeaseHeld, ZhiyinError

PARTIAL = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", "~")
COPIES = ".incoming"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Found:
    """One name of the folder that may be loaded."""

    name: str
    size: int
    modified_ns: int


def take_files(
    intake: Intake, name: str, source: FolderSource, *, dry_run: bool = False
) -> list[Pulled]:
    """Load every complete file that was not loaded yet, by name.

    A file that cannot be loaded as a whole is noted in the ledger's `loads` with its error and
    is tried again when it has changed; the others are loaded nevertheless.

    Raises
    ------
    ConfigError
        If the folder is not there, or is a link.
    """
    folder = intake.folder / source.path
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", hint=f"correct path in sources/{name}.toml")
    made: list[Pulled] = []
    with _copies(intake.folder / COPIES / name) as copies:
        for found in list_files(folder, source, now_ns=int(intake.clock.now().timestamp() * 1e9)):
            with intake.store.begin() as connection:
                known = arrivals.knows_file(connection, name, found)
            if not known and (one := _take(intake, name, source, folder, found, copies, dry_run)):
                made.append(one)
    return made


def list_files(folder: Path, source: FolderSource, *, now_ns: int) -> list[Found]:
    """Files of the folder that are complete and fit the pattern, by name; links are refused."""
    made = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith((".", "~")) or name.lower().endswith(PARTIAL):
                continue
            if not fnmatch.fnmatchcase(name, source.pattern):
                continue
            try:
                about = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # it was renamed in this moment
                continue
            settled = now_ns - about.st_mtime_ns >= source.settle_s * 1e9
            if stat.S_ISREG(about.st_mode) and about.st_size and settled:
                made.append(Found(name, about.st_size, about.st_mtime_ns))
    return sorted(made, key=lambda one: one.name)


def _take(
    intake: Intake,
    name: str,
    source: FolderSource,
    folder: Path,
    found: Found,
    copies: Path,
    dry_run: bool,
) -> Pulled | None:
    """Load one file; None where it is not complete or its content was loaded before."""
    error: ZhiyinError | None = None
    report, digest = None, hashlib.sha256(f"{found.name}|{found.size}".encode()).hexdigest()
    try:
        if found.size > source.max_mb * 2**20:
            raise InputError(
                f"{found.name} has more than {source.max_mb} MB", hint="raise max_mb, or split it"
            )
        copied = copy_settled(folder, found, copies)
        if copied is None:
            return None
        digest = copied
        with intake.store.begin() as connection:
            if arrivals.has_content(connection, name, digest):
                if not dry_run:
                    arrivals.note_file(connection, name, digest, found, intake.clock, None)
                return None
        report = load_file(
            intake.store, intake.vault, intake.settings, intake.clock, copies / found.name,
            source.table, source.mapping, dry_run=dry_run, progress=intake.progress,
        )  # fmt: skip
    except (ConcurrentWrite, LeaseHeld):
        raise  # nothing is wrong with the file: next time
    except ZhiyinError as raised:
        error = raised
    finally:
        (copies / found.name).unlink(missing_ok=True)
    if not dry_run:
        _note(intake, name, source, digest, found, error)
    made = Pulled(name, found.name, source.table)
    if error is not None:
        return Pulled(name, found.name, source.table, problems=(f"{error.code}: {error.message}",))
    return made if report is None else made.plus(report.read, 0, report)


def _note(
    intake: Intake,
    name: str,
    source: FolderSource,
    digest: str,
    found: Found,
    error: ZhiyinError | None,
) -> None:
    with intake.store.begin() as connection:
        arrivals.note_file(connection, name, digest, found, intake.clock, error)
        if error is not None:
            ledger.fail_load(
                connection, f"l_{digest[:24]}", table=source.table, source=name, file=found.name,
                error={"error": error.code, "message": error.message},
                at=naive_utc(intake.clock.now()),
            )  # fmt: skip


@contextmanager
def _copies(folder: Path) -> Iterator[Path]:
    """A private folder for copies, empty at the begin and gone at the end."""
    shutil.rmtree(folder, ignore_errors=True)  # of a pull that was killed
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_settled(folder: Path, found: Found, into: Path) -> str | None:
    """Copy the file and give the hash of its content; None where it changed meanwhile.

    It is opened without following links, from a handle of its folder, so that nothing outside
    the folder can be read under one of its names.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            descriptor = os.open(
                found.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held
            )
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return None
            raise InputError(f"{found.name} cannot be opened: {error.strerror}") from error
    finally:
        os.close(held)
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as file, (into / found.name).open("xb") as copy:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{found.name} is no file")
        left = found.size
        while left and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            copy.write(chunk)
            left -= len(chunk)
        after = os.fstat(file.fileno())
    same = not left and (after.st_size, after.st_mtime_ns) == (found.size, found.modified_ns)
    if not same:
        (into / found.name).unlink()
    return digest.hexdigest() if same else None

"""Looks at the installation and the workspace; each finding says what to do about it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from deltalake.exceptions import DeltaError
from packaging.requirements import Requirement
from sqlalchemy.exc import DatabaseError

from zhiyin.act.channels.dkim import open_dkim
from zhiyin.app import Workspace
from zhiyin.compaction import find_damaged
from zhiyin.core.config import ActSettings, load_settings
from zhiyin.core.errors import ConfigError, ZhiyinError
from zhiyin.core.extras import lightgbm_or_none
from zhiyin.core.ledger import jobs, leases, loads, messages, pulls, turns
from zhiyin.person.erase import pending_erasures
from zhiyin.store.leases import LAKE, is_dead
from zhiyin.store.ledger import reading
from zhiyin.store.vault import KEY_FILE
from zhiyin.store.workspace import WorkspaceStore

MIN_FREE_BYTES = 2**30
MAX_QUARANTINE_SHARE = 0.02
PACKAGE = "zhiyin"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `hint` says what to do, or what it means."""

    ok: bool
    what: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)


def examine(folder: Path) -> list[Finding]:
    """Every finding about this installation and the workspace in `folder`, good and bad.

    Nothing of the workspace is changed, but its ledger is brought to this version's schema.
    """
    found = [*check_versions(), check_trees()]
    try:
        settings = load_settings(folder)
    except ZhiyinError as error:
        return [*found, _failed(error)]
    found += [Finding(True, f"settings of {settings.name!r} are valid"), check_disk(folder)]
    found += check_keys(folder)
    found += check_dkim(settings.act, folder)
    try:
        shop = Workspace.open(folder)
    except ZhiyinError as error:
        return [*found, _failed(error)]
    except DatabaseError as error:
        return [*found, Finding(False, f"the ledger cannot be read: {error.orig}", _BACKUP)]
    with shop:
        found.append(Finding(True, "the ledger has the schema of this version"))
        found += check_tables(shop.store)
        found += check_journal(folder)
        checks: tuple[Callable[[WorkspaceStore], Finding], ...] = (
            check_turns, check_loads, check_sources, check_quarantine, check_messages, check_jobs,
            check_erasures,
        )  # fmt: skip
        found += [check(shop.store) for check in checks]
    return found


_BACKUP = "put it back from a backup"


def check_versions() -> Iterator[Finding]:
    """Python and the libraries against what this package requires."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding(good, f"Python {version}", "" if good else "Zhiyin needs Python 3.11 or newer")
    try:
        wanted = [Requirement(one) for one in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        yield Finding(False, f"{PACKAGE} is not installed as a package", "pip install zhiyin")
        return
    wrong = list(find_wrong_versions(wanted))
    for what in wrong:
        yield Finding(False, what, "install what fits: pip install -c constraints.txt zhiyin")
    if not wrong:
        yield Finding(True, f"{len(wanted)} required packages have versions that fit")


def find_wrong_versions(wanted: list[Requirement]) -> Iterator[str]:
    """Sentences about requirements that are missing, or installed in a version that differs."""
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield f"{one.name} is not installed"
            continue
        if not one.specifier.contains(version, prereleases=True):
            yield f"{one.name} is {version}, not {one.specifier}"


def check_trees() -> Finding:
    """Whether LightGBM imports; without it scikit-learn's trees do its work."""
    made = lightgbm_or_none()
    if made is None:
        return Finding(
            True,
            "LightGBM does not import: scikit-learn's trees are used instead",
            "its library libgomp is missing: apt-get install libgomp1",
        )
    return Finding(True, f"LightGBM {made.__version__} imports")


def check_disk(folder: Path) -> Finding:
    """Whether there is room for a rewrite of the whole lake, and 1 GiB."""
    lake = folder / "lake"
    size = sum(one.stat().st_size for one in lake.rglob("*") if one.is_file())
    free, need = shutil.disk_usage(folder).free, max(MIN_FREE_BYTES, 2 * size)
    what = f"{free / 2**30:.1f} GiB are free; the lake has {size / 2**30:.2f} GiB"
    hint = f"make room: a turn or an erasure may need {need / 2**30:.1f} GiB"
    return Finding(free >= need, what, "" if free >= need else hint)


def check_keys(folder: Path) -> Iterator[Finding]:
    """Whether only the owner can read the keys."""
    path = folder / "keys" / KEY_FILE
    if not path.exists():
        yield Finding(True, "no keys yet: they are made when the workspace is first opened")
        return
    for one, mask in ((path, 0o077), (path.parent, 0o077)):
        mode = one.stat().st_mode & 0o777
        good = not mode & mask
        want = "600" if one == path else "700"
        what = f"{one.name} has mode {mode:o}"
        yield Finding(good, what, "" if good else f"others can read it: chmod {want} {one}")


def check_dkim(settings: ActSettings, folder: Path) -> Iterator[Finding]:
    """Whether e-mails can be signed, and the DNS record that lets others check it."""
    if not settings.channel_for("smtp") and not settings.dkim_domain:
        return
    try:
        signer = open_dkim(settings, folder)
    except ConfigError as error:
        yield _failed(error)
        return
    if signer is None:
        hint = "unless your SMTP server signs it, set act.dkim_domain; see docs/act-channels.md"
        yield Finding(True, "e-mail is not signed here (DKIM)", hint)
        return
    name, text = signer.dns_record()
    yield Finding(
        True,
        f"e-mail is signed for {signer.domain} (DKIM)",
        f"publish in its DNS: {name} TXT {text}",
    )


def check_tables(store: WorkspaceStore) -> Iterator[Finding]:
    """Whether every table of the lake can be opened and every file of it is there."""
    rows, good = 0, 0
    for name in store.lake.tables:
        try:
            if store.lake.open(name) is None:
                if any((store.lake.folder / name).rglob("*.parquet")):
                    what = f"table {name} has data files but no log (_delta_log): it reads as empty"
                    yield Finding(False, what, f"put lake/{name} back from a backup")
                continue
            rows += int(store.read_stored(name).count().to_pyarrow().as_py())
            good += 1
        except ZhiyinError as error:
            yield _failed(error)
        except (OSError, DeltaError, duckdb.Error) as error:
            what = f"table {name} cannot be read ({type(error).__name__})"
            yield Finding(False, what, f"put lake/{name} back from a backup")
    yield Finding(True, f"{good} tables with {rows:,} stored rows can be read")


def check_journal(folder: Path) -> Iterator[Finding]:
    """Whether every finished segment of the journal can be read."""
    damaged = find_damaged(folder)
    yield from map(_failed, damaged)
    if not damaged:
        yield Finding(True, "every finished segment of the journal can be read")


def check_turns(store: WorkspaceStore) -> Finding:
    """Whether a turn was cut off."""
    query = sa.select(turns.c.as_of_on).where(turns.c.state == "running")
    held = sa.select(leases.c.holder).where(leases.c.name == LAKE)
    with reading(store.ledger) as connection:
        days = sorted({row.as_of_on for row in connection.execute(query)})
        holder = connection.execute(held).scalar_one_or_none()
    if holder is not None and not is_dead(holder):
        return Finding(True, "a turn, a load or an erasure is under way")
    if not days:
        return Finding(True, "no turn was cut off")
    return Finding(
        False,
        f"{len(days)} turns were cut off or run in part",
        f"complete them: zhiyin run --as-of {days[0]}",
    )


def check_loads(store: WorkspaceStore) -> Finding:
    """Whether a load was cut off."""
    query = sa.select(sa.func.count()).where(loads.c.state == "running")
    with reading(store.ledger) as connection:
        count = connection.execute(query).scalar_one()
    hint = "load the same files again: what is there is not loaded twice"
    return Finding(not count, f"{count} loads were cut off", hint if count else "")


def check_sources(store: WorkspaceStore) -> Finding:
    """Whether a source could not be pulled the last time."""
    query = sa.select(pulls.c.source).where(pulls.c.error.is_not(None)).order_by(pulls.c.source)
    with reading(store.ledger) as connection:
        failed = list(connection.execute(query).scalars())
    if not failed:
        return Finding(True, "no source failed when it was pulled last")
    names = ", ".join(failed)
    return Finding(False, f"sources failed: {names}", f"see why: zhiyin pull {failed[0]}")


def check_quarantine(store: WorkspaceStore) -> Finding:
    """How much of what was read was refused."""
    sums = (sa.func.sum(loads.c.rows_read), sa.func.sum(loads.c.rows_quarantined))
    with reading(store.ledger) as connection:
        read, refused = connection.execute(sa.select(*sums)).one()
    share = (refused or 0) / read if read else 0.0
    good = share <= MAX_QUARANTINE_SHARE
    what = f"{refused or 0:,} of {read or 0:,} loaded rows were refused ({share:.1%})"
    hint = "see the reasons: zhiyin load … --dry-run, or table quarantine; correct the mapping"
    return Finding(good, what, "" if good else hint)


def check_messages(store: WorkspaceStore) -> Finding:
    """Whether it is open if some messages went out."""
    doubt = messages.c.state.in_(("unknown", "sending"))
    with reading(store.ledger) as connection:
        count = connection.execute(
            sa.select(sa.func.count()).select_from(messages).where(doubt)
        ).scalar_one()
    hint = "look them up at the provider; they are never sent again by themselves"
    return Finding(
        not count, f"{count} messages may or may not have gone out", hint if count else ""
    )


def check_jobs(store: WorkspaceStore) -> Finding:
    """Whether jobs failed, or wait with nobody to take them."""
    query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
    with reading(store.ledger) as connection:
        count = {row[0]: int(row[1]) for row in connection.execute(query)}
    failed, waiting = count.get("failed", 0), count.get("waiting", 0)
    hint = "see why: GET /v1/jobs" if failed else "zhiyin worker takes them" if waiting else ""
    return Finding(not failed, f"{failed} jobs failed, {waiting} wait", hint)


def check_erasures(store: WorkspaceStore) -> Finding:
    """Whether an erasure was cut off: a person may still be in some files."""
    count = len(pending_erasures(store))
    hint = "complete it: zhiyin erase with the same customer" if count else ""
    return Finding(not count, f"{count} erasures were cut off", hint)


def _failed(error: ZhiyinError) -> Finding:
    return Finding(False, error.message, error.hint or "see docs/reference/errors.md")

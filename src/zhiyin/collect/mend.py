"""Refused rows as a file to mend and load again.

It holds personal data in clear, so it is written only on request, never inside the workspace, for
its owner alone (mode 0600). Its columns are those of the source's file and `zhiyin_*`: load, line,
reason, message. A text that a spreadsheet could take for a formula gets an apostrophe in front,
which loading the file takes off again.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from zhiyin.collect import ledger
from zhiyin.collect.files import Raw
from zhiyin.collect.mapping import Mapping as FileMapping
from zhiyin.collect.mapping import parse_mapping
from zhiyin.collect.write import PLACE
from zhiyin.core import columns as c
from zhiyin.core.errors import InputError, NotFound
from zhiyin.core.protocols import Store

LOAD, LINE, REASON, MESSAGE, MORE = (
    "zhiyin_load", "zhiyin_line", "zhiyin_reason", "zhiyin_message", "zhiyin_more",
)  # fmt: skip
OURS = (LOAD, LINE, REASON, MESSAGE)
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")
_MARKS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Refusal:
    """A refused row: its line, why, and its fields (of a line that was no row: its text)."""

    line_no: int
    reason: str
    message: str
    content: bytes


def read_refusals(
    store: Store, load_id: str, *, unseal: Callable[[str, Sequence[bytes]], list[bytes]]
) -> tuple[list[Refusal], Sequence[str]]:
    """The rows that a load refused, by line, and the headers of its file.

    Raises
    ------
    NotFound
        If there is no such load.
    KeyDestroyed
        If the key of its refused rows was destroyed.
    """
    with store.begin() as connection:
        load = ledger.find_load(connection, load_id)
    if load is None:
        raise NotFound(f"there is no load {load_id!r}", hint="zhiyin load prints the id of each")
    held = store.read("quarantine")
    rows = held.filter(held[c.LOAD_ID] == load_id).order_by(c.LINE_NO).to_pyarrow().to_pylist()
    contents = unseal(load_id, [row[c.CONTENT] for row in rows]) if rows else []
    made = [
        Refusal(row[c.LINE_NO], row[c.REASON], row[c.MESSAGE], content)
        for row, content in zip(rows, contents, strict=True)
    ]
    return made, (load["reconciliation"] or {}).get("headers", ())


def write_errors(
    path: Path,
    refusals: Sequence[Refusal],
    headers: Sequence[str],
    *,
    load_id: str,
    workspace: Path,
) -> int:
    """Write the refused rows to the new CSV file `path`; how many.

    Raises
    ------
    InputError
        If `path` is inside the workspace, exists already, or cannot be written.
    """
    check_place(path, workspace)
    rows = [_fields(one, headers) for one in refusals]
    names = [*OURS, *dict.fromkeys([*headers, *(name for row in rows for name in row)])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_guard(name) for name in names])
    for refusal, row in zip(refusals, rows, strict=True):
        own = {LOAD: load_id, LINE: str(refusal.line_no), REASON: refusal.reason,
               MESSAGE: refusal.message}  # fmt: skip
        writer.writerow([_guard({**row, **own}.get(name) or "") for name in names])
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}", hint="name a new file"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as stream:
        stream.write(text.getvalue())
    return len(rows)


def check_place(path: Path, workspace: Path) -> None:
    """See that an error file may be written to `path`.

    Raises
    ------
    InputError
        If it is inside the workspace, by whatever links, or exists already.
    """
    if path.resolve().is_relative_to(workspace.resolve()):
        raise InputError(
            f"{path} is inside the workspace, which keeps personal data encrypted",
            hint="name a file outside of it, and delete it when it is mended",
        )
    if path.exists():
        raise InputError(f"{path} cannot be written: it exists", hint="name a new file")


def is_error_file(headers: Sequence[str]) -> bool:
    """Whether a file with these headers is one that `write_errors` wrote."""
    return set(OURS) <= set(headers)


def restore(raw: Raw) -> Raw:
    """An error file without our columns and apostrophes: what was in the source's file."""
    arrays = {}
    for name, column in zip(raw.rows.column_names, raw.rows.columns, strict=True):
        plain = _bare(name)
        if plain not in (*OURS, MORE):
            arrays[plain] = pc.replace_substring_regex(
                column, rf"^'([{''.join(_DANGEROUS)}])", r"\1"
            )
    return replace(raw, rows=pa.table(arrays))


def recall(store: Store, raw: Raw) -> tuple[str, FileMapping] | None:
    """The table and mapping of the load whose error file `raw` is; None if it is not known here.

    Lines of an order keep the number that they had in it.
    """
    ids = pc.unique(raw.rows.column(LOAD)).to_pylist()
    with store.begin() as connection:
        load = ledger.find_load(connection, ids[0]) if len(ids) == 1 and ids[0] else None
    kept: Mapping = (load["reconciliation"] or {}) if load is not None else {}
    if load is None or not kept.get("mapping"):
        return None
    values = dict(kept["mapping"])
    if PLACE in raw.rows.column_names and load["table_name"] == "order_lines":
        values["columns"] = {**values["columns"], c.LINE_ID: {"column": PLACE}}
    return load["table_name"], parse_mapping(values, where=f"load {ids[0]}")


def _fields(refusal: Refusal, headers: Sequence[str]) -> dict[str, str]:
    """The fields of a refused row; those of a line with too many or too few as far as they go."""
    text = refusal.content.decode("utf-8", errors="replace")
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if isinstance(row, dict):
        return {k: v if isinstance(v, str) else str(v) for k, v in row.items() if v is not None}
    splits = {mark: next(csv.reader([text], delimiter=mark), []) for mark in _MARKS}
    mark = min(_MARKS, key=lambda one: abs(len(splits[one]) - len(headers)))
    cells = splits[mark]
    made = dict(zip(headers, cells, strict=False))
    if len(cells) > len(headers):
        made[MORE] = mark.join(cells[len(headers) :])
    made[PLACE] = f"line{refusal.line_no}"
    return made


def _guard(text: str) -> str:
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _bare(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith(_DANGEROUS) else text

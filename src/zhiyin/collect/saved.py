"""Mappings that a workspace keeps: the next file of a source needs no `--map`.

They lie in `mappings/SOURCE.TABLE.toml` of the workspace, as they were given: read them, change
them, delete them, keep them under version control.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zhiyin.collect.mapping import Mapping, read_mapping
from zhiyin.core.errors import InputError

FOLDER = "mappings"


def save_mapping(workspace: Path, path: Path, *, table: str) -> Path:
    """Keep the mapping file `path` in the workspace; where."""
    mapping = read_mapping(path)
    kept = workspace / FOLDER / f"{mapping.source}.{table}.toml"
    text = path.read_text(encoding="utf-8-sig")
    if not kept.is_file() or kept.read_text(encoding="utf-8") != text:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    return kept


def find_saved(
    workspace: Path, headers: Sequence[str], *, table: str = "", source: str = ""
) -> tuple[str, Mapping] | None:
    """The table and mapping kept for files with these headers, None if there is none.

    Parameters
    ----------
    table, source
        Only of this table, of this source.

    Raises
    ------
    InputError
        If several fit.
    """
    found = []
    for path in sorted((workspace / FOLDER).glob("*.toml")):
        mapping = read_mapping(path)
        one = mapping.table or path.name.removesuffix(".toml").rsplit(".", 1)[-1]
        if table not in ("", one) or source not in ("", mapping.source):
            continue
        if needed_headers(mapping) <= set(headers):
            found.append((one, mapping))
    if len(found) > 1:
        names = ", ".join(f"{mapping.source} ({one})" for one, mapping in found)
        raise InputError(
            f"several mappings of this workspace fit the file: {names}",
            hint="choose with --source, or name the table",
        )
    return found[0] if found else None


def needed_headers(mapping: Mapping) -> set[str]:
    """Headers that the mapping reads."""
    return {header for rule in mapping.columns.values() for header in rule.headers}

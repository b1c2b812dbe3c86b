"""A file comes in: how it reads is found out, then it is loaded into every table that it feeds.

In this order: what the caller names (a mapping, a preset), a mapping kept for such headers, a
preset that recognises them, headers that are our column names. What nothing fits is not loaded:
`guess` proposes a mapping to confirm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from zhiyin.collect.files import Raw, read_raw
from zhiyin.collect.load import load_raw
from zhiyin.collect.mapping import LOADABLE, Mapping, default_mapping, read_mapping, targets
from zhiyin.collect.mend import is_error_file, recall, restore
from zhiyin.collect.presets import Preset, Step, find_preset, recognise, steps_of
from zhiyin.collect.reconcile import LoadReport
from zhiyin.collect.reshape import Left
from zhiyin.collect.saved import find_saved, save_mapping
from zhiyin.core.clock import Clock
from zhiyin.core.config import Settings
from zhiyin.core.errors import InputError
from zhiyin.core.protocols import Progress, Store, Vault


@dataclass(frozen=True)
class Wish:
    """What the caller says about a file; everything may be left open.

    `policy` overrides the mapping's; `source` names the source of a preset, or chooses among kept
    mappings.
    """

    table: str = ""
    mapping: Path | None = None
    preset: str = ""
    source: str = ""
    sheet: str = ""
    policy: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Plan:
    """What will be loaded, and how that was found out: `by` is named, kept, preset,
    mended or headers."""

    steps: tuple[Step, ...]
    by: str
    preset: Preset | None = None
    left: tuple[Left, ...] = ()

    def words(self, language: str = "en") -> list[str]:
        """What is worth saying before the reports."""
        made = []
        zh = language == "zh"
        if self.preset is not None:
            tables = ", ".join(dict.fromkeys(step.table for step in self.steps))
            title = self.preset.title_zh if zh else self.preset.title
            name = self.preset.name
            made.append(
                f"识别为 {title}（预设 {name}），写入：{tables}" if zh
                else f"read as {title} (preset {name}), into {tables}"
            )  # fmt: skip
        elif self.by == "kept":
            source = self.steps[0].mapping.source
            made.append(
                f"使用已保存的映射：{source}" if zh else f"read by the kept mapping {source}"
            )
        elif self.by == "mended":
            made.append("已修改的错误文件" if zh else "a mended error file")
        for one in self.left:
            made.append(
                f"未计入 {one.count:,} 行：{one.why_zh}" if zh
                else f"left out {one.count:,} rows: {one.why}"
            )  # fmt: skip
        return made


def plan_load(workspace: Path, path: Path, wish: Wish, *, store: Store | None = None) -> Plan:
    """How the file `path` will be loaded.

    With `store`, an error file of one of its loads is read as that load's file was.

    Raises
    ------
    InputError
        If the file cannot be read, or nothing says how it reads.
    NotFound
        If there is no such table or preset.
    """
    if wish.table:
        targets(wish.table)
    named = None if wish.mapping is None else read_mapping(wish.mapping)
    raw = read_raw(
        path,
        encoding=named.encoding if named else "",
        delimiter=named.delimiter if named else "",
        sheet=wish.sheet or (named.sheet if named else ""),
    )
    if is_error_file(raw.rows.column_names):
        known = recall(store, raw) if store is not None and named is None else None
        raw = restore(raw)
        if known is not None:
            return _one(raw, *known, "mended", wish)
    headers = raw.rows.column_names
    if named is not None:
        table = wish.table or named.table
        if not table:
            raise InputError(
                "neither the command nor the mapping names a table",
                hint=f"name one of {', '.join(LOADABLE)}",
            )
        return _one(raw, table, named, "named", wish)
    if not wish.preset and (kept := find_saved(
        workspace, headers, table=wish.table, source=wish.source
    )):  # fmt: skip
        return _one(raw, *kept, "kept", wish)
    preset = find_preset(wish.preset) if wish.preset else recognise(headers)
    if preset is not None and (wish.preset or not wish.table):
        steps, left = steps_of(preset, raw, source=wish.source)
        steps = [step for step in steps if wish.table in ("", step.table)]
        if not steps:
            raise InputError(f"{path.name} has no row for preset {preset.name}", hint=preset.how)
        made = tuple(replace(step, mapping=_with_policy(step.mapping, wish)) for step in steps)
        return Plan(made, "preset", preset, tuple(left))
    if not wish.table:
        raise InputError(
            f"nothing is known of {path.name}: no preset and no kept mapping has its headers",
            hint=f"let a mapping be guessed and confirm it: zhiyin map {path} --to mapping.toml",
        )
    source = {"source": wish.source} if wish.source else {}
    return _one(raw, wish.table, default_mapping(wish.table, headers, **source), "headers", wish)


def load_plan(
    store: Store,
    vault: Vault,
    settings: Settings,
    clock: Clock,
    plan: Plan,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load every step of `plan`; what each did. A repeated file changes nothing."""
    return [
        load_raw(
            store, vault, settings, clock, step.raw, step.table, step.mapping,
            dry_run=dry_run, progress=progress,
        )
        for step in plan.steps
    ]  # fmt: skip


def keep_mapping(workspace: Path, plan: Plan, wish: Wish) -> Path | None:
    """Keep the mapping that the caller named for the next file of its source; where."""
    if wish.mapping is None or wish.dry_run:
        return None
    return save_mapping(workspace, wish.mapping, table=plan.steps[0].table)


def _one(raw: Raw, table: str, mapping: Mapping, by: str, wish: Wish) -> Plan:
    return Plan((Step(table, raw, _with_policy(mapping, wish)),), by)


def _with_policy(mapping: Mapping, wish: Wish) -> Mapping:
    if not wish.policy:
        return mapping
    if wish.policy not in ("overwrite", "fill", "skip"):
        raise InputError(
            f"there is no update policy {wish.policy!r}", hint="overwrite, fill or skip"
        )
    return mapping.model_copy(update={"policy": wish.policy})

"""`zhiyin load` and what belongs to files: presets, guessed mappings, error files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from zhiyin.core.errors import InputError

app = typer.Typer()
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Language = Annotated[str, typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
HERE = Path()


@app.command()
def load(
    what: Annotated[
        list[str], typer.Argument(help="[TABLE] FILE…; without a table it is found out.")
    ],
    mapping: Annotated[Path | None, typer.Option("--map", help="Mapping file (TOML).")] = None,
    preset: Annotated[str, typer.Option(help="Preset; none: recognised by the headers.")] = "",
    source: Annotated[str, typer.Option(help="Name of the source.")] = "",
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook.")] = "",
    policy: Annotated[str, typer.Option(help="Known keys: overwrite, fill or skip.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only, write nothing.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Load files into the tables they feed; bad rows go to quarantine, each with its reason."""
    from zhiyin.app import Workspace
    from zhiyin.collect.intake import Wish, keep_mapping, load_plan, plan_load
    from zhiyin.collect.mapping import LOADABLE
    from zhiyin.collect.reconcile import render_reconciliation

    table, files = _table_and_files(what, LOADABLE)
    wish = Wish(table, mapping, preset, source, sheet, policy, dry_run)
    with Workspace.open(workspace, write=True) as shop:
        for file in files:
            plan = plan_load(shop.folder, file, wish)
            for line in plan.words(language):
                typer.echo(line, err=as_json)
            for report in load_plan(
                shop.store, shop.vault, shop.settings, shop.clock, plan, dry_run=dry_run
            ):
                text = render_reconciliation(report, language=language)
                typer.echo(_json(report.to_json()) if as_json else text)
            if (kept := keep_mapping(shop.folder, plan, wish)) and not as_json:
                typer.echo(f"{'映射已保存' if language == 'zh' else 'mapping kept'}: {kept}")


def _table_and_files(what: list[str], tables: tuple[str, ...]) -> tuple[str, list[Path]]:
    """The table, where the first word is one, and the files."""
    table = what[0] if what[0] in tables or (len(what) > 1 and not Path(what[0]).exists()) else ""
    files = [Path(one) for one in what[bool(table) :]]
    if not files:
        raise InputError("no file is named", hint="zhiyin load [TABLE] FILE…")
    return table, files


@app.command()
def presets(language: Language = "en", as_json: AsJson = False) -> None:
    """The exports that are recognised by themselves, and where each is made."""
    from zhiyin.collect.presets import presets as all_presets

    found = all_presets().values()
    zh = language == "zh"
    if as_json:
        typer.echo(_json([one.model_dump() for one in found]))
        return
    for one in found:
        tables = ", ".join(dict.fromkeys(str(entry["table"]) for entry in one.tables))
        typer.echo(f"{one.name:<20} {one.title_zh if zh else one.title} → {tables}")
        typer.echo(f"{'':<20} {one.how_zh if zh else one.how}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)

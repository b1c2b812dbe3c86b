"""`zhiyin load` and what belongs to files: presets, guessed mappings, error files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zhiyin.cli_progress import progress_bar
from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.app import Workspace

app = typer.Typer()
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
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
    errors_to: Annotated[
        Path | None, typer.Option("--errors", help="New file for refused rows (personal data!).")
    ] = None,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Load files into the tables they feed; bad rows go to quarantine, each with its reason."""
    from zhiyin.app import Workspace
    from zhiyin.collect.intake import Wish, keep_mapping, load_plan, plan_load
    from zhiyin.collect.mapping import LOADABLE
    from zhiyin.collect.mend import check_place
    from zhiyin.collect.reconcile import render_reconciliation
    from zhiyin.collect.refusals import refuse_all

    table, files = _table_and_files(what, LOADABLE)
    wish = Wish(table, mapping, preset, source, sheet, policy, dry_run)
    if errors_to is not None and dry_run:
        raise InputError("a dry run writes no error file", hint="leave out --dry-run or --errors")
    with Workspace.open(workspace, write=True) as shop:
        if errors_to is not None:
            check_place(errors_to, shop.folder)
        for file in files:
            plan = plan_load(shop.folder, file, wish, store=shop.store)
            for line in plan.words(language):
                typer.echo(line, err=as_json)
            with progress_bar() as progress:
                reports = load_plan(
                    shop.store, shop.vault, shop.settings, shop.clock, plan, dry_run=dry_run,
                    progress=progress,
                )  # fmt: skip
            for report in reports:
                text = render_reconciliation(report, language=language)
                typer.echo(_json(report.to_json()) if as_json else text)
                if errors_to is not None and report.quarantined:
                    target = _free_name(errors_to, report.table)
                    count = _write_errors(shop, report.load_id, target)
                    typer.echo(f"{target}: {count}", err=as_json)
            for report in reports:
                if report.all_refused:
                    raise refuse_all(report, language=language)
            if (kept := keep_mapping(shop.folder, plan, wish)) and not as_json:
                typer.echo(f"{'映射已保存' if language == 'zh' else 'mapping kept'}: {kept}")


def _table_and_files(what: list[str], tables: tuple[str, ...]) -> tuple[str, list[Path]]:
    """The table, where the first word is one, and the files."""
    table = what[0] if what[0] in tables or (len(what) > 1 and not Path(what[0]).exists()) else ""
    files = [Path(one) for one in what[bool(table) :]]
    if not files:
        raise InputError("no file is named", hint="zhiyin load [TABLE] FILE…")
    return table, files


@app.command("map")
def guess(
    file: Annotated[Path, typer.Argument(help="File that nothing fits.")],
    to: Annotated[Path | None, typer.Option("--to", help="New file for the draft.")] = None,
    table: Annotated[str, typer.Option(help="Table it is for; none: guessed too.")] = "",
    source: Annotated[str, typer.Option(help="Name of the source.")] = "shop",
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook.")] = "",
) -> None:
    """Guess the mapping of a file by its headers and values: a draft to read and confirm."""
    from zhiyin.collect.files import read_raw
    from zhiyin.collect.guess import guess_mapping
    from zhiyin.collect.presets import recognise

    raw = read_raw(file, sheet=sheet)
    if known := recognise(raw.rows.column_names):
        typer.echo(f"preset {known.name} fits: zhiyin load {file}", err=True)
    made = guess_mapping(raw, table=table, source=source)
    text = made.toml(file.name)
    typer.echo(text, nl=False)
    if to is None:
        return
    if to.exists():
        raise InputError(f"{to} exists already", hint="name a new file")
    to.write_text(text, encoding="utf-8")
    typer.echo(f"\nRead {to}, delete draft = true, then: zhiyin load {file} --map {to}", err=True)


@app.command()
def errors(
    load_id: Annotated[str, typer.Argument(help="Id of the load, as printed.")],
    to: Annotated[Path, typer.Option("--to", help="New CSV file, outside the workspace.")],
    workspace: Folder = HERE,
) -> None:
    """Write the rows that a load refused to a file, to be mended and loaded again.

    The file holds personal data in clear: delete it when it is mended.
    """
    from zhiyin.app import Workspace

    with Workspace.open(workspace) as shop:
        typer.echo(f"{to}: {_write_errors(shop, load_id, to)}")


def _write_errors(shop: Workspace, load_id: str, path: Path) -> int:
    from zhiyin.collect.mend import read_refusals, write_errors

    rows, headers = read_refusals(shop.store, load_id, unseal=shop.vault.unseal_with)
    return write_errors(path, rows, headers, load_id=load_id, workspace=shop.folder)


def _free_name(path: Path, table: str) -> Path:
    """`path`, or `path` with the table in its name where an earlier table of the file took it."""
    other = path.with_name(f"{path.stem}.{table}{path.suffix}")
    return other if path.exists() else path


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

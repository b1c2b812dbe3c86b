"""`zhiyin tags`: the catalogue of tags (标签), giving them by hand, their history and coverage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zhiyin.core.errors import InputError, InvalidParameter

if TYPE_CHECKING:
    from zhiyin.profile.definition import Definition
    from zhiyin.tags import Tags

app = typer.Typer(name="tags", help="Tags (标签): what a customer is called.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Name = Annotated[str, typer.Argument(help="Name of the tag.")]
File = Annotated[Path, typer.Argument(help="File with the definition, JSON.")]
Draft = Annotated[bool, typer.Option("--draft", help="Keep it, but do not compute it.")]
Customers = Annotated[
    list[str] | None, typer.Argument(help="Source's id, e-mail, phone or our id; several.")
]
ListFile = Annotated[Path | None, typer.Option("--file", help="A file with one identifier a line.")]
Day = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="Day from which it holds; none: today."),
]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BY = "command line"
HERE = Path()


@app.command("list")
def list_all(workspace: Folder = HERE, lang: Language = "en", as_json: AsJson = False) -> None:
    """Every tag with its kind, owner, version and how many customers have it."""
    with _tags(workspace) as tags:
        rows = tags.listed()
    if as_json:
        _print(rows)
        return
    for one in rows:
        label = one["label_zh" if lang == "zh" else "label"]
        size = "-" if one["customers"] is None else f"{one['customers']:,}"
        share = "-" if one["share"] is None else f"{one['share']:.1%}"
        typer.echo(
            f"{one['path']:<14} {one['name']:<18} {one['kind']:<7} v{one['version']:<3} "
            f"{one['status']:<8} {one['owner']:<12} {size:>9} {share:>7}  {label}"
        )


@app.command()
def show(name: Name, workspace: Folder = HERE) -> None:
    """A tag: its definition, every version, what it is made from and what uses it."""
    with _tags(workspace) as tags:
        _print(tags.shown(name))


@app.command()
def create(
    file: File,
    name: Annotated[str, typer.Option(help="Its name; none: the file's.")] = "",
    draft: Draft = False,
    workspace: Folder = HERE,
) -> None:
    """Check a definition and keep it; the next turn computes it."""
    with _tags(workspace, write=True) as tags:
        made = tags.create(name or file.stem, _read(file), by=BY, draft=draft)
    typer.echo(f"{made.name}: version {made.version}, {made.definition.kind}, {made.status}")


@app.command()
def change(
    name: Name,
    file: File,
    draft: Draft = False,
    workspace: Folder = HERE,
) -> None:
    """A new version of a tag; the old ones are kept. A retired tag comes back."""
    with _tags(workspace, write=True) as tags:
        made = tags.change(name, _read(file), by=BY, draft=draft)
    typer.echo(f"{made.name}: version {made.version}, {made.definition.kind}, {made.status}")


@app.command()
def retire(name: Name, workspace: Folder = HERE) -> None:
    """Compute a tag no more; refused while an audience or another tag uses it."""
    with _tags(workspace, write=True) as tags:
        made = tags.retire(name, by=BY)
    typer.echo(f"{made.name}: version {made.version}, retired")


@app.command()
def give(
    name: Name,
    customers: Customers = None,
    file: ListFile = None,
    value: Annotated[str, typer.Option(help="With this value.")] = "",
    start: Day = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Last day on which she has it."),
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Give a manual tag to customers, or to everybody on a list."""
    with _tags(workspace, write=True) as tags:
        n = tags.give(
            name, _listed(customers, file), by=BY, value=value or None, start_on=_day(start),
            end_on=_day(until),
        )  # fmt: skip
    typer.echo(f"{name}: given to {n} customers")


@app.command()
def take(
    name: Name,
    customers: Customers = None,
    file: ListFile = None,
    start: Day = None,
    workspace: Folder = HERE,
) -> None:
    """Take a manual tag from customers."""
    with _tags(workspace, write=True) as tags:
        n = tags.give(
            name, _listed(customers, file), by=BY, start_on=_day(start), take=True
        )  # fmt: skip
    typer.echo(f"{name}: taken from {n} customers")


@app.command()
def explain(
    name: Name,
    customer: Annotated[str, typer.Argument(help="Source's id, e-mail, phone or our id.")],
    workspace: Folder = HERE,
    lang: Language = "en",
) -> None:
    """Whether one customer has a rule tag, and why."""
    with _tags(workspace) as tags:
        typer.echo(tags.explain(name, customer, language=lang)["text"])


@app.command()
def history(
    customer: Annotated[str, typer.Argument(help="Source's id, e-mail, phone or our id.")],
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """When one customer got and lost each tag."""
    with _tags(workspace) as tags:
        found = tags.history(customer)
    if as_json:
        _print(found)
        return
    for one in found["spells"]:
        value = f" = {one['value']}" if one["value"] else ""
        end = f"lost {one['lost_on']}" if one["lost_on"] else "still"
        typer.echo(f"{one['tag']}{value}: from {one['first_on']} to {one['last_on']}, {end}")


@app.command()
def coverage(
    name: Annotated[str | None, typer.Argument(help="Of one tag, with its values.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Of the last days computed.")] = 7,
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """How many customers have a tag on each day, and how many got or lost it."""
    with _tags(workspace) as tags:
        rows = tags.coverage(name=name, last_days=days)
    if as_json:
        _print(rows)
        return
    for one in rows:
        value = f" = {one['value']}" if one["value"] is not None else ""
        share = "-" if one["share"] is None else f"{one['share']:.1%}"
        moved = "" if one["gained"] is None else f"  +{one['gained']:,} -{one['lost']:,}"
        typer.echo(f"{one['as_of']}  {one['tag']}{value}: {one['customers']:,}  {share}{moved}")
    if not rows:
        typer.echo("Nobody has a tag yet: a turn computes them (zhiyin run)", err=True)


@contextmanager
def _tags(workspace: Path, *, write: bool = False) -> Iterator[Tags]:
    from zhiyin.app import Workspace
    from zhiyin.tags import Tags

    with Workspace.open(workspace, write=write) as shop:
        yield Tags(shop.store, shop.vault, shop.clock)


def _read(file: Path) -> Definition:
    from zhiyin.profile.definition import parse

    return parse(_bytes(file))


def _listed(customers: list[str] | None, file: Path | None) -> list[str]:
    lines = _bytes(file).decode("utf-8-sig").splitlines() if file else []
    named = [*(customers or []), *(line.strip() for line in lines if line.strip())]
    if not named:
        raise InvalidParameter("nobody is named", hint="name customers, or a --file of them")
    return named


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}", hint="give a file that is there"
        ) from error


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=date.isoformat))

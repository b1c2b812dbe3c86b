"""`zhiyin audience`: who is meant, by rules in JSON."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.audience import Rule
    from zhiyin.audiences import Audiences

app = typer.Typer(name="audience", help="Audiences: rules that say who.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; none: the last that was computed."),
]
Name = Annotated[str, typer.Argument(help="Name of the audience.")]
HERE = Path()


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="File with the rule, JSON; or .txt: a customer a line.")
    ],
    name: Annotated[str, typer.Option(help="Its name; none: the file's.")] = "",
    kind: Annotated[
        str, typer.Option(help="scheduled (every turn), static (once) or live (each event).")
    ] = "scheduled",
    workspace: Folder = HERE,
) -> None:
    """Check a rule, or a list of customers, and keep it; the next turn asks it."""
    with _open(workspace, write=True) as shop:
        rule = _read_list(shop, file) if file.suffix == ".txt" else _read_rule(file)
        made = _audiences(shop, None).add(name or file.stem, rule, kind=kind, by="command line")
    typer.echo(f"{made.name}: version {made.version}, {made.kind}")


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """The audiences, with the size that the last turn found."""
    with _open(workspace) as shop:
        rows = _audiences(shop, None).listed()
    for one in rows:
        size = "not asked yet" if one["size"] is None else f"{one['size']} on {one['evaluated_on']}"
        typer.echo(f"{one['name']:<30} {one['kind']:<10} version {one['version']:<4} {size}")
    if not rows:
        typer.echo("There is no audience yet: zhiyin audience add FILE", err=True)


@app.command()
def show(name: Name, workspace: Folder = HERE) -> None:
    """An audience with its rule."""
    with _open(workspace) as shop:
        _print(_audiences(shop, None).shown(name))


@app.command()
def size(
    audience: Annotated[str, typer.Argument(help="Name of an audience, or a file with a rule.")],
    sample: Annotated[int, typer.Option(help="How many members to show.")] = 5,
    sql: Annotated[bool, typer.Option("--sql", help="Show the query.")] = False,
    as_of: AsOf = None,
    workspace: Folder = HERE,
) -> None:
    """How many are in now, some of them, and the query; nothing is kept."""
    from zhiyin.audience.rule import Audience

    path = Path(audience)
    with _open(workspace) as shop:
        rule = _read_rule(path) if path.suffix == ".json" else Audience(audience)
        found = _audiences(shop, as_of).preview(rule, n=sample)
    if sql:
        typer.echo(found.sql)
    typer.echo(f"{found.size} customers")
    for one in found.sample:
        typer.echo(one)


@app.command()
def explain(
    name: Name,
    customer: Annotated[str, typer.Argument(help="Source's id, e-mail, phone or our id.")],
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    as_of: AsOf = None,
    workspace: Folder = HERE,
) -> None:
    """Whether one customer is in, why, and until when if nothing happens."""
    with _open(workspace) as shop:
        found = _audiences(shop, as_of).explain(name, customer, language=lang)
    typer.echo(found["text"])
    change = found["next_change_on"]
    if lang == "zh":
        typer.echo(f"若无新行为，{change} 会改变" if change else "若无新行为，不会改变")
    else:
        typer.echo(f"changes on {change} if nothing happens" if change else "time changes nothing")


@app.command("look-alike")
def look_alike(
    seed: Annotated[str, typer.Argument(help="Name of the audience of good customers.")],
    size: Annotated[int | None, typer.Option(help="How many are wanted.")] = None,
    share: Annotated[
        float | None, typer.Option(help="Which share of the other customers; none: 0.05.")
    ] = None,
    name: Annotated[str, typer.Option(help="Keep them as an audience of this name.")] = "",
    sample: Annotated[int, typer.Option(min=0, help="How many ids to show.")] = 5,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="en or zh.")] = "en",
    as_of: AsOf = None,
    workspace: Folder = HERE,
) -> None:
    """More people like those of an audience: who, how well that can be said, and why."""
    from zhiyin.lookalikes import look_alike

    with _open(workspace, write=bool(name)) as shop:
        found = look_alike(
            _audiences(shop, as_of), shop.settings, seed, size=size, share=share, name=name,
            by="command line", sample=sample, language=lang,
        )  # fmt: skip
    typer.echo(found["text"])
    if kept := found["kept"]:
        typer.echo(f"{kept['name']}: version {kept['version']}, {kept['kind']}")


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Names of two or more audiences.")],
    as_of: AsOf = None,
    workspace: Folder = HERE,
) -> None:
    """How audiences overlap, pair by pair."""
    with _open(workspace) as shop:
        found = _audiences(shop, as_of).compare(names)
    for pair in found:
        typer.echo(
            f"{pair.one} / {pair.other}: {pair.both} in both, {pair.only_one} and "
            f"{pair.only_other} in one only, Jaccard {pair.jaccard:.3f}"
        )


@app.command()
def changes(
    name: Annotated[str | None, typer.Argument(help="Of one audience.")] = None,
    after: Annotated[int, typer.Option(help="Above this number.")] = 0,
    limit: Annotated[int, typer.Option(help="How many.")] = 20,
    workspace: Folder = HERE,
) -> None:
    """Who entered or left, in order."""
    with _open(workspace) as shop:
        rows = _audiences(shop, None).changes(after=after, name=name, limit=limit)
    for row in rows:
        said = "entered" if row["entered"] else "left"
        typer.echo(
            f"{row['change_id']:>8}  {row['as_of_on']}  {row['customer_id']}  {said} "
            f"{row['audience']}"
        )
    if not rows:
        typer.echo("Nobody entered or left: a turn asks the audiences (zhiyin run)", err=True)


@app.command()
def refresh(workspace: Folder = HERE) -> None:
    """Ask the live audiences now; `zhiyin serve` and `zhiyin worker` do it by themselves."""
    from zhiyin.live_audiences import refresh_live

    with _open(workspace, write=True) as shop:
        done = refresh_live(shop.store, shop.vault, shop.clock)
    for one in done:
        who = "everybody" if one.asked is None else f"{one.asked} customers"
        typer.echo(f"{one.name}: asked {who}, {one.entered} entered, {one.left} left")
    if not done:
        typer.echo("Nothing to ask: no live audience, or nothing new since the last time", err=True)


@app.command()
def remove(name: Name, workspace: Folder = HERE) -> None:
    """Ask an audience no more; its versions and changes are kept."""
    with _open(workspace, write=True) as shop:
        _audiences(shop, None).remove(name, by="command line")
    typer.echo("removed")


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _audiences(shop: Workspace, as_of: datetime | None) -> Audiences:
    from zhiyin.audiences import Audiences, usual_day

    day = as_of.date() if as_of else usual_day(shop.store, shop.clock, shop.default_day)
    return Audiences(shop.store, shop.vault, shop.clock, day)


def _read_rule(file: Path) -> Rule:
    from zhiyin.audience import parse

    return parse(_read(file))


def _read_list(shop: Workspace, file: Path) -> Rule:
    from zhiyin.audiences import list_of

    text = _read(file).decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = list_of(shop.store, shop.vault, lines)
    typer.echo(f"{len(lines)} lines name {len(found.customers)} customers", err=True)
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}",
            hint="give a file that holds the rule as JSON, or a list as .txt",
        ) from error


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=date.isoformat))

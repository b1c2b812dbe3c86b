"""`zhiyin decision`: points at which a choice is asked for, by files in TOML or JSON."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.decide.points.definition import Definition
    from zhiyin.decide.points.ledger import Stored
    from zhiyin.points import Points

app = typer.Typer(name="decision", help="Decision points: what to offer whom, and which policy "
                  "chooses.", no_args_is_help=True)  # fmt: skip
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Key = Annotated[str, typer.Argument(help="Key of the decision point.")]
File = Annotated[Path, typer.Argument(help="File with the decision point, TOML or JSON.")]
HERE = Path()
BY = "command line"


@app.command()
def check(file: File) -> None:
    """Check a decision point; nothing is kept."""
    made = _read(file)
    typer.echo(f"{made.key}: {len(made.actions)} actions, {len(made.numbers)} numbers")


@app.command()
def put(file: File, workspace: Folder = HERE) -> None:
    """Let a decision point hold from now on: a new version, unless nothing changed."""
    with _open(workspace, write=True) as shop:
        _say(_points(shop).put(_read(file), by=BY))


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """The decision points, with the policies that choose at them."""
    with _open(workspace) as shop:
        rows = _points(shop).listed()
    for one in rows:
        head = f"{one['key']:<30} version {one['version']:<4} {one['state']:<8}"
        typer.echo(f"{head} {one['policy_version'] or 'no policy before the next turn'}")
    if not rows:
        typer.echo("There is no decision point yet: zhiyin decision put FILE", err=True)


@app.command()
def show(key: Key, workspace: Folder = HERE) -> None:
    """A decision point: its definition, what was given, its policies."""
    with _open(workspace) as shop:
        typer.echo(json.dumps(_points(shop).shown(key), ensure_ascii=False, indent=2))


@app.command()
def pause(key: Key, workspace: Folder = HERE) -> None:
    """Give only the default action from now on."""
    with _open(workspace, write=True) as shop:
        _say(_points(shop).pause(key, by=BY))


@app.command()
def resume(key: Key, workspace: Folder = HERE) -> None:
    """Let the policy choose again."""
    with _open(workspace, write=True) as shop:
        _say(_points(shop).resume(key, by=BY))


def decide(
    key: Key,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; the newest with features."),
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(help="Text file, one customer a line; all of the day.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the choices: .csv or .parquet.")
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Choose at a decision point for many customers at once; written as decisions."""
    from zhiyin.choices import decide_many, read_names

    names = None if customers is None else read_names(customers)
    with _open(workspace, write=True) as shop:
        day = as_of.date() if as_of else None
        made = decide_many(shop, key, as_of=day, customers=names, out=out)
    typer.echo(
        f"{made['customers']} customers as of {made['as_of_on']}, {made['explored']} explored"
    )
    for name, n in made["actions"].items():
        typer.echo(f"  {name:<30} {n}")
    if made["unknown"]:
        typer.echo(f"{made['unknown']} are known under no such identifier", err=True)


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _points(shop: Workspace) -> Points:
    from zhiyin.points import Points

    return Points(shop.store, shop.clock)


def _say(made: Stored) -> None:
    typer.echo(f"{made.key}: version {made.version}, {made.state}")


def _read(file: Path) -> Definition:
    from zhiyin.decide.points.check import parse

    try:
        text = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}",
            hint="give a file that holds the decision point as TOML or JSON",
        ) from error
    return parse(text, toml=file.suffix == ".toml")

"""`zhiyin journey`: what happens to customers, step by step, by files in JSON or TOML."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.act.journeys.definition import Definition
    from zhiyin.act.journeys.ledger import Stored
    from zhiyin.app import Workspace

app = typer.Typer(name="journey", help="Journeys: steps that customers go.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Key = Annotated[str, typer.Argument(help="Key of the journey.")]
File = Annotated[Path, typer.Argument(help="File with the journey, JSON or TOML.")]
Who = Annotated[list[str], typer.Argument(help="Source's ids, e-mails, phones or our ids.")]
HERE = Path()
BY = "command line"


@app.command()
def check(file: File) -> None:
    """Check a journey; nothing is kept."""
    made = _read(file)
    typer.echo(f"{made.key}: {len(made.steps)} steps")


@app.command()
def add(file: File, workspace: Folder = HERE) -> None:
    """Check a journey and keep it as a draft."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        _say(Journeys(shop).keep(_read(file), by=BY))


@app.command()
def publish(key: Key, workspace: Folder = HERE) -> None:
    """Let the newest draft begin; people in an earlier version stay there."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        _say(Journeys(shop).publish(key, by=BY))


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """The journeys, with how many are inside."""
    from zhiyin.journeys import Journeys

    with _open(workspace) as shop:
        rows = Journeys(shop).listed()
    for one in rows:
        head = f"{one['key']:<30} version {one['version']:<4} {one['state']:<10}"
        typer.echo(f"{head} {one['inside']} inside")
    if not rows:
        typer.echo("There is no journey yet: zhiyin journey add FILE", err=True)


@app.command()
def show(key: Key, workspace: Folder = HERE) -> None:
    """A journey: its steps, who is where, who left and why, what was sent."""
    from zhiyin.journeys import Journeys

    with _open(workspace) as shop:
        typer.echo(json.dumps(Journeys(shop).shown(key), ensure_ascii=False, indent=2))


@app.command()
def pause(key: Key, workspace: Folder = HERE) -> None:
    """Let nobody enter and nobody go on."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        _say(Journeys(shop).pause(key, by=BY))


@app.command()
def resume(key: Key, workspace: Folder = HERE) -> None:
    """Go on after a pause; what came due too long ago is skipped."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        _say(Journeys(shop).resume(key, by=BY))


@app.command()
def end(key: Key, workspace: Folder = HERE) -> None:
    """End a journey for good: everybody leaves it, what was not sent is skipped."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        _say(Journeys(shop).end(key, by=BY))


@app.command()
def enter(
    key: Key,
    customers: Annotated[
        list[str] | None, typer.Argument(help="Source's ids, e-mails, phones or our ids.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Those whose event was on this day or later."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many they must be to enter.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Let customers enter now, or those whose event came in too late to enter by itself."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        if since is None:
            done = Journeys(shop).enter(key, customers or [])
            typer.echo(", ".join(f"{n} {what}" for what, n in done.items()))
            return
        past = Journeys(shop).enter_past(key, since=since.date(), count=count)
    typer.echo(f"{past['found']} found, {past['entered']} entered")
    if past["found"] and not past["entered"]:
        typer.echo(f"To let them enter add --count {past['found']}", err=True)


@app.command()
def simulate(file: File, customers: Who, workspace: Folder = HERE) -> None:
    """What would become of customers who entered now; nothing is kept and nothing sent."""
    from zhiyin.journeys import Journeys

    with _open(workspace) as shop:
        found = Journeys(shop).simulate(_read(file), customers)
    for customer, passed in found.items():
        typer.echo(customer)
        for one in passed:
            typer.echo(f"  {one.at:%Y-%m-%d %H:%M}  {one.step:<20} {one.what}")


@app.command()
def stuck(
    key: Annotated[str | None, typer.Argument(help="Of one journey.")] = None,
    limit: Annotated[int, typer.Option(help="How many.")] = 20,
    workspace: Folder = HERE,
) -> None:
    """Who should have gone on an hour ago or more, and why she has not."""
    from zhiyin.journeys import Journeys

    with _open(workspace) as shop:
        rows = Journeys(shop).stuck(key, limit=limit)
    for row in rows:
        typer.echo(
            f"{row['due_at']}  {row['customer_id']}  {row['journey']} {row['step']}: {row['why']}"
        )
    if not rows:
        typer.echo("Nobody is stuck", err=True)


@app.command()
def tick(workspace: Folder = HERE) -> None:
    """Bring the journeys up to now; `zhiyin serve` and `zhiyin worker` do it by themselves."""
    from zhiyin.journeys import Journeys

    with _open(workspace, write=True) as shop:
        journeys = Journeys(shop)
        done, told = journeys.tick(), journeys.make_calls()
    for one in done:
        typer.echo(
            f"{one.key} version {one.version}: {one.entered} entered, {one.moved} steps, "
            f"{one.late} came too late to enter"
        )
    if told:
        typer.echo(f"{told} calls of webhook steps were made")
    if not done and not told:
        typer.echo("Nothing to do", err=True)


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _say(made: Stored) -> None:
    typer.echo(f"{made.key}: version {made.version}, {made.state}")


def _read(file: Path) -> Definition:
    from zhiyin.act.journeys.check import parse

    try:
        text = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}",
            hint="give a file that holds the journey as JSON or TOML",
        ) from error
    return parse(text, toml=file.suffix == ".toml")

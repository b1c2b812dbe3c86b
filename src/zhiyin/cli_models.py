"""`zhiyin models`: which model speaks, and who decided it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.models import Models

app = typer.Typer(name="models", help="Models: champion and challenger.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Task = Annotated[str, typer.Argument(help="churn, next_purchase or category_affinity.")]
Subject = Annotated[str, typer.Option(help="Category, where the task has one.")]
By = Annotated[str, typer.Option(help="Who does it; kept in the audit log.")]
HERE = Path()


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """Every version with its stage, newest first."""
    with _open(workspace) as shop:
        rows = _models(shop).listed()
    for one in rows:
        found = one["comparison"]
        beside = found["status"]
        if beside == "ok":
            low, high = found["difference_low"], found["difference_high"]
            beside = f"AUC {found['difference']:+.4f} [{low:+.4f}, {high:+.4f}] on {found['group']}"
        name = f"{one['task']} {one['subject']}".rstrip()
        asked = f"  asked for by {one['asked_by']}" if one["asked_by"] else ""
        typer.echo(
            f"{name:<32} {one['version']}  {one['stage']:<10} {one['model']:<10} "
            f"{one['as_of']}  {beside}{asked}"
        )
    if not rows:
        typer.echo("There is no model yet: zhiyin run", err=True)


@app.command()
def show(
    task: Task,
    subject: Subject = "",
    version: Annotated[str, typer.Option(help="A version; none: the champion.")] = "",
    workspace: Folder = HERE,
) -> None:
    """A version with its card, and the log of its task."""
    with _open(workspace) as shop:
        found = _models(shop).shown(task, subject, version)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@app.command()
def promote(
    task: Task,
    version: Annotated[str, typer.Argument(help="Version to let speak.")],
    by: By,
    subject: Subject = "",
    workspace: Folder = HERE,
) -> None:
    """Let a version speak from the next turn on."""
    with _open(workspace, write=True) as shop:
        step = _models(shop).promote(task, subject, version=version, by=by)
    if step == "requested":
        typer.echo("asked for; a second person confirms it with the same command")
    else:
        typer.echo(f"{version} speaks from the next turn on")


@app.command()
def rollback(task: Task, by: By, subject: Subject = "", workspace: Folder = HERE) -> None:
    """Let the version before the champion speak again."""
    with _open(workspace, write=True) as shop:
        version = _models(shop).rollback(task, subject, by=by)
    typer.echo(f"{version} speaks from the next turn on")


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _models(shop: Workspace) -> Models:
    from zhiyin.models import Models

    return Models(shop.store, shop.clock, shop.settings.understand.promotion)

"""`zhiyin models`: which model speaks, and who decided it."""

from __future__ import annotations

import json
from datetime import datetime
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
Task = Annotated[
    str, typer.Argument(help="churn, next_purchase, category_affinity, response or value.")
]
Subject = Annotated[str, typer.Option(help="Category, or kind of campaign; none without one.")]
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
            metric = "AUC" if found.get("metric", "auc") == "auc" else "gain"
            beside = (
                f"{metric} {found['difference']:+.4f} [{low:+.4f}, {high:+.4f}] on {found['group']}"
            )
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


@app.command("import")
def bring_in(
    file: Annotated[Path, typer.Argument(help="ONNX file: one table of floats to probabilities.")],
    task: Annotated[str, typer.Option(help="churn, next_purchase, category_affinity or response.")],
    features: Annotated[str, typer.Option(help="Names of its inputs in order, by commas.")],
    learned_until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Day until which it saw outcomes.")
    ],
    by: By,
    name: Annotated[str, typer.Option(help="Its name; none: the file's.")] = "",
    subject: Subject = "",
    workspace: Folder = HERE,
) -> None:
    """Let a model made elsewhere compete in its task (extra onnx)."""
    from zhiyin.core.errors import InputError
    from zhiyin.understand.predict.guests import Guest

    if not file.is_file():
        raise InputError(f"there is no file {file}", hint="give the path of an ONNX file")
    names = tuple(one.strip() for one in features.split(",") if one.strip())
    guest = Guest(name or file.stem.lower(), file.read_bytes(), names, learned_until.date())
    with _open(workspace, write=True) as shop:
        _models(shop).bring_in(guest, task, subject, by=by)
    typer.echo(f"{guest.name} takes part in {task} from the next turn on")


@app.command()
def guests(workspace: Folder = HERE) -> None:
    """The models that were brought in."""
    with _open(workspace) as shop:
        rows = _models(shop).guests()
    for one in rows:
        told = f"{len(one['features'])} features, learned until {one['learned_until']}"
        typer.echo(f"{one['task']} {one['subject']} {one['name']}: {told}".replace("  ", " "))
    if not rows:
        typer.echo("No model was brought in: zhiyin models import", err=True)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of a model that was brought in.")],
    task: Annotated[str, typer.Option(help="Its task.")],
    by: By,
    subject: Subject = "",
    workspace: Folder = HERE,
) -> None:
    """Let a model that was brought in take part no more."""
    with _open(workspace, write=True) as shop:
        _models(shop).take_out(name, task, subject, by=by)
    typer.echo(f"{name} takes part no more")


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _models(shop: Workspace) -> Models:
    from zhiyin.models import Models

    return Models(shop.store, shop.clock, shop.settings.understand.promotion)

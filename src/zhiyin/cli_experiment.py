"""`zhiyin experiment`: plan, start, read, stop and decide experiments, by files in TOML."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.experiments import Experiments
    from zhiyin.measure.experiment.definition import Experiment
    from zhiyin.measure.experiment.ledger import Stored

app = typer.Typer(name="experiment", help="Experiments: who gets what by lot, and what that "
                  "caused.", no_args_is_help=True)  # fmt: skip
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Key = Annotated[str, typer.Argument(help="Key of the experiment.")]
File = Annotated[Path, typer.Argument(help="File with the experiment, TOML.")]
By = Annotated[str, typer.Option(help="Who does it; kept in the audit log.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
HERE = Path()
BY = "command line"


@app.command()
def check(file: File) -> None:
    """Check an experiment; nothing is kept."""
    from zhiyin.measure.experiment.definition import freeze
    from zhiyin.measure.experiment.measures import check_measured

    made = _read(file)
    check_measured(made)
    arms = ", ".join(sorted(made.arms))
    typer.echo(f"{made.id}: {arms}; {made.goals[0].name} decides; {freeze(made).hash[:16]}")


@app.command()
def put(file: File, by: By = BY, workspace: Folder = HERE) -> None:
    """Keep a draft (草稿): a new version, unless nothing changed. What was started is frozen."""
    with _open(workspace, write=True) as shop:
        _say(_experiments(shop).put(_read(file), by=by))


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """The experiments with their states."""
    with _open(workspace) as shop:
        rows = _experiments(shop).listed()
    for one in rows:
        days = f"{one['starts_on']} to {one['ends_on']}"
        typer.echo(f"{one['key']:<30} {one['state']:<8} {days}  {one['question']}")
    if not rows:
        typer.echo("There is no experiment yet: zhiyin experiment put FILE", err=True)


@app.command()
def show(key: Key, workspace: Folder = HERE) -> None:
    """An experiment: its plan and hash, its states, what was decided on which evidence."""
    with _open(workspace) as shop:
        typer.echo(json.dumps(_experiments(shop).shown(key), ensure_ascii=False, indent=2))


@app.command()
def start(key: Key, by: By = BY, workspace: Folder = HERE) -> None:
    """Freeze the plan and assign from now on."""
    with _open(workspace, write=True) as shop:
        _say(_experiments(shop).start(key, by=by))


@app.command()
def stop(
    key: Key,
    by: By = BY,
    why: Annotated[str, typer.Option(help="Why; kept in the audit log.")] = "",
    workspace: Folder = HERE,
) -> None:
    """Assign nobody any more: everybody gets the control until it is decided."""
    with _open(workspace, write=True) as shop:
        _say(_experiments(shop).stop(key, by=by, why=why))


@app.command()
def read(
    key: Key,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Data before this day; today."),
    ] = None,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What it says (实验结论): one verdict in words, and what it rests on."""
    from zhiyin.measure.experiment.read_job import describe

    with _open(workspace) as shop:
        found = describe(_experiments(shop).read(key, as_of=as_of.date() if as_of else None))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found[language]:
        typer.echo(one)
    for arm, n in found["assigned"].items():
        typer.echo(f"  {arm:<20} {n} assigned, {found['counted'][arm]} with their window over")


@app.command()
def decide(
    key: Key,
    choice: Annotated[
        Literal["take_treatment", "keep_control"],
        typer.Argument(help="What everybody gets from now on."),
    ],
    by: By,
    arm: Annotated[str, typer.Option(help="The treatment, where there are several.")] = "",
    why: Annotated[str, typer.Option(help="Why; needed where the evidence does not say so.")] = "",
    workspace: Folder = HERE,
) -> None:
    """Say which arm everybody gets; kept with the evidence of the moment."""
    with _open(workspace, write=True) as shop:
        _say(_experiments(shop).decide(key, choice, arm=arm, by=by, why=why))


def _open(workspace: Path, *, write: bool = False) -> Workspace:
    from zhiyin.app import Workspace

    return Workspace.open(workspace, write=write)


def _experiments(shop: Workspace) -> Experiments:
    from zhiyin.experiments import Experiments

    return Experiments(shop)


def _say(made: Stored) -> None:
    typer.echo(f"{made.key}: version {made.version}, {made.state}, {made.plan.hash[:16]}")


def _read(file: Path) -> Experiment:
    from zhiyin.measure.experiment.definition import parse

    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}", hint="give a file that is there"
        ) from error

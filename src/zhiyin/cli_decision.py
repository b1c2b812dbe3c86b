"""`zhiyin decision`: points at which a choice is asked for, by files in TOML or JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zhiyin.core.errors import InputError, InvalidParameter

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.candidates import Candidates
    from zhiyin.decide.points.definition import Definition
    from zhiyin.decide.points.ledger import Stored
    from zhiyin.judging import Judging
    from zhiyin.points import Points

app = typer.Typer(name="decision", help="Decision points: what to offer whom, and which policy "
                  "chooses.", no_args_is_help=True)  # fmt: skip
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Key = Annotated[str, typer.Argument(help="Key of the decision point.")]
File = Annotated[Path, typer.Argument(help="File with the decision point, TOML or JSON.")]
Number = Annotated[int, typer.Argument(help="Number of the policy.")]
By = Annotated[str, typer.Option(help="Who does it; kept in the audit log.")]
Why = Annotated[str, typer.Option(help="Why; kept in the audit log.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()
BY = "command line"


@app.command()
def check(file: File) -> None:
    """Check a decision point; nothing is kept."""
    made = _read(file)
    typer.echo(f"{made.key}: {len(made.actions)} actions, {len(made.numbers)} numbers")


@app.command()
def put(
    file: File,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Another policy takes over now, unjudged.")
    ] = False,
    workspace: Folder = HERE,
) -> None:
    """Let a decision point hold from now on: a new version, unless nothing changed.

    Where it asks for another policy, the next turn makes a candidate of that one.
    """
    with _open(workspace, write=True) as shop:
        _say(_points(shop).put(_read(file), by=BY, at_once=at_once))


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


@app.command()
def stop(
    key: Annotated[str, typer.Argument(help="Key of the decision point.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All decision points.")] = False,
    by: By = BY,
    workspace: Folder = HERE,
) -> None:
    """The kill switch (紧急停止): only the default action from now on, within seconds."""
    if everything == bool(key):
        raise InvalidParameter("say which point to stop, or --all", hint="zhiyin decision list")
    with _open(workspace, write=True) as shop:
        stopped = _points(shop).stop(None if everything else key, by=by)
    for one in stopped:
        _say(one)


@app.command("try")
def try_policy(
    key: Key,
    by: By,
    policy: Annotated[str, typer.Option(help="Name of a policy.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value, the value in JSON.")
    ] = None,
    explore: Annotated[float | None, typer.Option(help="As the point says it.")] = None,
    learn: Annotated[float, typer.Option(help="Share of the older choices that it learns.")] = 0.5,
    file: Annotated[
        Path | None, typer.Option(help="Artifact of a policy, instead of a name.")
    ] = None,
    learned_until: Annotated[
        datetime | None, typer.Option(help="Of a file, UTC: it learned nothing settled later.")
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Make a candidate (候选策略): a policy by name, which learns the older choices, or a file."""
    if bool(policy) == (file is not None):
        raise InvalidParameter("give a policy by name, or a file of one")
    from zhiyin.candidates import Wish

    with _open(workspace, write=True) as shop:
        held = _judging(shop)
        if file is None:
            wish = Wish(policy, explore, _settings(settings or []), learn)
            made = held.try_policy(key, wish, by=by)
        else:
            until = learned_until and learned_until.replace(tzinfo=UTC)
            made = held.try_file(key, _bytes(file), by=by, learned_until=until)
    typer.echo(f"{key}: candidate {made.number}, {made.policy_version}")


@app.command()
def judge(
    key: Key, number: Number, by: By = BY, workspace: Folder = HERE, language: Language = "en"
) -> None:
    """Ask the gate (启用闸门) whether a candidate may begin, by the choices that are settled."""
    with _open(workspace, write=True) as shop:
        _tell(_judging(shop).judge(key, number, by=by), language)


@app.command()
def approve(
    key: Key, number: Number, by: By, workspace: Folder = HERE, language: Language = "en"
) -> None:
    """Let a candidate that passed take over step by step (审批): never one's own."""
    with _open(workspace, write=True) as shop:
        _tell(_candidates(shop).approve(key, number, by=by), language)


@app.command()
def decline(
    key: Key, number: Number, by: By, why: Why = "", workspace: Folder = HERE,
    language: Language = "en",
) -> None:  # fmt: skip
    """Decline a candidate that passed (驳回)."""
    with _open(workspace, write=True) as shop:
        _tell(_candidates(shop).decline(key, number, by=by, why=why), language)


@app.command()
def withdraw(
    key: Key, number: Number, by: By, why: Why = "", workspace: Folder = HERE,
    language: Language = "en",
) -> None:  # fmt: skip
    """Take a candidate back (撤回), also while it takes over."""
    with _open(workspace, write=True) as shop:
        _tell(_candidates(shop).withdraw(key, number, by=by, why=why), language)


@app.command("policies")
def list_policies(
    key: Key, workspace: Folder = HERE, language: Language = "en", as_json: AsJson = False
) -> None:
    """All policies of a point: what the gate found, how far they took over."""
    with _open(workspace) as shop:
        found = _candidates(shop).listed(key)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found:
        _tell(one, language)


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


def _candidates(shop: Workspace) -> Candidates:
    from zhiyin.candidates import Candidates

    return Candidates(shop.store, shop.clock)


def _judging(shop: Workspace) -> Judging:
    from zhiyin.judging import Judging

    return Judging(shop.store, shop.clock)


def _tell(one: dict[str, Any], language: str) -> None:
    """A policy in a line, and what speaks for or against it."""
    typer.echo(f"{one['point']} {one['number']}: {one['state']}, {one['policy_version']}")
    verdict, ramp = one["verdict"], one["ramp"]
    if verdict is not None:
        gain = verdict.get("gain")
        if gain is not None and gain["low"] is not None:
            typer.echo(f"    {gain['value']:+.4g} [{gain['low']:+.4g}, {gain['high']:+.4g}]")
        for reason in verdict["reasons"]:
            typer.echo(f"    {reason[language]} {reason.get('detail', '')}".rstrip())
    if ramp is not None:
        typer.echo(f"    {ramp['share']:.0%}: {ramp[language]}")


def _settings(given: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for one in given:
        name, found, value = one.partition("=")
        try:
            made[name] = json.loads(value) if found else None
        except json.JSONDecodeError:
            made[name] = value
        if not found or not name:
            raise InvalidParameter(f"{one[:60]!r} sets nothing", hint="--set name=value")
    return made


def _say(made: Stored) -> None:
    typer.echo(f"{made.key}: version {made.version}, {made.state}")


def _read(file: Path) -> Definition:
    from zhiyin.decide.points.check import parse

    return parse(_bytes(file), toml=file.suffix == ".toml")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}", hint="give a file that is there"
        ) from error

"""`zhiyin plan`: what each source promises its events to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhiyin.core.errors import InputError

if TYPE_CHECKING:
    from zhiyin.collect.plan import Checks

app = typer.Typer(name="plan", help="Tracking plans of sources.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Source = Annotated[str, typer.Argument(help="Name of the source.")]
Event = Annotated[str, typer.Argument(help="Name of the event; $page, $identify … for calls.")]
HERE = Path()
_BY = "command line"


@app.command("set")
def set_one(
    source: Source,
    event: Event,
    schema: Annotated[Path, typer.Argument(help="File with a JSON Schema of the properties.")],
    mode: Annotated[str, typer.Option(help="warn, quarantine or off.")] = "warn",
    workspace: Folder = HERE,
) -> None:
    """Set the plan of an event; it holds for what is compacted from now on."""
    from zhiyin.app import Workspace
    from zhiyin.collect.plan_ledger import set_plan
    from zhiyin.core.clock import naive_utc

    value = _read_json(schema)
    with Workspace.open(workspace, write=True) as shop, shop.store.begin() as connection:
        made = set_plan(
            connection, source, event, schema=value, mode=mode, by=_BY,
            now=naive_utc(shop.clock.now()),
        )  # fmt: skip
    typer.echo(f"version {made.version}, {made.mode}")


@app.command()
def show(
    source: Source,
    event: Event,
    version: Annotated[int | None, typer.Option(help="A version; none: the newest.")] = None,
    workspace: Folder = HERE,
) -> None:
    """The schema of an event."""
    from zhiyin.app import Workspace
    from zhiyin.collect.plan_ledger import find_plan

    with Workspace.open(workspace) as shop, shop.store.begin() as connection:
        found = find_plan(connection, source, event, version=version)
    typer.echo(f"version {found.version}, {found.mode}, by {found.created_by}", err=True)
    typer.echo(_pretty(found.schema))


@app.command("list")
def list_all(
    source: Annotated[str | None, typer.Argument(help="Of one source.")] = None,
    workspace: Folder = HERE,
) -> None:
    """The plans that hold: source, event, mode, version."""
    from zhiyin.app import Workspace
    from zhiyin.collect.plan_ledger import list_plans

    with Workspace.open(workspace) as shop, shop.store.begin() as connection:
        rows = list_plans(connection, source)
    for one in rows:
        typer.echo(f"{one.source:<20} {one.event:<40} {one.mode:<10} version {one.version}")
    if not rows:
        typer.echo("There is no plan yet: zhiyin plan infer SOURCE drafts one", err=True)


@app.command()
def remove(source: Source, event: Event, workspace: Folder = HERE) -> None:
    """Take an event out of the plan; its versions are kept."""
    from zhiyin.app import Workspace
    from zhiyin.collect.plan_ledger import remove_plan
    from zhiyin.core.clock import naive_utc

    with Workspace.open(workspace, write=True) as shop, shop.store.begin() as connection:
        remove_plan(connection, source, event, by=_BY, now=naive_utc(shop.clock.now()))
    typer.echo("removed")


@app.command()
def unknown(source: Source, workspace: Folder = HERE) -> None:
    """Events that came and are not in the plan, with counts."""
    from zhiyin.app import Workspace
    from zhiyin.collect.debug import unknown_events
    from zhiyin.collect.plan_ledger import list_plans

    with Workspace.open(workspace) as shop:
        with shop.store.begin() as connection:
            plans = list_plans(connection, source)
        rows = unknown_events(shop.store, plans, source)
    for one in rows:
        typer.echo(
            f"{one['events']:>10}  {one['event']:<40} "
            f"{one['first_received_at']} .. {one['last_received_at']}"
        )
    if not rows:
        typer.echo("Every event that came is in the plan.", err=True)


@app.command()
def infer(
    source: Source,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Draft a plan from the events that came and print it; nothing is set."""
    from zhiyin.app import Workspace
    from zhiyin.collect.debug import draft_plans

    start = None if since is None else since.replace(tzinfo=UTC)
    with Workspace.open(workspace) as shop:
        drafts = draft_plans(shop.store, source, since=start)
    typer.echo(_pretty(drafts))
    if not drafts:
        typer.echo("No event of this source is in the lake.", err=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="JSON lines: events as a tracker sends them.")],
    source: Annotated[str, typer.Option(help="Source whose plan is meant.")],
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    workspace: Folder = HERE,
) -> None:
    """Check events against the plan without sending them; ends with 1 if one does not fit."""
    from zhiyin.app import Workspace
    from zhiyin.collect.event_words import say
    from zhiyin.collect.plan import Checks
    from zhiyin.collect.plan_ledger import list_plans

    with Workspace.open(workspace) as shop, shop.store.begin() as connection:
        checks = Checks(list_plans(connection, source))
        now_us = int(shop.clock.now().timestamp() * 1_000_000)
    bad = count = 0
    for number, codes in _check_lines(file, source, checks, now_us=now_us):
        count += 1
        bad += bool(codes)
        for code in codes:
            typer.echo(f"{number}: {code}  {say(code, lang)}")
    typer.echo(f"{count} events, {bad} with something to mend", err=True)
    if bad:
        raise typer.Exit(1)


def _check_lines(
    file: Path, source: str, checks: Checks, *, now_us: int
) -> Iterator[tuple[int, list[str]]]:
    """(line number, codes) of every event in the file."""
    from zhiyin.collect.received import Received
    from zhiyin.collect.strict import check_request

    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{file.name} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        received = Received(source, "server", "user_id", "import", now_us, b'{"batch":[%s]}' % line)
        for one in check_request(received, checks):
            yield number, [*([one.reason] if one.reason else []), *one.findings]


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name} is no JSON") from error


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

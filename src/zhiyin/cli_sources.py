"""`zhiyin source`: the write keys with which sites, apps and servers send events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="source", help="Sources that send events.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
HERE = Path()


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the source: web, ios, crm …")],
    kind: Annotated[str, typer.Option(help="browser, mobile or server.")] = "browser",
    users: Annotated[str, typer.Option(help="Id space of its user ids.")] = "user_id",
    events_per_s: Annotated[int, typer.Option(help="Rate limit; 0: none.")] = 5_000,
    workspace: Folder = HERE,
) -> None:
    """Make a write key for a source and print it."""
    from zhiyin.app import Workspace
    from zhiyin.collect.write_keys import make_write_key
    from zhiyin.core.clock import naive_utc

    with Workspace.open(workspace, write=True) as shop, shop.store.begin() as connection:
        made = make_write_key(
            connection, name, kind=kind, now=naive_utc(shop.clock.now()), user_namespace=users,
            events_per_s=events_per_s,
        )  # fmt: skip
    typer.echo(made.write_key)


@app.command("list")
def list_sources(
    everything: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
    workspace: Folder = HERE,
) -> None:
    """The write keys: source, kind, limit, state."""
    from zhiyin.app import Workspace
    from zhiyin.collect.write_keys import list_write_keys

    with Workspace.open(workspace) as shop, shop.store.begin() as connection:
        rows = list_write_keys(connection, all_of_them=everything)
    for one in rows:
        state = "in force" if one.revoked_at is None else f"revoked {one.revoked_at:%Y-%m-%d}"
        limit = f"{one.events_per_s}/s" if one.events_per_s else "no limit"
        typer.echo(f"{one.write_key}  {one.source:<20} {one.kind:<8} {limit:<10} {state}")
    if not rows:
        typer.echo("There is no write key yet: zhiyin source add NAME", err=True)


@app.command()
def compact(workspace: Folder = HERE) -> None:
    """Bring the events of the journal into the lake now; a running worker does it by itself."""
    from zhiyin.app import Workspace

    with Workspace.open(workspace, write=True) as shop:
        reports = shop.compact()
    for one in reports:
        refused = sum(one.refused.values())
        typer.echo(
            f"{one.frames} requests: {one.events} events, {one.duplicates} known before, "
            f"{refused} in quarantine"
        )
    if not reports:
        typer.echo("The journal is empty.")


@app.command()
def events(
    name: Annotated[str, typer.Argument(help="Name of the source.")],
    problems: Annotated[
        bool, typer.Option("--problems", help="Only what is refused or has findings.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many.")] = 20,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    workspace: Folder = HERE,
) -> None:
    """The last events of a source that are in the lake, with what is odd about them."""
    from zhiyin.app import Workspace
    from zhiyin.debugger import read_events

    with Workspace.open(workspace) as shop:
        seen = read_events(
            shop.store, shop.clock, source=name, limit=limit, problems=problems, language=lang
        )
    for window, count in seen["counts"].get(name, {}).items():
        refused = sum(count["refused"].values())
        typer.echo(
            f"last {window}: {count['received']} received, {count['events']} events, "
            f"{count['duplicates']} known before, {refused} refused",
            err=True,
        )
    for one in seen["events"]:
        said = f"{one['kind']} {one['name'] or ''}" if one["state"] == "kept" else one["words"]
        typer.echo(f"{one['received_at']}  {one['state']:<8} {said}")
        for finding in one["findings"]:
            typer.echo(f"    {finding['words']}")
    if not seen["events"]:
        typer.echo("Nothing of this source is in the lake: zhiyin source compact", err=True)


@app.command()
def revoke(
    write_key: Annotated[str, typer.Argument(help="The key.")], workspace: Folder = HERE
) -> None:
    """Let a write key write no more; servers notice within seconds."""
    from zhiyin.app import Workspace
    from zhiyin.collect.write_keys import revoke_write_key
    from zhiyin.core.clock import naive_utc

    with Workspace.open(workspace, write=True) as shop, shop.store.begin() as connection:
        revoke_write_key(connection, write_key, now=naive_utc(shop.clock.now()))
    typer.echo("revoked")

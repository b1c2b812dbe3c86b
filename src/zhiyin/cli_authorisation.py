"""`zhiyin authorisation`: messages of the mini-programme that customers allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from zhiyin.authorisations import Authorisations

app = typer.Typer(
    name="authorisation",
    help="Messages of the mini-programme that customers allowed (订阅授权).",
    no_args_is_help=True,
)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Customer = Annotated[str, typer.Argument(help="Source's id, e-mail, phone or our id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BY = "command line"
HERE = Path()


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="CSV: openid, template, granted_at, key.")],
    source: Annotated[str, typer.Option(help="Where they were asked.")] = "file",
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Take in authorisations of a file; loading it again grants nothing twice (导入授权)."""
    with _authorisations(workspace) as held:
        counts = held.load(file, source=source)
    if as_json:
        typer.echo(json.dumps(dict(counts)))
    else:
        typer.echo(", ".join(f"{n:,} {what}" for what, n in sorted(counts.items())) or "no rows")


@app.command("list")
def list_all(workspace: Folder = HERE, as_json: AsJson = False) -> None:
    """How many were granted, spent, void, and are left, by template (授权库存)."""
    with _authorisations(workspace) as held:
        found = held.listed()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        parts = ", ".join(f"{one[name]:,} {name}" for name in ("left", "granted", "spent", "void"))
        typer.echo(f"{one['template']}  {parts}")


@app.command()
def show(customer: Customer, workspace: Folder = HERE) -> None:
    """What a customer allowed, and which message spent it, as JSON (客户授权)."""
    with _authorisations(workspace) as held:
        _echo(held.shown(customer))


@app.command()
def void(
    customer: Customer,
    template: Annotated[str, typer.Option(help="Template id.")],
    reason: Annotated[str, typer.Option(help="Why nothing may be sent any more; it is audited.")],
    workspace: Folder = HERE,
) -> None:
    """Make void what is left of a template for a customer (作废授权)."""
    with _authorisations(workspace) as held:
        _echo(held.void(customer, template=template, reason=reason, by=BY))


def _echo(found: dict[str, Any]) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


@contextmanager
def _authorisations(folder: Path) -> Iterator[Authorisations]:
    from zhiyin.app import Workspace
    from zhiyin.authorisations import Authorisations

    with Workspace.open(folder, write=True) as shop:
        yield Authorisations(shop.store, shop.vault, shop.clock, shop.settings)

"""`zhiyin consent`: to what a customer agreed, and asking, recording or withdrawing it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zhiyin.app import Workspace
    from zhiyin.consents import Consents

app = typer.Typer(name="consent", help="Consents (同意) of a customer.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Customer = Annotated[str, typer.Argument(help="Source's id, e-mail, phone or our id.")]
Purpose = Annotated[str, typer.Option(help="marketing, personalisation …")]
Channel = Annotated[str, typer.Option(help="email, sms … or * for all.")]
Source = Annotated[str, typer.Option(help="Where it was given, asked or withdrawn.")]
Reason = Annotated[str, typer.Option(help="How it came; kept encrypted as proof.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BY = "command line"
HERE = Path()


@app.command()
def show(customer: Customer, workspace: Folder = HERE, as_json: AsJson = False) -> None:
    """What holds now, every line of the record, and what was asked."""
    with _consents(workspace) as (_, consents):
        found = consents.shown(customer)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(found["customer_id"])
    for one in found["states"]:
        typer.echo(f"  {one['purpose']:<16} {one['channel']:<8} {one['state']}")
    for one in found["lines"]:
        answer = "granted" if one["granted"] else "refused"
        typer.echo(f"{one['at']}  {one['purpose']} {one['channel']}: {answer} ({one['source']})")
    for one in found["requests"]:
        typer.echo(f"{one['asked_at']}  {one['purpose']} {one['channel']}: asked, {one['state']}")


@app.command()
def ask(
    customer: Customer,
    source: Source,
    purpose: Purpose = "marketing",
    workspace: Folder = HERE,
) -> None:
    """Ask for a consent: an e-mail with a link that confirms it (double opt-in)."""
    from zhiyin.act.confirmation import CONFIRMATIONS

    with _consents(workspace) as (shop, consents):
        made = consents.ask(customer, source=source, by=BY, purpose=purpose)
        if made.new:
            shop.send(CONFIRMATIONS)
    if not made.allowed:
        typer.echo(f"not asked: {made.reason}")
    else:
        typer.echo(f"{'asked' if made.new else 'asked already'}, until {made.expires_at:%F %R} UTC")


@app.command()
def give(
    customer: Customer,
    source: Source,
    reason: Reason,
    purpose: Purpose = "marketing",
    channel: Channel = "email",
    workspace: Folder = HERE,
) -> None:
    """Record that a customer agreed."""
    with _consents(workspace) as (_, consents):
        consents.give(
            customer, purpose=purpose, channel=channel, source=source, reason=reason, by=BY
        )
    typer.echo(f"{purpose} {channel}: granted")


@app.command()
def withdraw(
    customer: Customer,
    source: Source,
    reason: Reason,
    purpose: Purpose = "marketing",
    channel: Channel = "email",
    workspace: Folder = HERE,
) -> None:
    """Record that a customer refuses from now on."""
    with _consents(workspace) as (_, consents):
        consents.withdraw(
            customer, purpose=purpose, channel=channel, source=source, reason=reason, by=BY
        )
    typer.echo(f"{purpose} {channel}: refused")


@contextmanager
def _consents(workspace: Path) -> Iterator[tuple[Workspace, Consents]]:
    from zhiyin.app import Workspace
    from zhiyin.consents import Consents

    with Workspace.open(workspace, write=True) as shop:
        yield shop, Consents(shop.store, shop.vault, shop.clock, shop.settings)

"""`zhiyin messages`: what is in messages before they go, and what came back of them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from zhiyin.app import Workspace

app = typer.Typer(
    name="messages", help="Messages (消息): their links, what came back.", no_args_is_help=True
)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Campaign = Annotated[str, typer.Argument(help="Id of the campaign.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
HERE = Path()


@app.command()
def links(
    campaign: Campaign, workspace: Folder = HERE, language: Language = "en", as_json: AsJson = False
) -> None:
    """Look at every link of planned messages: malformed, or leading nowhere (检查链接)."""
    from zhiyin.act.link_check import WORDS, check_links, planned_links

    with _workspace(workspace) as shop:
        found = planned_links(shop.context(shop.clock.now().date()), campaign)
        faults = check_links(found)
    if as_json:
        typer.echo(json.dumps({"links": len(found), "faults": [vars(one) for one in faults]}))
        raise typer.Exit(1 if faults else 0)
    zh = language == "zh"
    typer.echo(f"{len(found)} 个链接" if zh else f"{len(found)} links")
    for one in faults:
        typer.echo(f"  {one.url}: {WORDS[one.problem][zh]} ({one.status or one.problem})")
    raise typer.Exit(1 if faults else 0)


@app.command()
def reactions(
    campaign: Annotated[str, typer.Argument(help="Id of the campaign; none: all.")] = "",
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """What came back of sent messages, people and machines apart (反馈)."""
    from zhiyin.act.machines import WORDS
    from zhiyin.act.reactions import count_reactions
    from zhiyin.store.ledger import reading

    with _workspace(workspace) as shop, reading(shop.store.ledger) as connection:
        found = count_reactions(connection, campaign or None)
    if as_json:
        typer.echo(json.dumps([dict(row) for row in found]))
        return
    zh = language == "zh"
    for row in found:
        machine = row["machine"]
        who = ("人" if zh else "people") if machine is None else WORDS[machine][zh]
        typer.echo(
            f"{row['campaign_id']}  {row['kind']:<12} {row['reactions']:>7,} "
            f"({row['messages']:,})  {who}"
        )


@app.command()
def costs(
    campaign: Annotated[str, typer.Argument(help="Id of the campaign; none: all.")] = "",
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """What text messages cost, by campaign: messages, segments, money (短信费用)."""
    from zhiyin.act.costs import count_costs
    from zhiyin.store.ledger import reading

    with _workspace(workspace) as shop:
        currency = shop.settings.currency
        with reading(shop.store.ledger) as connection:
            found = count_costs(connection, campaign or None)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        typer.echo(
            f"{one['campaign_id']}  {one['cost']} {currency}  {one['messages']:,} messages, "
            f"{one['segments']:,} segments"
        )


@app.command()
def replies(
    file: Annotated[Path, typer.Argument(help="CSV with the columns phone and text.")],
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Take in replies to text messages: R, TD, STOP and 退订 are refusals (短信上行回复)."""
    from zhiyin.act.replies import take_reply
    from zhiyin.core.errors import InputError
    from zhiyin.store.ledger import transaction

    counts: Counter[str] = Counter()
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.DictReader(opened)
        if not {"phone", "text"} <= set(rows.fieldnames or ()):
            raise InputError(f"{file.name} lacks the columns phone and text")
        with _workspace(workspace, write=True) as shop:
            for row in rows:
                with transaction(shop.store.ledger) as connection:
                    counts[take_reply(
                        connection, vault=shop.vault, number=row["phone"], text=row["text"],
                        at=shop.clock.now(), calling_code=shop.settings.act.calling_code,
                    )] += 1  # fmt: skip
    if as_json:
        typer.echo(json.dumps(dict(counts)))
        return
    typer.echo(", ".join(f"{n:,} {what}" for what, n in sorted(counts.items())) or "no replies")


@app.command()
def members(workspace: Folder = HERE, as_json: AsJson = False) -> None:
    """Ask what members did with mass messages: sent, no contact any more … (企业微信群发结果)."""
    from zhiyin.chats import look_at_members

    with _workspace(workspace, write=True) as shop:
        counts = look_at_members(shop)
    if as_json:
        typer.echo(json.dumps(counts))
        return
    typer.echo(", ".join(f"{n:,} {what}" for what, n in sorted(counts.items())) or "none waits")


@app.command()
def alerts(
    send: Annotated[
        bool, typer.Option("--send", help="Tell staff all of it, told already or not.")
    ] = False,
    workspace: Folder = HERE,
    language: Language = "en",
) -> None:
    """What staff should know of: what stopped, is done or is stuck (提醒)."""
    from zhiyin.alerts import list_alerts, open_notifier, tell_staff

    with _workspace(workspace, write=True) as shop:
        if send:
            open_notifier(shop).close()  # says what is missing, also where there is nothing to tell
        found = tell_staff(shop, repeat=True) if send else list_alerts(shop)
    for one in found:
        typer.echo(one.text(language))
    if not found:
        typer.echo("没有提醒" if language == "zh" else "nothing to tell")


def bounces(
    place: Annotated[Path, typer.Argument(help="A mail, an mbox, a Maildir or a folder of mails.")],
    workspace: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Take in mails that came back: bounces, complaints, refusals (退信与投诉)."""
    from zhiyin.act.bounce_mail import read_bounce, read_mails
    from zhiyin.act.returned import IGNORED, take_returned
    from zhiyin.store.ledger import transaction

    counts: Counter[str] = Counter()
    with _workspace(workspace, write=True) as shop:
        limit = shop.settings.act.soft_bounces
        for content in read_mails(place):
            found = read_bounce(content, vault=shop.vault)
            if found is None:
                counts[IGNORED] += 1
                continue
            with transaction(shop.store.ledger) as connection:
                counts += take_returned(
                    connection, [found], at=shop.clock.now(), soft_bounces=limit
                )
    if as_json:
        typer.echo(json.dumps(dict(counts)))
        return
    typer.echo(", ".join(f"{n:,} {what}" for what, n in sorted(counts.items())) or "no mails")


@contextmanager
def _workspace(folder: Path, *, write: bool = False) -> Iterator[Workspace]:
    from zhiyin.app import Workspace

    with Workspace.open(folder, write=write) as shop:
        yield shop

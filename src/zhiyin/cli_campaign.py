"""`zhiyin campaign`: campaigns that a person plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from zhiyin.act.campaigns.preview_job import Shown as Preview
    from zhiyin.app import Workspace
    from zhiyin.campaigns import Campaigns
    from zhiyin.core.protocols import Progress

app = typer.Typer(name="campaign", help="Campaigns that you plan.", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
File = Annotated[Path, typer.Argument(help="The campaign, TOML or JSON.")]
Key = Annotated[str, typer.Argument(help="Key of the campaign.")]
By = Annotated[str, typer.Option(help="Who does it; kept in the audit log.")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; none: the last that was computed."),
]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()


@app.command()
def check(
    file: File,
    as_of: AsOf = None,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Who would get it after each rule, what it costs, what its holdout can show."""
    from zhiyin.act.campaigns.definition import read_definition

    with _open(workspace) as shop:
        found = _campaigns(shop, as_of).check(read_definition(file))
    typer.echo(_json(found.as_dict()) if as_json else found.text(language))


@app.command()
def create(file: File, by: By, workspace: Folder = HERE) -> None:
    """Keep the campaign as a draft; nothing is sent."""
    from zhiyin.act.campaigns.definition import read_definition

    with _open(workspace, write=True) as shop:
        made = _campaigns(shop).create(read_definition(file), by=by)
    typer.echo(f"{made.key}: version {made.version}, {made.state}")


@app.command()
def approve(key: Key, by: By, workspace: Folder = HERE) -> None:
    """Approve a campaign that another person made."""
    with _open(workspace, write=True) as shop:
        made = _campaigns(shop).approve(key, by=by)
    typer.echo(f"{made.key}: version {made.version}, {made.state}")


@app.command()
def start(key: Key, by: By, as_of: AsOf = None, workspace: Folder = HERE) -> None:
    """Start a campaign and plan its messages; the worker sends them when they are due."""
    from zhiyin.core.errors import LeaseHeld
    from zhiyin.store.leases import hold_lease

    with _open(workspace, write=True) as shop:
        campaigns = _campaigns(shop, as_of)
        made = campaigns.start(key, by=by)
        try:
            with hold_lease(shop.store.ledger, clock=shop.clock):
                campaigns.plan(key)
        except LeaseHeld:
            typer.echo("a turn is under way: the worker plans the messages after it", err=True)
        counts = campaigns.shown(key)["counts"]
    typer.echo(f"{made.key}: running; {counts['open']:,} messages planned")


@app.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="Key of the campaign, or its file.")],
    customer: Annotated[
        str, typer.Option(help="Her id, e-mail or phone: what she gets, and why not.")
    ] = "",
    language: Annotated[str, typer.Option(help="Of the messages; none: each it has.")] = "",
    html: Annotated[
        Path | None, typer.Option(help="New file for the e-mail as HTML; one message alone.")
    ] = None,
    workspace: Folder = HERE,
    said: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Look at what a campaign sends, written by what sends it; its links are signed for nobody."""
    from zhiyin.act.campaigns.definition import read_definition
    from zhiyin.core.errors import InputError

    with _open(workspace) as shop:
        asked = read_definition(Path(campaign)) if Path(campaign).suffix else campaign
        found = _campaigns(shop).preview(asked, customer=customer, language=language)
    if html is not None:
        if len(found) != 1 or not found[0].html:
            raise InputError(
                "there is no single e-mail to be written", hint="give --customer and --language"
            )
        html.write_text(found[0].html, encoding="utf-8")
    if as_json:
        typer.echo(_json([one.as_dict() for one in found]))
        return
    for one in found:
        typer.echo(_looked(one, said))


@app.command("test")
def try_out(
    key: Key,
    address: Annotated[str, typer.Argument(help="Of staff: one of act.testers.")],
    by: By,
    variant: Annotated[str, typer.Option(help="One alone; none: all.")] = "",
    language: Annotated[str, typer.Option(help="One alone; none: each it has.")] = "",
    workspace: Folder = HERE,
    said: Language = "en",
) -> None:
    """Send a campaign's texts to yourself, by its channel; counted nowhere (发送测试消息)."""
    from zhiyin.act.reasons import REASONS
    from zhiyin.trials import send_test

    with _open(workspace, write=True) as shop:
        found = send_test(shop, key, address, by=by, variant=variant, language=language)
    for one in found:
        why = REASONS.get(one.reason, (one.reason, one.reason))[said == "zh"]
        typer.echo(f"{one.variant} {one.language}: {one.state} {why}".rstrip())
    raise typer.Exit(0 if all(one.state == "sent" for one in found) else 1)


@app.command()
def deliver(key: Key, workspace: Folder = HERE) -> None:
    """Send now what is due of a campaign that runs; the worker does so by itself."""
    from zhiyin.act.campaigns.definition import campaign_id
    from zhiyin.cli_progress import progress_bar

    with _open(workspace, write=True) as shop:
        with progress_bar() as progress:
            shop.send(campaign_id(key), progress=progress)
        typer.echo(_said(_campaigns(shop).shown(key)))


@app.command()
def export(
    key: Key,
    file: Annotated[Path, typer.Argument(help="New .csv or .parquet file, outside the workspace.")],
    by: By,
    removals: Annotated[
        bool, typer.Option("--removals", help="Who was in it before and must come off the list.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Who was in it before and may still be: once more.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Write a campaign with channel file, google_ads or meta_ads to a file (导出名单).

    Consents are asked again for every line, and what is in the file is sent, once. A plain file
    holds personal data in clear: delete it when it is used.
    """
    from zhiyin.act.reasons import REASONS
    from zhiyin.app import renewing
    from zhiyin.cli_progress import progress_bar
    from zhiyin.store.leases import hold_lease

    what = "removals" if removals else "again" if again else "new"
    with (
        _open(workspace, write=True) as shop,
        progress_bar() as progress,
        hold_lease(shop.store.ledger, clock=shop.clock) as lease,
    ):
        campaigns = _campaigns(shop, progress=renewing(lease, progress, shop.clock))
        made = campaigns.export(key, file, by=by, workspace=shop.folder, what=what, force=force)
    if as_json:
        typer.echo(_json({"lines": made.lines, "left_out": dict(made.left_out)}))
        return
    zh = language == "zh"
    where = file if made.lines else ("未写入文件" if zh else "no file was written")
    typer.echo(f"{where}: {made.lines:,} " + ("行" if zh else "lines"))
    for reason, number in made.left_out.items():
        typer.echo(f"  {number:>9,}  {REASONS.get(reason, (reason, reason))[zh]}")


@app.command()
def pause(key: Key, by: By, workspace: Folder = HERE) -> None:
    """Send nothing more for now; a delivery under way stops within a second."""
    _change(workspace, key, "pause", by)


@app.command()
def resume(key: Key, by: By, workspace: Folder = HERE) -> None:
    """Go on where it stopped; the stop rule counts anew."""
    _change(workspace, key, "resume", by)


@app.command()
def cancel(key: Key, by: By, workspace: Folder = HERE) -> None:
    """End a campaign for good: what is planned is skipped, what nobody has confirmed stopped."""
    from zhiyin.chats import take_back_cancelled
    from zhiyin.core.errors import ChannelUnavailable, ConfigError

    _change(workspace, key, "cancel", by)
    with _open(workspace, write=True) as shop:
        try:
            found = take_back_cancelled(shop)
        except (ConfigError, ChannelUnavailable) as error:
            typer.echo(f"the worker stops it at the platform: {error.message}", err=True)
            return
    for what, number in sorted(found.items()):
        typer.echo(f"  {number:>9,}  {what}")


@app.command()
def show(key: Key, workspace: Folder = HERE, as_json: AsJson = False) -> None:
    """How far a campaign is: messages by state, reason and variant, and what it caused."""
    with _open(workspace) as shop:
        found = _campaigns(shop).shown(key)
    typer.echo(_json(found) if as_json else _said(found))


@app.command("list")
def list_all(workspace: Folder = HERE) -> None:
    """The campaigns, with their states."""
    with _open(workspace) as shop:
        rows = _campaigns(shop).listed()
    for one in rows:
        why = f"  {one['reason']}" if one["reason"] else ""
        typer.echo(
            f"{one['key']:<24} version {one['version']:<4} {one['state']:<10} "
            f"by {one['created_by']}{why}"
        )
    if not rows:
        typer.echo("There is no campaign yet: zhiyin campaign create FILE --by NAME", err=True)


def _change(workspace: Path, key: str, what: str, by: str) -> None:
    with _open(workspace, write=True) as shop:
        made = getattr(_campaigns(shop), what)(key, by=by)
    typer.echo(f"{made.key}: {made.state}")


def _looked(one: Preview, language: str) -> str:
    """One message in lines."""
    from zhiyin.act.reasons import REASONS

    zh = language == "zh"
    head = f"── {one.variant} · {one.language} · {one.medium}"
    if one.segments is not None:
        head += f" · {one.segments} " + ("条" if zh else "segments")
    lines = [head]
    if one.reason or one.state:
        words = REASONS.get(one.reason, (one.reason, one.reason))[zh]
        lines.append(" ".join(part for part in (one.state, words) if part))
    if one.due_at:
        lines.append(f"{'时间' if zh else 'due'}: {one.due_at}")
    if one.subject:
        lines += [one.subject, ""]
    lines += [f"{key}: {value}" for key, value in one.data.items()] or [one.text.rstrip()]
    return "\n".join(lines)


def _said(found: dict[str, Any]) -> str:
    """A campaign in lines."""
    why = f" ({found['reason']})" if found["reason"] else ""
    lines = [f"{found['key']} version {found['version']}: {found['state']}{why}"]
    for part in found["parts"]:
        words = " ".join(part[name] for name in ("state", "variant", "reason") if part[name])
        lines.append(f"  {part['n']:>9,}  {words}")
    ends = found["ends"]
    lines.append("  " + ", ".join(f"{name} {number:,}" for name, number in ends.items()))
    waiting = found["waiting"]
    if waiting["messages"]:
        lines.append(
            f"  {waiting['messages']:,} wait: due from {waiting['first']} to {waiting['last']}"
        )
    for row in found["effect"]:
        said = f"  {row['variant']}: {row['buyers']:,} of {row['people']:,} bought"
        if row["held_out"]:
            whom = "held out" if row["against"] == "holdout" else "held out of everything"
            said += f", {row['held_out_buyers']:,} of {row['held_out']:,} {whom}"
        if row["low"] is not None:
            said += f"; difference {row['difference']:+.2%} [{row['low']:+.2%}, {row['high']:+.2%}]"
        lines.append(f"{said} in {row['days']} days")
    return "\n".join(lines)


@contextmanager
def _open(workspace: Path, *, write: bool = False) -> Iterator[Workspace]:
    from zhiyin.app import Workspace

    with Workspace.open(workspace, write=write) as shop:
        yield shop


def _campaigns(
    shop: Workspace, as_of: datetime | None = None, progress: Progress | None = None
) -> Campaigns:
    from dataclasses import replace

    from zhiyin.campaigns import campaigns_of

    made = campaigns_of(shop.store, shop.vault, shop.settings, shop.clock, _day(shop, as_of))
    return replace(made, ctx=replace(made.ctx, progress=progress)) if progress else made


def _day(shop: Workspace, as_of: datetime | None) -> Any:
    from zhiyin.audiences import usual_day

    return as_of.date() if as_of else usual_day(shop.store, shop.clock, shop.default_day)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)

"""The command line. Heavy parts are imported by the command that needs them: help is quick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zhiyin import (
    cli_audience,
    cli_authorisation,
    cli_campaign,
    cli_consent,
    cli_decision,
    cli_files,
    cli_indicators,
    cli_journey,
    cli_messages,
    cli_models,
    cli_persona,
    cli_plan,
    cli_review,
    cli_sources,
    cli_tags,
    cli_tasks,
)
from zhiyin.cli_errors import explain_error
from zhiyin.cli_progress import progress_bar

if TYPE_CHECKING:
    from zhiyin.app import Workspace

app = typer.Typer(
    name="zhiyin",
    help="知音 · know each customer, decide, act, measure what it caused.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_sources.app)
app.add_typer(cli_files.app)
app.add_typer(cli_plan.app)
app.add_typer(cli_audience.app)
app.add_typer(cli_campaign.app)
app.add_typer(cli_consent.app)
app.add_typer(cli_decision.app)
app.add_typer(cli_review.app)
app.add_typer(cli_authorisation.app)
app.add_typer(cli_journey.app)
app.add_typer(cli_messages.app)
app.add_typer(cli_models.app)
app.add_typer(cli_tags.app)
app.add_typer(cli_tasks.app)
app.command()(cli_indicators.indicators)
app.command()(cli_persona.persona)
app.command()(cli_decision.decide)
app.command()(cli_messages.bounces)

Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
HERE = Path()


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to build it.")] = Path("demo"),
    preset: Annotated[
        Literal["complete_journey", "jeweller"],
        typer.Option(help="A grocer's published data, or a simulated Chinese jeweller."),
    ] = "complete_journey",
    as_json: AsJson = False,
) -> None:
    """Build a demonstration shop (The Complete Journey, or simulated) and turn the loop once."""
    from zhiyin.demo import AS_OF, JEWELLER_AS_OF, build_demo, tell_effect, turn_jeweller

    if preset == "jeweller":
        with progress_bar() as progress, turn_jeweller(folder, progress=progress) as workspace:
            _finish(workspace, as_json=as_json, language="zh", as_of=JEWELLER_AS_OF)
            _note("\n".join(tell_effect(workspace, language=one) for one in ("zh", "en")))
        return
    with progress_bar() as progress, build_demo(folder, progress=progress) as workspace:
        workspace.run(as_of=AS_OF, progress=progress)
        _finish(workspace, as_json=as_json, as_of=AS_OF)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make the workspace in.")],
    name: Annotated[str, typer.Option(help="Name of the shop.")] = "",
    currency: Annotated[str, typer.Option(help="Currency, ISO 4217.")] = "USD",
    zone: Annotated[str, typer.Option(help="Time zone, for example Asia/Shanghai.")] = "UTC",
    language: Annotated[str, typer.Option(help="First language: en or zh.")] = "en",
) -> None:
    """Make a new, empty workspace."""
    from zhiyin.app import Workspace
    from zhiyin.core.config import validate_settings

    languages = (language, "en" if language == "zh" else "zh")
    values = {"name": name or folder.resolve().name, "currency": currency, "zone": zone}
    settings = validate_settings(values | {"languages": languages}, where="init")
    Workspace.create(folder, settings).close()
    _say(f"{folder} is ready. Settings: {folder / 'zhiyin.toml'}")
    _say(f"Next: zhiyin load order_lines FILE --map mapping.toml -w {folder}")


@app.command()
def pull(
    source: Annotated[str, typer.Argument(help="Name of a source: sources/NAME.toml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only, write nothing.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Read a database from its first row again.")
    ] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Bring what is new in a database, a folder or a webhook's inbox into the lake."""
    from zhiyin.intake import pull_source

    with _open(workspace, write=True) as shop, progress_bar() as progress:
        made = pull_source(
            shop.store, shop.vault, shop.settings, shop.clock, shop.folder, source,
            dry_run=dry_run, from_start=from_start, progress=progress,
        )  # fmt: skip
    if as_json:
        _say(_json([one.as_dict() for one in made]))
    for one in () if as_json else made:
        _say(one.text(language))


@app.command()
def run(
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; none: after the last data."),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Run this one job.")] = None,
    again: Annotated[bool, typer.Option("--again", help="A new turn for the same day.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Turn the loop once for a day. Nothing is sent to anybody: messages stop at *planned*."""
    day = as_of.date() if as_of else None
    with _open(workspace, write=True) as shop, progress_bar() as progress:
        turn = shop.run(as_of=day, only=only, again=again, progress=progress)
        if turn.resumed:
            _note("this turn had run already, or was resumed; --again starts a new one")
        _finish(shop, as_json=as_json, language=language, as_of=turn.as_of)


@app.command()
def quality(
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Look for customers that may be one person.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also what is fine.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """How good the data is, as the last turn saw it; or suggestions of duplicate customers."""
    from zhiyin.catalog import find_duplicates, read_quality

    if duplicates:
        with _open(workspace, write=True) as shop, progress_bar() as progress:
            rows = find_duplicates(shop.context(shop.default_day(), progress=progress))
    else:
        with _open(workspace) as shop:
            rows = read_quality(shop.store, everything=everything or as_json)
    if as_json:
        _say(_json(rows))
        return
    words = "words_zh" if language == "zh" else "words_en"
    for row in rows:
        _say(
            f"{row['score']:.2f}  {row['party_id']}  {row['into']}  {row['rule']}"
            if duplicates
            else f"{row['status']:<5} {row[words]}"
        )
    if not rows:
        _say("nothing to look at" if language != "zh" else "没有需要关注的")


@app.command()
def catalog(
    table: Annotated[str, typer.Argument(help="One table; none: all of them.")] = "",
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Every table and column: meaning, unit, personal data, sources, rows, freshness."""
    from zhiyin.catalog import describe, render

    with _open(workspace) as shop:
        entries = describe(shop.store, table)
        _say(_json(entries) if as_json else render(entries, language, columns=bool(table)))


@app.command()
def send(
    campaign: Annotated[str, typer.Argument(help="Campaign whose planned messages go out.")],
    approve: Annotated[bool, typer.Option("--approve", help="Ask to send for real.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask once more.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
) -> None:
    """Show what a campaign would send after each rule; with --approve, ask and send."""
    with _open(workspace, write=True) as shop:
        plan = shop.send_plan(campaign)
        _say(plan.text(language))
        if not approve:
            _say("Nothing was sent. Add --approve to send.")
            return
        if not yes and not typer.confirm(f"Send {plan.ready} messages now?"):
            _say("Nothing was sent.")
            return
        with progress_bar() as progress:
            counts = shop.send(campaign, progress=progress)
        _say(", ".join(f"{state} {count}" for state, count in sorted(counts.items())))


@app.command()
def report(
    workspace: Folder = HERE,
    as_of: Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Render the report of the last turn again and print its summary."""
    with _open(workspace, write=True) as shop:
        day = as_of.date() if as_of else None
        _finish(shop, as_json=as_json, language=language, as_of=day)


@app.command()
def explain(
    customer: Annotated[str, typer.Argument(help="The source's id, an e-mail, a phone, or ours.")],
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """One customer: profile, scores with reasons, decisions, messages, and why not."""
    from zhiyin.person import explain_customer

    with _open(workspace) as shop:
        answer = explain_customer(shop.store, shop.vault, customer, language=language)
        _say(_json(answer.values) if as_json else answer.text)


@app.command()
def export(
    customer: Annotated[str, typer.Argument(help="The source's id, an e-mail, a phone, or ours.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for the two files.")] = HERE,
    workspace: Folder = HERE,
) -> None:
    """Everything about one customer, and nobody else, as JSON and HTML."""
    from zhiyin.person import export_customer

    with _open(workspace) as shop:
        for path in export_customer(shop.store, shop.vault, customer, to, clock=shop.clock):
            _say(str(path))


@app.command()
def erase(
    customer: Annotated[str, typer.Argument(help="The source's id, an e-mail, a phone, or ours.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Erase a customer from every file; totals stay, which the printed proof shows."""
    with _open(workspace, write=True) as shop:
        if not yes and not typer.confirm("Erase this customer for good?"):
            raise typer.Exit(1)
        with progress_bar() as progress:
            proof = shop.erase(customer, language=language, progress=progress)
        _say(_json(proof) if as_json else proof["text"])


@app.command()
def identity(
    what: Annotated[str, typer.Argument(help="show, preview, merge, undo or conflicts.")],
    customers: Annotated[
        list[str] | None,
        typer.Argument(help="One customer, two (the second stays), or a merge's two records."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Folder = HERE,
    language: Language = "en",
) -> None:
    """Which records are one person: see it, try a merge, make it, undo it, list conflicts."""
    from zhiyin.person import identity as person

    named = customers or []
    wanted = {"show": 1, "preview": 2, "merge": 2, "undo": 2, "conflicts": 0}
    if what not in wanted or len(named) != wanted[what]:
        raise typer.BadParameter(
            "show CUSTOMER, preview ONE INTO, merge ONE INTO, undo PARTY INTO, or conflicts"
        )
    with _open(workspace, write=what in ("merge", "undo")) as shop:
        door = person.Door(shop.store, shop.vault, shop.clock)
        if what == "conflicts":
            answer = person.list_conflicts(door, language=language)
        elif what == "show":
            answer = person.show_identity(door, named[0])
        elif what == "undo":
            answer = person.undo_merge(door, *named)
        else:
            answer = person.preview_merge(door, *named)
            if what == "merge":
                if not yes:
                    _say(_json(answer))
                    if not typer.confirm("Make these one person?"):
                        raise typer.Exit(1)
                answer = person.merge_customers(door, *named)
        _say(_json(answer))


@app.command()
def doctor(workspace: Folder = HERE, as_json: AsJson = False) -> None:
    """Check the installation and the workspace; say what to do about each finding."""
    from zhiyin.doctor import examine

    findings = examine(workspace)
    if as_json:
        _say(_json([finding.as_dict() for finding in findings]))
    for finding in () if as_json else findings:
        _say(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}")
        if finding.hint:
            _say(f"     {finding.hint}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def serve(
    workspace: Folder = HERE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no jobs here.")] = False,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the report and the API of a workspace, with a worker beside it."""
    from zhiyin.api.server import serve_workspace

    serve_workspace(
        workspace, host=host, port=port, with_worker=not no_worker, processes=processes,
        listening=fd, announce=_note,
    )  # fmt: skip


@app.command()
def worker(
    workspace: Folder = HERE,
    once: Annotated[bool, typer.Option("--once", help="Stop when no job waits.")] = False,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Take waiting jobs, one after the other."""
    from zhiyin.worker import work

    work(workspace, once=once, parent=parent)


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    role: Annotated[str, typer.Option(help="Role, for example analyst.")] = "viewer",
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the keys of that name.")] = False,
    store: Annotated[
        str | None, typer.Option(help="Of the role staff: the store whose calls they make.")
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Make an API key (shown once), or revoke those of a name."""
    from zhiyin.api.keys import make_key, revoke_keys

    with _open(workspace, write=True) as shop:
        if revoke:
            _say(f"{revoke_keys(shop.store, name, clock=shop.clock)} revoked")
        else:
            _say(make_key(shop.store, name, role, clock=shop.clock, store_id=store))


def main() -> None:
    """Entry point: a `ZhiyinError` becomes two lines and exit code 1."""
    try:
        app()
    except Exception as error:
        said = explain_error(error)
        if said is None:
            raise
        _note(said)
        raise SystemExit(1) from None


@contextmanager
def _open(folder: Path, *, write: bool = False) -> Iterator[Workspace]:
    from zhiyin.app import Workspace

    with Workspace.open(folder, write=write) as workspace:
        yield workspace


def _finish(
    shop: Workspace, *, as_json: bool, language: str = "en", as_of: date | None = None
) -> None:
    """Render the report, keep the summary, print what was asked for."""
    summary, text, path = shop.report(as_of=as_of, language=language)
    if as_json:
        _say(_json(summary))
    else:
        _say(text)
        _say(f"\nReport:  {path}\nSummary: {path.with_name('summary.json')}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _say(text: str) -> None:
    typer.echo(text)


def _note(text: str) -> None:
    typer.echo(text, err=True)

"""`zhiyin indicators`: what was sent, done and earned, by campaign, channel, segment or time."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

HERE = Path()


def indicators(
    by: Annotated[
        str, typer.Option(help="all, campaign, channel, segment, month; with --since week, day.")
    ] = "all",
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; none: what the last turn wrote."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day that is left out.")
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option(
            "--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."
        ),
    ] = HERE,
    language: Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Indicators with their 95 % intervals: of the last turn, or of any days (指标)."""
    from zhiyin.app import Workspace
    from zhiyin.core.errors import InvalidParameter
    from zhiyin.indicators import compute_since, read_last
    from zhiyin.measure.report.formats import Format
    from zhiyin.measure.report.indicators import tell_plainly

    if until is not None and since is None:
        raise InvalidParameter("--until goes with --since", hint="--since 2026-01-01")
    with Workspace.open(workspace) as shop:
        if since is None:
            found = read_last(shop, by)
        else:
            found = compute_since(shop, by, since.date(), until.date() if until else None)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found["groups"]:
        typer.echo("There are no indicators yet: zhiyin run", err=True)
    form = Format(language, found["currency"])
    for group, values in found["groups"].items():
        if by != "all":
            typer.echo(group or "–")
        for key, told in values.items():
            line = tell_plainly(key, told, form)
            if line:
                typer.echo(f"  {line}" if by != "all" else line)

"""`zhiyin persona`: what sets a group, or one customer, apart (画像)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from zhiyin.core.errors import InputError, InvalidParameter

HERE = Path()


def persona(
    audience: Annotated[str, typer.Option(help="A kept audience.")] = "",
    segment: Annotated[str, typer.Option(help="SCHEME:SEGMENT, for example rfm:champions.")] = "",
    tag: Annotated[str, typer.Option(help="NAME, or NAME=VALUE.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", help="A file with one customer a line.")
    ] = None,
    customer: Annotated[
        str, typer.Option(help="One customer: source's id, e-mail, phone or our id.")
    ] = "",
    against: Annotated[
        str, typer.Option(help="everyone, audience:NAME, segment:SCHEME:SEGMENT or tag:NAME.")
    ] = "everyone",
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; none: the last computed."),
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option(
            "--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."
        ),
    ] = HERE,
    lang: Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page in both languages to this file.")
    ] = None,
) -> None:
    """What sets a group apart from everyone else or another group, or one customer apart."""
    from zhiyin.app import Workspace
    from zhiyin.audiences import usual_day
    from zhiyin.measure.report.persona import render_persona
    from zhiyin.personas import Personas, group_of, parse_group

    listed = _lines(file) if file else []
    group = group_of(audience, segment, tag, listed)
    if (group is None) == (not customer):
        raise InvalidParameter(
            "a persona is of one group or of one customer",
            hint="--audience, --segment, --tag, --file or --customer",
        )
    with Workspace.open(workspace) as shop:
        day = as_of.date() if as_of else usual_day(shop.store, shop.clock, shop.default_day)
        simulated = shop.settings.simulated
        made = Personas(shop.store, shop.vault, day)
        languages = ("en", "zh") if html else (lang,)
        found: dict[str, dict[str, Any]] = (
            {code: made.of_customer(customer, language=code) for code in languages}
            if group is None
            else made.of_group_in(languages, group, against=parse_group(against))
        )
    if html:
        _write(html, render_persona(found, first=lang, simulated=simulated))
    text = json.dumps(found[lang], ensure_ascii=False, indent=2, default=str)
    typer.echo(text if as_json else found[lang]["text"])


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be written: {error.strerror}", hint="give another file"
        ) from error


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{file.name} cannot be read: {error.strerror}", hint="give a file that is there"
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]

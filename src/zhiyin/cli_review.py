"""`zhiyin review`: decisions that a rule sends to a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from zhiyin.reviews import Reviews

app = typer.Typer(name="review", help="Decisions that wait for a person (人工审核).",
                  no_args_is_help=True)  # fmt: skip
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Id = Annotated[str, typer.Argument(help="Id of the decision, as listed.")]
By = Annotated[str, typer.Option(help="Who decides; kept in the audit log.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()


@app.command("list")
def list_all(
    point: Annotated[str | None, typer.Option(help="Key of a decision point; none: all.")] = None,
    done: Annotated[bool, typer.Option("--done", help="What came of those that are over.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """What waits, why, what is proposed, until when (待审核决策)."""
    with _reviews(workspace) as held:
        found = held.listed(point=point, closed=done, limit=limit)
    if as_json:
        typer.echo(_json(found))
        return
    for one in found:
        typer.echo(_said(one, language))
    if not found:
        typer.echo("没有待审核决策" if language == "zh" else "Nothing waits.", err=True)


@app.command()
def take(
    decision_id: Id, by: By, workspace: Folder = HERE, language: Language = "en",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Keep one for half an hour (领取)."""
    with _reviews(workspace, write=True) as held:
        found = held.take(decision_id, by=by)
    typer.echo(_json(found) if as_json else _said(found, language))


@app.command()
def answer(
    decision_id: Id,
    action: Annotated[str, typer.Argument(help="What is to be done: one of the eligible ones.")],
    by: By,
    reason: Annotated[str, typer.Option(help="Why, a code: agreed, too_costly, other …")],
    note: Annotated[str, typer.Option(help="What is to be kept of it; encrypted.")] = "",
    workspace: Folder = HERE,
    language: Language = "en",
) -> None:
    """Decide it (审核)."""
    with _reviews(workspace, write=True) as held:
        found = held.answer(decision_id, action, reason=reason, by=by, note=note)
    typer.echo(_said(found, language))


def _said(one: dict[str, Any], language: str) -> str:
    zh = language == "zh"
    lines = [f"{one['decision_id']}  {one['point']}  {one['customer_id']}  [{one['state']}]"]
    numbers = ", ".join(
        f"{name} = {'?' if x is None else f'{x:g}'}" for name, x in one["numbers"].items()
    )
    parts = (
        ("规则" if zh else "rule", one["rule"]),
        ("建议" if zh else "proposed", f"{one['proposed']} ({one['chance']:.2f})"),
        ("可选" if zh else "eligible", ", ".join(one["eligible"])),
        ("数值" if zh else "numbers", numbers),
        ("截止" if zh else "until", one["until"]),
        ("决定" if zh else "decided", one["action"] or ""),
        ("原因" if zh else "why", one["reason_words"][language]),
        ("备注" if zh else "note", one["note"]),
    )
    return "\n".join([*lines, *(f"    {name}: {text}" for name, text in parts if text)])


@contextmanager
def _reviews(folder: Path, *, write: bool = False) -> Iterator[Reviews]:
    from zhiyin.app import Workspace
    from zhiyin.reviews import Reviews

    with Workspace.open(folder, write=write) as shop:
        yield Reviews(shop.store, shop.vault, shop.clock)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

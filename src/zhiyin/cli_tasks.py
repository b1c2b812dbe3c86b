"""`zhiyin tasks`: calls for shop staff."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from zhiyin.tasks import Tasks

app = typer.Typer(name="tasks", help="Calls for shop staff (门店回访任务).", no_args_is_help=True)
Folder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="ZHIYIN_WORKSPACE", help="Folder of the workspace."),
]
Id = Annotated[str, typer.Argument(help="Id of the task, as listed.")]
By = Annotated[str, typer.Option(help="Who calls; kept in the audit log.")]
Note = Annotated[str, typer.Option(help="What is to be kept of it; encrypted.")]
Language = Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()


@app.command("list")
def list_all(
    store: Annotated[
        str | None, typer.Option(help="Id of a store; none: all; empty: the central list.")
    ] = None,
    done: Annotated[bool, typer.Option("--done", help="What came of those that are over.")] = False,
    by: Annotated[str, typer.Option(help="Who looks: her own show the number.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    workspace: Folder = HERE,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Whom to call, why, what to say and to offer (待联系客户)."""
    with _tasks(workspace) as tasks:
        found = tasks.listed(
            store_id=store, closed=done, language=language, by=by, names=True, limit=limit
        )
    if as_json:
        typer.echo(_json(found))
        return
    for one in found:
        typer.echo(_said(one, language))
    if not found:
        typer.echo("没有任务" if language == "zh" else "There is no task.", err=True)


@app.command()
def take(
    task_id: Id, by: By, workspace: Folder = HERE, language: Language = "en",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Take a call for half an hour, and see the number: asks the gate once more (领取)."""
    with _tasks(workspace, write=True) as tasks:
        found = tasks.take(task_id, by=by, language=language)
    typer.echo(_json(found) if as_json else _said(found, language))


@app.command()
def done(
    task_id: Id, by: By, note: Note = "", workspace: Folder = HERE, language: Language = "en"
) -> None:
    """She was reached (已接通)."""
    _answer(workspace, task_id, "done", by, note, language)


@app.command()
def missed(
    task_id: Id, by: By, note: Note = "", workspace: Folder = HERE, language: Language = "en"
) -> None:
    """She was not reached: it comes back tomorrow, as often as the campaign says (未接通)."""
    _answer(workspace, task_id, "missed", by, note, language)


@app.command()
def refused(
    task_id: Id, by: By, note: Note = "", workspace: Folder = HERE, language: Language = "en"
) -> None:
    """She wants no such calls: her consent is withdrawn at once (拒绝)."""
    _answer(workspace, task_id, "refused", by, note, language)


def _answer(workspace: Path, task_id: str, answer: str, by: str, note: str, language: str) -> None:
    with _tasks(workspace, write=True) as tasks:
        found = tasks.answer(task_id, answer, by=by, note=note, language=language)
    back = found["not_before"] if found["state"] == "open" else None
    typer.echo(f"{found['state_words']}{f' ({back})' if back else ''}")


def _said(one: dict[str, Any], language: str) -> str:
    zh = language == "zh"
    head = f"{one['task_id']}  {one['store']}  {one['name'] or one['customer_id']}"
    lines = [f"{head}  {one['phone']}".rstrip() + f"  [{one['state_words']}]"]
    parts = (
        ("原因" if zh else "why", "; ".join(one["why"])),
        ("话术" if zh else "say", " ".join(one["say"]["text"].split())),
        ("优惠" if zh else "offer", one["offer"]),
        ("商品" if zh else "products", ", ".join(one["products"])),
        ("截止" if zh else "until", one["until"]),
        ("备注" if zh else "note", one["note"]),
    )
    return "\n".join([*lines, *(f"    {name}: {text}" for name, text in parts if text)])


@contextmanager
def _tasks(folder: Path, *, write: bool = False) -> Iterator[Tasks]:
    from zhiyin.app import Workspace
    from zhiyin.tasks import tasks_of

    with Workspace.open(folder, write=write) as shop:
        yield tasks_of(shop.store, shop.vault, shop.settings, shop.clock)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)

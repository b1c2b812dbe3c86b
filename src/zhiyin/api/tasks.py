"""Calls for shop staff over HTTP: their list, taking one, saying what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.govern.roles import allows
from zhiyin.tasks import MOST, Tasks, tasks_of

Language = Literal["en", "zh"]


class Answer(BaseModel):
    """What came of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Literal["done", "missed", "refused"] = Field(
        description="reached; not reached (comes back tomorrow); wants no such calls"
    )
    note: str = Field("", max_length=2000, description="what is to be kept of it; encrypted")
    language: Language = "en"


def list_all(
    request: Request,
    store: Annotated[str | None, Query(description="id; empty: the central list")] = None,
    closed: Annotated[bool, Query(description="what came of those that are over")] = False,
    language: Language = "en",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> list[dict[str, Any]]:
    """Calls to be made, those first whose time is over soonest.

    Names are shown with the permission `task:call` alone, numbers to who has taken the call.
    """
    caller = caller_of(request)
    return _tasks(request).listed(
        store_id=store, closed=closed, language=language, by=caller.name, limit=limit,
        names=allows(caller.role, "task:call"),
    )  # fmt: skip


def show(request: Request, task_id: str, language: Language = "en") -> dict[str, Any]:
    """One call: whom, why, what to say, what to offer, until when."""
    caller = caller_of(request)
    return _tasks(request).shown(
        task_id, language=language, by=caller.name, names=allows(caller.role, "task:call")
    )


def take(request: Request, task_id: str, language: Language = "en") -> dict[str, Any]:
    """Take a call for half an hour, with the number, where she may be called now."""
    return _tasks(request).take(task_id, by=caller_of(request).name, language=language)


def answer(request: Request, task_id: str, said: Answer) -> dict[str, Any]:
    """Say what came of a call: a refusal withdraws her consent at once."""
    return _tasks(request).answer(
        task_id, said.answer, by=caller_of(request).name, note=said.note, language=said.language
    )


def _tasks(request: Request) -> Tasks:
    """The calls that the caller may see: of her store, where her key is of one."""
    shop = workspace_of(request)
    store = shop.store.pinned(shop.store.versions())
    return tasks_of(store, shop.vault, shop.settings, shop.clock, only=caller_of(request).store_id)


_ONE = "/v1/admin/tasks/{task_id}"
ROUTES = (
    Route("GET", "/v1/admin/tasks", "task:read", list_all),
    Route("GET", _ONE, "task:read", show),
    Route("POST", f"{_ONE}/take", "task:call", take),
    Route("POST", f"{_ONE}/answer", "task:call", answer),
)

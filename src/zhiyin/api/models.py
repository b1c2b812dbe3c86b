"""Models over HTTP: versions, cards, promotion and rollback."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.models import Models


class Wanted(BaseModel):
    """A version that is to speak."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, max_length=16, description="hash of the artifact")
    subject: str = Field("", max_length=200, description="category, where the task has one")


class Back(BaseModel):
    """A task whose champion is put aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str = Field("", max_length=200, description="category, where the task has one")


def list_all(request: Request) -> list[dict[str, Any]]:
    """Every version with its stage and its comparison with the champion, newest first."""
    return _models(request).listed()


def show(
    request: Request,
    task: str,
    subject: Annotated[str, Query(max_length=200)] = "",
    version: Annotated[str, Query(max_length=16)] = "",
) -> dict[str, Any]:
    """A version (without one: the champion) with its card, and the log of its task."""
    return _models(request).shown(task, subject, version)


def promote(request: Request, task: str, wanted: Wanted) -> dict[str, Any]:
    """Let a version speak from the next turn on; under approval a second caller confirms."""
    step = _models(request).promote(
        task, wanted.subject, version=wanted.version, by=caller_of(request).name
    )
    return {"task": task, "version": wanted.version, "state": step}


def rollback(request: Request, task: str, back: Back) -> dict[str, Any]:
    """Let the version before the champion speak again."""
    version = _models(request).rollback(task, back.subject, by=caller_of(request).name)
    return {"task": task, "version": version, "state": "promoted"}


def _models(request: Request) -> Models:
    shop = workspace_of(request)
    return Models(shop.store, shop.clock, shop.settings.understand.promotion)


ROUTES = (
    Route("GET", "/v1/admin/models", "model:read", list_all),
    Route("GET", "/v1/admin/models/{task}", "model:read", show),
    Route("POST", "/v1/admin/models/{task}/promote", "model:promote", promote),
    Route("POST", "/v1/admin/models/{task}/rollback", "model:promote", rollback),
)

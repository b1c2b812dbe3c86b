"""Models over HTTP: versions, cards, promotion and rollback."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Request
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of

if TYPE_CHECKING:
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


class Brought(BaseModel):
    """A model in ONNX."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: Base64Bytes = Field(max_length=12_000_000, description="the file, in base64")
    features: tuple[str, ...] = Field(
        min_length=1, max_length=200, description="names of its inputs, in order"
    )
    learned_until: date = Field(description="day until which it saw outcomes")
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
    from zhiyin.models import Models

    shop = workspace_of(request)
    return Models(shop.store, shop.clock, shop.settings.understand.promotion)


def list_guests(request: Request) -> list[dict[str, Any]]:
    """The models that were brought in as ONNX."""
    return _models(request).guests()


def bring_in(request: Request, task: str, name: str, guest: Brought) -> dict[str, Any]:
    """Let a model made elsewhere compete in its task from the next turn on."""
    from zhiyin.understand.predict.guests import Guest

    made = Guest(name, guest.content, guest.features, guest.learned_until)
    _models(request).bring_in(made, task, guest.subject, by=caller_of(request).name)
    return {"task": task, "subject": guest.subject, "name": name}


def take_out(
    request: Request, task: str, name: str, subject: Annotated[str, Query(max_length=200)] = ""
) -> dict[str, Any]:
    """Let a model that was brought in take part no more."""
    _models(request).take_out(name, task, subject, by=caller_of(request).name)
    return {"task": task, "subject": subject, "name": name}


ROUTES = (
    Route("GET", "/v1/admin/model-guests", "model:read", list_guests),
    Route("PUT", "/v1/admin/model-guests/{task}/{name}", "model:promote", bring_in),
    Route("DELETE", "/v1/admin/model-guests/{task}/{name}", "model:promote", take_out),
    Route("GET", "/v1/admin/models", "model:read", list_all),
    Route("GET", "/v1/admin/models/{task}", "model:read", show),
    Route("POST", "/v1/admin/models/{task}/promote", "model:promote", promote),
    Route("POST", "/v1/admin/models/{task}/rollback", "model:promote", rollback),
)

"""Tracking plans over HTTP, and the last events of each source with what is odd about them."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.api.tables import snapshot_of
from zhiyin.app import Workspace
from zhiyin.collect.debug import MAX_EVENTS, Unseal, unknown_events
from zhiyin.collect.plan import Plan
from zhiyin.collect.plan_ledger import (
    find_plan,
    list_plans,
    list_versions,
    note_reading,
    remove_plan,
    set_plan,
)
from zhiyin.core.clock import naive_utc
from zhiyin.core.errors import KeyDestroyed
from zhiyin.debugger import read_events
from zhiyin.govern.roles import require
from zhiyin.store.ledger import reading, transaction

SourceName = Annotated[str, Query(min_length=1, max_length=48)]


class Planned(BaseModel):
    """What an event is to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["warn", "quarantine", "off"] = Field("warn", description="what a misfit becomes")
    properties: dict[str, Any] = Field(alias="schema", description="JSON Schema, draft 2020-12")


def list_all(request: Request, source: SourceName | None = None) -> list[dict[str, Any]]:
    """The plans that hold: source, event, mode, version. Without their schemas."""
    with reading(workspace_of(request).store.ledger) as connection:
        return [_head(one) for one in list_plans(connection, source)]


def show(
    request: Request,
    source: str,
    event: str,
    version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> dict[str, Any]:
    """The plan of an event, and its versions."""
    with reading(workspace_of(request).store.ledger) as connection:
        found = find_plan(connection, source, event, version=version)
        versions = [_head(one) for one in list_versions(connection, source, event)]
    return {**_head(found), "schema": found.schema, "versions": versions}


def put(request: Request, source: str, event: str, planned: Planned) -> dict[str, Any]:
    """Set the plan of an event: a new version, for what is compacted from now on."""
    shop = workspace_of(request)
    with transaction(shop.store.ledger) as connection:
        made = set_plan(
            connection, source, event, schema=planned.properties, mode=planned.mode,
            by=caller_of(request).name, now=naive_utc(shop.clock.now()),
        )  # fmt: skip
    return _head(made)


def remove(request: Request, source: str, event: str) -> dict[str, Any]:
    """Take an event out of the plan; its versions are kept."""
    shop = workspace_of(request)
    with transaction(shop.store.ledger) as connection:
        made = remove_plan(
            connection, source, event, by=caller_of(request).name, now=naive_utc(shop.clock.now())
        )
    return _head(made)


def unknown(request: Request, source: str) -> list[dict[str, Any]]:
    """Events that came and are not in the plan: count, first and last received."""
    store = workspace_of(request).store
    with reading(store.ledger) as connection:
        plans = list_plans(connection, source)
    return unknown_events(store.pinned(snapshot_of(store, "events")), plans, source)


def events(
    request: Request,
    source: SourceName | None = None,
    name: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 50,
    problems: bool = False,
    content: bool = False,
    language: Literal["en", "zh"] = "en",
) -> dict[str, Any]:
    """The last events, newest received first, with findings in words; personal data is masked.

    `problems`: only those with findings, and refused ones. `content`: also what refused events
    held, masked; needs the permission `people:read_personal` and is noted in the audit log.
    """
    shop = workspace_of(request)
    unseal = _open_refused(request, shop, source) if content else None
    return read_events(
        shop.store, shop.clock, source=source, name=name, limit=limit, problems=problems,
        language=language, unseal=unseal,
    )  # fmt: skip


def _open_refused(request: Request, shop: Workspace, source: str | None) -> Unseal:
    caller = caller_of(request)
    require(caller.role, "people:read_personal")
    with transaction(shop.store.ledger) as connection:
        note_reading(connection, source, by=caller.name, now=naive_utc(shop.clock.now()))

    def unseal(key_id: str, blob: bytes) -> bytes | None:
        try:
            return shop.vault.unseal_with(key_id, [blob])[0]
        except KeyDestroyed:
            return None

    return unseal


def _head(plan: Plan) -> dict[str, Any]:
    return {
        "source": plan.source,
        "event": plan.event,
        "version": plan.version,
        "mode": plan.mode,
        "created_at": plan.created_at.replace(tzinfo=UTC).isoformat(),
        "created_by": plan.created_by,
    }


_ONE = "/v1/admin/plans/{source}/{event:path}"
ROUTES = (
    Route("GET", "/v1/admin/events", "table:read", events),
    Route("GET", "/v1/admin/plans", "plan:read", list_all),
    Route("GET", "/v1/admin/plans/{source}/unknown", "plan:read", unknown),
    Route("GET", _ONE, "plan:read", show),
    Route("PUT", _ONE, "plan:write", put),
    Route("DELETE", _ONE, "plan:write", remove),
)

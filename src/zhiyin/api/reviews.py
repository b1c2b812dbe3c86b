"""Decisions that wait for a person, over HTTP; and what became of one, for who asked for it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.decide.reviews.ledger import CODES
from zhiyin.reviews import MOST, Reviews


class Decision(BaseModel):
    """What a person decided."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: str = Field(max_length=48, description="one of the eligible ones")
    reason: str = Field(max_length=24, description=f"one of: {', '.join(CODES)}")
    note: str = Field("", max_length=2000, description="what is to be kept of it; encrypted")


def list_all(
    request: Request,
    point: Annotated[str | None, Query(description="key of a decision point; none: all")] = None,
    closed: Annotated[bool, Query(description="what came of those that are over")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> list[dict[str, Any]]:
    """Decisions that wait, those first whose time is over soonest."""
    return _reviews(request).listed(point=point, closed=closed, limit=limit)


def show(request: Request, decision_id: str) -> dict[str, Any]:
    """One of them: what was seen, what is proposed, until when."""
    return _reviews(request).shown(decision_id)


def take(request: Request, decision_id: str) -> dict[str, Any]:
    """Keep one for half an hour."""
    return _reviews(request).take(decision_id, by=caller_of(request).name)


def answer(request: Request, decision_id: str, said: Decision) -> dict[str, Any]:
    """Decide it."""
    return _reviews(request).answer(
        decision_id, said.action, reason=said.reason, by=caller_of(request).name, note=said.note
    )


def tell(request: Request, decision_id: str) -> dict[str, Any]:
    """Whether a decision still waits for a person, and the action that stands."""
    return _reviews(request).told(decision_id)


def _reviews(request: Request) -> Reviews:
    shop = workspace_of(request)
    return Reviews(shop.store, shop.vault, shop.clock)


_ONE = "/v1/admin/reviews/{decision_id}"
ROUTES = (
    Route("GET", "/v1/admin/reviews", "review:read", list_all),
    Route("GET", _ONE, "review:read", show),
    Route("POST", f"{_ONE}/take", "review:answer", take),
    Route("POST", f"{_ONE}/answer", "review:answer", answer),
    Route("GET", "/v1/reviews/{decision_id}", "decision:ask", tell),
)

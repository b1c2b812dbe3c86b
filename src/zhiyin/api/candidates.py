"""Candidates of decision points over HTTP: try, judge, approve, decline, take back; the kill switch
for all points.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.api.errors import ACCEPTED
from zhiyin.candidates import LEARNED_SHARE, Candidates, Wish
from zhiyin.points import Points


class Trial(BaseModel):
    """A policy that is to be a candidate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str = Field(max_length=48, description="its name")
    settings: dict[str, Any] = Field({}, description="beside what the point says already")
    explore: float | None = Field(None, ge=0, le=1, description="none: as the point says")
    learn: float = Field(
        LEARNED_SHARE, ge=0, lt=1, description="share of the older choices that it learns"
    )


class Reason(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field("", max_length=200, description="kept in the audit log")


def list_all(request: Request, name: str) -> list[dict[str, Any]]:
    """All policies of a point: what the gate found, how far they took over."""
    return _candidates(request).listed(name)


def attempt(request: Request, name: str, trial: Trial) -> dict[str, str]:
    """Let a worker make a candidate: a policy by name, which learns the older choices."""
    wish = Wish(trial.policy, trial.explore, trial.settings, trial.learn)
    return {"job_id": _candidates(request).ask_for(name, wish, by=caller_of(request).name)}


def judge(request: Request, name: str, number: int) -> dict[str, str]:
    """Let a worker ask the gate whether a candidate may begin, by the choices that are settled."""
    asked = _candidates(request).ask_to_judge(name, number, by=caller_of(request).name)
    return {"job_id": asked}


def approve(request: Request, name: str, number: int) -> dict[str, Any]:
    """Let a candidate that passed take over step by step: never one's own."""
    return _candidates(request).approve(name, number, by=caller_of(request).name)


def decline(request: Request, name: str, number: int, reason: Reason) -> dict[str, Any]:
    """Decline a candidate that passed."""
    return _candidates(request).decline(name, number, by=caller_of(request).name, why=reason.why)


def withdraw(request: Request, name: str, number: int, reason: Reason) -> dict[str, Any]:
    """Take a candidate back, also while it takes over."""
    return _candidates(request).withdraw(name, number, by=caller_of(request).name, why=reason.why)


def stop(request: Request, name: str) -> list[dict[str, Any]]:
    """The kill switch of a point: only its default action from now on."""
    return _stop(request, name)


def stop_all(request: Request) -> list[dict[str, Any]]:
    """The kill switch of all points: only their default actions from now on."""
    return _stop(request, None)


def _stop(request: Request, name: str | None) -> list[dict[str, Any]]:
    shop = workspace_of(request)
    stopped = Points(shop.store, shop.clock).stop(name, by=caller_of(request).name)
    return [{"key": one.key, "version": one.version, "state": one.state} for one in stopped]


def _candidates(request: Request) -> Candidates:
    shop = workspace_of(request)
    return Candidates(shop.store, shop.clock)


_ALL = "/v1/admin/decisions/{name}/policies"
_ONE = f"{_ALL}/{{number}}"
ROUTES = (
    Route("GET", _ALL, "decision:read", list_all),
    Route("POST", _ALL, "decision:write", attempt, status=ACCEPTED),
    Route("POST", f"{_ONE}/judge", "decision:write", judge, status=ACCEPTED),
    Route("POST", f"{_ONE}/approve", "decision:approve", approve),
    Route("POST", f"{_ONE}/decline", "decision:approve", decline),
    Route("POST", f"{_ONE}/withdraw", "decision:stop", withdraw),
    Route("POST", "/v1/admin/decisions/{name}/stop", "decision:stop", stop),
    Route("POST", "/v1/admin/decisions-stop", "decision:stop", stop_all),
)

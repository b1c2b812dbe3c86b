"""Experiments over HTTP: plans, states, read-outs, decisions."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from zhiyin.api.access import Route, caller_of, workspace_of
from zhiyin.core.errors import InvalidParameter
from zhiyin.experiments import Experiments
from zhiyin.measure.experiment.definition import parse
from zhiyin.measure.experiment.ledger import Stored
from zhiyin.measure.experiment.read_job import describe


class Draft(BaseModel):
    """An experiment that is planned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: dict[str, Any] = Field(description="as its file has it; `id` may be left out")


class Why(BaseModel):
    """Why it is stopped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field(default="", max_length=2000)


class Decided(BaseModel):
    """Which arm everybody gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choice: Literal["take_treatment", "keep_control"]
    arm: str = Field(default="", max_length=48, description="the treatment, where there are more")
    why: str = Field(
        default="", max_length=2000, description="needed where the evidence does not say so"
    )


def list_all(request: Request) -> list[dict[str, Any]]:
    """Every experiment with its state."""
    return _experiments(request).listed()


def show(request: Request, name: str) -> dict[str, Any]:
    """An experiment: its plan and its hash, its states, what was decided on which evidence."""
    return _experiments(request).shown(name)


def put(request: Request, name: str, draft: Draft) -> dict[str, Any]:
    """Keep a draft: a new version, unless nothing changed. What was started is frozen."""
    made = parse({"id": name, **draft.experiment})
    if made.id != name:
        raise InvalidParameter(f"the experiment is called {made.id!r}, not {name!r}")
    return _said(_experiments(request).put(made, by=caller_of(request).name))


def start(request: Request, name: str) -> dict[str, Any]:
    """Freeze the plan and assign from now on."""
    return _said(_experiments(request).start(name, by=caller_of(request).name))


def stop(request: Request, name: str, why: Why) -> dict[str, Any]:
    """Assign nobody any more: everybody gets the control until it is decided."""
    return _said(_experiments(request).stop(name, by=caller_of(request).name, why=why.why))


def read_out(request: Request, name: str, as_of: date | None = None) -> dict[str, Any]:
    """What it says on the data before a day: figures, and one verdict in words, en and zh."""
    return describe(_experiments(request).read(name, as_of=as_of))


def decide(request: Request, name: str, decided: Decided) -> dict[str, Any]:
    """Say which arm everybody gets; kept with the evidence of the moment."""
    by = caller_of(request).name
    made = _experiments(request).decide(
        name, decided.choice, arm=decided.arm, by=by, why=decided.why
    )  # fmt: skip
    return _said(made)


def _experiments(request: Request) -> Experiments:
    return Experiments(workspace_of(request))


def _said(made: Stored) -> dict[str, Any]:
    return {
        "key": made.key, "version": made.version, "state": made.state, "hash": made.plan.hash
    }  # fmt: skip


_ONE = "/v1/admin/experiments/{name}"
ROUTES = (
    Route("GET", "/v1/admin/experiments", "experiment:read", list_all),
    Route("GET", _ONE, "experiment:read", show),
    Route("PUT", _ONE, "experiment:write", put),
    Route("POST", f"{_ONE}/start", "experiment:write", start),
    Route("POST", f"{_ONE}/stop", "experiment:write", stop),
    Route("GET", f"{_ONE}/read-out", "experiment:read", read_out),
    Route("POST", f"{_ONE}/decide", "experiment:decide", decide),
)

"""`POST /v1/decide` and `POST /v1/outcome` in the OpenAPI document: they are no FastAPI routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from zhiyin.api.decide import DECIDE, PERMISSION, REPORT
from zhiyin.decide.live import MOST_DEADLINE_MS, MOST_K
from zhiyin.decide.reasons import REASONS

_ID = {"type": "string", "maxLength": 256}
_NAME = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,47}$"}
WANTED: dict[str, Any] = {
    "type": "object",
    "required": ["placement"],
    "additionalProperties": False,
    "properties": {
        "placement": {**_NAME, "description": "key of the decision point"},
        "customer": {**_ID, "description": "her id in the shop, namespace:id, or ours (p_…)"},
        "anonymous_id": {**_ID, "description": "a visitor: the anonymousId of her events"},
        "context": {
            "type": "object",
            "description": "numbers that the point takes from requests",
            "additionalProperties": {"type": ["number", "null"]},
        },
        "k": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_K},
        "deadline_ms": {"type": ["number", "null"], "minimum": 0, "maximum": MOST_DEADLINE_MS},
        "decision_id": {**_ID, "description": "the same one gets the same answer"},
    },
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("decision_id", "placement", "policy_version")},
        "action": {"type": ["string", "null"]},
        "actions": {"type": "array", "items": {"type": "string"}},
        "propensity": {"type": "number", "description": "of all actions in their order"},
        "explored": {"type": "boolean"},
        "reason": {"type": "string", "enum": sorted(REASONS)},
        "default": {"type": "boolean", "description": "the default action, for the reason"},
        "pending": {
            "type": "boolean",
            "description": "a person decides it: ask GET /v1/reviews/{decision_id}",
        },
    },
}
REPORTED: dict[str, Any] = {
    "type": "object",
    "required": ["outcome_id", "kind"],
    "additionalProperties": False,
    "properties": {
        "outcome_id": {**_ID, "minLength": 1, "description": "the same one counts once"},
        "kind": {"type": "string", "pattern": r"^[\w.:-]{1,48}$"},
        "decision_id": _ID,
        "action": {
            "type": "string",
            "pattern": r"^[\w.:-]{0,48}$",
            "description": "of several actions the one that it came of",
        },
        "customer": _ID,
        "anonymous_id": _ID,
        "value_minor": {"type": ["integer", "null"]},
        "currency": {"type": "string", "description": "ISO 4217; the workspace's"},
        "at": {"type": ["string", "null"], "format": "date-time", "description": "now"},
    },
}
DONE: dict[str, Any] = {
    "type": "object",
    "properties": {"outcome_id": {"type": "string"}, "success": {"type": "boolean"}},
}
_ERRORS = {
    "401": "no API key in force",
    "403": "the key may not ask",
    "413": "the body is too large",
    "422": "the body cannot be read, or a field is unknown or out of range",
    "503": "it could not be kept; the same may be sent again",
}


def describe_decide(app: FastAPI) -> None:
    """Add the routes to the app's OpenAPI document."""
    made: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document["paths"][DECIDE] = {
            "post": _operation("decide", "What to do for somebody, here and now", WANTED, ANSWER)
        }
        document["paths"][REPORT] = {
            "post": _operation("report_outcome", "What came of a decision", REPORTED, DONE)
        }
        return document

    app.openapi = openapi  # pyright: ignore[reportAttributeAccessIssue]  # FastAPI's own way


def _operation(
    name: str, summary: str, body: dict[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    def of(schema: dict[str, Any]) -> dict[str, Any]:
        return {"application/json": {"schema": schema}}

    return {
        "summary": summary,
        "operationId": name,
        "x-permission": PERMISSION,
        "requestBody": {"required": True, "content": of(body)},
        "responses": {"200": {"description": "it is on the disk", "content": of(answer)}}
        | {status: {"description": meaning} for status, meaning in _ERRORS.items()},
    }

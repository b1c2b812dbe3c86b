"""`GET /v1/recommend` in the OpenAPI document: it is no FastAPI app, so it is written here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from zhiyin.api.recommend import PATH, PERMISSION
from zhiyin.core.placements import DEFAULT
from zhiyin.understand.recommend.live import MOST

_ID = {"type": "string", "maxLength": 256}
_PARAMETERS = {
    "customer": ("who: her id in the shop, namespace:id, or our id (p_…)", _ID),
    "session": ("a visitor: the anonymousId of her events", _ID),
    "item": ("the product that is looked at, source:id", _ID),
    "basket": ("products in the basket, with commas in between", {"type": "string"}),
    "placement": ("where it is shown", {"type": "string", "default": DEFAULT}),
    "k": ("how many", {"type": "integer", "minimum": 1, "maximum": MOST}),
}
ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": ["string", "null"]} for name in
           ("product_id", "name", "category", "brand", "url", "currency")},
        "price_minor": {"type": ["integer", "null"]},
        "rank": {"type": "integer"},
        "score": {"type": "number"},
        "source": {"type": "string"},
        "reason": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("kind", "en", "zh")},
        },
    },
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in
           ("recommendation_id", "placement", "source", "as_of_on")},
        "personalised": {"type": "boolean"},
        "generation": {"type": "integer"},
        "items": {"type": "array", "items": ITEM},
    },
}  # fmt: skip
_ERRORS = {
    "401": "no API key in force",
    "403": "the key may not ask",
    "404": "no such placement",
    "409": "no turn has published recommendations yet",
    "422": "a parameter is unknown, given twice or out of range",
}


def describe_recommend(app: FastAPI) -> None:
    """Add the route to the app's OpenAPI document."""
    made: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document["paths"][PATH] = {"get": _operation()}
        return document

    app.openapi = openapi  # pyright: ignore[reportAttributeAccessIssue]  # FastAPI's own way


def _operation() -> dict[str, Any]:
    content = {"application/json": {"schema": ANSWER}}
    return {
        "summary": "Which products to show",
        "operationId": "recommend",
        "x-permission": PERMISSION,
        "parameters": [
            {"name": name, "in": "query", "description": meaning, "schema": schema}
            for name, (meaning, schema) in _PARAMETERS.items()
        ],
        "responses": {"200": {"description": "the list, best first", "content": content}}
        | {status: {"description": meaning} for status, meaning in _ERRORS.items()},
    }

"""Errors as answers, in one shape: `{"code", "message", "hint"}`.

The only place with HTTP statuses.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from zhiyin.core import errors
from zhiyin.core.log import get_logger

ACCEPTED = HTTPStatus.ACCEPTED
NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
RETRY_S = 2
STATUS: dict[type[errors.ZhiyinError], HTTPStatus] = {
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.WorkspaceError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.WrongPropensities: HTTPStatus.CONFLICT,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.NotEnoughData: HTTPStatus.CONFLICT,
    errors.MissingExtra: HTTPStatus.NOT_IMPLEMENTED,
    errors.PermissionDenied: HTTPStatus.FORBIDDEN,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.LeaseHeld: HTTPStatus.CONFLICT,
    errors.KeyDestroyed: HTTPStatus.GONE,
    errors.ConcurrentWrite: HTTPStatus.CONFLICT,
    errors.JournalError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooFast: HTTPStatus.TOO_MANY_REQUESTS,
    errors.DeliveryError: HTTPStatus.BAD_GATEWAY,
}
"""The status of each error, or of its nearest ancestor here."""

_OF_STATUS: dict[int, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: ("not_found", "there is no such page"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("invalid_parameter", "this page has no such method"),
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="zhiyin", Basic realm="zhiyin"'}


def status_of(error: errors.ZhiyinError) -> HTTPStatus:
    """The HTTP status that says best what the error says."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def tracking_status_of(error: errors.ZhiyinError) -> HTTPStatus:
    """The status that tells a tracking SDK what to do.

    400: never send it again; 429 and 503: send it again; of the other 4xx it knows none.
    """
    status = status_of(error)
    final = {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
    return HTTPStatus.BAD_REQUEST if status in final else status


def retry_after(error: errors.ZhiyinError) -> int:
    """In how many seconds a request that failed with `error` may be sent again; 0: never."""
    if isinstance(error, errors.Busy):
        return error.retry_after_s
    return RETRY_S if status_of(error) == HTTPStatus.SERVICE_UNAVAILABLE else 0


def answer_error(error: errors.ZhiyinError) -> JSONResponse:
    """The answer to a request that failed with `error`."""
    status = status_of(error)
    headers = dict(_CHALLENGE) if status == HTTPStatus.UNAUTHORIZED else {}
    if seconds := retry_after(error):
        headers["Retry-After"] = str(seconds)
    return _answer(status, error.code, error.message, error.hint, headers)


def answer_sender(error: errors.ZhiyinError) -> JSONResponse:
    """The answer to a machine that sent something: 400 says never again, 503 says later."""
    answer = answer_error(error)
    answer.status_code = tracking_status_of(error)
    return answer


def handle_errors(app: FastAPI) -> None:
    """Give every error of the app the one shape; what is unexpected says nothing of its inside."""

    def expected(request: Request, error: Exception) -> Response:
        if not isinstance(error, errors.ZhiyinError):
            raise error
        return answer_error(error)

    def invalid(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        first = found[0] if found else {"loc": (), "msg": "the request cannot be read"}
        where = ".".join(str(part) for part in first["loc"])  # names, never the value
        return _answer(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            errors.InvalidParameter.code,
            f"{where}: {first['msg']}" if where else str(first["msg"]),
            "see /openapi.json",
        )

    def by_status(request: Request, error: Exception) -> Response:
        status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
        code, message = _OF_STATUS.get(status, ("error", status.phrase))
        return _answer(status, code, message, "see /openapi.json")

    def unexpected(request: Request, error: Exception) -> Response:
        get_logger().error("a request failed: %s", type(error).__name__)  # its text may be personal
        return _answer(
            HTTPStatus.INTERNAL_SERVER_ERROR, "error", "something went wrong here", "zhiyin doctor"
        )

    app.add_exception_handler(errors.ZhiyinError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, by_status)
    app.add_exception_handler(Exception, unexpected)


def _answer(
    status: HTTPStatus, code: str, message: str, hint: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    body = {"code": code, "message": message, "hint": hint}
    return JSONResponse(body, status_code=status, headers=headers)

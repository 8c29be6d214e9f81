"""Refusals as HTTP: families to statuses once, and the error body of our own interface."""

import secrets
from typing import Any

import structlog
from quart import Response, current_app, url_for
from werkzeug.exceptions import HTTPException

from clients.codec import Malformed, dumps
from coordinator.blobs import StorageFull
from events.errors import INTERNAL, MALFORMED, ROUTE_UNKNOWN, STORAGE_FULL, TOO_LARGE, Code, Family, Rejected

log = structlog.get_logger()

STATUS = {
    Family.INVALID: 400,
    Family.NOT_FOUND: 404,
    Family.CONFLICT: 409,
    Family.GONE: 410,
    Family.FORBIDDEN: 403,
    Family.TOO_LARGE: 413,
    Family.UNAVAILABLE: 503,
    Family.FULL: 507,
}


def as_rejected(error: Exception) -> Rejected:
    """Whatever a handler may meet, as one of our refusals; a bug is told in our own log only."""
    if isinstance(error, Rejected):
        return error
    if isinstance(error, Malformed):
        return Rejected(MALFORMED, str(error))
    if isinstance(error, StorageFull):
        return Rejected(STORAGE_FULL, str(error))
    if isinstance(error, HTTPException):
        reason = "" if error.code == 404 else error.description or ""
        return Rejected(_code_of(error.code or 500), reason)
    assert error.__traceback__ is not None, "it was raised"
    current_app.log_exception((type(error), error, error.__traceback__))
    return Rejected(INTERNAL)


def status_of(code: Code) -> int:
    """The HTTP status that says most."""
    return 500 if code is INTERNAL else STATUS[code.family]


def answer_json(error: Rejected, status: int | None = None, **more: object) -> Response:
    """The refusal as our own interface has it, with `more` that the caller can use."""
    code = error.code
    body = {
        "kind": "Error",
        "id": code.code.removeprefix("TZ-"),
        "href": _href(code),
        "code": code.code,
        "operation_id": secrets.token_hex(10),
        "message": str(error),
        "reason": error.reason,
        "fix": code.fix,
        **error.more,
        **more,
    }
    log.info("refused", code=code.code, reason=error.reason, operation_id=body["operation_id"])
    return Response(dumps(body), status or status_of(code), content_type="application/json")


def describe(code: Code) -> dict[str, Any]:
    """An entry of the catalog as JSON values."""
    return {
        "code": code.code,
        "status": status_of(code),
        "title": code.title,
        "fix": code.fix,
        "href": _href(code),
    }


def _href(code: Code) -> str:
    return url_for("api.error", code=code.code, _external=False)


def _code_of(status: int) -> Code:
    if status in (404, 405):
        return ROUTE_UNKNOWN
    if status == 413:
        return TOO_LARGE
    return MALFORMED if status < 500 else INTERNAL

"""Errors as RFC 9457 problem documents, and the statuses of those that every service meets.

An error that is in no table is a fault of ours: it is logged with its traceback and answered with a bare 500.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import ExceptionHandlersMap

from mamkit.errors import MamkitError
from mamkit.signing import SigningError
from mamkit.storage import (
    InvalidKeyError,
    InvalidMetadataError,
    MasterConflictError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectRetainedError,
    RangeNotSatisfiableError,
    StorageFullError,
    StorageUnavailableError,
    UnsupportedOperationError,
    UploadRejectedError,
)
from mamkit_apps.limits import LimitReachedError
from mamkit_apps.logs import noted

__all__ = ["STATUS", "InvalidRequestError", "document", "handlers", "problem", "status_of"]

log = logging.getLogger(__name__)


class InvalidRequestError(MamkitError):
    """A request is well formed and still cannot be served; the message says what to change."""

    code = "apps.invalid_request"


STATUS: dict[type[MamkitError], HTTPStatus] = {
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    InvalidKeyError: HTTPStatus.BAD_REQUEST,
    InvalidMetadataError: HTTPStatus.BAD_REQUEST,
    UploadRejectedError: HTTPStatus.BAD_REQUEST,
    SigningError: HTTPStatus.FORBIDDEN,
    UnsupportedOperationError: HTTPStatus.CONFLICT,
    ObjectNotFoundError: HTTPStatus.NOT_FOUND,
    MasterConflictError: HTTPStatus.CONFLICT,
    ObjectChangedError: HTTPStatus.CONFLICT,
    ObjectExistsError: HTTPStatus.CONFLICT,
    ObjectRetainedError: HTTPStatus.CONFLICT,
    RangeNotSatisfiableError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    LimitReachedError: HTTPStatus.TOO_MANY_REQUESTS,
    StorageUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""What storage, signing and limits say; the nearest class in an error's own line of ancestors counts."""


def status_of(error: MamkitError, statuses: Mapping[type[MamkitError], HTTPStatus] = STATUS) -> HTTPStatus | None:
    """Return the status that answers an error; None if it is a fault of ours."""
    return next((statuses[kind] for kind in type(error).__mro__ if kind in statuses), None)


def document(status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    """Return the members that every problem document has, and the id of the request, to be found in the log."""
    found = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, "code": code}
    request_id = noted("request_id")
    return found if request_id is None else {**found, "request_id": request_id}


def problem(
    status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response[dict[str, Any]]:
    """Return a problem document (RFC 9457 section 3).

    Args:
        status: Of the answer.
        code: Stable code of the kind of error.
        detail: One sentence for a person.
        headers: Sent with it.
        more: Members that only this kind of problem has.
    """
    return Response(
        document(status, code, detail) | more,
        status_code=status.value,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def handlers(statuses: Mapping[type[MamkitError], HTTPStatus]) -> ExceptionHandlersMap:
    """Return what a Litestar application is to be given, so that it answers every error with a problem document.

    Args:
        statuses: Which status answers which error; what is not in it is a fault of ours.
    """

    def from_mamkit(request: Request[Any, Any, Any], error: MamkitError) -> Response[dict[str, Any]]:
        status = status_of(error, statuses)
        if status is None:
            return _from_fault(request, error)
        headers: dict[str, str] = dict(request.scope["state"].get("limit_headers", {}))
        if status is HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
        if status is HTTPStatus.UPGRADE_REQUIRED:
            headers |= {"upgrade": "websocket", "connection": "Upgrade"}  # RFC 9110 section 15.5.22
        if (wait := _wait_of(error)) is not None:
            headers["retry-after"] = str(ceil(wait))  # RFC 6585 section 4
        return problem(status, error.code, str(error), headers=headers)

    return {MamkitError: from_mamkit, HTTPException: _from_http, Exception: _from_fault}


def _wait_of(error: MamkitError) -> float | None:
    """Return how many seconds to wait, if the error says so."""
    wait = getattr(error, "retry_after", None)
    return wait.total_seconds() if isinstance(wait, timedelta) else wait


def _from_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    faults = getattr(error.__cause__, "errors", None)
    if isinstance(error, InternalServerException) and isinstance(faults, list):
        # A member of a body that is wrong, and has the name of a dependency: Litestar takes it for a fault of ours.
        extra = [{"message": str(each["msg"]), "key": ".".join(map(str, each["loc"]))} for each in faults]
        detail = f"Validation failed for {request.method} {request.url.path}"
        return problem(HTTPStatus.BAD_REQUEST, "http.bad_request", detail, errors=extra)
    status = HTTPStatus(error.status_code)
    code = f"http.{status.name.lower()}"
    more = {"errors": error.extra} if isinstance(error.extra, list) else {}
    return problem(status, code, error.detail, headers=error.headers, **more)


def _from_fault(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("%s failed", request.method, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "apps.internal", "the server failed; its log says why")

"""Errors as RFC 9457 problem documents: one table from the library's errors to HTTP.

An error that is not in the table is a fault of ours: it is logged with its traceback and answered with a bare 500.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import ExceptionHandlersMap

from mamkit.auth import (
    CsrfError,
    FlowEndedError,
    HashingUnavailableError,
    InvalidCredentialsError,
    LockedOutError,
    LoginStoreError,
    PasskeyRefusedError,
    PasswordTooLongError,
    PermissionDeniedError,
    RedirectRefusedError,
    SecondFactorError,
    SessionError,
    SessionStoreError,
    TokenError,
    WeakPasswordError,
)
from mamkit.auth.identity import IdentityPendingError, IdentityRefusedError, IdentityUnavailableError
from mamkit.catalog import (
    AssetConflictError,
    CatalogUnavailableError,
    EmailTakenError,
    IdentityTakenError,
    InvalidCollectionError,
    InvalidCommentError,
    InvalidEmailError,
    InvalidPageError,
    InvalidQueryError,
    InvalidTextError,
    KeyReusedError,
    LastOwnerError,
    NotFoundError,
    PersonalWorkspaceError,
    PreviewStateError,
    RequestInProgressError,
    TrashedError,
    VersionConflictError,
    WorkspaceInUseError,
)
from mamkit.catalog.imports import ImportStateError, TooManyImportsError
from mamkit.catalog.webhooks import EndpointDisabledError, TooManyEndpointsError
from mamkit.errors import MamkitError
from mamkit.jobs import DedupeKeyTakenError, JobNotFoundError, QueueUnavailableError
from mamkit.previews import InvalidMessageError, StagedUploadMissingError, StaleReportError
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
from mamkit_apps.guard import DestinationRefusedError
from mamkit_apps.limits import LimitReachedError
from mamkit_apps.logs import noted

__all__ = [
    "STATUS",
    "InvalidRequestError",
    "LimitsUnavailableError",
    "MatchRequiredError",
    "StateChangedError",
    "UpgradeRequiredError",
    "document",
    "exception_handlers",
    "problem",
    "status_of",
]

log = logging.getLogger(__name__)


class InvalidRequestError(MamkitError):
    """A request is well formed and still cannot be served; the message says what to change."""

    code = "apps.invalid_request"


class StateChangedError(MamkitError):
    """What is to be changed has changed since the client read it."""

    code = "apps.state_changed"

    def __init__(self) -> None:
        super().__init__("it has changed since you read it; read it again, and send the new ETag in If-Match")


class MatchRequiredError(MamkitError):
    """A change was asked for without saying of which state."""

    code = "apps.match_required"

    def __init__(self) -> None:
        super().__init__("send the ETag that you read in If-Match, so that nobody's change is lost")


class UpgradeRequiredError(MamkitError):
    """A WebSocket was asked for as if it were a page."""

    code = "apps.upgrade_required"

    def __init__(self) -> None:
        super().__init__("this is a WebSocket: ask with 'Connection: Upgrade' and 'Upgrade: websocket'")


class LimitsUnavailableError(MamkitError):
    """Logins cannot be counted at the moment, so that none is let through."""

    code = "apps.limits_unavailable"

    def __init__(self) -> None:
        super().__init__("logins cannot be counted at the moment; try again in a few seconds")


STATUS: Mapping[type[MamkitError], HTTPStatus] = {
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    InvalidMessageError: HTTPStatus.BAD_REQUEST,
    InvalidKeyError: HTTPStatus.BAD_REQUEST,
    InvalidMetadataError: HTTPStatus.BAD_REQUEST,
    InvalidEmailError: HTTPStatus.BAD_REQUEST,
    InvalidPageError: HTTPStatus.BAD_REQUEST,
    InvalidCollectionError: HTTPStatus.CONFLICT,
    InvalidCommentError: HTTPStatus.BAD_REQUEST,
    InvalidQueryError: HTTPStatus.BAD_REQUEST,
    InvalidTextError: HTTPStatus.BAD_REQUEST,
    WeakPasswordError: HTTPStatus.BAD_REQUEST,
    PasswordTooLongError: HTTPStatus.BAD_REQUEST,
    RedirectRefusedError: HTTPStatus.BAD_REQUEST,
    FlowEndedError: HTTPStatus.BAD_REQUEST,
    UploadRejectedError: HTTPStatus.BAD_REQUEST,
    InvalidCredentialsError: HTTPStatus.UNAUTHORIZED,
    TokenError: HTTPStatus.UNAUTHORIZED,
    SessionError: HTTPStatus.UNAUTHORIZED,
    SecondFactorError: HTTPStatus.UNAUTHORIZED,
    PasskeyRefusedError: HTTPStatus.UNAUTHORIZED,
    IdentityRefusedError: HTTPStatus.UNAUTHORIZED,
    PermissionDeniedError: HTTPStatus.FORBIDDEN,
    CsrfError: HTTPStatus.FORBIDDEN,
    SigningError: HTTPStatus.FORBIDDEN,
    UnsupportedOperationError: HTTPStatus.CONFLICT,
    NotFoundError: HTTPStatus.NOT_FOUND,
    JobNotFoundError: HTTPStatus.NOT_FOUND,
    ObjectNotFoundError: HTTPStatus.NOT_FOUND,
    AssetConflictError: HTTPStatus.CONFLICT,
    EndpointDisabledError: HTTPStatus.CONFLICT,
    TooManyEndpointsError: HTTPStatus.CONFLICT,
    ImportStateError: HTTPStatus.CONFLICT,
    TooManyImportsError: HTTPStatus.CONFLICT,
    DestinationRefusedError: HTTPStatus.BAD_REQUEST,
    DedupeKeyTakenError: HTTPStatus.CONFLICT,
    EmailTakenError: HTTPStatus.CONFLICT,
    IdentityTakenError: HTTPStatus.CONFLICT,
    IdentityPendingError: HTTPStatus.CONFLICT,
    MasterConflictError: HTTPStatus.CONFLICT,
    ObjectChangedError: HTTPStatus.CONFLICT,
    ObjectExistsError: HTTPStatus.CONFLICT,
    ObjectRetainedError: HTTPStatus.CONFLICT,
    PreviewStateError: HTTPStatus.CONFLICT,
    StagedUploadMissingError: HTTPStatus.CONFLICT,
    StaleReportError: HTTPStatus.CONFLICT,
    VersionConflictError: HTTPStatus.CONFLICT,
    LastOwnerError: HTTPStatus.CONFLICT,
    PersonalWorkspaceError: HTTPStatus.CONFLICT,
    TrashedError: HTTPStatus.CONFLICT,
    WorkspaceInUseError: HTTPStatus.CONFLICT,
    RequestInProgressError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StateChangedError: HTTPStatus.PRECONDITION_FAILED,
    MatchRequiredError: HTTPStatus.PRECONDITION_REQUIRED,
    UpgradeRequiredError: HTTPStatus.UPGRADE_REQUIRED,
    RangeNotSatisfiableError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    LimitsUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    CatalogUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    HashingUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    QueueUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    SessionStoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    LimitReachedError: HTTPStatus.TOO_MANY_REQUESTS,
    LockedOutError: HTTPStatus.TOO_MANY_REQUESTS,
    IdentityUnavailableError: HTTPStatus.BAD_GATEWAY,
    LoginStoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Which status answers which error; the nearest class in an error's own line of ancestors counts."""


def status_of(error: MamkitError) -> HTTPStatus | None:
    """Return the status that answers an error; None if it is a fault of ours."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)


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


def _from_mamkit(request: Request[Any, Any, Any], error: MamkitError) -> Response[dict[str, Any]]:
    status = status_of(error)
    if status is None:
        return _from_fault(request, error)
    headers: dict[str, str] = dict(request.scope["state"].get("limit_headers", {}))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
    if status is HTTPStatus.UPGRADE_REQUIRED:
        headers |= {"upgrade": "websocket", "connection": "Upgrade"}  # RFC 9110 section 15.5.22
    if isinstance(error, RequestInProgressError):
        headers["retry-after"] = "1"
    if isinstance(error, LimitReachedError):
        headers["retry-after"] = str(ceil(error.retry_after))  # RFC 6585 section 4
    if isinstance(error, LockedOutError):
        headers["retry-after"] = str(ceil(error.retry_after.total_seconds()))  # RFC 6585 section 4
    return problem(status, error.code, str(error), headers=headers)


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


exception_handlers: ExceptionHandlersMap = {
    MamkitError: _from_mamkit,
    HTTPException: _from_http,
    Exception: _from_fault,
}
"""To be given to a Litestar application."""

"""Which status the API answers to which error, and errors of its own; `mamkit_apps.answers` makes documents of them."""

from collections.abc import Mapping
from http import HTTPStatus

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
from mamkit_apps import answers
from mamkit_apps.guard import DestinationRefusedError

__all__ = [
    "STATUS",
    "LimitsUnavailableError",
    "MatchRequiredError",
    "StateChangedError",
    "UpgradeRequiredError",
    "exception_handlers",
]


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


STATUS: Mapping[type[MamkitError], HTTPStatus] = answers.STATUS | {
    InvalidMessageError: HTTPStatus.BAD_REQUEST,
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
    InvalidCredentialsError: HTTPStatus.UNAUTHORIZED,
    TokenError: HTTPStatus.UNAUTHORIZED,
    SessionError: HTTPStatus.UNAUTHORIZED,
    SecondFactorError: HTTPStatus.UNAUTHORIZED,
    PasskeyRefusedError: HTTPStatus.UNAUTHORIZED,
    IdentityRefusedError: HTTPStatus.UNAUTHORIZED,
    PermissionDeniedError: HTTPStatus.FORBIDDEN,
    CsrfError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    JobNotFoundError: HTTPStatus.NOT_FOUND,
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
    LimitsUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    CatalogUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    HashingUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    QueueUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    SessionStoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    LockedOutError: HTTPStatus.TOO_MANY_REQUESTS,
    IdentityUnavailableError: HTTPStatus.BAD_GATEWAY,
    LoginStoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The nearest class in an error's own line of ancestors counts."""

exception_handlers: ExceptionHandlersMap = answers.handlers(STATUS)
"""To be given to the Litestar application."""

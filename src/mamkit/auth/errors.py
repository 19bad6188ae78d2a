"""What can go wrong when somebody proves who they are, or asks for what they may not have."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from mamkit.errors import MamkitError

__all__ = [
    "AuthError",
    "HashingUnavailableError",
    "InvalidCredentialsError",
    "PasswordTooLongError",
    "PermissionDeniedError",
    "SessionError",
    "SessionExpiredError",
    "SessionReusedError",
    "SessionRevokedError",
    "SessionStoreError",
    "TokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "WeakPasswordError",
    "WeakPasswordReason",
    "WeakSecretError",
]

WeakPasswordReason = Literal["not_text", "too_short", "repeated", "sequence", "common"]
"""Why a password was refused; programs may switch on it."""

_WEAKNESSES: dict[WeakPasswordReason, str] = {
    "not_text": "it holds characters that are not valid Unicode text",
    "too_short": "it is too short",
    "repeated": "it repeats a character or two",
    "sequence": "it is a run of neighbouring characters",
    "common": "it is among the first that an attacker tries",
}


class AuthError(MamkitError):
    """Base of the errors of `mamkit.auth`."""

    code = "auth.error"


class InvalidCredentialsError(AuthError):
    """The password is wrong, or there is no such user; which of the two is not said."""

    code = "auth.invalid_credentials"

    def __init__(self) -> None:
        super().__init__("the user name or the password is wrong")


class WeakPasswordError(AuthError, ValueError):
    """A new password is too easy to guess.

    Attributes:
        reason: Which rule it breaks.
    """

    code = "auth.weak_password"

    def __init__(self, reason: WeakPasswordReason) -> None:
        super().__init__(f"the password is too weak: {_WEAKNESSES[reason]}; choose another of at least 8 characters")
        self.reason = reason


class PasswordTooLongError(AuthError, ValueError):
    """A password is longer than what is hashed.

    Attributes:
        size: Bytes of the password in UTF-8.
        max_bytes: Most that is taken.
    """

    code = "auth.password_too_long"

    def __init__(self, *, size: int, max_bytes: int) -> None:
        super().__init__(f"the password has {size} bytes; at most {max_bytes} are taken")
        self.size = size
        self.max_bytes = max_bytes


class HashingUnavailableError(AuthError):
    """Argon2 could not do its work, most likely for want of memory; whether the password is right is not known."""

    code = "auth.hashing_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "the password could not be hashed; give the service more memory, or allow fewer hashes at once"
        )


class WeakSecretError(AuthError, ValueError):
    """A server secret is shorter than 256 bits.

    Attributes:
        name: Which secret.
        size: Its bytes.
    """

    code = "auth.weak_secret"

    def __init__(self, name: str, *, size: int) -> None:
        super().__init__(f"{name} has {size} bytes; use at least 32 random bytes")
        self.name = name
        self.size = size


class TokenError(AuthError):
    """Base of what is wrong with a token that somebody shows."""

    code = "auth.token_error"


class TokenInvalidError(TokenError):
    """A token was not issued here, was changed, or is of another kind or for another audience.

    Attributes:
        reason: What is wrong with it, for logs; never a part of the token that could be used.
    """

    code = "auth.token_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the token is not valid: {reason}")
        self.reason = reason


class TokenExpiredError(TokenError):
    """An access token is genuine, and its time has passed; refresh it.

    Attributes:
        expired_at: When it ended.
    """

    code = "auth.token_expired"

    def __init__(self, *, expired_at: datetime) -> None:
        super().__init__(f"the access token expired at {expired_at.isoformat()}; refresh it")
        self.expired_at = expired_at


class SessionError(AuthError):
    """Base of the ways in which a session has ended; log in again."""

    code = "auth.session_error"


class SessionExpiredError(SessionError):
    """A session's time has passed; log in again.

    Attributes:
        expired_at: When it ended.
    """

    code = "auth.session_expired"

    def __init__(self, *, expired_at: datetime) -> None:
        super().__init__(f"the session expired at {expired_at.isoformat()}; log in again")
        self.expired_at = expired_at


class SessionRevokedError(SessionError):
    """A session was ended by a logout, by an administrator or because one of its tokens was used twice; log in again.

    Attributes:
        revoked_at: When it was ended.
    """

    code = "auth.session_revoked"

    def __init__(self, *, revoked_at: datetime) -> None:
        super().__init__(f"the session was ended at {revoked_at.isoformat()}; log in again")
        self.revoked_at = revoked_at


class SessionReusedError(SessionError):
    """A refresh token came again long after it was replaced: a copy is about, so its whole family was revoked.

    Attributes:
        family: The sessions that were revoked.
        user_id: Whose they were.
    """

    code = "auth.session_reused"

    def __init__(self, *, family: UUID, user_id: UUID) -> None:
        super().__init__(f"a replaced refresh token was used again; all sessions of family {family} are ended")
        self.family = family
        self.user_id = user_id


class SessionStoreError(AuthError):
    """The store of sessions did not answer, or refused a record; the cause is chained.

    Attributes:
        operation: What was tried.
    """

    code = "auth.session_store_failed"

    def __init__(self, operation: str) -> None:
        super().__init__(f"the session store could not {operation}")
        self.operation = operation


class PermissionDeniedError(AuthError):
    """Somebody may not do what they asked for.

    Attributes:
        action: What was asked, e.g. `asset.delete`.
        reason: Why not, e.g. `Decision.reason`.
    """

    code = "auth.permission_denied"

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"{action} is not allowed: {reason}")
        self.action = action
        self.reason = reason

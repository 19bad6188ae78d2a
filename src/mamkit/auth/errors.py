"""What can go wrong when somebody proves who they are, or asks for what they may not have."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from mamkit.errors import MamkitError

__all__ = [
    "ApiKeyExpiredError",
    "AuthError",
    "CsrfError",
    "FlowEndedError",
    "HashingUnavailableError",
    "InvalidCredentialsError",
    "KeyPairsError",
    "LockedOutError",
    "LoginStoreError",
    "PasskeyRefusedError",
    "PasswordTooLongError",
    "PermissionDeniedError",
    "RedirectRefusedError",
    "SealedValueError",
    "SecondFactorError",
    "SessionError",
    "SessionExpiredError",
    "SessionReusedError",
    "SessionRevokedError",
    "SessionStoreError",
    "ShareEndedError",
    "SharePasswordError",
    "TokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "WeakPasswordError",
    "WeakSecretError",
]

WeakPasswordReason = Literal["not_text", "too_short", "repeated", "sequence", "common", "guessable"]
"""Why a password was refused; programs may switch on it."""

_WEAKNESSES: dict[WeakPasswordReason, str] = {
    "not_text": "it holds characters that are not valid Unicode text",
    "too_short": "it is too short",
    "repeated": "it repeats a character or two",
    "sequence": "it is a run of neighbouring characters",
    "common": "it is among the first that an attacker tries",
    "guessable": "it can be guessed",
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
        hints: Sentences for the person who chooses it, the most telling first; they hold no part of the password.
    """

    code = "auth.weak_password"

    def __init__(self, reason: WeakPasswordReason, *, hints: tuple[str, ...] = ()) -> None:
        advice = " ".join(hints) or "Choose another of at least 8 characters."
        super().__init__(f"the password is too weak: {_WEAKNESSES[reason]}. {advice}")
        self.reason = reason
        self.hints = hints


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


class KeyPairsError(AuthError, ValueError):
    """Key pairs that are to sign tokens cannot be used.

    Attributes:
        reason: Why not; no part of a key.
    """

    code = "auth.key_pairs"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the key pairs cannot be used: {reason}; make them with KeyPairs.generate().dump()")
        self.reason = reason


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


class ApiKeyExpiredError(TokenError):
    """An API key is genuine, and its time has passed; make a new one.

    Attributes:
        expired_at: When it ended.
    """

    code = "auth.api_key_expired"

    def __init__(self, *, expired_at: datetime) -> None:
        super().__init__(f"the API key expired at {expired_at.isoformat()}; make a new one")
        self.expired_at = expired_at


class ShareEndedError(TokenError):
    """The token of a share link is genuine, and its time has passed, or the link was revoked."""

    code = "auth.share_ended"

    def __init__(self) -> None:
        super().__init__("this link has ended; ask whoever sent it for another one")


class SharePasswordError(TokenError):
    """A share link has a password, and nothing shows that whoever asks has given it of late."""

    code = "auth.share_password_required"

    def __init__(self) -> None:
        super().__init__("this link has a password; unlock it first")


class LockedOutError(AuthError):
    """Too many attempts failed; nothing is tried before some time has passed, the right password neither.

    Attributes:
        retry_after: How long that is.
    """

    code = "auth.locked_out"

    def __init__(self, *, retry_after: timedelta) -> None:
        super().__init__(f"too many attempts failed; try again in {max(1, round(retry_after.total_seconds()))} s")
        self.retry_after = retry_after


class SecondFactorError(AuthError):
    """A code of the second factor is wrong, was used already or is from another time."""

    code = "auth.second_factor_wrong"

    def __init__(self) -> None:
        super().__init__("the code is wrong or was used already; wait for the next one, and check the device's clock")


class PasskeyRefusedError(AuthError):
    """A passkey's answer is not one to the question that was asked here; the cause is chained."""

    code = "auth.passkey_refused"

    def __init__(self) -> None:
        super().__init__("the passkey was refused; start again")


class FlowEndedError(AuthError):
    """A step of a login belongs to none that was started here, by this browser, and is still open; start again."""

    code = "auth.flow_ended"

    def __init__(self) -> None:
        super().__init__("this was started elsewhere, was finished already or took too long; start again")


class CsrfError(AuthError):
    """A request with a cookie was not sent by our own pages, as far as can be told.

    Attributes:
        reason: What was missing or wrong.
    """

    code = "auth.csrf"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the request was refused, since {reason}; reload the page and try again")
        self.reason = reason


class RedirectRefusedError(AuthError, ValueError):
    """A browser was to be sent to a place that is not one of ours. The place is not shown: a stranger wrote it."""

    code = "auth.redirect_refused"

    def __init__(self) -> None:
        super().__init__("the place to return to is not on this site; give a path that starts with one '/'")


class SealedValueError(AuthError):
    """A sealed value was changed, moved to another row, or sealed with a key that is not there any more."""

    code = "auth.sealed_value"

    def __init__(self, reason: str) -> None:
        super().__init__(f"a sealed value cannot be opened: {reason}")
        self.reason = reason


class LoginStoreError(AuthError):
    """The store of attempts and open logins did not answer; the cause is chained.

    Attributes:
        operation: What was tried.
    """

    code = "auth.login_store_failed"

    def __init__(self, operation: str) -> None:
        super().__init__(f"the store of logins could not {operation}")
        self.operation = operation

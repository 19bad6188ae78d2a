"""What can go wrong with other people's logins."""

from mamkit.auth.errors import AuthError

__all__ = ["IdentityError", "IdentityPendingError", "IdentityRefusedError", "IdentityUnavailableError"]


class IdentityError(AuthError):
    """Base of what goes wrong with a login at another service.

    Attributes:
        provider: Which service.
    """

    code = "auth.identity_error"

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(message)
        self.provider = provider


class IdentityRefusedError(IdentityError):
    """What came back does not prove who somebody is: it was refused there, forged, changed, too old, or for another.

    Attributes:
        reason: What is wrong with it, for logs.
    """

    code = "auth.identity_refused"

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(provider, f"the login with {provider} was refused: {reason}")
        self.reason = reason


class IdentityUnavailableError(IdentityError):
    """The service does not answer, or not as it should; the cause, where there is one, is chained."""

    code = "auth.identity_unavailable"

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(provider, f"{provider} cannot be used just now: {problem}; try again later")


class IdentityPendingError(IdentityError):
    """Somebody has not finished the login at the service yet; ask again in a second or two."""

    code = "auth.identity_pending"

    def __init__(self, provider: str) -> None:
        super().__init__(provider, f"the login with {provider} is not finished yet")

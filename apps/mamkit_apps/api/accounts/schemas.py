"""The bodies of requests and answers about accounts, logins and what belongs to them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from mamkit.catalog import User
from mamkit_apps.api.bodies import Actions, Body, SignedUrl

__all__ = [
    "ApiKeyMade",
    "ApiKeyRequest",
    "ApiKeyView",
    "AuditView",
    "CodeRequest",
    "Credentials",
    "EmailRequest",
    "IdentityView",
    "Invitation",
    "MailTokenRequest",
    "NewPassword",
    "PasskeyAnswer",
    "PasskeyAsked",
    "PasskeyView",
    "PasswordChange",
    "ProviderStart",
    "ProviderUrl",
    "RecoveryCodes",
    "RefreshRequest",
    "Registration",
    "RoleName",
    "SecondFactorAnswer",
    "SecondFactorAsked",
    "SecondFactorSecret",
    "SessionView",
    "StatusRequest",
    "TicketRequest",
    "Tokens",
    "UserView",
    "user_view",
]

# An address is proven by a mail to it, not by its form: one @, something on both sides (RFC 5321 section 4.1.2).
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
RoleName = Literal["admin", "editor", "reviewer", "viewer"]


class Registration(Body):
    """A new account."""

    email: Email
    password: SecretStr
    display_name: Annotated[str, Field(max_length=100)] = ""
    invitation: SecretStr | None = None
    """The token of an invitation's mail."""


class Credentials(Body):
    """A login."""

    email: Annotated[str, Field(max_length=254)]
    password: SecretStr


class RefreshRequest(Body):
    """A refresh token, to be exchanged or revoked."""

    refresh_token: SecretStr


class Tokens(Body):
    """What a login gives (member names of RFC 6749 section 5.1)."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme, not a secret
    expires_in: int
    """Seconds."""
    refresh_token: str = Field(repr=False)


class UserView(Body):
    """An account."""

    id: UUID
    email: str
    display_name: str
    roles: tuple[str, ...]


class SecondFactorAsked(Body):
    """The password was right; a second factor is still missing."""

    ticket: str = Field(repr=False)
    """To be sent with the code."""
    methods: tuple[Literal["totp", "recovery_code"], ...] = ("totp", "recovery_code")


class SecondFactorAnswer(Body):
    """A code of the application, or a recovery code."""

    ticket: SecretStr
    code: SecretStr


class CodeRequest(Body):
    """A code of the application."""

    code: SecretStr


class SecondFactorSecret(Body):
    """What an authenticator application needs."""

    uri: str = Field(repr=False)
    """`otpauth:`, for a QR code."""


class RecoveryCodes(Body):
    """Shown once."""

    codes: tuple[str, ...] = Field(repr=False)


class EmailRequest(Body):
    """Somebody's address."""

    email: Annotated[str, Field(max_length=254)]


class MailTokenRequest(Body):
    """The token of a link in a mail."""

    token: SecretStr


class NewPassword(Body):
    """A new password, by a link in a mail."""

    token: SecretStr
    password: SecretStr


class PasswordChange(Body):
    """A new password, by whoever knows the old one."""

    current: SecretStr
    password: SecretStr


class Invitation(Body):
    """Somebody who may register."""

    email: Email
    role: RoleName = "editor"


class SessionView(Body):
    """A session: a login that lasts."""

    id: UUID
    refreshed_at: datetime
    expires_at: datetime


class ApiKeyRequest(Body):
    """A key to be made."""

    name: Name
    scopes: Actions
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = 365
    """None: until it is deleted."""


class ApiKeyView(Body):
    """A key."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class ApiKeyMade(Body):
    """A new key."""

    api_key: str = Field(repr=False)
    """Shown here and never again."""
    record: ApiKeyView


class PasskeyAsked(Body):
    """What a device is asked."""

    ticket: str = Field(repr=False)
    options: dict[str, Any]


class PasskeyAnswer(Body):
    """What a device answers, as `PublicKeyCredential.toJSON` writes it."""

    ticket: SecretStr
    credential: dict[str, Any] = Field(repr=False)
    name: Name = "passkey"


class PasskeyView(Body):
    """A passkey."""

    id: UUID
    name: str
    last_used_at: datetime | None
    created_at: datetime


class ProviderStart(Body):
    """A login at another service that is to begin."""

    return_to: str = "/"
    """Path of our pages to go to afterwards."""


class ProviderUrl(Body):
    """Where to send the browser."""

    url: SignedUrl


class TicketRequest(Body):
    """What the browser brought back in the fragment `login`."""

    ticket: SecretStr


class IdentityView(Body):
    """A linked login at another service."""

    id: UUID
    provider: str
    email: str | None
    created_at: datetime


class StatusRequest(Body):
    """Whether somebody may use their account."""

    status: Literal["active", "disabled"]


class AuditView(Body):
    """Something that somebody did."""

    id: UUID
    actor_id: UUID | None
    action: str
    subject: str
    detail: dict[str, Any]
    created_at: datetime


def user_view(user: User, roles: frozenset[str]) -> UserView:
    """Return the view of a user's row."""
    return UserView(id=user.id, email=user.email, display_name=user.display_name, roles=tuple(sorted(roles)))

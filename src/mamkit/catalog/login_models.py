"""The tables of what people log in with, beside passwords: keys, codes, passkeys, other services; and of shares."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = [
    "LOGIN_ATTEMPTS",
    "LOGIN_FLOWS",
    "ApiKey",
    "EmailVerification",
    "Identity",
    "Passkey",
    "RecoveryCode",
    "SecondFactor",
    "Share",
]

_SHA256 = String(64)  # hexadecimal
_MAX_CREDENTIAL = 1023  # bytes: WebAuthn Level 2 section 5.1


def _user(**options: Any) -> Any:
    return mapped_column(ForeignKey("users.id", ondelete="CASCADE"), **options)


class EmailVerification(Base):
    """That an address is its user's; it counts only while the user still has this address."""

    __tablename__ = "email_verifications"

    user_id: Mapped[UUID] = _user(primary_key=True)
    email: Mapped[str] = mapped_column(PlainText(254))
    verified_at: Mapped[datetime] = mapped_column(default=utc_now)


class ApiKey(Base):
    """A key of a program; `mamkit.auth.ApiKey` says what the columns mean."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = _user(index=True)
    name: Mapped[str] = mapped_column(PlainText(100))
    digest: Mapped[str] = mapped_column(_SHA256)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class SecondFactor(Base):
    """The secret of a user's authenticator application."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = _user(primary_key=True)
    sealed_secret: Mapped[str] = mapped_column(Text)
    """By `mamkit.auth.Vault`, for the place `totp:{user_id}`."""
    last_step: Mapped[int | None]
    """The newest step whose code was used."""
    confirmed_at: Mapped[datetime | None]
    """None until a first code has shown that the application has the secret; no factor before."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RecoveryCode(Base):
    """A code for a user who lost the application; its use deletes it."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = _user(primary_key=True)
    digest: Mapped[str] = mapped_column(_SHA256, primary_key=True)


class Passkey(Base):
    """A passkey; `mamkit.auth.passkeys.Passkey` says what the columns mean."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = _user(index=True)
    name: Mapped[str] = mapped_column(PlainText(100))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(_MAX_CREDENTIAL), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Identity(Base):
    """A login at another service that is linked to a user."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("provider", "subject"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = _user(index=True)
    provider: Mapped[str] = mapped_column(PlainText(64))
    subject: Mapped[str] = mapped_column(PlainText(255))
    email: Mapped[str | None] = mapped_column(PlainText(254))
    """As the service said last."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Share(Base):
    """What a user may do to somebody else's asset."""

    __tablename__ = "shares"

    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = _user(primary_key=True, index=True)
    actions: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class _LoginAttempts(Base):
    """Failures by account and by address. `mamkit.auth.sql_logins` reads and writes this table."""

    __tablename__ = "login_attempts"

    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_failed_at: Mapped[datetime] = mapped_column(index=True)


class _LoginFlows(Base):
    """Logins that wait for their second step. `mamkit.auth.sql_logins` reads and writes this table."""

    __tablename__ = "login_flows"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[str] = mapped_column(_SHA256, primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime]


LOGIN_ATTEMPTS = Base.metadata.tables["login_attempts"]
"""As a table, for `mamkit.auth.sql_logins.SqlAttemptStore`."""

LOGIN_FLOWS = Base.metadata.tables["login_flows"]
"""As a table, for `mamkit.auth.sql_logins.SqlFlowStore`."""

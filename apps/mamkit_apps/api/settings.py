"""Settings of the API."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from mamkit_apps.settings import HttpUrl, ServiceSettings

__all__ = ["ApiSettings"]

Seconds = Annotated[int, Field(ge=1)]


class ApiSettings(ServiceSettings):
    """What the API needs to know."""

    host: str = "127.0.0.1"
    """Address to listen at; this machine alone unless the operator says otherwise."""
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    edge_url: HttpUrl = "http://127.0.0.1:8080"
    """Base URL of the edge as players and uploaders reach it."""
    jwt_secret: SecretStr | None = None
    """Key ring of access tokens."""
    session_secret: SecretStr | None = None
    """Key from which the successors of refresh tokens are derived."""
    callback_secret: SecretStr | None = None
    """Key with which workers sign their reports."""
    registration: Literal["open", "closed"] = "closed"
    """Whether anybody may register; with `closed` the operator adds users, `mamkit user add`."""
    sign_min_seconds: Seconds = 60
    """Shortest lifetime of a signed playback URL."""
    sign_max_seconds: Seconds = 3600
    """Longest lifetime of a signed playback URL."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 1 << 40
    """Largest upload that is presigned."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.sign_min_seconds > self.sign_max_seconds:
            raise ValueError("SIGN_MIN_SECONDS must not be larger than SIGN_MAX_SECONDS")
        return self

    @property
    def sign_bounds(self) -> tuple[timedelta, timedelta]:
        """Shortest and longest lifetime of a signed playback URL."""
        return timedelta(seconds=self.sign_min_seconds), timedelta(seconds=self.sign_max_seconds)

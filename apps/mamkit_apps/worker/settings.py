"""Settings of the worker."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr

from mamkit_apps.settings import HttpUrl, ServiceSettings

__all__ = ["WorkerSettings"]


class WorkerSettings(ServiceSettings):
    """What a worker needs to know."""

    api_url: HttpUrl = "http://127.0.0.1:3000"
    """Base URL of the API, to which the worker reports."""
    callback_secret: SecretStr | None = None
    """Key with which workers sign their reports; None is made in `DATA_DIR`."""
    lease_seconds: Annotated[int, Field(ge=3)] = 30
    """How long a job stays a silent worker's: a job of a dead worker is taken up again after so long."""
    grace_seconds: Annotated[int, Field(ge=0)] = 0
    """How long the job in hand may go on after SIGTERM before it is handed back."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port of `/healthz` and `/metrics`; None answers neither."""
    metrics_host: str = "127.0.0.1"
    """Address of `/healthz` and `/metrics`."""

    @property
    def lease(self) -> timedelta:
        """How long a job stays a silent worker's."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def grace(self) -> timedelta:
        """How long the job in hand may go on after SIGTERM."""
        return timedelta(seconds=self.grace_seconds)

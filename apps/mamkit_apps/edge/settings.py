"""Settings of the edge."""

from typing import Annotated

from pydantic import Field

from mamkit_apps.settings import ServiceSettings

__all__ = ["EdgeSettings"]


class EdgeSettings(ServiceSettings):
    """What the edge needs to know; it has no database."""

    host: str = "127.0.0.1"
    """Address to listen at; this machine alone unless the operator says otherwise."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080

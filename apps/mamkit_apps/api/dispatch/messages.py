"""What is said on streams, on WebSockets and to webhooks, for the OpenAPI document and for whoever reads along.

The messages themselves are written by hand where they are sent, a thousand a second; a test holds them against these.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from mamkit.catalog.events import KINDS
from mamkit_apps.api.bodies import Body

__all__ = ["EventMessage", "SocketAnswer", "SocketLogin", "SocketSign", "StreamEnd", "StreamSign"]


class EventMessage(Body):
    """Something that happened in a workspace."""

    id: int | None
    """Grows in the order in which things happened; null in a test of a webhook."""
    type: Annotated[str, Field(examples=[*KINDS, "webhook.test"])]
    """What happened; there may be more kinds one day."""
    timestamp: datetime
    workspace_id: UUID
    asset_id: UUID | None
    actor_id: UUID | None
    """Who did it; null for the system and for administrators."""
    data: dict[str, Any]
    """More of it: ids and states. What has changed says the API."""


class StreamSign(Body):
    """Says only that it came, and its id."""


class StreamEnd(Body):
    """The login has ended: log in again, and come back with the last id."""

    reason: Literal["expired", "revoked"]


class SocketLogin(Body):
    """The first message of a client; sent again with a fresh token it keeps the connection."""

    type: Literal["login"]
    token: Annotated[str, Field(repr=False)]
    """An access token or an API key."""
    last_event_id: str | None = None
    """The id of the last event that was seen."""


class SocketAnswer(Body):
    """A message of a client, or of the server, that shows that it lives."""

    type: Literal["ping", "pong"]


class SocketSign(Body):
    """A message of the server that is no event."""

    type: Literal["hello", "reset", "ping"]
    """`hello`: you are listening; `reset`: what you have missed is forgotten; `ping`: nothing happened."""
    id: int
    """What comes is newer."""

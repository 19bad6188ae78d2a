"""The tables of what is told to others: events, webhooks and their deliveries, incidents and notifications."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base, one_of
from mamkit.catalog.types import PlainText
from mamkit.clock import utc_now
from mamkit.ids import uuid7

__all__ = [
    "DeliveryState",
    "Event",
    "EventCounter",
    "Incident",
    "Notification",
    "NotificationSettings",
    "WebhookDelivery",
    "WebhookEndpoint",
]

DeliveryState = Literal["waiting", "delivered", "failed"]

_KIND = PlainText(64)
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts in INTEGER columns alone
_UNNUMBERED = text("position IS NULL")


class Event(Base):
    """Something that happened in a workspace. `mamkit.catalog.events` says how it gets its position."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "workspace_id", "position"),
        Index(None, "created_at"),
        Index("ix_events_unnumbered", "id", postgresql_where=_UNNUMBERED, sqlite_where=_UNNUMBERED),
    )

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True, autoincrement=True)
    """In the order in which transactions wrote; of two that commit at once the larger may be seen first. SQLite may
    give a number again once all events are forgotten."""
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    """In the order in which events are seen, without a gap that is filled later; None until it is numbered."""
    workspace_id: Mapped[UUID]
    """It may be gone; what happened stays true."""
    asset_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(_KIND)
    """`asset.created`, `comment.resolved`, …"""
    actor_id: Mapped[UUID | None]
    """Who did it; None for the system and for administrators."""
    data: Mapped[dict[str, Any]]
    """More of it: ids and states, nothing secret."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class EventCounter(Base):
    """The one row whose lock is the right to number events."""

    __tablename__ = "event_counter"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
    """Of the newest event that is numbered."""
    purged: Mapped[int] = mapped_column(BigInteger)
    """Of the newest event that was forgotten; whoever has seen less has missed something."""


class WebhookEndpoint(Base):
    """Where a workspace wants to be told of its events."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(PlainText(2048))
    description: Mapped[str] = mapped_column(PlainText(200), default="")
    kinds: Mapped[list[str]]
    """Of which events; none: of all but progress."""
    secret: Mapped[str] = mapped_column(Text)
    """Sealed, as the next."""
    old_secret: Mapped[str | None] = mapped_column(Text)
    """The one before, which signs as well until the time below."""
    old_secret_until: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(PlainText(100))
    """None: it is told."""
    failing_since: Mapped[datetime | None]
    """Since when nothing could be delivered; None: the last delivery succeeded."""
    lease: Mapped[UUID | None]
    """Of the process that delivers to it."""
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class WebhookDelivery(Base):
    """A message to an endpoint, and what became of it."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "position"),
        one_of("state", "waiting", "delivered", "failed"),
        Index(None, "endpoint_id", "id"),
        Index(None, "state", "due_at"),
        Index(None, "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    """Also the message's `webhook-id`, which stays the same however often it is sent."""
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    workspace_id: Mapped[UUID]
    position: Mapped[int | None] = mapped_column(BigInteger)
    """Of the event; None for a test."""
    kind: Mapped[str] = mapped_column(_KIND)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[DeliveryState] = mapped_column(String(16), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    status: Mapped[int | None]
    """Of the last answer; None: there was none."""
    error: Mapped[str | None] = mapped_column(PlainText(200))
    """Why the last attempt failed."""
    attempted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Incident(Base):
    """Something that went wrong and wants somebody's attention."""

    __tablename__ = "incidents"
    __table_args__ = (Index(None, "opened_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str] = mapped_column(_KIND)
    open_key: Mapped[str | None] = mapped_column(PlainText(200), unique=True)
    """Names what is wrong, so that it is noticed once; None: it is over."""
    workspace_id: Mapped[UUID | None]
    """None for the installation's."""
    asset_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime | None]
    """When somebody who was told of it said that they have seen it."""
    escalated_at: Mapped[datetime | None]


class Notification(Base):
    """Something that one user is told of."""

    __tablename__ = "notifications"
    __table_args__ = (Index(None, "user_id", "id"), Index(None, "mail_due_at"), Index(None, "created_at"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(_KIND)
    workspace_id: Mapped[UUID | None]
    asset_id: Mapped[UUID | None]
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incidents.id", ondelete="SET NULL"), index=True)
    data: Mapped[dict[str, Any]]
    read_at: Mapped[datetime | None]
    mail_due_at: Mapped[datetime | None]
    """When it is mailed, unless it was read before; None: not, or no more."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class NotificationSettings(Base):
    """What a user wants to be mailed."""

    __tablename__ = "notification_settings"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    mail_kinds: Mapped[list[str]]
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)

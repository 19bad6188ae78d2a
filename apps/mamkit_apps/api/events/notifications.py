"""`/api/notifications`: what whoever asks was told of."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Router, get, post, put
from litestar.params import FromQuery, JSONBody
from pydantic import Field

from mamkit.catalog import notifications as store
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Owner
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]

Kind = Literal[
    "comment.created",
    "escalated",
    "import.failed",
    "member.set",
    "preview.failed",
    "storage.failing",
    "webhook.disabled",
]


class NotificationView(Body):
    """Something that somebody was told of."""

    id: UUID
    kind: str
    workspace_id: UUID | None
    asset_id: UUID | None
    data: dict[str, Any]
    read_at: datetime | None
    created_at: datetime


class NotificationsPage(Body):
    """Notifications, the newest first."""

    notifications: list[NotificationView]
    unread: int
    """How many are not read, on all pages."""


class Reading(Body):
    """What was read."""

    ids: Annotated[list[UUID], Field(max_length=100)] | None = None
    """Null: everything."""


class MailSettings(Body):
    """Of what somebody is told by mail."""

    kinds: Annotated[list[Kind], Field(max_length=len(store.NOTIFIED))]


@get("/")
async def list_notifications(
    owner: Owner,
    parts: Wired,
    *,
    unread: FromQuery[bool] = False,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> NotificationsPage:
    """List what whoever asks was told of, the newest first; `after` is the id of the last one of the page before."""
    async with parts.catalog.read() as session:
        rows = await store.notifications_of(session, owner.user_id, unread=unread, after=after, limit=limit)
        count = await store.unread_count(session, owner.user_id)
    found = [
        NotificationView(
            id=row.id,
            kind=row.kind,
            workspace_id=row.workspace_id,
            asset_id=row.asset_id,
            data=row.data,
            read_at=row.read_at,
            created_at=row.created_at,
        )
        for row in rows
    ]
    return NotificationsPage(notifications=found, unread=count)


@post("/read", status_code=HTTPStatus.NO_CONTENT)
async def read(data: JSONBody[Reading], owner: Owner, parts: Wired) -> None:
    """Mark notifications as read; what went wrong counts as seen then, and is not escalated."""
    async with parts.catalog.begin() as session:
        await store.mark_read(session, owner.user_id, data.ids)


@get("/settings")
async def settings(owner: Owner, parts: Wired) -> MailSettings:
    """Say of what whoever asks is told by mail."""
    async with parts.catalog.read() as session:
        kinds: Any = await store.mail_kinds_of(session, owner.user_id)
    return MailSettings(kinds=kinds)


@put("/settings")
async def set_settings(data: JSONBody[MailSettings], owner: Owner, parts: Wired) -> MailSettings:
    """Choose of what to be told by mail; none is no mail at all."""
    async with parts.catalog.begin() as session:
        await store.set_mail_kinds(session, owner.user_id, data.kinds)
    return data


routes = [
    Router(
        "/api/notifications",
        route_handlers=[list_notifications, read, settings, set_settings],
        tags=["notifications"],
    )
]

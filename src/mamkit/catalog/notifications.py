"""What single people are told of, and what happens when nobody looks.

Notifications are planned in the transaction that numbers their event, and mails are claimed before they are sent, so
that however many processes there are, nobody is told of the same thing twice. Something that went wrong is an incident:
it is noticed once for as long as it is open, and when nobody says in time that they have seen it, administrators are
told.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.event_models import Event, Incident, Notification, NotificationSettings
from mamkit.catalog.events import tell
from mamkit.catalog.import_models import Import
from mamkit.catalog.models import Asset, Comment, Role, User, UserRole
from mamkit.catalog.workspace_models import Membership

__all__ = [
    "MAILED",
    "NOTIFIED",
    "claim_mail",
    "close_incident",
    "escalate",
    "mail_kinds_of",
    "mark_read",
    "notifications_of",
    "open_incident",
    "plan_notifications",
    "purge_notifications",
    "set_mail_kinds",
    "unread_count",
]

NOTIFIED = (
    "comment.created",
    "escalated",
    "import.failed",
    "member.set",
    "preview.failed",
    "storage.failing",
    "webhook.disabled",
)
"""What people are told of."""

MAILED = ("escalated", "import.failed", "preview.failed", "storage.failing", "webhook.disabled")
"""Of which of these by mail, unless they want something else."""

DIGEST = timedelta(minutes=5)  # what happens within it is one mail
_MOVES_ON = {"preview.queued", "preview.building", "preview.playable", "preview.ready"}
_MAX_MAIL = 100  # notifications in one mail


async def plan_notifications(session: AsyncSession, events: Iterable[Event]) -> None:
    """Tell those of events who are concerned.

    Args:
        session: The one that numbers the events.
        events: With their positions.
    """
    for event in events:
        version_id = event.data.get("version_id")
        if event.kind in _MOVES_ON:
            await close_incident(session, f"preview:{version_id}")
        elif event.kind == "preview.failed":
            to = {*await _owners(session, event.workspace_id), *await _uploader(session, event)}
            key = f"preview:{version_id}"
            await open_incident(
                session,
                event.kind,
                key,
                to=to,
                workspace_id=event.workspace_id,
                asset_id=event.asset_id,
                data=event.data,
            )
        elif event.kind == "import.failed":
            whose = select(Import.user_id).where(Import.id == UUID(event.data["import_id"]))
            await _notify(session, await _members(session, event.workspace_id, whose), event)
        elif event.kind == "webhook.disabled":
            await _notify(session, await _owners(session, event.workspace_id), event)
        elif event.kind == "member.set":
            await _notify(session, {UUID(event.data["user_id"])} - {event.actor_id}, event)
        elif event.kind == "comment.created":
            await _notify(session, await _concerned(session, event), event)


async def open_incident(
    session: AsyncSession,
    kind: str,
    key: str,
    *,
    to: Collection[UUID] | None = None,
    workspace_id: UUID | None = None,
    asset_id: UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> Incident | None:
    """Say that something is wrong, and tell people of it; None, and nobody is told, if that is known already.

    Args:
        session: Of `Catalog.begin`, without a scope.
        kind: Of `NOTIFIED`.
        key: Names what is wrong; at most 200 characters.
        to: Who is told; None: the administrators.
        workspace_id: Where it is wrong; None: the installation as a whole.
        asset_id: With what.
        data: More, JSON values only.
    """
    if await session.scalar(select(Incident.id).where(Incident.open_key == key)) is not None:
        return None
    try:
        incident = await add(
            session,
            Incident,
            kind=kind,
            open_key=key,
            workspace_id=workspace_id,
            asset_id=asset_id,
            data=dict(data or {}),
            opened_at=now(session),
        )
    except IntegrityError as error:
        if is_duplicate(error):  # since a moment ago
            return None
        raise
    await _notify(session, await _administrators(session) if to is None else to, incident)
    return incident


async def close_incident(session: AsyncSession, key: str) -> None:
    """Say that something is well again; that it was not wrong is no error."""
    await session.execute(update(Incident).where(Incident.open_key == key).values(open_key=None))


async def escalate(session: AsyncSession, *, after: timedelta) -> int:
    """Tell the administrators of what has been wrong for so long and was seen by nobody; return of how many incidents.

    Args:
        session: Of `Catalog.begin`, without a scope.
        after: How long people have to look.
    """
    moment = now(session)
    query = select(Incident).where(
        Incident.open_key.is_not(None),
        Incident.seen_at.is_(None),
        Incident.escalated_at.is_(None),
        Incident.opened_at <= moment - after,
    )
    incidents = (await session.scalars(query.limit(100).with_for_update(skip_locked=True))).all()
    for incident in incidents:
        incident.escalated_at = moment
        await _notify(session, await _administrators(session), incident, kind="escalated")
        if incident.workspace_id is not None:
            data = {"incident_id": str(incident.id), "kind": incident.kind, **incident.data}
            await tell(session, "incident.escalated", incident.workspace_id, incident.asset_id, data)
    await session.flush()
    return len(incidents)


async def claim_mail(session: AsyncSession) -> tuple[User, Sequence[Notification]] | None:
    """Return what is to be mailed to somebody, the oldest first, and forget that it is; None if there is no mail.

    What was read meanwhile is not mailed. A crash between the transaction and the mail loses the mail: at most once.

    Args:
        session: Of `Catalog.begin`, without a scope.
    """
    due = exists().where(Notification.user_id == User.id, Notification.mail_due_at <= now(session))
    user = await session.scalar(select(User).where(due).limit(1).with_for_update(skip_locked=True, key_share=True))
    if user is None:
        return None
    query = select(Notification).where(Notification.user_id == user.id, Notification.mail_due_at.is_not(None))
    found = (await session.scalars(query.order_by(Notification.id).limit(_MAX_MAIL))).all()
    for notification in found:
        notification.mail_due_at = None
    await session.flush()
    return user, [each for each in found if each.read_at is None and user.status == "active"]


async def notifications_of(
    session: AsyncSession, user_id: UUID, *, unread: bool = False, after: UUID | None = None, limit: int = 50
) -> Sequence[Notification]:
    """Return what somebody was told of, the newest first: what is older than `after`, at most `limit`."""
    query = select(Notification).where(Notification.user_id == user_id)
    if unread:
        query = query.where(Notification.read_at.is_(None))
    if after is not None:
        query = query.where(Notification.id < after)
    return (await session.scalars(query.order_by(Notification.id.desc()).limit(limit))).all()


async def unread_count(session: AsyncSession, user_id: UUID) -> int:
    """Return of how many things somebody was told that they have not read of."""
    query = select(func.count()).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    return await session.scalar(query) or 0


async def mark_read(session: AsyncSession, user_id: UUID, ids: Collection[UUID] | None = None) -> None:
    """Note that somebody has read some of their notifications, or all; incidents among them count as seen.

    Args:
        session: Of `Catalog.begin`.
        user_id: Whose; those of others are left alone.
        ids: Which; None: all.
    """
    mine = [Notification.user_id == user_id, Notification.read_at.is_(None)]
    if ids is not None:
        mine.append(Notification.id.in_(ids))
    moment = now(session)
    of = select(Notification.incident_id).where(*mine, Notification.incident_id.is_not(None))
    seen = update(Incident).where(Incident.id.in_(of), Incident.seen_at.is_(None)).values(seen_at=moment)
    quietly = {"synchronize_session": False}
    await session.execute(seen, execution_options=quietly)
    await session.execute(update(Notification).where(*mine).values(read_at=moment), execution_options=quietly)


async def mail_kinds_of(session: AsyncSession, user_id: UUID) -> list[str]:
    """Return of what somebody is told by mail."""
    settings = await session.get(NotificationSettings, user_id)
    return list(MAILED) if settings is None else settings.mail_kinds


async def set_mail_kinds(session: AsyncSession, user_id: UUID, kinds: Iterable[str]) -> None:
    """Say of what somebody wants to be told by mail.

    Args:
        session: Of `Catalog.begin`.
        user_id: They must be there.
        kinds: Of `NOTIFIED`.
    """
    chosen = NotificationSettings(user_id=user_id, mail_kinds=sorted(set(kinds)), updated_at=now(session))
    await session.merge(chosen)
    await session.flush()


async def purge_notifications(session: AsyncSession, *, older_than: timedelta) -> int:
    """Forget what people were told longer ago, and incidents that are over; return how many notifications."""
    before = now(session) - older_than
    quietly = {"synchronize_session": False}
    old = delete(Notification).where(Notification.created_at < before)
    result = await session.execute(old, execution_options=quietly)
    over = delete(Incident).where(Incident.opened_at < before, Incident.open_key.is_(None))
    await session.execute(over, execution_options=quietly)
    return result.rowcount if isinstance(result, CursorResult) else 0


async def _notify(
    session: AsyncSession, users: Collection[UUID], about: Event | Incident, *, kind: str | None = None
) -> None:
    if not users:
        return
    kind, moment = kind or about.kind, now(session)
    chosen = dict(
        (
            await session.execute(
                select(NotificationSettings.user_id, NotificationSettings.mail_kinds).where(
                    NotificationSettings.user_id.in_(users)
                )
            )
        ).all()
    )
    for user_id in await session.scalars(select(User.id).where(User.id.in_(users), User.status == "active")):
        mailed = chosen.get(user_id, MAILED)
        notification = Notification(
            user_id=user_id,
            kind=kind,
            workspace_id=about.workspace_id,
            asset_id=about.asset_id,
            incident_id=about.id if isinstance(about, Incident) else None,
            data=about.data,
            mail_due_at=moment + DIGEST if kind in mailed else None,
            created_at=moment,
        )
        session.add(notification)
    await session.flush()


async def _owners(session: AsyncSession, workspace_id: UUID) -> set[UUID]:
    query = select(Membership.user_id).where(Membership.workspace_id == workspace_id, Membership.role == "owner")
    return set(await session.scalars(query))


async def _administrators(session: AsyncSession) -> set[UUID]:
    query = select(UserRole.user_id).join(Role, Role.id == UserRole.role_id).where(Role.name == "admin")
    return set(await session.scalars(query))


async def _uploader(session: AsyncSession, event: Event) -> set[UUID]:
    """Return who uploaded an asset, unless they have left the workspace since."""
    query = select(Asset.user_id).where(Asset.id == event.asset_id)
    return await _members(session, event.workspace_id, query)


async def _concerned(session: AsyncSession, event: Event) -> set[UUID]:
    """Return whom a comment concerns: the asset's uploader and those of its thread, but not its author."""
    parent = event.data.get("parent_id")
    people: Any = select(Asset.user_id).where(Asset.id == event.asset_id)
    if parent is not None:
        thread = or_(Comment.id == UUID(parent), Comment.parent_id == UUID(parent))
        people = people.union(select(Comment.user_id).where(thread))
    found = await _members(session, event.workspace_id, people)
    return found - {UUID(event.data["user_id"])}


async def _members(session: AsyncSession, workspace_id: UUID, people: Any) -> set[UUID]:
    query = select(Membership.user_id).where(Membership.workspace_id == workspace_id, Membership.user_id.in_(people))
    return set(await session.scalars(query))

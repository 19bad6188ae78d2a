"""Who did what: a record that only grows."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.errors import AuditImmutableError
from mamkit.catalog.models import AuditEvent

__all__ = ["events_of", "record"]


async def record(
    session: AsyncSession,
    *,
    action: str,
    subject: str,
    actor_id: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Add an event; it is kept if, and only if, the session's transaction is.

    Args:
        session: The session in which the thing itself is done.
        action: What was done, e.g. `user.register`.
        subject: To what, e.g. `user:{id}`.
        actor_id: By whom; None for the system itself.
        detail: More, JSON values only; no secrets.
    """
    recorded = AuditEvent(
        actor_id=actor_id, action=action, subject=subject, detail=dict(detail or {}), created_at=now(session)
    )
    session.add(recorded)
    await session.flush()
    return recorded


async def events_of(
    session: AsyncSession, subject: str, *, after: UUID | None = None, limit: int = 100
) -> list[AuditEvent]:
    """Return a page of what was done to a subject, newest first.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        subject: As it was recorded, e.g. `user:{id}`.
        after: The id of the last event of the page before.
        limit: At most so many.
    """
    query = select(AuditEvent).where(AuditEvent.subject == subject)
    if after is not None:
        query = query.where(AuditEvent.id < after)
    return list(await session.scalars(query.order_by(AuditEvent.id.desc()).limit(limit)))


@event.listens_for(AuditEvent, "before_update")
@event.listens_for(AuditEvent, "before_delete")
def _refuse(_mapper: object, _connection: object, target: AuditEvent) -> None:
    raise AuditImmutableError(target.id)

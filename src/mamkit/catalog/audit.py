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


async def events_of(session: AsyncSession, subject: str, *, limit: int = 100) -> list[AuditEvent]:
    """Return what was done to a subject, newest first, at most `limit` events."""
    query = select(AuditEvent).where(AuditEvent.subject == subject).order_by(AuditEvent.id.desc()).limit(limit)
    return list(await session.scalars(query))


@event.listens_for(AuditEvent, "before_update")
@event.listens_for(AuditEvent, "before_delete")
def _refuse(_mapper: object, _connection: object, target: AuditEvent) -> None:
    raise AuditImmutableError(target.id)

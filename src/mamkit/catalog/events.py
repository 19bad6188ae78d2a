"""What happens in workspaces, in an order that everybody who listens can rely on.

A change and its event are written in one transaction, so that there is no event without its change and no change
without its event. Numbers that a sequence gave out would be of no use to whoever reads after the last number seen: a
transaction that took a smaller one and commits later would be skipped. So an event is written without a position, and
numbered after it was committed, by whoever holds the one row of `event_counter`: a position is seen only when all
smaller ones are, on both databases. Events of one batch keep the order in which they were written, and whoever changes
an asset holds its row, so that the events of one asset stand in the order of its changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.event_models import Event, EventCounter

__all__ = [
    "KINDS",
    "PASSING",
    "PROGRESS",
    "EventsState",
    "events_after",
    "events_state",
    "number_events",
    "purge_events",
    "tell",
]

PROGRESS = "preview.progress"
PASSING = frozenset({PROGRESS, "import.progress"})
"""The kinds of events of which there are many, and of which only the newest says something."""

KINDS = (
    "asset.changed",
    "asset.created",
    "asset.purged",
    "asset.restored",
    "asset.shared",
    "asset.trashed",
    "asset.unshared",
    "comment.changed",
    "comment.created",
    "comment.deleted",
    "comment.reopened",
    "comment.resolved",
    "import.cancelled",
    "import.created",
    "import.done",
    "import.failed",
    "import.progress",
    "incident.escalated",
    "member.removed",
    "member.set",
    "preview.building",
    "preview.failed",
    "preview.playable",
    PROGRESS,
    "preview.queued",
    "preview.ready",
    "version.created",
    "webhook.disabled",
    "workspace.changed",
    "workspace.deleted",
)
"""All that can happen, `thing.what_happened`."""

BATCH = 500  # events numbered in one transaction, which holds up whoever else would number
KEEP_PROGRESS = timedelta(hours=1)  # whoever comes back later asks how far the preview is


class EventsState(NamedTuple):
    """How far the events are."""

    position: int
    """Of the newest one."""
    purged: int
    """Of the newest one that was forgotten."""
    pending: bool
    """Whether some wait for their position."""


async def tell(
    session: AsyncSession,
    kind: str,
    workspace_id: UUID,
    asset_id: UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add an event; it is told if, and only if, the session's transaction is kept.

    Whoever changes a row calls this after they hold the row. Told twice of one asset in one transaction, an event of
    the same kind is one event with the last data.

    Args:
        session: The session in which the thing itself is done.
        kind: Of `KINDS`.
        workspace_id: Where it happened.
        asset_id: To which asset; None where it was none.
        data: JSON values only; no secrets, and small.
    """
    told: dict[tuple[str, UUID | None], Event] = session.info.setdefault("told", {})
    same = told.get((kind, asset_id)) if kind.startswith("asset.") else None
    if same is not None:
        same.data = dict(data or {})
        return
    event = Event(
        workspace_id=workspace_id,
        asset_id=asset_id,
        kind=kind,
        actor_id=session.info.get("actor"),
        data=dict(data or {}),
        created_at=now(session),
    )
    told[kind, asset_id] = event
    session.add(event)
    await session.flush()


async def number_events(session: AsyncSession, *, limit: int = BATCH) -> Sequence[Event]:
    """Give events that were committed since the last time their positions, and return them in order.

    Where another transaction is at it, nothing is done and nothing returned.

    Args:
        session: Of `Catalog.begin`, without a scope. What else is done in it is done once for each event.
        limit: At most so many.
    """
    counter = await session.scalar(select(EventCounter).with_for_update(skip_locked=True))
    if counter is None:
        return []
    query = select(Event).where(Event.position.is_(None)).order_by(Event.id).limit(limit)
    events = (await session.scalars(query)).all()
    for event in events:
        counter.position += 1
        event.position = counter.position
    await session.flush()
    return events


async def events_state(session: AsyncSession) -> EventsState:
    """Return how far the events are; cheap to ask for often."""
    pending = exists().where(Event.position.is_(None))
    row = (await session.execute(select(EventCounter.position, EventCounter.purged, pending))).one()
    return EventsState(*row)


async def events_after(session: AsyncSession, position: int, *, limit: int) -> Sequence[Event]:
    """Return the events after a position that the session sees, in order, at most `limit`."""
    query = select(Event).where(Event.position > position).order_by(Event.position).limit(limit)
    return (await session.scalars(query)).all()


async def purge_events(session: AsyncSession, *, older_than: timedelta) -> int:
    """Forget what happened longer ago, and of progress all but the last hour; return how many events are gone.

    Args:
        session: Of `Catalog.begin`, without a scope.
        older_than: Whoever comes back after so long is told that they have missed something.
    """
    moment = now(session)
    counter = await session.scalar(select(EventCounter).with_for_update())
    if counter is None:
        return 0
    old = await session.scalar(select(func.max(Event.position)).where(Event.created_at < moment - older_than))
    gone = await _delete(session, [Event.kind.in_(sorted(PASSING)), Event.created_at < moment - KEEP_PROGRESS])
    if old is not None:
        gone += await _delete(session, [Event.position <= old])
        counter.purged = max(counter.purged, old)
    await session.flush()
    return gone


async def _delete(session: AsyncSession, conditions: Iterable[Any]) -> int:
    statement = delete(Event).where(Event.position.is_not(None), *conditions)
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return result.rowcount if isinstance(result, CursorResult) else 0

"""Objects of previews that are removed some time after nobody is led to them any more.

Whoever has a URL that was signed before may still read them, and a worker that was at it may still write.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.models import Leftover, Preview, Version

__all__ = ["forget_leftover", "leave_behind", "leftovers_due", "prefixes_of"]


async def leave_behind(session: AsyncSession, prefix: str, *, asset_id: UUID, keep: timedelta) -> None:
    """Note that the objects below a prefix are to be removed after some time; the last word counts.

    Args:
        session: Of `Catalog.begin`.
        prefix: Ends in a slash.
        asset_id: To whose preview they belong, or belonged.
        keep: For how long they stay.
    """
    await session.merge(Leftover(prefix=prefix, asset_id=asset_id, remove_at=now(session) + keep))
    await session.flush()


async def leftovers_due(session: AsyncSession, *, limit: int = 100) -> list[str]:
    """Return the prefixes below which objects are to be removed now; none at which a version or a preview points."""
    in_use = select(Version.id).where(Version.preview_prefix == Leftover.prefix).exists()
    in_making = select(Preview.version_id).where(Preview.prefix == Leftover.prefix).exists()
    query = select(Leftover.prefix).where(Leftover.remove_at <= now(session), ~in_use, ~in_making)
    return list(await session.scalars(query.order_by(Leftover.remove_at).limit(limit)))


async def prefixes_of(session: AsyncSession, asset_id: UUID) -> list[str]:
    """Return the prefixes below which the previews of an asset lie, are made, or stay for a time."""
    played = select(Version.preview_prefix).where(Version.asset_id == asset_id)
    made = select(Preview.prefix).join(Version, Version.id == Preview.version_id)
    kept = select(Leftover.prefix).where(Leftover.asset_id == asset_id)
    found: set[str | None] = set()
    for query in (played, made.where(Version.asset_id == asset_id), kept):
        found |= set(await session.scalars(query))
    return sorted(prefix for prefix in found if prefix is not None)


async def forget_leftover(session: AsyncSession, prefix: str) -> None:
    """Note that nothing lies below a prefix any more."""
    await session.execute(delete(Leftover).where(Leftover.prefix == prefix))

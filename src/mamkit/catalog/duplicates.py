"""Finding what was uploaded before, by the digest of its bytes."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Index, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Asset, Version

__all__ = ["BY_SHA256", "versions_with_bytes"]

BY_SHA256 = Index("ix_versions_sha256", Version.sha256)


async def versions_with_bytes(
    session: AsyncSession, owner_id: UUID, sha256: str, *, limit: int = 100
) -> Sequence[Version]:
    """Return the versions of a user's assets that have just these bytes, the oldest first.

    Only the user's own are looked at: that somebody else has a file is not theirs to know.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        owner_id: Of the assets.
        sha256: Of the bytes, lower-case hexadecimal.
        limit: How many at most.
    """
    query = (
        select(Version)
        .join(Asset, Asset.id == Version.asset_id)
        .where(Version.sha256 == sha256, Asset.user_id == owner_id)
        .order_by(Version.id)
        .limit(limit)
    )
    return (await session.scalars(query)).all()

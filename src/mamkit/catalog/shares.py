"""What users let others do to single assets of theirs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.events import tell
from mamkit.catalog.login_models import Share
from mamkit.catalog.models import Asset

__all__ = ["share_asset", "shares_of", "unshare_asset"]


async def share_asset(
    session: AsyncSession,
    asset_id: UUID,
    user_id: UUID,
    *,
    actions: Iterable[str],
    expires_at: datetime | None = None,
) -> Share:
    """Let a user do some actions to an asset; what they were let do before is replaced.

    Args:
        session: Of `Catalog.begin`.
        asset_id: The asset; it must be there.
        user_id: The user; they must be there.
        actions: Of `mamkit.auth.ACTIONS`.
        expires_at: Until when; None for good.
    """
    share = await session.merge(
        Share(
            asset_id=asset_id,
            user_id=user_id,
            actions=sorted(actions),
            expires_at=expires_at,
            created_at=now(session),
        )
    )
    await session.flush()
    await _tell(session, "asset.shared", asset_id, {"user_id": str(user_id), "actions": share.actions})
    return share


async def unshare_asset(session: AsyncSession, asset_id: UUID, user_id: UUID) -> None:
    """Take back what a user was let do to an asset, if anything."""
    await session.execute(delete(Share).where(Share.asset_id == asset_id, Share.user_id == user_id))
    await _tell(session, "asset.unshared", asset_id, {"user_id": str(user_id)})


async def shares_of(session: AsyncSession, asset_id: UUID) -> Sequence[Share]:
    """Return the shares of an asset that are in force now."""
    in_force = or_(Share.expires_at.is_(None), Share.expires_at > now(session))
    return (await session.scalars(select(Share).where(Share.asset_id == asset_id, in_force))).all()


async def _tell(session: AsyncSession, kind: str, asset_id: UUID, data: Mapping[str, Any]) -> None:
    asset = await session.get(Asset, asset_id)
    if asset is not None:
        await tell(session, kind, asset.workspace_id, asset_id, data)

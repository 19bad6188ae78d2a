"""How much is kept, by workspace and by user: counted where it changes, so that asking costs the same at any size."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Asset
from mamkit.catalog.usage_models import Usage

__all__ = ["count", "usage_of", "usage_of_all"]

MAX_USERS = 1000
"""Most users of one workspace that are told apart, those with most bytes first."""


async def count(
    session: AsyncSession, asset: Asset, *, assets: int = 0, trashed: int = 0, versions: int = 0, size: int = 0
) -> None:
    """Count what came (or went, if negative) with an asset, in the transaction in which it does."""
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[session.get_bind().dialect.name]
    change = {"assets": assets, "trashed": trashed, "versions": versions, "size": size}
    adding = insert(Usage).values(workspace_id=asset.workspace_id, user_id=asset.user_id, **change)
    table = Usage.__table__.c
    more = {name: table[name] + adding.excluded[name] for name in change}
    await session.execute(adding.on_conflict_do_update(index_elements=["workspace_id", "user_id"], set_=more))


async def usage_of(session: AsyncSession, workspace_id: UUID) -> Sequence[Usage]:
    """Return what each user keeps in a workspace, those with most bytes first, at most `MAX_USERS`.

    Whether whoever asks may know is not looked at: no policy hides these rows.
    """
    query = select(Usage).where(Usage.workspace_id == workspace_id).order_by(Usage.size.desc(), Usage.user_id)
    return (await session.scalars(query.limit(MAX_USERS))).all()


async def usage_of_all(session: AsyncSession, workspace_id: UUID | None = None) -> dict[str, int]:
    """Return the sums of a workspace, or of all: `assets`, `trashed`, `versions` and bytes of masters as `size`."""
    names = ("assets", "trashed", "versions", "size")
    query = select(*(func.coalesce(func.sum(getattr(Usage, name)), 0) for name in names))
    if workspace_id is not None:
        query = query.where(Usage.workspace_id == workspace_id)
    return {name: int(value) for name, value in zip(names, (await session.execute(query)).one(), strict=True)}

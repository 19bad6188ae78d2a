"""What people do with assets: describe them, tag them, throw them away and take them back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._facts import shown_facts
from mamkit.catalog._loading import columns_of, detached
from mamkit.catalog.assets import asset_by_id, playing_version
from mamkit.catalog.engine import Catalog, now
from mamkit.catalog.errors import AssetNotFoundError, VersionNotFoundError
from mamkit.catalog.events import tell
from mamkit.catalog.indexing import index
from mamkit.catalog.library_errors import (
    TrashedError,
)
from mamkit.catalog.models import Asset, AssetTag, Preview, Version
from mamkit.catalog.questions import Question
from mamkit.catalog.scope import Scope
from mamkit.catalog.usage import count
from mamkit.catalog.words import fold

__all__ = [
    "asset_with_tags",
    "condemn_asset",
    "condemned_assets",
    "describe_asset",
    "forget_asset",
    "old_trash",
    "play_version",
    "restore_asset",
    "tag_asset",
    "tags_of",
    "trash_asset",
]


async def describe_asset(
    session: AsyncSession,
    asset_id: UUID,
    *,
    title: str | None = None,
    description: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Asset:
    """Change what is said about an asset, and return it; what is None stays.

    Args:
        session: Of `Catalog.begin`.
        asset_id: Which asset; not one in the trash.
        title: At most 500 characters.
        description: At most 10,000 characters.
        fields: Names and JSON values; they replace all that there were.

    Raises:
        AssetNotFoundError: There is no such asset that the session sees, or it lies in the trash.
        InvalidTextError: A text cannot be stored.
    """
    asset = await asset_by_id(session, asset_id, for_update=True)
    if title is not None:
        asset.title, asset.title_key = title, fold(title)[:200]
    if description is not None:
        asset.description = description
    if fields is not None:
        asset.fields = dict(fields)
    return await _changed(session, asset)


async def tag_asset(session: AsyncSession, asset_id: UUID, tags: Iterable[str]) -> Asset:
    """Give an asset these tags and no others, and return it.

    Args:
        session: Of `Catalog.begin`.
        asset_id: Which asset; not one in the trash.
        tags: At most 64 characters each; white space around them and case are dropped.

    Raises:
        AssetNotFoundError: There is no such asset that the session sees, or it lies in the trash.
        InvalidTextError: A tag cannot be stored.
    """
    asset = await asset_by_id(session, asset_id, for_update=True)
    wanted = {folded for tag in tags if (folded := " ".join(tag.casefold().split()))}
    await session.execute(delete(AssetTag).where(AssetTag.asset_id == asset_id))
    session.add_all(AssetTag(asset_id=asset_id, tag=tag) for tag in sorted(wanted))
    return await _changed(session, asset)


_TAGS = (
    select(AssetTag.asset_id, AssetTag.tag)
    .where(AssetTag.asset_id.in_(bindparam("asset_ids", expanding=True)))
    .order_by(AssetTag.tag)
)


async def tags_of(session: AsyncSession, asset_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """Return the tags of each of some assets, in order."""
    found: dict[UUID, list[str]] = {asset_id: [] for asset_id in asset_ids}
    for asset_id, tag in await session.execute(_TAGS, {"asset_ids": list(found)}):
        found[asset_id].append(tag)
    return found


_WITH_TAGS = Question(
    select(*columns_of(Asset), AssetTag.tag)
    .outerjoin(AssetTag, AssetTag.asset_id == Asset.id)
    .where(Asset.id == bindparam("asset_id"))
    .order_by(AssetTag.tag)
)


async def asset_with_tags(catalog: Catalog, asset_id: UUID, scope: Scope | None = None) -> tuple[Asset, list[str]]:
    """Return an asset that does not lie in the trash, and its tags in order, by one question.

    Args:
        catalog: Where it is.
        asset_id: Its id.
        scope: What is seen; None: everything.

    Raises:
        AssetNotFoundError: There is no such asset that the scope shows, or it lies in the trash.
        CatalogUnavailableError: The database does not answer.
    """
    rows = await catalog.ask(_WITH_TAGS, scope, asset_id=asset_id)
    asset = detached(Asset, rows[0]) if rows else None
    if asset is None or asset.trashed:
        raise AssetNotFoundError(asset_id)
    return asset, [row[-1] for row in rows if row[-1] is not None]


async def play_version(session: AsyncSession, asset_id: UUID, number: int | None) -> Asset:
    """Choose which version of an asset plays, and return the asset, which shows what is known of that one.

    Args:
        session: Of `Catalog.begin`.
        asset_id: Which asset; not one in the trash.
        number: Of the version; None: the newest, whichever that will be.

    Raises:
        AssetNotFoundError: There is no such asset that the session sees, or it lies in the trash.
        VersionNotFoundError: It has no such version.
    """
    asset = await asset_by_id(session, asset_id, for_update=True)
    asset.playing_number = number
    version = await playing_version(session, asset)
    if version is None and number is not None:
        raise VersionNotFoundError(number)
    if version is not None:
        preview = await session.get(Preview, version.id)
        asset.status = "new" if preview is None else "ready" if preview.serving else preview.status
        for name, value in shown_facts(version.facts or {}).items():
            setattr(asset, name, value)
    return await _changed(session, asset)


async def trash_asset(session: AsyncSession, asset_id: UUID) -> Asset:
    """Put an asset into the trash, and return it; its objects stay.

    Raises:
        AssetNotFoundError: There is no such asset that the session sees, or it lies there already.
    """
    asset = await asset_by_id(session, asset_id, for_update=True)
    asset.trashed, asset.trashed_at = True, now(session)
    await count(session, asset, trashed=1)
    return await _changed(session, asset, "asset.trashed")


async def restore_asset(session: AsyncSession, asset_id: UUID) -> Asset:
    """Take an asset back from the trash, and return it.

    Raises:
        AssetNotFoundError: There is no such asset in the trash that the session sees.
        TrashedError: Its objects are being removed already.
    """
    asset = await asset_by_id(session, asset_id, trashed=True, for_update=True)
    if asset.purging:
        raise TrashedError(asset_id, "is being removed and cannot be taken back")
    asset.trashed, asset.trashed_at = False, None
    await count(session, asset, trashed=-1)
    return await _changed(session, asset, "asset.restored")


async def condemn_asset(session: AsyncSession, asset_id: UUID) -> Asset:
    """Say that the objects of an asset in the trash are being removed, from where there is no way back; return it.

    Raises:
        AssetNotFoundError: There is no such asset in the trash that the session sees.
    """
    asset = await asset_by_id(session, asset_id, trashed=True, for_update=True)
    asset.purging = True
    await session.flush()
    return asset


async def condemned_assets(session: AsyncSession, *, limit: int = 100) -> Sequence[Asset]:
    """Return assets whose objects are being removed, those first that were thrown away first."""
    query = select(Asset).where(Asset.purging == True).order_by(Asset.trashed_at, Asset.id)  # noqa: E712 - SQL
    return (await session.scalars(query.limit(limit))).all()


async def old_trash(session: AsyncSession, *, kept_for: timedelta, limit: int = 100) -> Sequence[Asset]:
    """Return assets that have lain in the trash for so long, those first that were thrown away first."""
    query = select(Asset).where(Asset.trashed_at <= now(session) - kept_for, Asset.purging == False)  # noqa: E712 - SQL
    return (await session.scalars(query.order_by(Asset.trashed_at, Asset.id).limit(limit))).all()


async def forget_asset(session: AsyncSession, asset_id: UUID) -> None:
    """Delete the rows of an asset whose objects are gone, with all that belongs to it; if there is none, do nothing.

    Raises:
        TrashedError: Its objects are not being removed.
    """
    asset = await session.get(Asset, asset_id, with_for_update=True, populate_existing=True)
    if asset is None:
        return
    if not asset.purging:
        raise TrashedError(asset_id, "is not being removed; condemn it first")
    kept = select(func.count(), func.coalesce(func.sum(Version.size), 0)).where(Version.asset_id == asset_id)
    versions, size = (await session.execute(kept)).one()
    await count(session, asset, assets=-1, trashed=-int(asset.trashed), versions=-versions, size=-int(size))
    await session.execute(delete(Version).where(Version.asset_id == asset_id))
    await session.execute(delete(Asset).where(Asset.id == asset_id))
    await tell(session, "asset.purged", asset.workspace_id, asset_id, {"title": asset.title})


async def _changed(session: AsyncSession, asset: Asset, kind: str = "asset.changed") -> Asset:
    asset.revision += 1
    asset.updated_at = now(session)
    await index(session, asset)
    await tell(session, kind, asset.workspace_id, asset.id, {"title": asset.title, "revision": asset.revision})
    return asset

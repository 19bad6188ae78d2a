"""Assets and their versions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._facts import shown_facts
from mamkit.catalog._pages import check_limit
from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.errors import (
    AssetConflictError,
    AssetNotFoundError,
    UserNotFoundError,
    VersionConflictError,
    VersionNotFoundError,
)
from mamkit.catalog.events import tell
from mamkit.catalog.indexing import index
from mamkit.catalog.models import Asset, Version
from mamkit.catalog.usage import count
from mamkit.catalog.words import fold
from mamkit.ids import uuid7

__all__ = [
    "add_version",
    "asset_by_id",
    "create_asset",
    "latest_version",
    "next_version_number",
    "page_assets",
    "playing_version",
    "set_facts",
    "version_by_id",
    "version_of_sha256",
    "versions_of",
]


async def create_asset(
    session: AsyncSession,
    *,
    user_id: UUID,
    title: str,
    staging_key: str,
    workspace_id: UUID | None = None,
    id: UUID | None = None,  # noqa: A002 - the name of the column
    size: int | None = None,
    sha256: str | None = None,
    content_type: str | None = None,
    original_name: str | None = None,
) -> Asset:
    """Record an upload as an asset, and return it. Safe to repeat: the asset recorded first is returned as it is.

    Args:
        session: Of `Catalog.begin`.
        user_id: Its owner.
        title: At most 500 characters.
        staging_key: Where the upload lies or will lie.
        workspace_id: Where it belongs; its owner's personal workspace if None.
        id: A new one if None.
        size: Bytes, as the client says.
        sha256: Hexadecimal, as the client says.
        content_type: Media type, as the client says.
        original_name: The client's name of the file.

    Raises:
        UserNotFoundError: There is no such owner, or no such workspace.
        AssetConflictError: The id or the staging key is that of another asset.
        InvalidTextError: A text cannot be stored.
    """
    asset_id = id or uuid7()
    moment = now(session)
    try:
        asset = await add(
            session,
            Asset,
            id=asset_id,
            workspace_id=workspace_id or user_id,
            user_id=user_id,
            title=title,
            staging_key=staging_key,
            size=size,
            sha256=sha256,
            content_type=content_type,
            original_name=original_name,
            title_key=fold(title)[:200],
            created_at=moment,
            updated_at=moment,
        )
    except IntegrityError as error:
        if not is_duplicate(error):
            raise UserNotFoundError(user_id) from error
        recorded = await session.get(Asset, asset_id)
        if recorded is None or (recorded.user_id, recorded.staging_key) != (user_id, staging_key):
            raise AssetConflictError(asset_id) from error
        return recorded
    await count(session, asset, assets=1)
    await index(session, asset)
    await tell(session, "asset.created", asset.workspace_id, asset.id, {"title": asset.title})
    return asset


async def asset_by_id(
    session: AsyncSession, asset_id: UUID, *, trashed: bool | None = False, for_update: bool = False
) -> Asset:
    """Return an asset.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        asset_id: Its id.
        trashed: Whether it must lie in the trash; None: that does not matter.
        for_update: Let nobody else change it until the transaction ends.

    Raises:
        AssetNotFoundError: There is none with this id that the session sees, or it does not lie there.
    """
    asset = await session.get(Asset, asset_id, with_for_update=for_update, populate_existing=for_update)
    if asset is None or asset.trashed is (not trashed if trashed is not None else None):
        raise AssetNotFoundError(asset_id)
    return asset


async def page_assets(
    session: AsyncSession,
    *,
    workspace_id: UUID | None = None,
    owner_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> list[Asset]:
    """Return a page of assets, newest first; its cost does not grow with the pages before it.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        workspace_id: Only those in this workspace.
        owner_id: Only those of this user.
        after: The id of the last asset of the page before; it need not exist any more.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
    """
    check_limit(limit)
    query = select(Asset).order_by(Asset.id.desc()).limit(limit)
    if workspace_id is not None:
        query = query.where(Asset.workspace_id == workspace_id)
    if owner_id is not None:
        query = query.where(Asset.user_id == owner_id)
    if after is not None:
        query = query.where(Asset.id < after)
    return list(await session.scalars(query))


async def add_version(
    session: AsyncSession,
    *,
    asset_id: UUID,
    master_key: str,
    preview_prefix: str,
    size: int,
    sha256: str,
    number: int | None = None,
    id: UUID | None = None,  # noqa: A002 - the name of the column
    facts: Mapping[str, Any] | None = None,
) -> Version:
    """Record a master as a version of an asset, and return it.

    Safe to repeat: a version with this number, key and SHA-256 that is there already is returned as it is, with its own
    id and prefix.

    Args:
        session: Of `Catalog.begin`.
        asset_id: Of which asset.
        master_key: Where the master lies.
        preview_prefix: Where its preview will lie.
        size: Bytes.
        sha256: Hexadecimal.
        number: The next one of the asset if None.
        id: A new one if None.
        facts: What the probe found, JSON values only.

    Raises:
        AssetNotFoundError: There is no such asset.
        VersionConflictError: The number, the key or the id is that of another version.
    """
    # Versions of one asset are added one after the other, so that each sees the number of the last.
    asset = await asset_by_id(session, asset_id, trashed=None, for_update=True)
    if number is None:
        number = await next_version_number(session, asset_id)
    try:
        version = await add(
            session,
            Version,
            id=id or uuid7(),
            asset_id=asset_id,
            number=number,
            master_key=master_key,
            preview_prefix=preview_prefix,
            facts=None if facts is None else dict(facts),
            size=size,
            sha256=sha256,
            created_at=now(session),
        )
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        same = select(Version).where(Version.asset_id == asset_id, Version.number == number)
        recorded = await session.scalar(same.where(Version.master_key == master_key, Version.sha256 == sha256))
        if recorded is None:
            raise VersionConflictError(asset_id, number) from error
        return recorded
    await count(session, asset, versions=1, size=size)
    await tell(
        session, "version.created", asset.workspace_id, asset_id, {"version_id": str(version.id), "number": number}
    )
    return version


async def version_by_id(session: AsyncSession, version_id: UUID) -> Version:
    """Return a version.

    Raises:
        VersionNotFoundError: There is none with this id.
    """
    version = await session.get(Version, version_id)
    if version is None:
        raise VersionNotFoundError(version_id)
    return version


async def versions_of(session: AsyncSession, asset_id: UUID) -> list[Version]:
    """Return the versions of an asset, first to last."""
    query = select(Version).where(Version.asset_id == asset_id).order_by(Version.number)
    return list(await session.scalars(query))


async def latest_version(session: AsyncSession, asset_id: UUID) -> Version | None:
    """Return the last version of an asset, or None if it has none yet."""
    query = select(Version).where(Version.asset_id == asset_id).order_by(Version.number.desc()).limit(1)
    return await session.scalar(query)


async def playing_version(session: AsyncSession, asset: Asset) -> Version | None:
    """Return the version of an asset that plays: the one that was chosen, else the last; None if it has none yet."""
    query = select(Version).where(Version.asset_id == asset.id)
    if asset.playing_number is not None:
        query = query.where(Version.number == asset.playing_number)
    return await session.scalar(query.order_by(Version.number.desc()).limit(1))


async def version_of_sha256(session: AsyncSession, asset_id: UUID, sha256: str) -> Version | None:
    """Return the last version of an asset whose master has this SHA-256 (hexadecimal), or None."""
    query = select(Version).where(Version.asset_id == asset_id, Version.sha256 == sha256)
    return await session.scalar(query.order_by(Version.number.desc()).limit(1))


async def next_version_number(session: AsyncSession, asset_id: UUID) -> int:
    """Return the number that the next version of an asset gets, unless somebody is faster."""
    return (await session.scalar(select(func.max(Version.number)).where(Version.asset_id == asset_id)) or 0) + 1


async def set_facts(session: AsyncSession, version: Version, facts: Mapping[str, Any]) -> None:
    """Store what the probe found of a version's master, JSON values only; of the one that plays the asset shows it."""
    version.facts = dict(facts)
    await session.flush()
    asset = await session.get(Asset, version.asset_id, with_for_update=True, populate_existing=True)
    playing = None if asset is None else await playing_version(session, asset)
    if asset is not None and playing is not None and playing.id == version.id:
        for name, value in shown_facts(facts).items():
            setattr(asset, name, value)
        await session.flush()
        await index(session, asset)

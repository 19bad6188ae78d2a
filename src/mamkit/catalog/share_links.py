"""Share links: whoever has the token sees one asset, one version or one collection, until somebody says otherwise.

What a link shows is asked of each thing by itself, with a cost that does not grow with the collection. Whoever serves a
visitor opens a session whose scope is what was found to be shown, and nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._pages import check_limit
from mamkit.catalog.collection_items import assets_in, is_in
from mamkit.catalog.collections import collection_by_id
from mamkit.catalog.engine import now
from mamkit.catalog.errors import AssetNotFoundError
from mamkit.catalog.library_errors import ShareLinkNotFoundError
from mamkit.catalog.link_models import ShareLink, ShareUse
from mamkit.catalog.models import Asset
from mamkit.catalog.search import Page

__all__ = [
    "RIGHTS",
    "Right",
    "add_share_link",
    "find_share_link",
    "is_open",
    "record_use",
    "revoke_share_link",
    "share_link_by_id",
    "share_links_in",
    "shared_assets",
    "shows",
    "uses_of",
]

Right = Literal["comment", "download"]

RIGHTS: tuple[Right, ...] = ("comment", "download")
"""What a link may allow beside looking."""


async def add_share_link(
    session: AsyncSession,
    *,
    id: UUID,  # noqa: A002 - the name of the column
    digest: str,
    workspace_id: UUID,
    user_id: UUID,
    asset_id: UUID | None = None,
    version_id: UUID | None = None,
    collection_id: UUID | None = None,
    name: str = "",
    rights: Iterable[Right] = (),
    password_hash: str | None = None,
    expires_at: datetime | None = None,
) -> ShareLink:
    """Add a share link, and return it.

    Args:
        session: Of `Catalog.begin`.
        id: The one that the token names.
        digest: Of the token.
        workspace_id: Of what is shared.
        user_id: Who shares it; they must be there.
        asset_id: What is shared: either this or a collection.
        version_id: The only version of the asset that is.
        collection_id: Instead of an asset.
        name: What it is called by who made it, at most 200 characters.
        rights: What it allows beside looking.
        password_hash: Of `mamkit.auth.PasswordHasher`; None: the token alone opens it.
        expires_at: Until when; None: until it is revoked.

    Raises:
        InvalidTextError: The name cannot be stored.
    """
    link = ShareLink(
        id=id,
        digest=digest,
        workspace_id=workspace_id,
        user_id=user_id,
        asset_id=asset_id,
        version_id=version_id,
        collection_id=collection_id,
        name=name,
        rights=sorted(set(rights)),
        password_hash=password_hash,
        expires_at=expires_at,
        created_at=now(session),
    )
    session.add(link)
    await session.flush()
    return link


async def find_share_link(session: AsyncSession, link_id: UUID) -> ShareLink | None:
    """Return the link that a token names, or None; whether it is open is not looked at."""
    return await session.get(ShareLink, link_id)


async def share_link_by_id(session: AsyncSession, link_id: UUID, *, for_update: bool = False) -> ShareLink:
    """Return a share link, open or not.

    Raises:
        ShareLinkNotFoundError: There is none with this id that the session sees.
    """
    link = await session.get(ShareLink, link_id, with_for_update=for_update, populate_existing=for_update)
    if link is None:
        raise ShareLinkNotFoundError(link_id)
    return link


async def share_links_in(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    asset_id: UUID | None = None,
    collection_id: UUID | None = None,
    user_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> Sequence[ShareLink]:
    """Return a page of the links of a workspace, newest first, those that are over included.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        workspace_id: Of which workspace.
        asset_id: Only those that share this asset.
        collection_id: Only those that share this collection.
        user_id: Only those that this user has made.
        after: The id of the last link of the page before.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
    """
    check_limit(limit)
    query = select(ShareLink).where(ShareLink.workspace_id == workspace_id)
    columns = (ShareLink.asset_id, ShareLink.collection_id, ShareLink.user_id)
    for column, value in zip(columns, (asset_id, collection_id, user_id), strict=True):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(ShareLink.id < after)
    return (await session.scalars(query.order_by(ShareLink.id.desc()).limit(limit))).all()


def is_open(link: ShareLink, *, at: datetime) -> bool:
    """Return whether a link lets anybody in at a time: it was not revoked, and its time has not passed."""
    return link.revoked_at is None and (link.expires_at is None or at < link.expires_at)


async def revoke_share_link(session: AsyncSession, link_id: UUID) -> ShareLink:
    """End a link for good, and return it; one that was ended before stays as it is.

    Raises:
        ShareLinkNotFoundError: There is none with this id that the session sees.
    """
    link = await share_link_by_id(session, link_id, for_update=True)
    if link.revoked_at is None:
        link.revoked_at, link.revision = now(session), link.revision + 1
        await session.flush()
    return link


async def shows(session: AsyncSession, link: ShareLink, asset_id: UUID) -> Asset:
    """Return an asset if a link shows it: it is not in the trash, and still of the link's workspace.

    Args:
        session: Without a scope; what is returned is to be the scope of the next.
        link: Which.
        asset_id: Of what somebody asks for.

    Raises:
        AssetNotFoundError: It shows no such asset.
    """
    asset = await session.get(Asset, asset_id)
    if asset is None or asset.trashed or asset.workspace_id != link.workspace_id:
        raise AssetNotFoundError(asset_id)
    if link.collection_id is None:
        shown = asset_id == link.asset_id
    else:
        shown = await is_in(session, await collection_by_id(session, link.collection_id), asset_id)
    if not shown:
        raise AssetNotFoundError(asset_id)
    return asset


async def shared_assets(session: AsyncSession, link: ShareLink, *, after: str | None = None, limit: int = 50) -> Page:
    """Return a page of the assets that a link shows; of a collection, those in it itself and not in others within it.

    Args:
        session: Without a scope, as for `shows`.
        link: Which.
        after: `Page.next` of the page before.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
        InvalidQueryError: `after` is not what a page of this link gave.
    """
    if link.collection_id is not None:
        collection = await collection_by_id(session, link.collection_id)
        return await assets_in(session, collection, after=after, limit=limit)
    asset = None if link.asset_id is None or after is not None else await session.get(Asset, link.asset_id)
    return Page(assets=() if asset is None or asset.trashed else (asset,), next=None)


async def record_use(
    session: AsyncSession, link_id: UUID, *, action: str, address: str, asset_id: UUID | None = None
) -> None:
    """Note what somebody did, or tried, by a link.

    Args:
        session: Of `Catalog.begin`, without a scope.
        link_id: By which link.
        action: E.g. `looked`, `played`, `downloaded`.
        address: Where from; what is longer than 64 characters is cut.
        asset_id: With which asset.
    """
    moment = now(session)
    session.add(ShareUse(link_id=link_id, action=action, address=address[:64], asset_id=asset_id, created_at=moment))
    await session.flush()


async def uses_of(
    session: AsyncSession, link_id: UUID, *, after: UUID | None = None, limit: int = 100
) -> Sequence[ShareUse]:
    """Return a page of what was done by a link, newest first.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        link_id: By which link.
        after: The id of the last use of the page before.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
    """
    check_limit(limit)
    query = select(ShareUse).where(ShareUse.link_id == link_id)
    if after is not None:
        query = query.where(ShareUse.id < after)
    return (await session.scalars(query.order_by(ShareUse.id.desc()).limit(limit))).all()

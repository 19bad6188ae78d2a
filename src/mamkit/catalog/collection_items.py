"""What collections show: what was put into them, in its order, or what their filter finds."""

from uuid import UUID

from sqlalchemy import Select, delete, select, tuple_
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._pages import check_limit
from mamkit.catalog.assets import asset_by_id
from mamkit.catalog.collection_models import Collection, CollectionItem
from mamkit.catalog.collections import collection_by_id
from mamkit.catalog.cursors import read_cursor, write_cursor
from mamkit.catalog.engine import now
from mamkit.catalog.errors import AssetNotFoundError
from mamkit.catalog.filters import AssetFilter
from mamkit.catalog.library_errors import InvalidCollectionError
from mamkit.catalog.models import Asset
from mamkit.catalog.ordering import After, place_after
from mamkit.catalog.search import AssetQuery, Page, find_assets, is_found

__all__ = ["assets_in", "is_in", "put_asset", "take_asset"]


async def put_asset(
    session: AsyncSession, collection_id: UUID, asset_id: UUID, *, after: After = "last", by: UUID | None = None
) -> None:
    """Put an asset into a collection that is filled by hand, or move it there; no other asset moves.

    Args:
        session: Of `Catalog.begin`.
        collection_id: Into which.
        asset_id: Of the same workspace; not one in the trash.
        after: Behind which of the assets there.
        by: Who does it.

    Raises:
        CollectionNotFoundError: There is no such collection that the session sees.
        AssetNotFoundError: There is no such asset that it sees, or it is of another workspace, or in the trash.
        ItemNotFoundError: What it is to stand behind does not lie there.
        InvalidCollectionError: The collection shows what a filter finds.
    """
    collection = await collection_by_id(session, collection_id, for_update=True)
    _check_by_hand(collection)
    asset = await asset_by_id(session, asset_id)
    if asset.workspace_id != collection.workspace_id:
        raise AssetNotFoundError(asset_id)
    among = CollectionItem.collection_id == collection_id
    position = await place_after(session, CollectionItem, among, CollectionItem.asset_id, after)
    item = await session.get(CollectionItem, (collection_id, asset_id), populate_existing=True)
    if item is None:
        session.add(
            CollectionItem(
                collection_id=collection_id, asset_id=asset_id, position=position, added_by=by, created_at=now(session)
            )
        )
    else:
        item.position = position
    await session.flush()


async def take_asset(session: AsyncSession, collection_id: UUID, asset_id: UUID) -> bool:
    """Take an asset out of a collection, and return whether it was there; the asset itself stays.

    Raises:
        CollectionNotFoundError: There is no such collection that the session sees.
        InvalidCollectionError: The collection shows what a filter finds.
    """
    _check_by_hand(await collection_by_id(session, collection_id, for_update=True))
    item = (CollectionItem.collection_id == collection_id) & (CollectionItem.asset_id == asset_id)
    result = await session.execute(delete(CollectionItem).where(item))
    return isinstance(result, CursorResult) and result.rowcount > 0


async def assets_in(
    session: AsyncSession, collection: Collection, *, after: str | None = None, limit: int = 50
) -> Page:
    """Return a page of the assets that a collection shows, in its order; not those in the trash.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        collection: Which.
        after: `Page.next` of the page before; the asset it names need not be there any more.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
        InvalidQueryError: `after` is not what a page of this collection gave.
    """
    if collection.filter is not None:
        return await find_assets(session, _query(collection), after=after, limit=limit)
    check_limit(limit)
    place = tuple_(CollectionItem.position, CollectionItem.asset_id)
    query = _by_hand(collection).with_only_columns(Asset, CollectionItem.position)
    if after is not None:
        query = query.where(place > tuple_(*read_cursor(after)))
    rows = list(
        await session.execute(query.order_by(CollectionItem.position, CollectionItem.asset_id).limit(limit + 1))
    )
    page = rows[:limit]
    more = write_cursor(page[-1][1], page[-1][0].id) if len(rows) > limit else None
    return Page(assets=tuple(asset for asset, _ in page), next=more)


async def is_in(session: AsyncSession, collection: Collection, asset_id: UUID) -> bool:
    """Return whether a collection shows an asset; its cost does not grow with what it shows."""
    if collection.filter is not None:
        return await is_found(session, _query(collection), asset_id)
    found = _by_hand(collection).with_only_columns(Asset.id).where(Asset.id == asset_id)
    return await session.scalar(found) is not None


def _by_hand(collection: Collection) -> Select[Asset]:
    return (
        select(Asset)
        .join(CollectionItem, CollectionItem.asset_id == Asset.id)
        .where(
            CollectionItem.collection_id == collection.id,
            Asset.workspace_id == collection.workspace_id,
            Asset.trashed == False,  # noqa: E712 - SQL
        )
    )


def _query(collection: Collection) -> AssetQuery:
    return AssetQuery.of(AssetFilter.of_json(collection.filter or {}), collection.workspace_id)


def _check_by_hand(collection: Collection) -> None:
    if collection.filter is not None:
        raise InvalidCollectionError("this collection shows what its filter finds; nothing is put in by hand")

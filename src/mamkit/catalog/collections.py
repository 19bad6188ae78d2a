"""Collections: a tree of them in each workspace, in the order that people give them.

Whatever changes the tree of a workspace waits for whoever does so already: two moves that would together make a circle
are one after the other, and the second is refused.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._pages import check_limit
from mamkit.catalog._rows import add
from mamkit.catalog.collection_models import Collection
from mamkit.catalog.cursors import read_cursor, write_cursor
from mamkit.catalog.engine import now
from mamkit.catalog.filters import AssetFilter
from mamkit.catalog.library_errors import CollectionNotFoundError, InvalidCollectionError
from mamkit.catalog.ordering import After, place_after
from mamkit.catalog.workspaces import workspace_by_id

__all__ = [
    "MAX_DEPTH",
    "collection_by_id",
    "collections_in",
    "create_collection",
    "delete_collection",
    "describe_collection",
    "move_collection",
    "owners_below",
]

MAX_DEPTH = 16
"""Most collections that lie in each other: bounds what a move has to look at."""


async def create_collection(
    session: AsyncSession,
    *,
    workspace_id: UUID,
    user_id: UUID,
    name: str,
    parent_id: UUID | None = None,
    wanted: AssetFilter | None = None,
    after: After = "last",
) -> Collection:
    """Add a collection, and return it.

    Args:
        session: Of `Catalog.begin`.
        workspace_id: Where it belongs.
        user_id: Its owner; they must be there.
        name: At most 200 characters.
        parent_id: The collection in which it lies, of the same workspace; None: in no other.
        wanted: What it shows; None: what is put in by hand.
        after: Behind which of those that lie in the same.

    Raises:
        WorkspaceNotFoundError: There is no such workspace that the session sees.
        CollectionNotFoundError: It has no such parent.
        ItemNotFoundError: What it is to stand behind does not lie there.
        InvalidCollectionError: It would lie too deep.
        InvalidTextError: The name cannot be stored.
    """
    await workspace_by_id(session, workspace_id, for_update=True)
    if len(await _path(session, workspace_id, parent_id)) >= MAX_DEPTH:
        raise InvalidCollectionError(f"collections lie in each other at most {MAX_DEPTH} deep")
    moment = now(session)
    return await add(
        session,
        Collection,
        workspace_id=workspace_id,
        user_id=user_id,
        parent_id=parent_id,
        position=await place_after(session, Collection, _among(workspace_id, parent_id), Collection.id, after),
        name=name,
        filter=None if wanted is None else wanted.as_json(),
        created_at=moment,
        updated_at=moment,
    )


async def collection_by_id(session: AsyncSession, collection_id: UUID, *, for_update: bool = False) -> Collection:
    """Return a collection.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        collection_id: Its id.
        for_update: Let nobody else change it, or what was put into it, until the transaction ends.

    Raises:
        CollectionNotFoundError: There is none with this id that the session sees.
    """
    found = await session.get(Collection, collection_id, with_for_update=for_update, populate_existing=for_update)
    if found is None:
        raise CollectionNotFoundError(collection_id)
    return found


async def collections_in(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    parent_id: UUID | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[Collection], str | None]:
    """Return a page of the collections that lie in another, or in no other, in their order.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        workspace_id: Of which workspace.
        parent_id: Those in this one; None: those in no other.
        after: What the page before ended with; what it names need not be there any more.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Returns:
        The collections, and what the next page begins after; None on the last.

    Raises:
        InvalidPageError: `limit` is out of bounds.
        InvalidQueryError: `after` is not what a page gave.
    """
    check_limit(limit)
    query = select(Collection).where(_among(workspace_id, parent_id))
    if after is not None:
        query = query.where(tuple_(Collection.position, Collection.id) > tuple_(*read_cursor(after)))
    found = list(await session.scalars(query.order_by(Collection.position, Collection.id).limit(limit + 1)))
    page = found[:limit]
    return page, write_cursor(page[-1].position, page[-1].id) if len(found) > limit else None


async def describe_collection(
    session: AsyncSession, collection_id: UUID, *, name: str | None = None, wanted: AssetFilter | None = None
) -> Collection:
    """Give a collection another name or another filter, and return it; what is None stays.

    Raises:
        CollectionNotFoundError: There is none with this id that the session sees.
        InvalidCollectionError: It gets a filter, and things are put into it by hand.
        InvalidTextError: The name cannot be stored.
    """
    collection = await collection_by_id(session, collection_id, for_update=True)
    if name is not None:
        collection.name = name
    if wanted is not None:
        if collection.filter is None:
            raise InvalidCollectionError("this collection is filled by hand; make another one for a filter")
        collection.filter = wanted.as_json()
    return await _changed(session, collection)


async def move_collection(
    session: AsyncSession, collection_id: UUID, *, parent_id: UUID | None, after: After = "last"
) -> Collection:
    """Put a collection into another of its workspace, or into none, and return it; what lies in it comes along.

    Args:
        session: Of `Catalog.begin`.
        collection_id: Which.
        parent_id: Into which; None: into none.
        after: Behind which of those that lie there.

    Raises:
        CollectionNotFoundError: There is no such collection, or parent, that the session sees.
        ItemNotFoundError: What it is to stand behind does not lie there.
        InvalidCollectionError: It would lie in itself, or too deep.
    """
    workspace_id = (await collection_by_id(session, collection_id)).workspace_id
    await workspace_by_id(session, workspace_id, for_update=True)
    collection = await collection_by_id(session, collection_id, for_update=True)
    above = await _path(session, workspace_id, parent_id)
    if collection_id in above:
        raise InvalidCollectionError("a collection cannot lie in itself, nor in what lies in it")
    _, levels = await _below(session, collection_id)
    if len(above) + 1 + levels > MAX_DEPTH:
        raise InvalidCollectionError(f"collections lie in each other at most {MAX_DEPTH} deep")
    among = _among(workspace_id, parent_id)
    collection.position = await place_after(session, Collection, among, Collection.id, after)
    collection.parent_id = parent_id
    return await _changed(session, collection)


async def owners_below(session: AsyncSession, collection_id: UUID) -> frozenset[UUID]:
    """Return the owners of a collection and of all that lie in it."""
    collection = await collection_by_id(session, collection_id)
    owners, _ = await _below(session, collection_id)
    return owners | {collection.user_id}


async def delete_collection(session: AsyncSession, collection_id: UUID) -> None:
    """Delete a collection and those that lie in it; the assets that they show stay.

    Raises:
        CollectionNotFoundError: There is none with this id that the session sees.
    """
    collection = await collection_by_id(session, collection_id)
    await workspace_by_id(session, collection.workspace_id, for_update=True)
    await session.execute(delete(Collection).where(Collection.id == collection_id))
    session.expunge(collection)


def _among(workspace_id: UUID, parent_id: UUID | None) -> ColumnElement[bool]:
    return (Collection.workspace_id == workspace_id) & (Collection.parent_id == parent_id)


async def _path(session: AsyncSession, workspace_id: UUID, collection_id: UUID | None) -> list[UUID]:
    """Return a collection and those in which it lies, from it outwards.

    Raises:
        CollectionNotFoundError: It is of another workspace, or not there.
    """
    path: list[UUID] = []
    while collection_id is not None:
        query = select(Collection.workspace_id, Collection.parent_id).where(Collection.id == collection_id)
        row = (await session.execute(query)).one_or_none()
        if row is None or row[0] != workspace_id:
            raise CollectionNotFoundError(collection_id)
        path.append(collection_id)
        collection_id = row[1]
    return path


async def _below(session: AsyncSession, collection_id: UUID) -> tuple[frozenset[UUID], int]:
    """Return who owns what lies in a collection, and how many levels of it there are.

    What lies in a collection is of the same workspace, so that no scope has to be asked for each.
    """
    rows = Collection.__table__.c
    start = select(rows.id, literal(0).label("level")).where(rows.id == collection_id)
    tree = start.cte("tree", recursive=True)
    tree = tree.union_all(select(rows.id, tree.c.level + 1).where(rows.parent_id == tree.c.id))
    found = select(rows.user_id, func.max(tree.c.level)).join(tree, tree.c.id == rows.id).group_by(rows.user_id)
    owners = {row[0]: row[1] for row in await session.execute(found.where(tree.c.level > 0))}
    return frozenset(owners), max(owners.values(), default=0)


async def _changed(session: AsyncSession, collection: Collection) -> Collection:
    collection.revision += 1
    collection.updated_at = now(session)
    await session.flush()
    return collection

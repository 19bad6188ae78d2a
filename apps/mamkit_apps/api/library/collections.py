"""`/api/collections`: assets put together by hand or by a saved filter, in a tree and in an order."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Action, Principal, Resource
from mamkit.catalog import AssetFilter, Collection
from mamkit.catalog import collection_items as items
from mamkit.catalog import collections as tree
from mamkit.catalog.ordering import After
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Caller, home_of, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.schemas import AssetPage
from mamkit_apps.api.middleware.representation import check_match, tagged
from mamkit_apps.api.paging import Cursor, Limit
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]

Name = Annotated[str, Field(min_length=1, max_length=200)]


class Place(Body):
    """Where something goes among its neighbours."""

    after_id: UUID | None = None
    """Behind this one; null: to an end."""
    first: bool = False
    """To the beginning, rather than to the end."""

    def after(self) -> After:
        """Return the same as the catalog says it."""
        return self.after_id or ("first" if self.first else "last")


class NewCollection(Place):
    """A collection that is to be made."""

    name: Name
    workspace_id: UUID | None = None
    """Null: the personal one of whoever asks."""
    parent_id: UUID | None = None
    """The collection in which it is to lie."""
    filter: AssetFilter | None = None
    """What it shows; null: what is put in by hand."""


class CollectionChange(Body):
    """What a collection is to be instead; what is missing or null stays."""

    name: Name | None = None
    filter: AssetFilter | None = None
    """Of one that has a filter already."""


class CollectionPlace(Place):
    """Where a collection is to lie."""

    parent_id: UUID | None = None
    """In which other; null: in none."""


class CollectionView(Body):
    """A collection."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    """Who made it."""
    parent_id: UUID | None
    name: str
    filter: AssetFilter | None
    """What it shows; null: what is put in by hand."""
    revision: int
    """Grows with every change of it, and not with what is put in."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Collection) -> Self:
        """Return the view of a row."""
        return cls(
            id=row.id,
            workspace_id=row.workspace_id,
            user_id=row.user_id,
            parent_id=row.parent_id,
            name=row.name,
            filter=None if row.filter is None else AssetFilter.of_json(row.filter),
            revision=row.revision,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class CollectionPage(Body):
    """Some of the collections that lie in one, in their order."""

    items: tuple[CollectionView, ...]
    next: str | None
    """To be sent as `after` for the next page; null on the last."""


@get("/")
async def list_collections(
    *,
    principal: Caller,
    parts: Wired,
    workspace: FromQuery[UUID | None] = None,
    parent: Annotated[UUID | None, QueryParameter(description="What lies in this one, instead of in none.")] = None,
    after: Cursor = None,
    limit: Limit = 50,
) -> CollectionPage:
    """List the collections of a workspace that lie in one, or in no other, in their order."""
    workspace_id = workspace or home_of(principal.user_id)
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(principal, "collection.read", Resource(kind="collection", workspace_id=workspace_id))
        if parent is not None:
            await tree.collection_by_id(session, parent)
        found, more = await tree.collections_in(session, workspace_id, parent_id=parent, after=after, limit=limit)
    return CollectionPage(items=tuple(CollectionView.of(each) for each in found), next=more)


@post("/")
async def create(data: JSONBody[NewCollection], principal: Caller, parts: Wired) -> Response[CollectionView]:
    """Make a collection, filled by hand or by a filter."""
    workspace_id = data.workspace_id or home_of(principal.user_id)
    async with parts.catalog.begin(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        resource = Resource(kind="collection", owner_id=principal.user_id, workspace_id=workspace_id)
        require(principal, "collection.create", resource)
        made = await tree.create_collection(
            session,
            workspace_id=workspace_id,
            user_id=principal.user_id,
            name=data.name,
            parent_id=data.parent_id,
            wanted=data.filter,
            after=data.after(),
        )
        await _record(session, principal, "created", made.id, {"name": data.name})
    return tagged(CollectionView.of(made))


@get("/{collection_id:uuid}")
async def get_one(collection_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[CollectionView]:
    """Return one collection."""
    async with parts.catalog.read(scope_of(principal)) as session:
        return tagged(CollectionView.of(await _allowed(session, principal, "collection.read", collection_id)))


@patch("/{collection_id:uuid}", opt=answers(412, 428, match=True))
async def change(
    collection_id: FromPath[UUID],
    data: JSONBody[CollectionChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[CollectionView]:
    """Give a collection another name or filter, if it is still as `If-Match` says."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _unchanged(session, principal, collection_id, request)
        row = await tree.describe_collection(session, collection_id, name=data.name, wanted=data.filter)
        await _record(session, principal, "changed", collection_id)
    return tagged(CollectionView.of(row))


@put("/{collection_id:uuid}/place", opt=answers(412, 428, match=True))
async def move(
    collection_id: FromPath[UUID],
    data: JSONBody[CollectionPlace],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[CollectionView]:
    """Put a collection, with all in it, behind another or into one, if it is still as `If-Match` says."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        workspace_id = (await tree.collection_by_id(session, collection_id)).workspace_id
        await db.workspace_by_id(session, workspace_id, for_update=True)  # whoever moves takes this before the row
        await _unchanged(session, principal, collection_id, request)
        if data.parent_id is not None:
            await _allowed(session, principal, "collection.update", data.parent_id)
        row = await tree.move_collection(session, collection_id, parent_id=data.parent_id, after=data.after())
        await _record(session, principal, "moved", collection_id, {"parent": data.parent_id and str(data.parent_id)})
    return tagged(CollectionView.of(row))


@delete("/{collection_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def remove(collection_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Delete a collection and those in it, if all may be deleted by whoever asks; the assets that they show stay."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        row = await _allowed(session, principal, "collection.delete", collection_id)
        for owner_id in await tree.owners_below(session, collection_id):
            resource = Resource(kind="collection", owner_id=owner_id, workspace_id=row.workspace_id)
            require(principal, "collection.delete", resource)
        await tree.delete_collection(session, collection_id)
        await _record(session, principal, "deleted", collection_id, {"name": row.name})


@get("/{collection_id:uuid}/assets")
async def list_assets(
    collection_id: FromPath[UUID],
    principal: Caller,
    parts: Wired,
    after: Cursor = None,
    limit: Limit = 50,
) -> AssetPage:
    """List the assets that a collection shows, in its order."""
    async with parts.catalog.read(scope_of(principal)) as session:
        row = await _allowed(session, principal, "collection.read", collection_id)
        require(principal, "asset.read", Resource(kind="asset", workspace_id=row.workspace_id))
        page = await items.assets_in(session, row, after=after, limit=limit)
        tags = await db.tags_of(session, [asset.id for asset in page.assets])
    return AssetPage.of(page, tags)


@put("/{collection_id:uuid}/assets/{asset_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def put_in(
    collection_id: FromPath[UUID], asset_id: FromPath[UUID], data: JSONBody[Place], principal: Caller, parts: Wired
) -> None:
    """Put an asset into a collection that is filled by hand, or behind another there; no other asset moves."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _allowed(session, principal, "collection.update", collection_id)
        await items.put_asset(session, collection_id, asset_id, after=data.after(), by=principal.user_id)
        await _record(session, principal, "asset_put", collection_id, {"asset": str(asset_id)})


@delete("/{collection_id:uuid}/assets/{asset_id:uuid}", status_code=HTTPStatus.NO_CONTENT, opt=answers(409))
async def take_out(collection_id: FromPath[UUID], asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Take an asset out of a collection that is filled by hand; the asset itself stays."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _allowed(session, principal, "collection.update", collection_id)
        if await items.take_asset(session, collection_id, asset_id):
            await _record(session, principal, "asset_taken", collection_id, {"asset": str(asset_id)})


async def _allowed(session: AsyncSession, principal: Principal, action: Action, collection_id: UUID) -> Collection:
    """Return a collection to which the principal may do something."""
    row = await tree.collection_by_id(session, collection_id)
    require(principal, action, Resource(kind="collection", owner_id=row.user_id, workspace_id=row.workspace_id))
    return row


async def _unchanged(
    session: AsyncSession, principal: Principal, collection_id: UUID, request: Request[Any, Any, Any]
) -> None:
    """Return if the principal may change a collection, and it is as they saw it."""
    await _allowed(session, principal, "collection.update", collection_id)
    row = await tree.collection_by_id(session, collection_id, for_update=True)
    check_match(request, CollectionView.of(row))


async def _record(
    session: AsyncSession, principal: Principal, what: str, collection_id: UUID, detail: dict[str, Any] | None = None
) -> None:
    await db.record(
        session, actor_id=principal.user_id, action=f"collection.{what}", subject=f"collection:{collection_id}",
        detail=detail,
    )  # fmt: skip


routes = [
    Router(
        "/api/collections",
        route_handlers=[
            list_collections, create, get_one, change, move, remove, list_assets, put_in, take_out,
        ],
        tags=["collections"],
    )
]  # fmt: skip

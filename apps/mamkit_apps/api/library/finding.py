"""`GET /api/assets`, `/api/facets`: finding assets."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Principal, Resource
from mamkit.catalog import AssetQuery, WorkspaceNotFoundError
from mamkit.catalog.filters import Sort
from mamkit.catalog.models import AssetKind, AssetStatus
from mamkit_apps.api.callers.access import Caller, home_of, require, scope_of
from mamkit_apps.api.library.schemas import AssetPage, FacetsView
from mamkit_apps.api.paging import Cursor, Limit
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers"]

Text = Annotated[str, QueryParameter(max_length=1000)]
Tags = Annotated[list[str] | None, QueryParameter(max_items=20)]
Seconds = Annotated[float | None, QueryParameter(ge=0)]
Pixels = Annotated[int | None, QueryParameter(ge=0, le=1 << 24)]

Wanted = NamedDependency[AssetQuery]
"""What is looked for, given to a handler by `provide_query`."""


async def provide_query(
    *,
    principal: Caller,
    workspace: FromQuery[UUID | None] = None,
    q: Text = "",
    kind: FromQuery[AssetKind | None] = None,
    codec: FromQuery[str | None] = None,
    status: FromQuery[AssetStatus | None] = None,
    owner_id: FromQuery[UUID | None] = None,
    mine: FromQuery[bool] = False,
    tag: Tags = None,
    min_duration: Seconds = None,
    max_duration: Seconds = None,
    min_height: Pixels = None,
    max_height: Pixels = None,
    created_from: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
    trashed: FromQuery[bool] = False,
    sort: FromQuery[Sort] = "newest",
) -> AssetQuery:
    """Return what is looked for: the members of an `AssetFilter`, as a query names them, and where.

    That is the personal workspace of whoever asks, if none is named.

    Raises:
        InvalidQueryError: As `AssetFilter` raises it.
    """
    return AssetQuery(
        workspace_id=workspace or home_of(principal.user_id),
        text=q,
        kind=kind,
        codec=codec,
        status=status,
        owner_id=principal.user_id if mine else owner_id,
        tags=frozenset(tag or ()),
        min_duration=min_duration,
        max_duration=max_duration,
        min_height=min_height,
        max_height=max_height,
        created_from=created_from,
        created_before=created_before,
        trashed=trashed,
        sort=sort,
    )


@get("/assets", tags=["assets"], dependencies={"wanted": Provide(provide_query)})
async def find(
    *,
    wanted: Wanted,
    principal: Caller,
    parts: Wired,
    after: Cursor = None,
    limit: Limit = 50,
) -> AssetPage:
    """Find assets of a workspace by words and filters; the newest first, unless another order is asked for."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _may_look(session, principal, wanted)
        page = await db.find_assets(session, wanted, after=after, limit=limit)
        tags = await db.tags_of(session, [asset.id for asset in page.assets])
    return AssetPage.of(page, tags)


@get("/facets", tags=["assets"], dependencies={"wanted": Provide(provide_query)})
async def facets(*, wanted: Wanted, principal: Caller, parts: Wired) -> FacetsView:
    """Count of the same assets how many have which kind, codec, status, owner and tag."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _may_look(session, principal, wanted)
        found = await db.facets_of(session, wanted)
    return FacetsView(counts={name: dict(counts) for name, counts in found.counts.items()}, complete=found.complete)


async def _may_look(session: AsyncSession, principal: Principal, wanted: AssetQuery) -> None:
    if scope_of(principal) is None:
        await db.workspace_by_id(session, wanted.workspace_id)
    elif wanted.workspace_id not in principal.workspaces:  # which were asked for with this request
        raise WorkspaceNotFoundError(wanted.workspace_id)
    require(principal, "asset.read", Resource(kind="asset", workspace_id=wanted.workspace_id))


handlers: list[HTTPRouteHandler] = [find, facets]
"""Below `/api`."""

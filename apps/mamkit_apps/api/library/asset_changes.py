"""Changing an asset: whoever changes one says which state of it they saw."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, patch, put
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Principal
from mamkit.catalog import Asset
from mamkit_apps.api.callers.access import Caller, allowed_asset, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.schemas import AssetChange, AssetView, PlayingChange
from mamkit_apps.api.middleware.representation import check_match, tagged
from mamkit_apps.api.wiring import Wired

__all__ = ["change_asset", "choose_version", "view_of"]


@patch("/assets/{asset_id:uuid}", tags=["assets"], opt=answers(412, 428, match=True))
async def change_asset(
    asset_id: FromPath[UUID],
    data: JSONBody[AssetChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[AssetView]:
    """Change an asset that is still as `If-Match` says; of two changes of one state, one is refused."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        asset = await _seen(session, request, principal, asset_id)
        if data.tags is not None:
            asset = await db.tag_asset(session, asset_id, data.tags)
        if (data.title, data.description, data.fields) != (None, None, None):
            asset = await db.describe_asset(
                session, asset_id, title=data.title, description=data.description, fields=data.fields
            )
        await db.record(session, actor_id=principal.user_id, action="asset.changed", subject=f"asset:{asset_id}")
        return tagged(await view_of(session, asset))


@put("/assets/{asset_id:uuid}/playing", tags=["assets"], opt=answers(412, 428, match=True))
async def choose_version(
    asset_id: FromPath[UUID],
    data: JSONBody[PlayingChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[AssetView]:
    """Choose which version of an asset plays, if the asset is still as `If-Match` says."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _seen(session, request, principal, asset_id)
        asset = await db.play_version(session, asset_id, data.number)
        await db.record(
            session, actor_id=principal.user_id, action="asset.version_chosen", subject=f"asset:{asset_id}",
            detail={"number": data.number},
        )  # fmt: skip
        return tagged(await view_of(session, asset))


async def _seen(session: AsyncSession, request: Request[Any, Any, Any], principal: Principal, asset_id: UUID) -> Asset:
    """Return an asset that may be changed and is as `If-Match` says; nobody else changes it until the end."""
    await allowed_asset(session, principal, "asset.update", asset_id)
    asset = await session.get_one(Asset, asset_id, with_for_update=True, populate_existing=True)
    check_match(request, await view_of(session, asset))
    return asset


async def view_of(session: AsyncSession, asset: Asset) -> AssetView:
    """Return the view of an asset with its tags."""
    return AssetView.of(asset, (await db.tags_of(session, [asset.id]))[asset.id])

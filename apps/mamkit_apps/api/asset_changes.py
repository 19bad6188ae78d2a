"""Changing an asset: whoever changes one says which state of it they saw."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, patch
from litestar.params import FromPath, JSONBody
from pydantic import Field

from mamkit import catalog as db
from mamkit.catalog import Asset, AssetNotFoundError
from mamkit_apps.api.access import Caller, asset_resource, require
from mamkit_apps.api.described import answers
from mamkit_apps.api.representation import check_match, tagged
from mamkit_apps.api.schemas import AssetView, Body
from mamkit_apps.api.wiring import Wired

__all__ = ["change_asset"]


class AssetChange(Body):
    """What an asset is to be called."""

    title: Annotated[str, Field(min_length=1, max_length=500)]


@patch("/assets/{asset_id:uuid}", opt=answers(412, 428, match=True))
async def change_asset(
    asset_id: FromPath[UUID],
    data: JSONBody[AssetChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[AssetView]:
    """Change an asset that is still as `If-Match` says; of two changes of one state, one is refused."""
    async with parts.catalog.read() as session:
        asset = await db.asset_by_id(session, asset_id)
    require(principal, "asset.update", await asset_resource(parts, asset))
    async with parts.catalog.begin() as session:
        row = await session.get(Asset, asset_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise AssetNotFoundError(asset_id)
        check_match(request, AssetView.of(row))
        row.title = data.title
        subject = f"asset:{asset_id}"
        await db.record(session, actor_id=principal.user_id, action="asset.changed", subject=subject)
    return tagged(AssetView.of(row))

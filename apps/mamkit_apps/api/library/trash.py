"""`/api/assets/…` and `/api/trash/…`: throwing assets away, taking them back, and removing them for good."""

from http import HTTPStatus
from uuid import UUID

from litestar import delete, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from mamkit import catalog as db
from mamkit_apps.api.bodies import NO_BODY
from mamkit_apps.api.callers.access import Caller, allowed_asset, scope_of
from mamkit_apps.api.library.assets import view_of
from mamkit_apps.api.library.schemas import AssetView
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers"]


@delete("/assets/{asset_id:uuid}", tags=["trash"], status_code=HTTPStatus.NO_CONTENT)
async def trash(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Put an asset into the trash, from where it can be taken back; its objects stay."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.delete", asset_id)
        await db.trash_asset(session, asset_id)
        subject = f"asset:{asset_id}"
        await db.record(session, actor_id=principal.user_id, action="asset.trashed", subject=subject)


@post("/trash/{asset_id:uuid}/restore", tags=["trash"], status_code=HTTPStatus.OK)
async def restore(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> AssetView:
    """Take an asset back from the trash."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.delete", asset_id, trashed=True)
        asset = await db.restore_asset(session, asset_id)
        subject = f"asset:{asset_id}"
        await db.record(session, actor_id=principal.user_id, action="asset.restored", subject=subject)
        return await view_of(session, asset)


@delete("/trash/{asset_id:uuid}", tags=["trash"], status_code=HTTPStatus.ACCEPTED, media_type=NO_BODY)
async def purge(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Remove an asset of the trash for good, its objects included; refused while a master of it is retained."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.delete", asset_id, trashed=True)
    await parts.trash.condemn(asset_id, actor_id=principal.user_id)
    parts.condemned.set()


handlers: list[HTTPRouteHandler] = [trash, restore, purge]
"""Below `/api`."""

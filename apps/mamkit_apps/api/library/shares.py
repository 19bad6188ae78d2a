"""`/api/assets/…/shares`: letting people do something to an asset who have an account."""

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody
from pydantic import AwareDatetime

from mamkit import catalog as db
from mamkit_apps.api.bodies import Actions, Body
from mamkit_apps.api.callers.access import Caller, allowed_asset, scope_of
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]


class ShareRequest(Body):
    """What somebody is let do to an asset."""

    actions: Actions
    expires_at: AwareDatetime | None = None


class ShareView(Body):
    """What somebody may do to an asset."""

    user_id: UUID
    actions: tuple[str, ...]
    expires_at: datetime | None


@get("/assets/{asset_id:uuid}/shares")
async def list_shares(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> list[ShareView]:
    """List who may do what to an asset beside its owner."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.share", asset_id)
        shares = await db.shares_of(session, asset_id)
    return [ShareView(user_id=each.user_id, actions=tuple(each.actions), expires_at=each.expires_at) for each in shares]


@put("/assets/{asset_id:uuid}/shares/{user_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def share(
    asset_id: FromPath[UUID],
    user_id: FromPath[UUID],
    data: JSONBody[ShareRequest],
    principal: Caller,
    parts: Wired,
) -> None:
    """Let somebody do some things to an asset; what they were let do before is replaced."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.share", asset_id)
        await db.user_by_id(session, user_id)
        await db.share_asset(session, asset_id, user_id, actions=data.actions, expires_at=data.expires_at)
        await db.record(
            session, actor_id=principal.user_id, action="asset.shared", subject=f"asset:{asset_id}",
            detail={"user": str(user_id), "actions": sorted(data.actions)},
        )  # fmt: skip


@delete("/assets/{asset_id:uuid}/shares/{user_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def unshare(asset_id: FromPath[UUID], user_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """Take back what somebody was let do to an asset."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.share", asset_id)
        await db.unshare_asset(session, asset_id, user_id)
        subject, detail = f"asset:{asset_id}", {"user": str(user_id)}
        await db.record(session, actor_id=principal.user_id, action="asset.unshared", subject=subject, detail=detail)


routes = [Router("/api", route_handlers=[list_shares, share, unshare], tags=["administration"])]

"""`/api/presign`, `/api/assets/…`, `/api/promote`: from a client's file to a master, and what is said of it."""

from http import HTTPStatus
from uuid import UUID

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from mamkit import catalog as db
from mamkit.auth import decide
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.callers.access import Caller, allowed_asset, place_of, plain_resource, require_for_asset, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.asset_changes import change_asset, choose_version, view_of
from mamkit_apps.api.library.schemas import (
    AssetView,
    NewAsset,
    PresignedView,
    PresignRequest,
    PromoteRequest,
    VersionView,
)
from mamkit_apps.api.middleware.representation import tagged
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers", "view_of"]


@post("/presign", tags=["assets"], status_code=HTTPStatus.OK)
async def presign(data: JSONBody[PresignRequest], principal: Caller, parts: Wired) -> PresignedView:
    """Return a signed request that uploads one file of just this size and type, past the API, into staging."""
    place_of(principal, data.workspace_id)
    if data.size > parts.settings.max_upload_bytes:
        raise InvalidRequestError(f"size: at most {parts.settings.max_upload_bytes} bytes can be uploaded")
    upload = parts.ingest.presign(
        principal.user_id, data.filename, size=data.size, content_type=data.content_type, sha256=data.sha256
    )
    return PresignedView(
        asset_id=upload.asset_id,
        staging_key=upload.staging_key,
        method=upload.request.method,
        url=upload.request.url,
        headers=dict(upload.request.headers),
        expires_at=upload.request.expires_at,
    )


@post("/assets", tags=["assets"])
async def create_asset(data: JSONBody[NewAsset], principal: Caller, parts: Wired) -> AssetView:
    """Record the asset that an upload is to become; repeating it is harmless."""
    workspace_id = place_of(principal, data.workspace_id)
    asset = await parts.ingest.record(
        principal.user_id, data.asset_id, title=data.title, filename=data.filename, workspace_id=workspace_id
    )
    return AssetView.of(asset)


@get("/assets/{asset_id:uuid}", tags=["assets"])
async def get_asset(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[AssetView]:
    """Return one asset."""
    scope = scope_of(principal)
    asset, tags = await db.asset_with_tags(parts.catalog, asset_id, scope)
    if not decide(principal, "asset.read", plain_resource(asset)):  # most need not ask what is shared
        async with parts.catalog.read(scope) as session:
            await require_for_asset(session, principal, "asset.read", asset)
    return tagged(AssetView.of(asset, tags))


@get("/assets/{asset_id:uuid}/versions", tags=["assets"])
async def list_versions(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> list[VersionView]:
    """List the masters of an asset, newest first."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await allowed_asset(session, principal, "asset.read", asset_id)
        versions = await db.versions_of(session, asset_id)
    return [VersionView.of(each) for each in sorted(versions, key=lambda each: each.number, reverse=True)]


@post("/promote", tags=["assets"], status_code=HTTPStatus.OK, opt=answers(507))
async def promote(data: JSONBody[PromoteRequest], principal: Caller, parts: Wired) -> VersionView:
    """Make the uploaded file the asset's next master and start its preview; repeating it is harmless."""
    async with parts.catalog.read(scope_of(principal)) as session:
        asset = await allowed_asset(session, principal, "asset.update", data.asset_id)
    version = await parts.ingest.promote(asset, sha256=data.sha256)
    return VersionView.of(version)


handlers: list[HTTPRouteHandler] = [
    presign,
    create_asset,
    get_asset,
    change_asset,
    choose_version,
    list_versions,
    promote,
]
"""Below `/api`."""

"""`/api/presign`, `/api/assets`, `/api/promote`: from a file on a client's disk to a master."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from mamkit import catalog as db
from mamkit.auth import Resource
from mamkit_apps.api.access import Caller, asset_resource, require
from mamkit_apps.api.asset_changes import change_asset
from mamkit_apps.api.described import answers
from mamkit_apps.api.representation import tagged
from mamkit_apps.api.schemas import (
    AssetPage,
    AssetView,
    NewAsset,
    PresignedView,
    PresignRequest,
    PromoteRequest,
    VersionView,
)
from mamkit_apps.api.wiring import Wired
from mamkit_apps.problems import InvalidRequestError

__all__ = ["routes"]


@post("/presign", status_code=HTTPStatus.OK)
async def presign(data: JSONBody[PresignRequest], principal: Caller, parts: Wired) -> PresignedView:
    """Return a signed request that uploads one file of just this size and type, past the API, into staging."""
    require(principal, "asset.create", Resource(kind="asset", owner_id=principal.user_id))
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


@post("/assets")
async def create_asset(data: JSONBody[NewAsset], principal: Caller, parts: Wired) -> AssetView:
    """Record the asset that an upload is to become; repeating it is harmless."""
    require(principal, "asset.create", Resource(kind="asset", owner_id=principal.user_id))
    asset = await parts.ingest.record(principal.user_id, data.asset_id, title=data.title, filename=data.filename)
    return AssetView.of(asset)


@get("/assets")
async def list_assets(
    principal: Caller,
    parts: Wired,
    after: FromQuery[UUID | None] = None,
    mine: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> AssetPage:
    """List assets, newest first: all, or with `mine` those of whoever asks."""
    require(principal, "asset.read", Resource(kind="asset", owner_id=principal.user_id if mine else None))
    owner = principal.user_id if mine else None
    async with parts.catalog.read() as session:
        assets = await db.page_assets(session, owner_id=owner, after=after, limit=limit + 1)
    page = assets[:limit]
    return AssetPage(
        items=tuple(AssetView.of(asset) for asset in page), next=page[-1].id if len(assets) > limit else None
    )


@get("/assets/{asset_id:uuid}")
async def get_asset(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[AssetView]:
    """Return one asset."""
    async with parts.catalog.read() as session:
        asset = await db.asset_by_id(session, asset_id)
    require(principal, "asset.read", await asset_resource(parts, asset))
    return tagged(AssetView.of(asset))


@get("/assets/{asset_id:uuid}/versions")
async def list_versions(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> list[VersionView]:
    """List the masters of an asset, newest first."""
    async with parts.catalog.read() as session:
        asset = await db.asset_by_id(session, asset_id)
        versions = await db.versions_of(session, asset_id)
    require(principal, "asset.read", await asset_resource(parts, asset))
    return [VersionView.of(each) for each in sorted(versions, key=lambda each: each.number, reverse=True)]


@post("/promote", status_code=HTTPStatus.OK, opt=answers(507))
async def promote(data: JSONBody[PromoteRequest], principal: Caller, parts: Wired) -> VersionView:
    """Make the uploaded file the asset's next master and start its preview; repeating it is harmless."""
    async with parts.catalog.read() as session:
        asset = await db.asset_by_id(session, data.asset_id)
    require(principal, "asset.update", await asset_resource(parts, asset))
    version = await parts.ingest.promote(asset, sha256=data.sha256)
    return VersionView.of(version)


routes = [
    Router(
        "/api",
        route_handlers=[presign, create_asset, list_assets, get_asset, change_asset, list_versions, promote],
        tags=["assets"],
    ),
]

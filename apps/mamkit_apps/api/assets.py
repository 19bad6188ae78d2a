"""`/api/presign`, `/api/assets`, `/api/promote`: from a file on a client's disk to a master."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from mamkit import catalog as db
from mamkit.auth import Principal, Resource
from mamkit.catalog import WorkspaceNotFoundError
from mamkit_apps.api.access import Caller, allowed_asset, home_of, require, scope_of
from mamkit_apps.api.described import answers
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
    _may_create(principal, data.workspace_id)
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
    workspace_id = _may_create(principal, data.workspace_id)
    asset = await parts.ingest.record(
        principal.user_id, data.asset_id, title=data.title, filename=data.filename, workspace_id=workspace_id
    )
    return AssetView.of(asset)


@get("/assets")
async def list_assets(
    *,
    principal: Caller,
    parts: Wired,
    workspace: FromQuery[UUID | None] = None,
    after: FromQuery[UUID | None] = None,
    mine: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> AssetPage:
    """List the assets of a workspace, newest first: all, or with `mine` those of whoever asks."""
    workspace_id = workspace or home_of(principal.user_id)
    owner = principal.user_id if mine else None
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(principal, "asset.read", Resource(kind="asset", owner_id=owner, workspace_id=workspace_id))
        assets = await db.page_assets(session, workspace_id=workspace_id, owner_id=owner, after=after, limit=limit + 1)
    page = assets[:limit]
    return AssetPage(
        items=tuple(AssetView.of(asset) for asset in page), next=page[-1].id if len(assets) > limit else None
    )


@get("/assets/{asset_id:uuid}")
async def get_asset(asset_id: FromPath[UUID], principal: Caller, parts: Wired) -> AssetView:
    """Return one asset."""
    async with parts.catalog.read(scope_of(principal)) as session:
        return AssetView.of(await allowed_asset(session, principal, "asset.read", asset_id))


@post("/promote", status_code=HTTPStatus.OK, opt=answers(507))
async def promote(data: JSONBody[PromoteRequest], principal: Caller, parts: Wired) -> VersionView:
    """Make the uploaded file the asset's next master and start its preview; repeating it is harmless."""
    async with parts.catalog.read(scope_of(principal)) as session:
        asset = await allowed_asset(session, principal, "asset.update", data.asset_id)
    version = await parts.ingest.promote(asset, sha256=data.sha256)
    return VersionView.of(version)


def _may_create(principal: Principal, workspace_id: UUID | None) -> UUID:
    """Return the workspace of a new asset, the personal one if none is named.

    Raises:
        WorkspaceNotFoundError: The principal is no member of it.
        PermissionDeniedError: They are, and may not create there.
    """
    chosen = workspace_id or home_of(principal.user_id)
    if not principal.roles_in(chosen):
        raise WorkspaceNotFoundError(chosen)
    require(principal, "asset.create", Resource(kind="asset", owner_id=principal.user_id, workspace_id=chosen))
    return chosen


routes = [
    Router("/api", route_handlers=[presign, create_asset, list_assets, get_asset, promote], tags=["assets"]),
]

"""`/api/share-links`: letting people look at something who have no account."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Principal, Resource, decide, new_share_token
from mamkit.catalog import ShareLink
from mamkit.catalog import share_links as links
from mamkit.catalog.collections import collection_by_id
from mamkit_apps.answers import InvalidRequestError
from mamkit_apps.api.accounts.logins import hashing
from mamkit_apps.api.callers.access import Caller, home_of, plain_resource, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.library.share_schemas import (
    NewShareLink,
    ShareLinkChange,
    ShareLinkMade,
    ShareLinkPage,
    ShareLinkView,
    ShareUsePage,
    ShareUseView,
)
from mamkit_apps.api.middleware.representation import check_match, tagged
from mamkit_apps.api.paging import Limit
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["routes"]


@post("/")
async def make(data: JSONBody[NewShareLink], principal: Caller, parts: Wired) -> ShareLinkMade:
    """Make a link by which whoever has it sees something; the answer shows its token, once."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _shared(session, principal, data)
    password_hash = await _hash(parts, data.password)
    made = new_share_token()
    async with parts.catalog.begin(scope_of(principal)) as session:
        what = await _shared(session, principal, data)  # it may have changed while the password was hashed
        row = await links.add_share_link(
            session,
            id=made.link_id,
            digest=made.digest,
            user_id=principal.user_id,
            name=data.name,
            rights=data.rights,
            password_hash=password_hash,
            expires_at=data.expires_at,
            **what,
        )
        await _record(session, principal, "made", row, {"rights": row.rights})
    url = f"{parts.settings.public_url}/shared#token={made.token}"
    return ShareLinkMade(token=made.token, url=url, record=ShareLinkView.of(row))


@get("/")
async def list_links(
    *,
    principal: Caller,
    parts: Wired,
    workspace: FromQuery[UUID | None] = None,
    asset_id: FromQuery[UUID | None] = None,
    collection_id: FromQuery[UUID | None] = None,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> ShareLinkPage:
    """List the links of a workspace, newest first: those that whoever asks may end, or has made."""
    workspace_id = workspace or home_of(principal.user_id)
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(principal, "asset.share", _whole(principal, workspace_id, principal.user_id))
        found = await links.share_links_in(
            session,
            workspace_id,
            asset_id=asset_id,
            collection_id=collection_id,
            user_id=None if _sees_all(principal, workspace_id) else principal.user_id,
            after=after,
            limit=limit,
        )
    items = tuple(ShareLinkView.of(each) for each in found)
    return ShareLinkPage(items=items, next=items[-1].id if len(items) == limit else None)


@get("/{link_id:uuid}")
async def get_one(link_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[ShareLinkView]:
    """Return one link; not its token, which nobody has but those it was sent to."""
    async with parts.catalog.read(scope_of(principal)) as session:
        return tagged(ShareLinkView.of(await _allowed(session, principal, link_id)))


@patch("/{link_id:uuid}", opt=answers(412, 428, match=True))
async def change(
    link_id: FromPath[UUID],
    data: JSONBody[ShareLinkChange],
    request: Request[Any, Any, Any],
    principal: Caller,
    parts: Wired,
) -> Response[ShareLinkView]:
    """Change what a link allows, its password or its end, if it is still as `If-Match` says."""
    password_hash = await _hash(parts, data.password)
    async with parts.catalog.begin(scope_of(principal)) as session:
        await _allowed(session, principal, link_id)
        row = await links.share_link_by_id(session, link_id, for_update=True)
        check_match(request, ShareLinkView.of(row))
        if row.revoked_at is not None:
            raise InvalidRequestError("this link was revoked; make another one")
        if data.rights is not None:
            await _require_rights(session, principal, row, data.rights)
            row.rights = sorted(set(data.rights))
        if data.name is not None:
            row.name = data.name
        if password_hash is not None or data.without_password:
            row.password_hash = password_hash
        if data.expires_at is not None or data.without_expiry:
            row.expires_at = data.expires_at
        row.revision += 1
        await _record(session, principal, "changed", row, {"rights": row.rights})
        return tagged(ShareLinkView.of(row))


@delete("/{link_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def revoke(link_id: FromPath[UUID], principal: Caller, parts: Wired) -> None:
    """End a link at once and for good; what was done by it stays recorded."""
    async with parts.catalog.begin(scope_of(principal)) as session:
        row = await _allowed(session, principal, link_id)
        if row.revoked_at is None:
            await links.revoke_share_link(session, link_id)
            await _record(session, principal, "revoked", row)


@get("/{link_id:uuid}/uses")
async def list_uses(
    link_id: FromPath[UUID],
    principal: Caller,
    parts: Wired,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 50,
) -> ShareUsePage:
    """List what was done by a link, when and from where, newest first."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await _allowed(session, principal, link_id)
        found = await links.uses_of(session, link_id, after=after, limit=limit)
    items = tuple(
        ShareUseView(
            id=each.id, action=each.action, address=each.address, asset_id=each.asset_id, created_at=each.created_at
        )
        for each in found
    )
    return ShareUsePage(items=items, next=items[-1].id if len(items) == limit else None)


async def _hash(parts: Parts, password: SecretStr | None) -> str | None:
    if password is None:
        return None
    return await hashing(parts, lambda: parts.passwords.hash(password.get_secret_value()))


async def _shared(session: AsyncSession, principal: Principal, data: NewShareLink) -> dict[str, UUID]:
    """Return what a link is to show, if the principal may share it, with all the rights that are asked for.

    A collection shows what others put into it as well: it is shared by who may share everything in the workspace.
    """
    if data.collection_id is not None:
        collection = await collection_by_id(session, data.collection_id)
        workspace_id = collection.workspace_id
        resource = _whole(principal, workspace_id)
        what = {"collection_id": collection.id}
    else:
        version = None if data.version_id is None else await db.version_by_id(session, data.version_id)
        asset_id = data.asset_id if version is None else version.asset_id
        asset = await db.asset_by_id(session, asset_id or UUID(int=0))  # one of the two is there
        workspace_id = asset.workspace_id
        resource = plain_resource(asset)
        what = {"asset_id": asset.id} | ({} if version is None else {"version_id": version.id})
    _require(principal, resource, data.rights)
    return {"workspace_id": workspace_id, **what}


def _require(principal: Principal, resource: Resource, rights: "list[links.Right]") -> None:
    require(principal, "asset.share", resource)
    if "download" in rights:
        require(principal, "asset.download", resource)
    if "comment" in rights:
        about = Resource(kind="comment", workspace_id=resource.workspace_id, owner_id=principal.user_id)
        require(principal, "comment.create", about)


async def _require_rights(
    session: AsyncSession, principal: Principal, row: ShareLink, rights: "list[links.Right]"
) -> None:
    _require(principal, await _resource(session, principal, row), rights)


async def _resource(session: AsyncSession, principal: Principal, row: ShareLink) -> Resource:
    """Return what a link shows, as permissions look at it."""
    if row.asset_id is None:
        return _whole(principal, row.workspace_id)
    return plain_resource(await db.asset_by_id(session, row.asset_id, trashed=None))


async def _allowed(session: AsyncSession, principal: Principal, link_id: UUID) -> ShareLink:
    """Return a link, if the principal may share what it shows."""
    row = await links.share_link_by_id(session, link_id)
    require(principal, "asset.share", await _resource(session, principal, row))
    return row


def _whole(principal: Principal, workspace_id: UUID, owner_id: UUID | None = None) -> Resource:
    """Return all assets of a workspace as permissions look at them; those of the personal one are its user's."""
    own = principal.user_id if workspace_id == home_of(principal.user_id) else owner_id
    return Resource(kind="asset", owner_id=own, workspace_id=workspace_id)


def _sees_all(principal: Principal, workspace_id: UUID) -> bool:
    return bool(decide(principal, "asset.share", _whole(principal, workspace_id)))


async def _record(
    session: AsyncSession, principal: Principal, what: str, row: ShareLink, detail: dict[str, Any] | None = None
) -> None:
    shown = {"asset": row.asset_id, "version": row.version_id, "collection": row.collection_id}
    told = {name: str(each) for name, each in shown.items() if each is not None}
    await db.record(
        session, actor_id=principal.user_id, action=f"share_link.{what}", subject=f"share_link:{row.id}",
        detail=told | (detail or {}),
    )  # fmt: skip


routes = [
    Router(
        "/api/share-links",
        route_handlers=[make, list_links, get_one, change, revoke, list_uses],
        tags=["shares"],
    )
]

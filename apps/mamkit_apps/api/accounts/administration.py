"""`/api/users`, `/api/audit`, and the public keys of access tokens."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import Resource
from mamkit.catalog import Asset, Collection, ShareLink, Workspace
from mamkit_apps.api.accounts.schemas import AuditView, RoleName, StatusRequest
from mamkit_apps.api.callers.access import Caller, Owner, require, scope_of
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]

OF_WORKSPACES: Mapping[str, type[Asset | Collection | ShareLink | Workspace]] = {
    "asset": Asset,
    "collection": Collection,
    "share_link": ShareLink,
    "workspace": Workspace,
}
"""What subjects of events belong to workspaces."""

JWKS_MAX_AGE = 300  # seconds; a new key is published before it signs, so that this may be minutes


@put("/users/{user_id:uuid}/status", status_code=HTTPStatus.NO_CONTENT)
async def set_status(user_id: FromPath[UUID], data: JSONBody[StatusRequest], owner: Owner, parts: Wired) -> None:
    """Ban somebody, or let them in again; a ban ends their sessions and access tokens at once."""
    require(owner, "user.manage", Resource(kind="user", owner_id=user_id))
    async with parts.catalog.begin() as session:
        await db.set_user_status(session, user_id, data.status)
        await db.record(
            session, actor_id=owner.user_id, action="user.status", subject=f"user:{user_id}",
            detail={"status": data.status},
        )  # fmt: skip
    if data.status == "disabled":
        await asyncio.to_thread(parts.sessions.revoke_all, user_id)


@put("/users/{user_id:uuid}/roles/{role:str}", status_code=HTTPStatus.NO_CONTENT)
async def grant_role(user_id: FromPath[UUID], role: FromPath[RoleName], owner: Owner, parts: Wired) -> None:
    """Give somebody a role; their access tokens are then out of date."""
    require(owner, "user.manage", Resource(kind="user", owner_id=user_id))
    async with parts.catalog.begin() as session:
        await db.grant_role(session, user_id, role)
        subject, detail = f"user:{user_id}", {"role": role}
        await db.record(session, actor_id=owner.user_id, action="role.granted", subject=subject, detail=detail)


@delete("/users/{user_id:uuid}/roles/{role:str}", status_code=HTTPStatus.NO_CONTENT)
async def revoke_role(user_id: FromPath[UUID], role: FromPath[RoleName], owner: Owner, parts: Wired) -> None:
    """Take a role from somebody; their access tokens are then out of date."""
    require(owner, "user.manage", Resource(kind="user", owner_id=user_id))
    async with parts.catalog.begin() as session:
        await db.revoke_role(session, user_id, role)
        subject, detail = f"user:{user_id}", {"role": role}
        await db.record(session, actor_id=owner.user_id, action="role.revoked", subject=subject, detail=detail)


@get("/audit")
async def audit(
    subject: FromQuery[str],
    principal: Caller,
    parts: Wired,
    after: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> list[AuditView]:
    """Return what was done to a subject, newest first; `after` is the id of the last event of the page before.

    Owners of a workspace may ask about it (`workspace:…`) and about what lies in it: `asset:…`, `collection:…`,
    `share_link:…`. Administrators may ask about anything.
    """
    async with parts.catalog.read(scope_of(principal)) as session:
        resource = Resource(kind="audit", workspace_id=await _workspace_of(session, subject))
        require(principal, "audit.read", resource)
        events = await db.events_of(session, subject, after=after, limit=limit)
    return [
        AuditView(
            id=event.id,
            actor_id=event.actor_id,
            action=event.action,
            subject=event.subject,
            detail=event.detail,
            created_at=event.created_at,
        )
        for event in events
    ]


async def _workspace_of(session: AsyncSession, subject: str) -> UUID | None:
    """Return the workspace to which a subject belongs, as far as the session sees it; None where that is none."""
    kind, _, name = subject.partition(":")
    model = OF_WORKSPACES.get(kind)
    try:
        row: Any = None if model is None else await session.get(model, UUID(name))
    except ValueError:
        return None
    found: UUID | None = None if row is None else row.id if model is Workspace else row.workspace_id
    return found


@get("/.well-known/jwks.json", tags=["accounts"])
async def jwks(parts: Wired) -> Response[dict[str, Any]]:
    """Return the public keys of access tokens; none where they are signed with a shared secret."""
    keys: dict[str, Any] = {"keys": []} if parts.key_pairs is None else parts.key_pairs.jwks()
    return Response(keys, headers={"cache-control": f"public, max-age={JWKS_MAX_AGE}"})


routes: list[HTTPRouteHandler | Router] = [
    jwks,
    Router(
        "/api",
        route_handlers=[set_status, grant_role, revoke_role, audit],
        tags=["administration"],
    ),
]

"""`/api/workspaces`: who works together, and in which role."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody
from pydantic import Field

from mamkit import catalog as db
from mamkit.auth import Resource
from mamkit.catalog import Workspace, WorkspaceRole
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Caller, Owner, require, scope_of
from mamkit_apps.api.described import answers
from mamkit_apps.api.middleware.representation import check_match, tagged
from mamkit_apps.api.wiring import Wired

__all__ = ["routes"]

Name = Annotated[str, Field(min_length=1, max_length=200)]


class WorkspaceRequest(Body):
    """A workspace that is to be made, or its new name."""

    name: Name


class WorkspaceView(Body):
    """A workspace."""

    id: UUID
    name: str
    kind: Literal["personal", "shared"]
    role: WorkspaceRole | None
    """Of whoever asks; null for an administrator who is no member."""
    created_at: datetime

    @classmethod
    def of(cls, workspace: Workspace, role: WorkspaceRole | None) -> Self:
        """Return the view of a row."""
        return cls(
            id=workspace.id, name=workspace.name, kind=workspace.kind, role=role, created_at=workspace.created_at
        )


class MemberRequest(Body):
    """The role that somebody is to have."""

    role: WorkspaceRole


class MemberView(Body):
    """A member of a workspace."""

    user_id: UUID
    email: str
    display_name: str
    role: WorkspaceRole


def _resource(workspace_id: UUID | None) -> Resource:
    return Resource(kind="workspace", workspace_id=workspace_id)


@post("/")
async def create(data: JSONBody[WorkspaceRequest], owner: Owner, parts: Wired) -> WorkspaceView:
    """Make a workspace for several people; whoever asks is its first owner."""
    require(owner, "workspace.create", _resource(None))
    async with parts.catalog.begin() as session:
        workspace = await db.create_workspace(session, name=data.name, owner_id=owner.user_id)
        subject = f"workspace:{workspace.id}"
        await db.record(session, actor_id=owner.user_id, action="workspace.created", subject=subject)
    return WorkspaceView.of(workspace, "owner")


@get("/")
async def list_mine(principal: Caller, parts: Wired) -> list[WorkspaceView]:
    """List the workspaces of whoever asks, the personal one first."""
    async with parts.catalog.read(scope_of(principal)) as session:
        return [WorkspaceView.of(*each) for each in await db.workspaces_of(session, principal.user_id)]


@get("/{workspace_id:uuid}")
async def get_one(workspace_id: FromPath[UUID], principal: Caller, parts: Wired) -> Response[WorkspaceView]:
    """Return one workspace."""
    async with parts.catalog.read(scope_of(principal)) as session:
        workspace = await db.workspace_by_id(session, workspace_id)
        require(principal, "workspace.read", _resource(workspace_id))
        roles = await db.memberships_of(session, principal.user_id)
    return tagged(WorkspaceView.of(workspace, roles.get(workspace_id)))


@patch("/{workspace_id:uuid}", opt=answers(412, 428, match=True))
async def rename(
    workspace_id: FromPath[UUID],
    data: JSONBody[WorkspaceRequest],
    request: Request[Any, Any, Any],
    owner: Owner,
    parts: Wired,
) -> Response[WorkspaceView]:
    """Give a workspace another name, if it is still as `If-Match` says."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        workspace = await db.workspace_by_id(session, workspace_id, for_update=True)
        require(owner, "workspace.manage", _resource(workspace_id))
        roles = await db.memberships_of(session, owner.user_id)
        check_match(request, WorkspaceView.of(workspace, roles.get(workspace_id)))
        workspace = await db.rename_workspace(session, workspace_id, data.name)
        subject = f"workspace:{workspace_id}"
        await db.record(session, actor_id=owner.user_id, action="workspace.renamed", subject=subject)
    return tagged(WorkspaceView.of(workspace, roles.get(workspace_id)))


@delete("/{workspace_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def remove(workspace_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """Delete a shared workspace that holds no asset, not even in its trash."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(owner, "workspace.delete", _resource(workspace_id))
        await db.delete_workspace(session, workspace_id)
        subject = f"workspace:{workspace_id}"
        await db.record(session, actor_id=owner.user_id, action="workspace.deleted", subject=subject)


@get("/{workspace_id:uuid}/members")
async def list_members(workspace_id: FromPath[UUID], principal: Caller, parts: Wired) -> list[MemberView]:
    """List who works in a workspace, by name."""
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(principal, "workspace.read", _resource(workspace_id))
        members = await db.members_of(session, workspace_id)
    return [
        MemberView(user_id=user.id, email=user.email, display_name=user.display_name, role=role)
        for user, role in members
    ]


@put("/{workspace_id:uuid}/members/{user_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def set_member(
    workspace_id: FromPath[UUID], user_id: FromPath[UUID], data: JSONBody[MemberRequest], owner: Owner, parts: Wired
) -> None:
    """Make somebody a member of a shared workspace, or give a member another role."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(owner, "workspace.manage", _resource(workspace_id))
        await db.set_member(session, workspace_id, user_id, data.role)
        await db.record(
            session, actor_id=owner.user_id, action="workspace.member_set", subject=f"workspace:{workspace_id}",
            detail={"user": str(user_id), "role": data.role},
        )  # fmt: skip


@delete("/{workspace_id:uuid}/members/{user_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def remove_member(workspace_id: FromPath[UUID], user_id: FromPath[UUID], owner: Owner, parts: Wired) -> None:
    """End somebody's membership, or one's own; what they added stays in the workspace."""
    async with parts.catalog.begin(scope_of(owner)) as session:
        await db.workspace_by_id(session, workspace_id)
        if user_id != owner.user_id:
            require(owner, "workspace.manage", _resource(workspace_id))
        await db.remove_member(session, workspace_id, user_id)
        await db.record(
            session, actor_id=owner.user_id, action="workspace.member_removed", subject=f"workspace:{workspace_id}",
            detail={"user": str(user_id)},
        )  # fmt: skip


routes = [
    Router(
        "/api/workspaces",
        route_handlers=[create, list_mine, get_one, rename, remove, list_members, set_member, remove_member],
        tags=["workspaces"],
    )
]

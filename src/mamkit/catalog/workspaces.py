"""Workspaces and their members.

Everybody has a personal workspace, which has their id and no other member; what is shared with others lies in shared
ones. A shared workspace always has an owner.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.engine import now
from mamkit.catalog.errors import (
    UserNotFoundError,
)
from mamkit.catalog.events import tell
from mamkit.catalog.library_errors import (
    LastOwnerError,
    PersonalWorkspaceError,
    WorkspaceInUseError,
    WorkspaceNotFoundError,
)
from mamkit.catalog.models import Asset, User
from mamkit.catalog.workspace_models import Membership, Workspace, WorkspaceRole

__all__ = [
    "create_workspace",
    "delete_workspace",
    "members_of",
    "memberships_of",
    "remove_member",
    "rename_workspace",
    "set_member",
    "workspace_by_id",
    "workspaces_of",
]


async def create_workspace(session: AsyncSession, *, name: str, owner_id: UUID) -> Workspace:
    """Add a shared workspace with its first owner.

    Args:
        session: Of `Catalog.begin`, without a scope: nobody's scope holds what was not there.
        name: At most 200 characters.
        owner_id: A user; they must be there.

    Raises:
        UserNotFoundError: There is no such user.
        InvalidTextError: The name cannot be stored.
    """
    if await session.get(User, owner_id) is None:
        raise UserNotFoundError(owner_id)
    return await _create(session, Workspace(name=name, kind="shared", created_at=now(session)), owner_id)


async def create_personal_workspace(session: AsyncSession, user_id: UUID) -> Workspace:
    """Add the workspace of a user's own; `create_user` does."""
    return await _create(
        session, Workspace(id=user_id, name="Personal", kind="personal", created_at=now(session)), user_id
    )


async def workspace_by_id(session: AsyncSession, workspace_id: UUID, *, for_update: bool = False) -> Workspace:
    """Return a workspace.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        workspace_id: Its id.
        for_update: Let nobody else change it or its members until the transaction ends.

    Raises:
        WorkspaceNotFoundError: There is none with this id that the session sees.
    """
    query = select(Workspace).where(Workspace.id == workspace_id)
    workspace = await session.scalar(query.with_for_update() if for_update else query)
    if workspace is None:
        raise WorkspaceNotFoundError(workspace_id)
    return workspace


async def workspaces_of(session: AsyncSession, user_id: UUID) -> Sequence[tuple[Workspace, WorkspaceRole]]:
    """Return the workspaces of a user with their role in each, the personal one first, then by name."""
    query = (
        select(Workspace, Membership.role)
        .join(Membership, Membership.workspace_id == Workspace.id)
        .where(Membership.user_id == user_id)
        .order_by(Workspace.kind, Workspace.name, Workspace.id)
    )
    return [(workspace, role) for workspace, role in await session.execute(query)]


async def memberships_of(session: AsyncSession, user_id: UUID) -> dict[UUID, WorkspaceRole]:
    """Return the role of a user in each of their workspaces."""
    query = select(Membership.workspace_id, Membership.role).where(Membership.user_id == user_id)
    return dict((await session.execute(query)).all())


async def members_of(session: AsyncSession, workspace_id: UUID) -> Sequence[tuple[User, WorkspaceRole]]:
    """Return the members of a workspace by their names, with their roles."""
    query = (
        select(User, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.workspace_id == workspace_id)
        .order_by(User.display_name, User.id)
    )
    return [(user, role) for user, role in await session.execute(query)]


async def rename_workspace(session: AsyncSession, workspace_id: UUID, name: str) -> Workspace:
    """Give a workspace another name.

    Raises:
        WorkspaceNotFoundError: There is none with this id that the session sees.
        InvalidTextError: The name cannot be stored.
    """
    workspace = await workspace_by_id(session, workspace_id, for_update=True)
    workspace.name = name
    await session.flush()
    await tell(session, "workspace.changed", workspace_id, data={"name": name})
    return workspace


async def delete_workspace(session: AsyncSession, workspace_id: UUID) -> None:
    """Delete a shared workspace that holds no asset, not even in its trash.

    Raises:
        WorkspaceNotFoundError: There is none with this id that the session sees.
        PersonalWorkspaceError: It is somebody's own.
        WorkspaceInUseError: It holds an asset.
    """
    workspace = await workspace_by_id(session, workspace_id, for_update=True)
    if workspace.kind == "personal":
        raise PersonalWorkspaceError(workspace_id)
    if await session.scalar(select(Asset.id).where(Asset.workspace_id == workspace_id).limit(1)) is not None:
        raise WorkspaceInUseError(workspace_id)
    await tell(session, "workspace.deleted", workspace_id, data={"name": workspace.name})
    await session.delete(workspace)
    await session.flush()


async def set_member(session: AsyncSession, workspace_id: UUID, user_id: UUID, role: WorkspaceRole) -> None:
    """Make a user a member of a shared workspace, or give a member another role.

    Raises:
        WorkspaceNotFoundError: There is none with this id that the session sees.
        PersonalWorkspaceError: It is somebody's own, which has no other members.
        UserNotFoundError: There is no such user.
        LastOwnerError: It would be left without an owner.
    """
    await _shared(session, workspace_id)
    if await session.get(User, user_id) is None:
        raise UserNotFoundError(user_id)
    member = await session.get(Membership, (workspace_id, user_id))
    if member is None:
        session.add(Membership(workspace_id=workspace_id, user_id=user_id, role=role, created_at=now(session)))
    elif member.role != role:
        await _keep_an_owner(session, member)
        member.role = role
    else:
        return
    await session.flush()
    await tell(session, "member.set", workspace_id, data={"user_id": str(user_id), "role": role})


async def remove_member(session: AsyncSession, workspace_id: UUID, user_id: UUID) -> None:
    """End a membership; one that there is not is no error. What the member added stays in the workspace.

    Raises:
        WorkspaceNotFoundError: There is none with this id that the session sees.
        PersonalWorkspaceError: It is somebody's own.
        LastOwnerError: It would be left without an owner.
    """
    await _shared(session, workspace_id)
    member = await session.get(Membership, (workspace_id, user_id))
    if member is not None:
        await _keep_an_owner(session, member)
        await session.delete(member)
        await session.flush()
        await tell(session, "member.removed", workspace_id, data={"user_id": str(user_id)})


async def _create(session: AsyncSession, workspace: Workspace, owner_id: UUID) -> Workspace:
    session.add(workspace)
    await session.flush()
    session.add(Membership(workspace_id=workspace.id, user_id=owner_id, role="owner", created_at=now(session)))
    await session.flush()
    return workspace


async def _shared(session: AsyncSession, workspace_id: UUID) -> None:
    """Lock a workspace whose members can change."""
    workspace = await workspace_by_id(session, workspace_id, for_update=True)
    if workspace.kind == "personal":
        raise PersonalWorkspaceError(workspace_id)


async def _keep_an_owner(session: AsyncSession, member: Membership) -> None:
    owners = select(func.count()).where(Membership.workspace_id == member.workspace_id, Membership.role == "owner")
    if member.role == "owner" and await session.scalar(owners) == 1:
        raise LastOwnerError(member.workspace_id)

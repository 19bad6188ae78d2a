"""`GET /api/stats`: how much is kept, by whom."""

from uuid import UUID

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from mamkit import catalog as db
from mamkit.auth import Resource
from mamkit.catalog import usage
from mamkit_apps.api.bodies import Body
from mamkit_apps.api.callers.access import Caller, home_of, require, scope_of
from mamkit_apps.api.wiring import Wired

__all__ = ["handlers"]


class Kept(Body):
    """How much is kept."""

    assets: int
    """Those in the trash included."""
    trashed: int
    versions: int
    size: int
    """Bytes of all masters, those of assets in the trash included."""


class KeptByUser(Kept):
    """How much is kept of what somebody uploaded."""

    user_id: UUID


class Stats(Body):
    """How much a workspace, or the whole installation, keeps."""

    workspace_id: UUID | None
    """Null: all of them."""
    total: Kept
    users: tuple[KeptByUser, ...]
    """Whose it is, those with most bytes first, at most 1,000; of a workspace only."""


@get("/stats", tags=["workspaces"])
async def stats(
    principal: Caller, parts: Wired, workspace: FromQuery[UUID | None] = None, everything: FromQuery[bool] = False
) -> Stats:
    """Say how many assets and bytes a workspace keeps, and of whom; or (`everything`) the whole installation."""
    if everything:
        require(principal, "user.manage", Resource(kind="user"))
        async with parts.catalog.read() as session:
            return Stats(workspace_id=None, total=Kept(**await usage.usage_of_all(session)), users=())
    workspace_id = workspace or home_of(principal.user_id)
    async with parts.catalog.read(scope_of(principal)) as session:
        await db.workspace_by_id(session, workspace_id)
        require(principal, "workspace.read", Resource(kind="workspace", workspace_id=workspace_id))
        total = await usage.usage_of_all(session, workspace_id)
        rows = await usage.usage_of(session, workspace_id)
    users = tuple(
        KeptByUser(user_id=row.user_id, assets=row.assets, trashed=row.trashed, versions=row.versions, size=row.size)
        for row in rows
    )
    return Stats(workspace_id=workspace_id, total=Kept(**total), users=users)


handlers: list[HTTPRouteHandler] = [stats]
"""Below `/api`."""

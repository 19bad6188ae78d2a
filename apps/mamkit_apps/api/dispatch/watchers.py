"""Who listens, and whether they still may: asked for all of them together, every few seconds."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.auth import EVERYWHERE, PermissionDeniedError, Principal
from mamkit.catalog import ApiKey, Catalog, Membership, Role, Scope, Share, User, UserRole
from mamkit.catalog.models import Session
from mamkit.clock import Clock, utc_now
from mamkit_apps.limits import LimitReachedError

__all__ = ["SCOPE_CHANGES", "Login", "Watcher", "Watchers"]

SCOPE_CHANGES = frozenset({"asset.shared", "asset.unshared", "member.removed", "member.set", "workspace.deleted"})
"""Events after which somebody sees more or less."""

PER_USER = 20  # streams of one user at one process: a browser has one a tab
RETRY = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """By what somebody listens."""

    session_id: UUID | None = None
    authz_version: int | None = None
    key_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(eq=False, slots=True)
class Watcher:
    """Somebody who listens."""

    user_id: UUID
    login: Login
    scope: Scope | None
    """None: an administrator sees everything."""
    shared: frozenset[UUID] = frozenset()
    ended: str = ""
    """Why they may listen no more; empty as long as they may."""

    def sees(self, workspace_id: UUID, asset_id: UUID | None) -> bool:
        """Return whether they may listen, and see what happens to an asset of a workspace, or to none."""
        if self.ended:
            return False
        return self.scope is None or workspace_id in self.scope.workspaces or asset_id in self.shared


@dataclass(slots=True)
class _Standing:
    """Of one user."""

    authz_version: int | None = None
    """None: there is no such user, or they are banned."""
    everything: bool = False
    workspaces: set[UUID] = field(default_factory=set)
    shared: set[UUID] = field(default_factory=set)


class Watchers:
    """All who listen at this process.

    Args:
        catalog: Knows who may.
        clock: Tells when a login has ended.
    """

    def __init__(self, catalog: Catalog, *, clock: Clock = utc_now) -> None:
        self._catalog = catalog
        self._clock = clock
        self._all: set[Watcher] = set()
        self._streams: Counter[UUID] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, principal: Principal) -> None:
        """Return if somebody may listen at one stream more.

        Raises:
            PermissionDeniedError: It is an API key that may not read assets and comments.
            LimitReachedError: They listen at too many streams already.
        """
        if principal.scopes is not None and not {"asset.read", "comment.read"} <= principal.scopes:
            raise PermissionDeniedError("listen to events", "the key lacks asset.read or comment.read")
        if self._streams[principal.user_id] >= PER_USER:
            raise LimitReachedError(f"streams of this user, {PER_USER} at most", retry_after=RETRY)

    @asynccontextmanager
    async def watching(self, principal: Principal, login: Login) -> AsyncIterator[Watcher]:
        """Let somebody listen until the block ends.

        Raises:
            PermissionDeniedError: As for `admit`.
            LimitReachedError: As for `admit`.
            CatalogUnavailableError: The database does not answer.
        """
        self.admit(principal)
        everything = bool(principal.roles & EVERYWHERE)
        scope = Scope(actor_id=principal.user_id, workspaces=frozenset(principal.workspaces))
        watcher = Watcher(principal.user_id, login, None if everything else scope)
        self._all.add(watcher)
        self._streams[watcher.user_id] += 1
        try:
            await self._check([watcher])
            yield watcher
        finally:
            self._all.discard(watcher)
            self._streams -= Counter([watcher.user_id])

    async def check(self) -> bool:
        """Look whether everybody still may, and what they see; return whether somebody may not any more.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        return bool(self._all) and await self._check(list(self._all))

    async def _check(self, watchers: list[Watcher]) -> bool:
        now = self._clock()
        async with self._catalog.read() as session:
            standings = await _standings(session, {watcher.user_id for watcher in watchers}, now)
            ended = await _ended_sessions(session, watchers)
            keys = await _good_keys(session, watchers, now)
        for watcher in watchers:
            standing, login = standings[watcher.user_id], watcher.login
            scope = Scope(actor_id=watcher.user_id, workspaces=frozenset(standing.workspaces))
            watcher.scope = None if standing.everything else scope
            watcher.shared = frozenset(standing.shared)
            if login.expires_at is not None and login.expires_at <= now:
                watcher.ended = "expired"
            elif (
                standing.authz_version is None
                or login.authz_version not in {None, standing.authz_version}
                or login.session_id in ended
                or (login.key_id is not None and login.key_id not in keys)
            ):
                watcher.ended = "revoked"
        return any(watcher.ended for watcher in watchers)


async def _standings(session: AsyncSession, users: Iterable[UUID], now: datetime) -> dict[UUID, _Standing]:
    found = {user_id: _Standing() for user_id in users}
    for user_id, version in await session.execute(
        select(User.id, User.authz_version).where(User.id.in_(found), User.status == "active")
    ):
        found[user_id].authz_version = version
        found[user_id].workspaces.add(user_id)  # their personal one
    roles = select(UserRole.user_id).join(Role, Role.id == UserRole.role_id)
    for user_id in await session.scalars(roles.where(UserRole.user_id.in_(found), Role.name.in_(EVERYWHERE))):
        found[user_id].everything = True
    members = select(Membership.user_id, Membership.workspace_id).where(Membership.user_id.in_(found))
    for user_id, workspace_id in await session.execute(members):
        found[user_id].workspaces.add(workspace_id)
    in_force = or_(Share.expires_at.is_(None), Share.expires_at > now)
    for user_id, asset_id in await session.execute(
        select(Share.user_id, Share.asset_id).where(Share.user_id.in_(found), in_force)
    ):
        found[user_id].shared.add(asset_id)
    return found


async def _ended_sessions(session: AsyncSession, watchers: Iterable[Watcher]) -> set[UUID | None]:
    ids = {watcher.login.session_id for watcher in watchers if watcher.login.session_id is not None}
    query = select(Session.jti).where(Session.jti.in_(ids), Session.revoked_at.is_not(None))
    return set(await session.scalars(query)) if ids else set()


async def _good_keys(session: AsyncSession, watchers: Iterable[Watcher], now: datetime) -> set[UUID]:
    ids = {watcher.login.key_id for watcher in watchers if watcher.login.key_id is not None}
    query = select(ApiKey.id).where(ApiKey.id.in_(ids), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))
    return set(await session.scalars(query)) if ids else set()

"""Who asks, and whether they may."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.auth import (
    EVERYWHERE,
    AccessClaims,
    Action,
    ApiKey,
    PermissionDeniedError,
    Principal,
    Resource,
    Share,
    TokenInvalidError,
    check_api_key,
    decide,
    parse_api_key,
)
from mamkit.catalog import Asset, Scope, Standing, Version, WorkspaceNotFoundError
from mamkit.clock import utc_now
from mamkit_apps.api.callers.bearer import bearer_of
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.logs import note

__all__ = [
    "API_KEY_PREFIX",
    "Caller",
    "Owner",
    "allowed_asset",
    "asset_resource",
    "bearer_token",
    "home_of",
    "place_of",
    "plain_resource",
    "principal_by",
    "principal_of",
    "provide_owner",
    "provide_principal",
    "readable_version",
    "require",
    "require_for_asset",
    "scope_of",
]

Caller = NamedDependency[Principal]
"""Who sent the request, given to a handler by `provide_principal`."""

Owner = NamedDependency[Principal]
"""The same, given by `provide_owner`: a person, no API key."""

API_KEY_PREFIX = "mka1_"
USED_EVERY = timedelta(minutes=1)  # a key that is used all the time is noted once a minute


async def provide_principal(request: Request[Any, Any, Any], parts: Wired) -> Principal:
    """Return who sent a request, by its bearer token (RFC 6750 section 2.1) or API key.

    The user is looked up, so that a ban or a change of roles ends every token issued before.

    Raises:
        TokenError: There is no token, it is not valid, or it was issued before the user's rights changed.
    """
    token = bearer_token(request.headers.get("authorization", ""))
    # Whose share of requests it takes was asked first, of the same header.
    return await principal_by(parts, token, request.scope["state"].get("access_claims"))


def bearer_token(header: str) -> str:
    """Return the token of an `Authorization` header.

    Raises:
        TokenInvalidError: There is none.
    """
    token = bearer_of(header)
    if not token:
        raise TokenInvalidError("this needs a login: send the access token as 'Authorization: Bearer …'")
    return token


async def principal_by(parts: Parts, token: str, verified: AccessClaims | None = None) -> Principal:
    """Return whose token or API key it is; errors as for `provide_principal`.

    Args:
        parts: Of the API.
        token: Of the header.
        verified: What it says, if it is verified already.
    """
    if token.startswith(API_KEY_PREFIX):
        return await _by_api_key(parts, token)
    claims = verified or parts.tokens.verify(token)
    standing = await db.standing_of(parts.catalog, claims.user_id)
    if standing is None or standing.status != "active" or standing.authz_version != claims.authz_version:
        raise TokenInvalidError("the account has changed since this token was issued; log in again")
    note(user_id=standing.user_id)
    return principal_of(standing)


async def provide_owner(principal: Caller) -> Principal:
    """Return who sent a request that concerns their own account: a person, no API key.

    Raises:
        PermissionDeniedError: It is an API key.
    """
    if principal.scopes is not None:
        raise PermissionDeniedError("manage an account", "API keys cannot do that; log in")
    return principal


async def _by_api_key(parts: Parts, token: str) -> Principal:
    key_id = parse_api_key(token)
    row = await db.api_key_by_id(parts.catalog, key_id)
    standing = None if row is None else await db.standing_of(parts.catalog, row.user_id)
    known = (
        None
        if row is None
        else ApiKey(
            id=row.id,
            user_id=row.user_id,
            name=row.name,
            digest=row.digest,
            scopes=frozenset(row.scopes),
            expires_at=row.expires_at,
        )
    )
    now = utc_now()
    key = check_api_key(known, token, at=now)
    parts.good_keys.add(token)
    if row is None or standing is None or standing.status != "active":
        raise TokenInvalidError("its owner's account is disabled")
    if row.last_used_at is None or now - row.last_used_at > USED_EVERY:
        async with parts.catalog.begin() as session:
            await db.touch_api_key(session, row)
    note(user_id=standing.user_id, api_key_id=row.id)
    return replace(principal_of(standing), scopes=key.scopes)


def principal_of(standing: Standing) -> Principal:
    """Return a user with their roles. In their personal workspace they have those of their account."""
    workspaces = {workspace: frozenset({role}) for workspace, role in standing.memberships.items()}
    user_id = standing.user_id
    return Principal(user_id=user_id, roles=standing.roles, workspaces=workspaces | {home_of(user_id): standing.roles})


def home_of(user_id: UUID) -> UUID:
    """Return the id of a user's personal workspace."""
    return user_id


def place_of(principal: Principal, workspace_id: UUID | None) -> UUID:
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


def scope_of(principal: Principal) -> Scope | None:
    """Return what a principal sees: their workspaces and what is shared with them; None: an administrator sees all."""
    if principal.roles & EVERYWHERE:
        return None
    return Scope(actor_id=principal.user_id, workspaces=frozenset(principal.workspaces))


def plain_resource(asset: Asset) -> Resource:
    """Return an asset as permissions look at it, as if nothing of it were shared."""
    return Resource(kind="asset", owner_id=asset.user_id, workspace_id=asset.workspace_id)


async def asset_resource(session: AsyncSession, asset: Asset) -> Resource:
    """Return an asset as permissions look at it, with what its owner shares of it."""
    shares = await db.shares_of(session, asset.id)
    granted = tuple(Share(user_id=each.user_id, actions=frozenset(each.actions)) for each in shares)
    return replace(plain_resource(asset), shares=granted)


def require(principal: Principal, action: Action, resource: Resource) -> None:
    """Do nothing if the principal may.

    Raises:
        PermissionDeniedError: They may not.
    """
    decision = decide(principal, action, resource)
    if not decision.allowed:
        raise PermissionDeniedError(action, decision.reason)


async def allowed_asset(
    session: AsyncSession, principal: Principal, action: Action, asset_id: UUID, *, trashed: bool = False
) -> Asset:
    """Return an asset to which the principal may do something.

    Args:
        session: With the principal's scope.
        principal: Who asks.
        action: Of the kind `asset`.
        asset_id: Which asset.
        trashed: Whether it must lie in the trash.

    Raises:
        AssetNotFoundError: There is no such asset there, or they see nothing of it.
        PermissionDeniedError: They see it, and may not.
    """
    asset = await db.asset_by_id(session, asset_id, trashed=trashed)
    await require_for_asset(session, principal, action, asset)
    return asset


async def require_for_asset(session: AsyncSession, principal: Principal, action: Action, asset: Asset) -> None:
    """Do nothing if the principal may do something to an asset that the session sees.

    Raises:
        PermissionDeniedError: They may not.
    """
    if not decide(principal, action, plain_resource(asset)):  # most need not ask what is shared
        require(principal, action, await asset_resource(session, asset))


async def readable_version(parts: Parts, principal: Principal, version_id: UUID) -> tuple[Asset, Version]:
    """Return a version and its asset, if the principal may look at them.

    Raises:
        NotFoundError: There is no such version, or they see nothing of it.
        PermissionDeniedError: They see it, and may not.
    """
    async with parts.catalog.read(scope_of(principal)) as session:
        version = await db.version_by_id(session, version_id)
        asset = await allowed_asset(session, principal, "asset.read", version.asset_id)
    note(asset_id=asset.id, version_id=version.id)
    return asset, version

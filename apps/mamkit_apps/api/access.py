"""Who asks, and whether they may."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from mamkit import catalog as db
from mamkit.auth import (
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
from mamkit.catalog import Asset, User, Version
from mamkit.clock import utc_now
from mamkit_apps.api.wiring import Parts, Wired
from mamkit_apps.logs import note

__all__ = ["Caller", "Owner", "asset_resource", "provide_owner", "provide_principal", "readable_version", "require"]

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
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalidError("this needs a login: send the access token as 'Authorization: Bearer …'")
    if token.startswith(API_KEY_PREFIX):
        return await _by_api_key(parts, token)
    claims = parts.tokens.verify(token)
    async with parts.catalog.read() as session:
        user = await session.get(User, claims.user_id)
        roles = await db.roles_of(session, claims.user_id)
    if user is None or user.status != "active" or user.authz_version != claims.authz_version:
        raise TokenInvalidError("the account has changed since this token was issued; log in again")
    note(user_id=user.id)
    return Principal(user_id=user.id, roles=frozenset(roles))


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
    async with parts.catalog.read() as session:
        row = await db.api_key_by_id(session, key_id)
        user = None if row is None else await session.get(User, row.user_id)
        roles = [] if row is None else await db.roles_of(session, row.user_id)
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
    if row is None or user is None or user.status != "active":
        raise TokenInvalidError("its owner's account is disabled")
    if row.last_used_at is None or now - row.last_used_at > USED_EVERY:
        async with parts.catalog.begin() as session:
            await db.touch_api_key(session, row)
    note(user_id=user.id, api_key_id=row.id)
    return Principal(user_id=user.id, roles=frozenset(roles), scopes=key.scopes)


async def asset_resource(parts: Parts, asset: Asset) -> Resource:
    """Return an asset as permissions look at it, with what its owner shares of it."""
    async with parts.catalog.read() as session:
        shares = await db.shares_of(session, asset.id)
    return Resource(
        kind="asset",
        owner_id=asset.user_id,
        shares=tuple(Share(user_id=each.user_id, actions=frozenset(each.actions)) for each in shares),
    )


def require(principal: Principal, action: Action, resource: Resource) -> None:
    """Do nothing if the principal may.

    Raises:
        PermissionDeniedError: They may not.
    """
    decision = decide(principal, action, resource)
    if not decision.allowed:
        raise PermissionDeniedError(action, decision.reason)


async def readable_version(parts: Parts, principal: Principal, version_id: UUID) -> tuple[Asset, Version]:
    """Return a version and its asset, if the principal may look at them.

    Raises:
        NotFoundError: There is no such version.
        PermissionDeniedError: They may not.
    """
    async with parts.catalog.read() as session:
        version = await db.version_by_id(session, version_id)
        asset = await db.asset_by_id(session, version.asset_id)
    note(asset_id=asset.id, version_id=version.id)
    require(principal, "asset.read", await asset_resource(parts, asset))
    return asset, version

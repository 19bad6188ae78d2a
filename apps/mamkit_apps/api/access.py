"""Who asks, and whether they may."""

from typing import Any
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from mamkit import catalog as db
from mamkit.auth import Action, PermissionDeniedError, Principal, Resource, TokenInvalidError, decide
from mamkit.catalog import Asset, Version
from mamkit_apps.api.wiring import Parts, Wired

__all__ = ["Caller", "provide_principal", "readable_version", "require"]

Caller = NamedDependency[Principal]
"""Who sent the request, given to a handler by `provide_principal`."""


async def provide_principal(request: Request[Any, Any, Any], parts: Wired) -> Principal:
    """Return who sent a request, by its bearer token (RFC 6750 section 2.1).

    The user is looked up, so that a ban or a change of roles ends every token issued before.

    Raises:
        TokenError: There is no token, it is not valid, or it was issued before the user's rights changed.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalidError("this needs a login: send the access token as 'Authorization: Bearer …'")
    claims = parts.tokens.verify(token.strip())
    async with parts.catalog.read() as session:
        user = await db.user_by_id(session, claims.user_id)
        roles = await db.roles_of(session, claims.user_id)
    if user.status != "active" or user.authz_version != claims.authz_version:
        raise TokenInvalidError("the account has changed since this token was issued; log in again")
    return Principal(user_id=user.id, roles=frozenset(roles))


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
    require(principal, "asset.read", Resource(kind="asset", owner_id=asset.user_id))
    return asset, version

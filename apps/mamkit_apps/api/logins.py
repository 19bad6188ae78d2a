"""What all ways of logging in share: where passwords are hashed, asking for a second factor, handing out tokens."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.types import Scope

from mamkit import catalog as db
from mamkit.auth import InvalidCredentialsError, PermissionDeniedError, SessionGrant
from mamkit.catalog import User
from mamkit_apps.api.account_schemas import SecondFactorAsked
from mamkit_apps.api.schemas import Tokens
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts
from mamkit_apps.limits import client_address

__all__ = [
    "SECOND_FACTOR",
    "SECOND_FACTOR_ASKED",
    "Address",
    "address_of",
    "finish_login",
    "hashing",
    "provide_address",
    "tokens_of",
]

T = TypeVar("T")

SECOND_FACTOR = "second-factor"  # kind of the flow between password and code

SECOND_FACTOR_ASKED = {
    202: ResponseSpec(SecondFactorAsked, description="A second factor is still missing.", generate_examples=False)
}
"""What a login may answer beside tokens."""

Address = NamedDependency[str]
"""Where a request came from, as far as the server knows."""


def provide_address(request: Request[Any, Any, Any]) -> str:
    """Return the network address of whoever sent a request."""
    return address_of(request.scope, request.app.state.parts.settings)


def address_of(scope: Scope, settings: ApiSettings) -> str:
    """Return the same for an ASGI scope: what is connected, or whom the proxies that are trusted have seen."""
    client = scope.get("client")
    peer = client[0] if client else None
    if settings.trusted_proxies:
        seen = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        peer = client_address(peer, seen, settings.trusted_proxies)
    return peer or "unknown"


async def hashing(parts: Parts, work: Callable[[], T]) -> T:
    """Return what something that hashes or judges a password returns, in one of the few threads that do nothing else.

    A flood of logins waits for them, while other requests go on in the threads that all share.
    """
    return await asyncio.get_running_loop().run_in_executor(parts.hashing, work)


async def finish_login(
    parts: Parts, user: User, *, method: str, strong: bool = False
) -> Response[Tokens | SecondFactorAsked]:
    """Log a user in who has proved who they are, or ask for their second factor.

    Args:
        parts: Of the API.
        user: Who.
        method: How they proved it, for the record.
        strong: It was two factors in one, so that no other is asked for.

    Raises:
        InvalidCredentialsError: The account is disabled.
        PermissionDeniedError: The address must be verified first.
    """
    if user.status != "active":
        raise InvalidCredentialsError
    async with parts.catalog.read() as session:
        factor = await db.second_factor_of(session, user.id)
        verified = await db.email_is_verified(session, user)
    if parts.settings.email_verification == "required" and not verified:
        raise PermissionDeniedError("log in", "the address is not verified yet; follow the link in the mail")
    if not strong and factor is not None and factor.confirmed_at is not None:
        ticket = await asyncio.to_thread(parts.flows.open, SECOND_FACTOR, {"user": str(user.id), "method": method})
        return Response(SecondFactorAsked(ticket=ticket), status_code=HTTPStatus.ACCEPTED)
    grant = await asyncio.to_thread(parts.sessions.start, user.id)
    async with parts.catalog.begin() as session:
        await db.record(
            session, actor_id=user.id, action="user.login", subject=f"user:{user.id}", detail={"method": method}
        )
    return Response(await tokens_of(parts, user, grant), status_code=HTTPStatus.OK)


async def tokens_of(parts: Parts, user: User, grant: SessionGrant) -> Tokens:
    """Return what a client gets for a session."""
    async with parts.catalog.read() as session:
        roles = await db.roles_of(session, user.id)
    access = parts.tokens.issue(
        user_id=user.id, session_id=grant.jti, roles=frozenset(roles), authz_version=user.authz_version
    )
    return Tokens(
        access_token=access,
        expires_in=int(parts.tokens.lifetime.total_seconds()),
        refresh_token=grant.refresh_token,
    )

"""What all ways of logging in share: where passwords are hashed, asking for a second factor, handing out tokens."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from litestar import Response
from litestar.openapi import ResponseSpec

from mamkit import catalog as db
from mamkit.auth import InvalidCredentialsError, PermissionDeniedError, SessionGrant
from mamkit.catalog import User
from mamkit_apps.api.accounts.schemas import SecondFactorAsked, Tokens
from mamkit_apps.api.wiring import Parts

__all__ = [
    "SECOND_FACTOR",
    "SECOND_FACTOR_ASKED",
    "finish_login",
    "hashing",
    "tokens_of",
]

T = TypeVar("T")

SECOND_FACTOR = "second-factor"  # kind of the flow between password and code

SECOND_FACTOR_ASKED = {
    202: ResponseSpec(SecondFactorAsked, description="A second factor is still missing.", generate_examples=False)
}
"""What a login may answer beside tokens."""


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
